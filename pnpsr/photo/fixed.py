"""Restoring with a kernel that stays: tile after tile, each kept as soon as it is finished; or a solver left to itself."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from pnpsr.bordered import iterates
from pnpsr.fast import resolved
from pnpsr.kernels import dirac
from pnpsr.needs import needs_of
from pnpsr.photo.believe import Belief, quick
from pnpsr.photo.clipped import Brisk, seen
from pnpsr.photo.contrast import Contrast
from pnpsr.photo.explain import decibels, residual
from pnpsr.photo.find import FLAT, UNBELIEVED
from pnpsr.photo.finish import second, unblurred
from pnpsr.photo.job import Job
from pnpsr.photo.kept import Kept
from pnpsr.photo.ranking import justified
from pnpsr.photo.restoration import Restoration
from pnpsr.photo.tiles import Canvas
from pnpsr.photo.words import sentence
from pnpsr.solver import Iterative, UnrolledSolver
from pnpsr.starts import upsample

SAME, FAR = 1 / 512, 1 / 128  # half a step of 8 bits, in root mean square; two steps, of any pixel


def alone(job: Job, solver: nn.Module, watch: bool, notes: tuple[str, ...]) -> Restoration:
    """A picture of one tile by a solver of the caller's, left to itself: kernel and image alternate as it was made to."""
    ask, y = job.ask, job.y
    if _constant(y):
        return _as_it_is(job, 0.0, "one colour; enlarged as it is", notes)
    total = (solver.T if ask.T is None else ask.T) if isinstance(solver, Iterative) else 1
    curve, steps, last = [], [], None
    k = None if ask.k is None else ask.k.to(ask.device)
    windows = job.windows(y)
    inside = windows[0].of(ask.scale)
    level = job.noise() if ask.sigma is None and needs_of(solver).sigma else ask.sigma  # the others find it themselves
    counts = _counting(y, job) if isinstance(solver, UnrolledSolver) else None
    physics = ask.scale if counts is None else Brisk(ask.scale)
    states = iterates(solver, y.to(ask.device), physics, sigma=level, k=k, T=ask.T, mask=counts, boundary=ask.boundary)
    for t, s in enumerate(states, 1):
        x, kernel = s.known("x").float().cpu(), s.known("k").float().cpu()
        curve.append(residual(x, kernel, y, ask.scale))
        job.tell("restoring", t, total)
        job.show(f"iteration {t}", kernel)
        if watch:
            steps.append((x[(..., *inside)].clone(), kernel))
        last = (x, kernel, s.hyper.sigma)
    if last is None:
        raise ValueError(f"the solver has no iterations: T must be at least 1, got {total}")
    x, kernel, believed = last
    if _blind(job, solver) and windows[0].score > FLAT:
        part = y[(..., *windows[0].inside)]
        beside = second(solver, part, ask.scale), unblurred(solver, part, ask.scale, job.noise())
        if not justified(kernel, x[(..., *inside)], part, ask.scale, *beside):
            return _as_it_is(job, job.noise(), UNBELIEVED, notes)
    sigma = float(believed.mean()) if level is None and believed is not None else level
    words, curves = sentence(kernel, job.noise() if sigma is None else sigma, decibels(curve[-1])), {"data residual": curve}
    return Restoration(
        x, kernel, sigma, ask.scale, True, words, job.plan, windows=windows, curves=curves, steps=tuple(steps), notes=notes
    )


def _counting(y: Tensor, job: Job) -> Tensor | None:
    """The pixels that count where the kernel is given; a solver that looks for it sees them all."""
    ask = job.ask
    return None if ask.k is None or ask.boundary == "circular" else seen(y, ask.k.to(y), ask.scale)


def _as_it_is(job: Job, sigma: float, words: str, notes: tuple[str, ...]) -> Restoration:
    x = job.y.clone() if job.ask.scale == 1 else upsample(job.y, job.ask.scale).clamp(0, 1)
    return Restoration(x, dirac(1), sigma, job.ask.scale, False, words, job.plan, notes=notes, touched=False)


def _blind(job: Job, solver: nn.Module) -> bool:
    """Whether the solver found the blur of a photograph: of a periodic test image there is nothing to doubt."""
    return isinstance(solver, UnrolledSolver) and solver.k0 is not None and job.ask.k is None and job.ask.boundary == "extend"


def by_tiles(job: Job, finish: UnrolledSolver, belief: Belief, kept: Kept) -> tuple[Tensor, Tensor | None]:
    """All tiles with the kernel that is believed, or with those of its field: x (1 c sh sw), and the field (rows columns p p)."""
    y, ask, field = job.y, job.ask, belief.field
    h, w, total = *y.shape[-2:], len(job.plan.tiles)
    contrast = job.contrast(belief.sigma)
    canvas, rounds = Canvas(y.shape[1], h, w, ask.scale), finish.T if ask.T is None else ask.T
    for i, tile in enumerate(job.plan.tiles):
        what = "restoring" if total == 1 else f"restoring tile {i + 1} of {total}"
        x = kept.get(f"tile{i}")
        if x is None:
            k = belief.k if field is None else field.at(*tile.centre)
            part = y[(..., *tile.inside)].to(ask.device)
            for t, x in enumerate(_iterates(finish, part, job, k.to(part), belief.sigma, contrast), 1):  # noqa: B007  only the last is wanted
                job.tell(what, i * rounds + t, total * rounds)
            if x is None:
                raise ValueError("the solver has no iterations; T must be at least 1")
            if total > 1:
                kept.put(f"tile{i}", x)
        canvas.add(tile, x)
    job.tell("restoring", total * rounds, total * rounds)
    return canvas.x, None if field is None else field.k


def faithful(job: Job, solver: UnrolledSolver, finish: UnrolledSolver, belief: Belief) -> UnrolledSolver:
    """``finish``, where what it saves changes the most informative window by at most 1/512 and no pixel by 1/128; else float32.

    Where edges are strongest and blur is widest bfloat16 is at its worst, which is what windows are chosen for.
    """
    ask = job.ask
    if ask.precision != "auto" or resolved("auto", ask.device) == "float32" or not belief.windows:
        return finish
    exact = quick(solver, replace(ask, precision="float32"))
    part = job.y[(..., *belief.windows[0].inside)].to(ask.device)
    k, contrast = belief.k.to(part), job.contrast(belief.sigma)
    a, b = (_last(_iterates(one, part, job, k, belief.sigma, contrast)) for one in (finish, exact))
    difference = (a - b).abs()
    return finish if float(difference.square().mean().sqrt()) <= SAME and float(difference.max()) <= FAR else exact


def _last(images: Iterator[Tensor]) -> Tensor:
    *_, x = images
    return x


def history(job: Job, finish: UnrolledSolver, belief: Belief) -> tuple[tuple[Tensor, Tensor], ...]:
    """x and k after each iteration on the most informative window, for those who want to watch."""
    if not belief.windows or not belief.blurred:
        return ()
    part, k = job.y[(..., *belief.windows[0].inside)].to(job.ask.device), belief.k
    return tuple((x, k) for x in _iterates(finish, part, job, k.to(part), belief.sigma, job.contrast(belief.sigma)))


def _iterates(finish: UnrolledSolver, part: Tensor, job: Job, k: Tensor, sigma: float, contrast: Contrast) -> Iterator[Tensor]:
    """x of a tile after each iteration, on the CPU.

    Pixels that may be clipped and what continues the tile do not count; an x that is periodic is left as it is. A faint picture is
    stretched, all of its tiles alike (:meth:`pnpsr.photo.job.Job.contrast`).
    """
    ask = job.ask
    counts = None if ask.boundary == "circular" else seen(part, k, ask.scale)
    physics, level = ask.scale if counts is None else Brisk(ask.scale), contrast.noise(sigma)
    states = iterates(finish, contrast.raised(part), physics, k=k, sigma=level, T=ask.T, mask=counts, boundary=ask.boundary)
    return (contrast.lowered(s.known("x").float().cpu()) for s in states)


def _constant(y: Tensor) -> bool:
    low, high = torch.aminmax(y)
    return bool(low == high)
