"""A solver as one graph of tensors, for places without pnpsr: ``torch.export`` programs, and ONNX where it has the operators."""

import re
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.needs import needs_of

GIVEN = ("k", "sigma")


class Fixed(nn.Module):
    """(y, k, sigma) ↦ (x, k) after T iterations at one scale: a solver without anything else to say.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.export import Fixed
        >>> from pnpsr.kernels import gaussian
        >>> fixed = Fixed(usrnet(T=1, widths=(2, 2, 2, 2)), 2, None)
        >>> x, k = fixed(torch.rand(1, 3, 8, 8), gaussian(5, 1.0), torch.tensor([0.01]))
        >>> x.shape, k.shape
        (torch.Size([1, 3, 16, 16]), torch.Size([1, 1, 5, 5]))
    """

    def __init__(self, solver: nn.Module, scale: Scale | None, T: int | None) -> None:
        super().__init__()
        self.solver, self.scale, self.options = solver, scale, {} if T is None else {"T": checks.whole(T, "T", 0)}

    def forward(self, y: Tensor, k: Tensor | None = None, sigma: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (b c sh sw) and k (b 1 p q) of y (b c h w); k (b 1 p q) and sigma (b,) as the solver takes them."""
        given = {name: value for name, value in (("k", k), ("sigma", sigma)) if value is not None}
        out = self.solver(y, self.scale, **given, **self.options)
        return out.x, out.k


def export(
    solver: nn.Module,
    scale: Scale | None = None,
    *,
    T: int | None = None,
    given: Collection[str] | None = None,
    batch: int = 1,
    size: tuple[int, int] = (96, 80),
    channels: int | None = None,
    kernel: Scale | None = None,
    dynamic: bool = True,
) -> ExportedProgram:
    """The solver with T iterations at one scale as a ``torch.export`` program: ``program.module()(y, k=k, sigma=sigma)`` -> (x, k).

    ``torch.export.save(program, "solver.pt2")`` writes it; ``torch.export.load("solver.pt2").module()`` runs it, also where pnpsr
    is not installed (the one exception, a kernel step under ``constraint="simplex"``, has an operator of pnpsr's). Values are not
    checked in it: what is not finite shows in x. Closed forms whose weight a network decides compute in float64.

    Args:
        solver: of any recipe; in the dtype and on the device that the program will have.
        scale: factor between x and y; may be omitted where the solver was built for one.
        T: number of iterations, if not the solver's own.
        given: what calls give beside y, of ``k`` and ``sigma``; by default what the solver needs.
        batch: number of pictures in a call.
        size: of the y (rows, columns) that the program is traced with. A dynamic one takes the branches of this size: make it like
            those it is for, and no multiple of anything that they are not.
        channels: of y, where the solver takes any; 3 by default.
        kernel: size of the kernels that calls give, where the solver takes any; 21 by default.
        dynamic: any height and width; without it those of ``size`` alone.

    Raises:
        ValueError: unknown names in ``given``, or a solver that cannot be traced; the message says where.
        TypeError: a count that is no integer.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.export import export
        >>> from pnpsr.kernels import gaussian
        >>> program = export(usrnet(T=1, widths=(2, 2, 2, 2)).eval(), 2, size=(16, 16), kernel=5, dynamic=False)
        >>> x, k = program.module()(torch.rand(1, 3, 16, 16), k=gaussian(5, 1.0), sigma=torch.tensor([0.01]))
        >>> x.shape
        torch.Size([1, 3, 32, 32])
    """
    needs, like = needs_of(solver), next(solver.parameters(), torch.empty(0))
    names = [n for n, due in zip(GIVEN, (needs.kernel, needs.sigma), strict=True) if due] if given is None else list(given)
    for name in names:
        checks.choice(name, GIVEN, "given")
    b, (rows, columns) = checks.whole(batch, "batch"), checks.size(size, "size")
    p, q = checks.size(kernel or needs.kernel_size or 21, "kernel")
    y = torch.full((b, channels or needs.channels or 3, rows, columns), 0.5, dtype=like.dtype, device=like.device)
    values = {"k": y.new_full((b, 1, p, q), 1 / (p * q)), "sigma": y.new_full((b,), 0.01)}
    shapes: dict[str, Any] = {"y": {2: Dim.AUTO, 3: Dim.AUTO} if dynamic else None, **dict.fromkeys(names)}
    training, fixed = solver.training, Fixed(solver, scale, T).eval()
    try:
        with torch.no_grad():
            fixed(y, **{name: values[name] for name in names})  # mistakes of the call in the solver's own words
            return torch.export.export(
                fixed,
                (y,),
                {name: values[name] for name in names},
                dynamic_shapes=shapes,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
    except RuntimeError as error:
        raise ValueError(f"this solver cannot be traced: {_first(error)}; try dynamic=False, or another size") from error
    finally:
        solver.train(training)


def to_onnx(program: ExportedProgram, path: str | Path) -> None:
    """Write a program of :func:`export` as ONNX: inputs ``y`` and what is given, outputs ``x`` and ``kernel``.

    Real transforms are ONNX's DFT, complex numbers pairs of real ones.

    Raises:
        ValueError: an operator that ONNX has none for, named; or the packages onnx and onnxscript are not installed.
        FileNotFoundError: no such folder.

    Example:
        >>> from pnpsr.export import export, to_onnx
        >>> from pnpsr.recipes import tv_hqs
        >>> try:
        ...     to_onnx(export(tv_hqs(T=1), 2, size=(8, 8), kernel=3, dynamic=False), "no-folder/solver.onnx")
        ... except FileNotFoundError:
        ...     print("make the folder first")
        make the folder first
    """
    path = checks.writable(path)
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError("ONNX needs two more packages: pip install 'pnpsr[onnx]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the converter's own making
            # in core operators, since the converter knows some of the others for real numbers only
            made = torch.onnx.export(program.run_decompositions(), dynamo=True, output_names=["x", "kernel"], verbose=False)
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(f"ONNX has no operator for {_missing(error)}; torch.export has: write a .pt2") from error
    made.save(path)  # type: ignore[union-attr]


def _chain(error: BaseException | None) -> list[str]:
    """What an error and those that caused it say."""
    return [] if error is None else [str(error), *_chain(error.__cause__)]


def _missing(error: BaseException) -> str:
    """The operator that the conversion stopped at."""
    said = " ".join(_chain(error))
    found = re.search(r"No ONNX function found for <OpOverload\(op='([\w.:]+)'", said)
    what = "" if "complex-valued" not in said else " of complex numbers"
    return _first(error) if found is None else f"{found[1]}{what}"


def _first(error: BaseException) -> str:
    """The first line that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
