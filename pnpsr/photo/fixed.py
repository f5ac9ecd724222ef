"""Restoring with a kernel that stays: tile after tile, each kept as soon as it is finished; or a solver left to itself."""

import torch
from torch import Tensor, nn

from pnpsr.bordered import iterates
from pnpsr.kernels import dirac
from pnpsr.needs import needs_of
from pnpsr.photo.believe import Belief
from pnpsr.photo.candidates import decibels, residual
from pnpsr.photo.job import Job
from pnpsr.photo.kept import Kept
from pnpsr.photo.restoration import Restoration
from pnpsr.photo.tiles import Canvas
from pnpsr.photo.words import sentence
from pnpsr.solver import Iterative, UnrolledSolver
from pnpsr.starts import upsample


def alone(job: Job, solver: nn.Module, watch: bool, notes: tuple[str, ...]) -> Restoration:
    """A picture of one tile by a solver of the caller's, left to itself: kernel and image alternate as it was made to."""
    ask, y = job.ask, job.y
    if _constant(y):
        return Restoration(
            upsample(y, ask.scale).clamp(0, 1),
            dirac(1),
            0.0,
            ask.scale,
            False,
            "one colour; enlarged as it is",
            job.plan,
            notes=notes,
        )
    total = (solver.T if ask.T is None else ask.T) if isinstance(solver, Iterative) else 1
    curve, steps, last = [], [], None
    k = None if ask.k is None else ask.k.to(ask.device)
    windows = job.windows(y)
    inside = windows[0].of(ask.scale)
    level = job.noise() if ask.sigma is None and needs_of(solver).sigma else ask.sigma  # the others find it themselves
    for t, s in enumerate(iterates(solver, y.to(ask.device), ask.scale, sigma=level, k=k, T=ask.T, boundary=ask.boundary), 1):
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
    sigma = float(believed.mean()) if level is None and believed is not None else level
    words, curves = sentence(kernel, job.noise() if sigma is None else sigma, decibels(curve[-1])), {"data residual": curve}
    return Restoration(
        x, kernel, sigma, ask.scale, True, words, job.plan, windows=windows, curves=curves, steps=tuple(steps), notes=notes
    )


def by_tiles(job: Job, finish: UnrolledSolver, belief: Belief, kept: Kept) -> tuple[Tensor, Tensor | None]:
    """All tiles with the kernel that is believed, or with those of its field: x (1 c sh sw), and the field (rows columns p p)."""
    y, ask, field = job.y, job.ask, belief.field
    h, w, total = *y.shape[-2:], len(job.plan.tiles)
    canvas, rounds = Canvas(y.shape[1], h, w, ask.scale), finish.T if ask.T is None else ask.T
    for i, tile in enumerate(job.plan.tiles):
        what = "restoring" if total == 1 else f"restoring tile {i + 1} of {total}"
        x = kept.get(f"tile{i}")
        if x is None:
            k = belief.k if field is None else field.at(*tile.centre)
            part = y[(..., *tile.inside)].to(ask.device)
            for s in iterates(finish, part, ask.scale, k=k.to(part), sigma=belief.sigma, T=ask.T, boundary=ask.boundary):
                x = s.known("x").float().cpu()
                job.tell(what, i * rounds + s.t, total * rounds)
            if x is None:
                raise ValueError("the solver has no iterations; T must be at least 1")
            if total > 1:
                kept.put(f"tile{i}", x)
        canvas.add(tile, x)
    job.tell("restoring", total * rounds, total * rounds)
    return canvas.x, None if field is None else field.k


def history(job: Job, finish: UnrolledSolver, belief: Belief) -> tuple[tuple[Tensor, Tensor], ...]:
    """x and k after each iteration on the most informative window, for those who want to watch."""
    if not belief.windows or not belief.blurred:
        return ()
    part, k = job.y[(..., *belief.windows[0].inside)].to(job.ask.device), belief.k
    states = iterates(finish, part, job.ask.scale, k=k.to(part), sigma=belief.sigma, T=job.ask.T)
    return tuple((s.known("x").float().cpu(), k) for s in states)


def _constant(y: Tensor) -> bool:
    low, high = torch.aminmax(y)
    return bool(low == high)
