"""The kernel to restore with: given, found by the solver that was asked for, or the best of several guesses."""

from dataclasses import dataclass

from torch import Tensor

from pnpsr.bordered import iterates
from pnpsr.fast import fast
from pnpsr.kernels import dirac
from pnpsr.needs import needs_of
from pnpsr.photo.ask import Ask
from pnpsr.photo.field import Field, field_of
from pnpsr.photo.find import FLAT, NOTHING, UNBELIEVED, Found, find
from pnpsr.photo.finish import judge, judges_quietly, quieting, second, trained_for, unblurred
from pnpsr.photo.job import Job
from pnpsr.photo.kept import Kept
from pnpsr.photo.ranking import justified
from pnpsr.photo.windows import Window
from pnpsr.photo.words import describe
from pnpsr.solver import UnrolledSolver


@dataclass(frozen=True)
class Belief:
    """A kernel, and how it came to be believed."""

    k: Tensor  # (1 1 p q)
    sigma: float
    blurred: bool
    acts: bool  # there is something to do
    words: str
    windows: tuple[Window, ...] = ()
    found: Found | None = None
    field: Field | None = None


def believe(job: Job, blind: UnrolledSolver | None, kept: Kept) -> Belief:
    """The kernel for a job: the given one, that of the ``blind`` solver of the caller's, or the best guess."""
    ask = job.ask
    if ask.k is not None and (blind is None or needs_of(blind).kernel):
        return Belief(ask.k.float().cpu(), job.noise(), True, True, f"{describe(ask.k)}, as given", job.windows(job.y))
    if blind is not None:
        return _by_solver(job, quick(blind, ask), kept)
    own = {name: quick(solver, ask) for name, solver in trained_for(ask.scale).items()}
    judging = quick(judge(ask.scale), ask)
    quiet = judging if judges_quietly(ask.scale) else quick(quieting(ask.scale), ask)
    found = find(job.y, ask.scale, judging, quiet, sigma=ask.sigma, trained=own, progress=job.progress, seen=job.show)

    def of_cell(part: Tensor) -> Tensor | None:
        here = find(part, ask.scale, judging, quiet, sigma=found.sigma, trained=own)
        return here.k if here.candidates else None

    field = None if ask.kernels_per is None else field_of(job.y, ask.kernels_per, found.k, of_cell, kept, job.progress)
    return Belief(found.k, found.sigma, found.blurred, found.acts, found.words, found.windows, found, field)


def quick(solver: UnrolledSolver, ask: Ask) -> UnrolledSolver:
    """The solver on its device, in the precision that was asked for."""
    copy = fast(solver.to(ask.device), ask.precision)
    if not isinstance(copy, UnrolledSolver):
        raise TypeError(f"expected an UnrolledSolver, got {type(copy).__name__}")
    return copy


def _by_solver(job: Job, solver: UnrolledSolver, kept: Kept) -> Belief:
    ask, sigma, windows = job.ask, job.noise(), job.windows(job.y)

    def in_part(part: Tensor) -> Tensor | None:
        windows = job.windows(part)
        if windows[0].score <= FLAT:
            return None
        inside = part[(..., *windows[0].inside)]
        start = None if ask.k is None else ask.k.to(ask.device)
        k = x = None
        for t, s in enumerate(iterates(solver, inside.to(ask.device), ask.scale, sigma=ask.sigma, k=start, T=ask.T), 1):
            k, x = s.known("k").float().cpu(), s.known("x").float().cpu()
            job.show(f"iteration {t}", k)
        if k is None or x is None or ask.k is not None:
            return k
        beside = second(solver, inside, ask.scale), unblurred(solver, inside, ask.scale, sigma)
        return k if justified(k, x, inside, ask.scale, *beside) else None

    job.tell("looking for the blur", 0, 1)
    k = in_part(job.y)
    job.tell("looking for the blur", 1, 1)
    acts = k is not None
    k = dirac(1) if k is None else k
    field = None if ask.kernels_per is None else field_of(job.y, ask.kernels_per, k, in_part, kept, job.progress)
    words = f"{describe(k)}, noise {100 * sigma:.1f} %, by the solver that was asked for"
    if not acts:
        words = UNBELIEVED if windows[0].score > FLAT else NOTHING
    return Belief(k, sigma, acts, acts, words, windows, field=field)
