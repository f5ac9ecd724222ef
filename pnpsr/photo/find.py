"""The blur of a photograph: where to look for it, candidates, and the one to believe."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from pnpsr.kernels import dirac
from pnpsr.photo.blocks import compression, softness
from pnpsr.photo.candidates import guesses
from pnpsr.photo.clipped import counting
from pnpsr.photo.explain import explained_by
from pnpsr.photo.facts import NONE, SHARP, Tried, untouched
from pnpsr.photo.ranking import Candidate, ranked
from pnpsr.photo.windows import Window, informative, noise
from pnpsr.photo.words import NARROW, sentence, shape_of
from pnpsr.solver import UnrolledSolver

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much
Seen = Callable[[str, Tensor], None]  # a kernel (1 1 p q) that was just found, and how

NOTHING = "no blur was found; there was nothing to remove"
UNBELIEVED = f"{NOTHING} (the kernel that this solver found makes nothing better)"
OUTPUT = 512  # side of a window in pixels of x
MORE = 480  # side of the part of y in which one kernel more is looked for
FLAT = 1e-6  # score of a window below which there is nothing to be seen, (1/1000 of white per pixel)²


@dataclass(frozen=True)
class Found:
    """What is believed about the blur of a picture, and why."""

    k: Tensor  # (1 1 p p)
    sigma: float
    windows: tuple[Window, ...]  # where it was looked for, best first; the scores are of the first
    candidates: tuple[Candidate, ...]  # best first; empty where nothing could be compared
    blurred: bool
    acts: bool  # there is something to do: blur or noise to remove, or a sharp picture to enlarge by its prior
    words: str

    @property
    def window(self) -> Window:
        """The most informative one."""
        return self.windows[0]


def find(
    y: Tensor,
    scale: int,
    judge: UnrolledSolver,
    quieting: UnrolledSolver,
    *,
    sigma: float | None = None,
    trained: Mapping[str, UnrolledSolver] | None = None,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Found:
    """The kernel of y (1 c h w): candidates from the most informative window, ranked by what ``judge`` makes of it with them.

    ``quieting`` restores the window as a sharp one first, where a kernel is looked for from its edges.
    A picture without edges, or too small to hold any, has no blur that could be seen: k is one pixel then.
    """
    grain = noise(y) if sigma is None else sigma
    windows = tuple(informative(y, side=max(96, OUTPUT // max(scale, 2))))
    part = y[(..., *windows[0].inside)]
    lost = compression(y)  # where there is detail it is what was taken, and no blur
    lost = lost * softness(part, scale) if lost else 0.0
    level = math.hypot(grain, lost) if sigma is None else sigma
    if windows[0].score <= FLAT:
        noisy = bool(sigma) and float(y.amin()) < float(y.amax())
        what = f"noise of {100 * level:.1f} % removed" if noisy else "enlarged as it is"
        return Found(dirac(1), level, windows, (), False, noisy, f"no edges in which blur could be seen; {what}")
    sharp = Tried(SHARP, dirac(3), explained_by(judge, part, scale, dirac(3), level))
    soft = sharp.x if quieting is judge else explained_by(quieting, part, scale, dirac(3), level)
    quiet = soft[..., ::scale, ::scale]
    todo = list(guesses(part, scale, level, trained or {}, quiet, counting(part), _more(y, windows[0])))
    done = [untouched(part, scale)] if not sigma else []  # who names the noise wants it removed
    done += [sharp] if sigma or scale > 1 else []
    for i, (name, make) in enumerate(todo):
        if progress is not None:
            progress("looking for the blur", i, len(todo))
        k = make()
        done.append(Tried(name, k, explained_by(judge, part, scale, k.to(part), level)))
        if seen is not None:
            seen(name, k)
    if progress is not None:
        progress("looking for the blur", len(todo), len(todo))
    order = ranked(done, part, scale, sharp, lost)
    best = order[0]
    blurred = best.name not in (NONE, SHARP) and shape_of(best.k).along >= NARROW
    acts = blurred or (best.name != NONE and (scale > 1 or bool(sigma)))
    return Found(best.k, level, windows, order, blurred, acts, _words(best, level, scale, blurred, acts))


def _more(y: Tensor, window: Window) -> Tensor | None:
    """A larger part of y than the window; None where there is none."""
    wide = informative(y, 1, MORE)[0]
    return y[(..., *wide.inside)] if wide.height * wide.width > 1.5 * window.height * window.width else None


def _words(best: Candidate, level: float, scale: int, blurred: bool, acts: bool) -> str:
    if blurred:
        return sentence(best.k, level, best.explained)
    if not acts:
        return NOTHING
    return (
        f"no blur was found; noise of {100 * level:.1f} % removed"
        if scale == 1
        else "no blur was found; enlarged as a sharp picture"
    )
