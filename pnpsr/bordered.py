"""From a solver to a photograph: borders that are not periodic, gray pictures for colour networks, every iterate on the way."""

import inspect
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.needs import needs_of
from pnpsr.physics import Physics
from pnpsr.solver import Iterative
from pnpsr.state import State, as_physics

BOUNDARIES = ("extend", "circular")


def solve(
    solver: nn.Module,
    y: Tensor,
    physics: Physics | Scale | None = None,
    *,
    sigma: float | Tensor | None = None,
    k: Tensor | None = None,
    T: int | None = None,
    mask: Tensor | None = None,
    scale: Scale | None = None,
    boundary: str = "extend",
) -> State:
    """The last of :func:`iterates`, which has the same arguments and errors: ``out.x`` (b c sh sw) and ``out.k`` (b 1 p p).

    Example:
        >>> import torch
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.bordered import solve
        >>> out = solve(blind_hqs(5, T=1, finish=1), torch.rand(1, 1, 16, 16), 2)
        >>> out.x.shape
        torch.Size([1, 1, 32, 32])
    """
    out = None
    for out in iterates(solver, y, physics, sigma=sigma, k=k, T=T, mask=mask, scale=scale, boundary=boundary):  # noqa: B007  only the last is wanted
        pass
    if out is None:
        raise ValueError(f"T must be at least 1 to restore anything, got {T}")
    checks.image(out.known("x"), "the restored x")  # solvers for inference do not look at what their iterations write
    return out


def iterates(
    solver: nn.Module,
    y: Tensor,
    physics: Physics | Scale | None = None,
    *,
    sigma: float | Tensor | None = None,
    k: Tensor | None = None,
    T: int | None = None,
    mask: Tensor | None = None,
    scale: Scale | None = None,
    boundary: str = "extend",
) -> Iterator[State]:
    """Yield the state after each iteration on the photograph y, without gradients; x in [0, 1] and as large as y times the scale.

    Args:
        solver: an :class:`UnrolledSolver`, or what else is an :class:`pnpsr.solver.Iterative`; any other module is called once as
            ``solver(y, scale, sigma=sigma)``, or ``solver(y, physics, sigma=sigma)`` if its argument is called so, and yields once:
            it is given ``k`` and ``T`` if it has such arguments, and refused otherwise.
        y: observed image (b c h w), floats in [0, 1]; gray for a solver of colour networks is repeated, and averaged again.
        physics: what made y, or its integer factor; may be omitted where the solver was built for one.
        sigma: noise standard deviation in the units of y, if known; a solver that reads it off y reads it off this y, not off
            its continuation.
        k: the kernel, if known (then no estimator should run), or one to start from.
        T: number of iterations, if not the solver's own.
        mask: (b 1 h w) of zeros and ones, the pixels of y that count, if not all.
        scale: another word for ``physics``, where that is a number.
        boundary: ``extend`` continues y smoothly around a torus before the solve and crops after it (Liu and Jia 2008), as a
            photograph needs; ``circular`` takes y as periodic, as synthetic test images of the papers are.

    Raises:
        TypeError, ValueError: as :meth:`pnpsr.UnrolledSolver.start`; unknown boundary; k, T or mask for a module that takes none.

    Example:
        >>> import torch
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.bordered import iterates
        >>> [s.x.shape for s in iterates(blind_hqs(5, T=1, finish=1), torch.rand(1, 1, 16, 16), 2)]
        [torch.Size([1, 1, 32, 32]), torch.Size([1, 1, 32, 32])]
    """
    checks.choice(boundary, BOUNDARIES, "boundary")
    unrolled, others = (solver if isinstance(solver, Iterative) else None), _given(solver, {"k": k, "T": T})
    y, (h, w) = checks.displayed(y, "y"), (y.shape[-2], y.shape[-1])
    model = _model(solver, physics, mask, scale)
    coloured = in_colour(solver, y) if model is None or model.image_shape(y)[1] == y.shape[1] else y
    reach = max(k.shape[-2:]) if k is not None else needs_of(solver).kernel_size or 21  # moves the seam away by a kernel
    margin = margins(h, w, reach) if boundary == "extend" else (0, 0)
    wide = extended(coloured, margin)

    def shown(s: State) -> State:
        s1, s2 = checks.factors(s.scale)
        x = s.known("x")[..., s1 * margin[0] : s1 * (margin[0] + h), s2 * margin[1] : s2 * (margin[1] + w)]
        x = (x if coloured is y else x.mean(1, keepdim=True)).clamp(0, 1)
        return replace(s, y=y, x=x, physics=model or s.physics)

    if unrolled is None or model is None:
        with torch.no_grad():
            how = (scale if physics is None else physics) if model is None else model.padded(margin, coloured)
            s = solver(wide, how, sigma=sigma, **others)
        yield shown(s)
        return
    with torch.no_grad():
        noise = model.noise_level(y) if sigma is None else None  # here, because the smooth continuation has none
        s = unrolled.start(wide, model.padded(margin, coloured), sigma=sigma, k=k, given=y, noise=noise)
    for _ in range(unrolled.T if T is None else checks.whole(T, "T")):
        with torch.no_grad():  # never around a yield: the context would leak to the caller
            s = unrolled.step(s)
        yield shown(s)


def inverts(solver: nn.Module) -> bool:
    """Whether a module can be told any physics: its argument has that name.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.bordered import inverts
        >>> inverts(usrnet(T=1, widths=(2, 2, 2, 2))), inverts(torch.nn.Identity())
        (True, False)
    """
    return "physics" in _words(solver)


def _words(solver: nn.Module) -> Collection[str]:
    return inspect.signature(solver.forward).parameters


def _given(solver: nn.Module, options: dict[str, Any]) -> dict[str, Any]:
    """The options that are not None.

    Raises:
        ValueError: the module has no arguments of these names.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if missing := [f"{name}=" for name in given if name not in _words(solver)]:
        raise ValueError(f"{type(solver).__name__} takes no {', '.join(missing)}: leave out what its call has no argument for")
    return given


def _model(solver: nn.Module, physics: Physics | Scale | None, mask: Tensor | None, scale: Scale | None) -> Physics | None:
    """What the solver inverts; None for a module that is told the scale alone.

    Raises:
        ValueError: a mask for such a module.
    """
    if isinstance(solver, Iterative):
        return solver.physics_for(physics, mask, scale)
    if not inverts(solver):
        _given(solver, {"mask": mask})
        return None
    told = as_physics(scale if physics is None else physics)
    return told if mask is None else told.masked(mask)


def in_colour(solver: nn.Module, y: Tensor) -> Tensor:
    """What the solver reads for a picture y (b c h w): y, or a gray y three times where the solver's networks want colours.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.bordered import in_colour
        >>> in_colour(usrnet(T=1, widths=(2, 2, 2, 2)), torch.rand(1, 1, 8, 8)).shape
        torch.Size([1, 3, 8, 8])
    """
    return y.expand(-1, 3, -1, -1) if y.shape[1] == 1 and needs_of(solver).channels == 3 else y


def extended(y: Tensor, margin: tuple[int, int]) -> Tensor:
    """y (b c h w) with ``margin`` = (rows, columns) more pixels on each side, smooth across the seam of the torus.

    Example:
        >>> import torch
        >>> from pnpsr.bordered import extended
        >>> extended(torch.rand(1, 1, 16, 16), (8, 4)).shape
        torch.Size([1, 1, 32, 24])
    """
    if margin == (0, 0):
        return y
    if min(y.shape[-2:]) < 3:  # without an inner row and column there is no slope that could go on
        return pad(y, (margin[1], margin[1], margin[0], margin[0]), mode="replicate")
    from deepinv.physics.functional import liu_jia_pad

    low, high = y.amin((1, 2, 3), keepdim=True), y.amax((1, 2, 3), keepdim=True)
    return liu_jia_pad(y, padding=margin).clamp(low, high)  # what was observed stays as it is, noise beyond [0, 1] included


def margins(h: int, w: int, reach: int) -> tuple[int, int]:
    """At least ``reach`` per side of (h, w), a multiple of 8, and if need be so much more that transforms of h + 2 m are fast.

    Image priors halve three times: with such margins a tile of a picture meets the same grid as the whole picture does.

    Example:
        >>> from pnpsr.bordered import margins
        >>> margins(128, 128, 21)
        (24, 24)
    """
    from scipy.fft import next_fast_len

    least = -(-reach // 8) * 8

    def one(n: int) -> int:
        return next((m for m in range(least, least + 72, 8) if next_fast_len(n + 2 * m) == n + 2 * m), least)

    return one(h), one(w)
