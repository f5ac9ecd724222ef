"""Several guesses at the blur of a picture: a straight line, what is found coarse to fine, what trained solvers find."""

from collections.abc import Callable, Iterator, Mapping

from torch import Tensor

from pnpsr.bordered import solve
from pnpsr.kernels import line
from pnpsr.photo.clipped import counting
from pnpsr.photo.explain import place
from pnpsr.photo.facts import LINE, TRAINED
from pnpsr.photo.pyramid import coarse_to_fine, on_grid_of
from pnpsr.photo.spectrum import SHORTEST, Spectrum
from pnpsr.solver import UnrolledSolver

SIZES = {1: (13, 27, 51)}  # of kernels in pixels of y, by scale
FINER = (9, 17, 27)  # at all other scales
WIDER = 35  # size that is looked for in more of y
LONGEST = 50.0  # line, in pixels of y


def guesses(
    y: Tensor,
    scale: int,
    sigma: float,
    trained: Mapping[str, UnrolledSolver],
    quiet: Tensor | None = None,
    counts: Tensor | None = None,
    more: Tensor | None = None,
) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Names of kernels (1 1 p p) for the window y (1 c h w), and how each is found.

    Args:
        y: the window.
        scale: by which x is finer.
        sigma: noise level, as it is told to solvers.
        trained: blind solvers for the scale by name.
        quiet: y without its noise, for what is found from edges: noise makes kernels that fill their support.
        counts: (1 1 h w), 1 where a pixel is not clipped.
        more: a larger part of the picture (1 c h' w'), which has more edges.
    """
    for name, solver in trained.items():
        yield f"{TRAINED} {name}", lambda solver=solver: _found(solver, y, scale, sigma)  # type: ignore[misc]
    for size in SIZES.get(scale, FINER):
        if 2 * size <= min(y.shape[-2:]):
            name = f"coarse to fine {scale * (size - 1) + 1}"
            yield name, lambda size=size: on_grid_of(coarse_to_fine(y if quiet is None else quiet, size, counts), scale)  # type: ignore[misc]
    if more is not None and 2 * WIDER <= min(more.shape[-2:]):
        name = f"coarse to fine {scale * (WIDER - 1) + 1}, from more of it"
        yield name, lambda: on_grid_of(coarse_to_fine(more, WIDER, counting(more)), scale)
    if min(y.shape[-2:]) >= SHORTEST:
        yield LINE, lambda: straight(y, scale)


def _found(solver: UnrolledSolver, y: Tensor, scale: int, sigma: float) -> Tensor:
    return solve(solver, y.to(place(solver, y)), scale, sigma=sigma).known("k").float().to(y.device)


def straight(y: Tensor, scale: int) -> Tensor:
    """The straight line (1 1 p p) that the power spectrum of y speaks for."""
    angle, length = Spectrum(y, scale).straight()
    length = min(length, scale * min(LONGEST, min(y.shape[-2:]) / 2 - 4))
    return line(int(length) // 2 * 2 + 5, length=length, angle=angle)
