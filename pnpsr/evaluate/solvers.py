"""pnpsr's own solvers as methods: blind, told the noise level, told the kernel, or assuming one."""

import re
from collections.abc import Callable

from torch import Tensor, nn

from pnpsr import checks
from pnpsr.conventions import PNPSR, Convention
from pnpsr.evaluate.digests import fingerprint
from pnpsr.evaluate.method import Method, Result
from pnpsr.kernels import dirac, gaussian
from pnpsr.restore import BOUNDARIES, restore
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State

ASSUMED: dict[str, Callable[[Tensor, int], Tensor]] = {
    "gaussian": lambda like, scale: gaussian(21, 0.6 * scale, dtype=like.dtype, device=like.device),
    "dirac": lambda like, _: dirac(21, dtype=like.dtype, device=like.device),
}


def from_solver(
    name: str,
    *solvers: nn.Module,
    boundary: str = "circular",
    sigma: bool = False,
    kernel: str | None = None,
    convention: Convention = PNPSR,
) -> Method:
    """A pnpsr solver as a method; several that were built for one scale each serve as one.

    A solver without a start for k is not blind: it needs the true kernel and the noise level. ``kernel`` says what it assumes in
    place of the kernel.

    Args:
        name: for tables.
        solvers: :class:`UnrolledSolver` or any module called as ``solver(y, scale, sigma=...)``, on the device of the evaluation.
        boundary: ``circular`` for y that are periodic, ``extend`` for all others (see :func:`pnpsr.restore.restore`).
        sigma: tell it the true noise level.
        kernel: what a non-blind solver assumes in place of the truth: ``gaussian`` (width 0.6 s) or ``dirac``, both 21 x 21.
        convention: of the solver's kernels; DAN's networks were trained under ``DAN``.

    Raises:
        ValueError: solvers for no scale or one scale twice, an assumed kernel for a blind solver, unknown words.
    """
    checks.choice(boundary, BOUNDARIES, "boundary")
    scales = [getattr(solver, "scale", None) for solver in solvers]
    if not solvers or (len(solvers) > 1 and (None in scales or len(set(scales)) < len(scales))):
        raise ValueError(f"{name}: pass one solver, or several built for different scales; got scales {scales}")
    nonblind = [isinstance(solver, UnrolledSolver) and solver.k0 is None for solver in solvers]
    if kernel is not None:
        checks.choice(kernel, ASSUMED, "kernel")
        if not all(nonblind):
            raise ValueError(f"{name} finds the kernel itself: kernel={kernel!r} is for solvers that must be given one")
    by_scale = dict(zip(scales, solvers, strict=True))

    def run(y: Tensor, scale: int, *, k: Tensor | None = None, sigma: float | None = None) -> State | Result:
        k = ASSUMED[kernel](y, scale) if kernel is not None else k
        out = restore(by_scale.get(scale, solvers[0]), y, scale, k=k, sigma=sigma, boundary=boundary)
        return out if kernel is None else Result(out.known("x"))  # what is assumed is not found

    needs = ("k",) * (any(nonblind) and kernel is None) + ("sigma",) * (sigma or any(nonblind))
    able = None if None in scales else tuple(scales)
    identity = f"{boundary} {kernel} " + " ".join(solver_identity(solver) for solver in solvers)
    return Method(name, run, needs, convention, able, identity)  # type: ignore[arg-type]


def solver_identity(solver: nn.Module) -> str:
    """The recipe with its arguments (or the printed module), and the digest of all weights."""
    what = re.sub(r" at 0x[0-9a-f]+", "", str(getattr(solver, "record", None) or repr(solver)))  # addresses change from run to run
    return f"{what} {fingerprint(solver.state_dict())[:16]}"
