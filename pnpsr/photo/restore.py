"""A photograph of any size, restored: the one call behind ``pnpsr restore``."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.fast import fast
from pnpsr.images import Picture, read_image
from pnpsr.photo.ask import Ask
from pnpsr.photo.believe import Belief, believe, quick
from pnpsr.photo.explain import residual
from pnpsr.photo.find import Progress, Seen
from pnpsr.photo.finish import finisher, with_kernel_given
from pnpsr.photo.fixed import alone, by_tiles, faithful, history
from pnpsr.photo.job import Job
from pnpsr.photo.kept import Kept, digest
from pnpsr.photo.plan import Plan, plan
from pnpsr.photo.restoration import Restoration
from pnpsr.photo.tiles import enlarged
from pnpsr.photo.words import extent
from pnpsr.solver import UnrolledSolver

PLAIN = 0.25  # share of interpolation in a sharp picture that is enlarged


def restore(
    photo: str | Path | Picture | Tensor,
    scale: int = 2,
    *,
    solver: str | nn.Module | None = None,
    k: Tensor | None = None,
    sigma: float | None = None,
    size: int | None = None,
    T: int | None = None,
    boundary: str = "extend",
    tile: int | None = None,
    memory: float | None = None,
    kernels_per: int | None = None,
    precision: str = "auto",
    device: str | torch.device = "cpu",
    keep: str | Path | None = None,
    watch: bool = False,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Restoration:
    """x = argmin |y - (x ⊗ k)↓s|² + φ(x) for a photograph y of any size, with the k that explains y best; or y, if that is none.

    Without a ``solver`` the blur is looked for in the most informative window by several methods, ranked without knowing the truth
    (``pnpsr.photo.candidates``); where none is better than no blur at all, the picture comes back as it is (×1) or enlarged by
    aligned bicubic interpolation. With one, that solver does all, and is believed or not. A picture of more than one tile has one
    kernel, and its tiles are restored with that. Away from the border tiled and whole results differ by less than 1/255 in
    root mean square; under a motion, whose inverse reaches far, single pixels may by 3/255.

    Args:
        photo: file, :class:`pnpsr.images.Picture`, or y (1 c h w), c = 1 or 3, floats in [0, 1].
        scale: enlargement, 1 for deblurring only.
        solver: name of a preset, path of a checkpoint, or a module called as :func:`pnpsr.bordered.iterates` does.
        k: the kernel (1 1 p q), if it is known; for a blind ``solver`` the one to start from.
        sigma: noise standard deviation as a fraction of white, 0 to 0.5; estimated where it is left out.
        size: side of the kernel in pixels of x, for the classical method alone; not together with ``solver`` or ``k``.
        T: iterations, if not the solver's own.
        boundary: ``extend`` for photographs, ``circular`` for periodic test images, which are not cut into tiles.
        tile: side of a tile in pixels of y; chosen by the memory if left out.
        memory: GiB that may be used; what is free if left out.
        kernels_per: a kernel for every cell of so many pixels of y (at least 256), interpolated between them.
        precision: of the image networks, see :func:`pnpsr.fast.fast`.
        device: where to compute.
        keep: folder for finished tiles, for a call that is repeated after an interruption; removed at the end.
        watch: keep x and k of every iteration on the most informative window, as ``steps`` of the result.
        progress: called as ``progress(what, done, total)``.
        seen: called as ``seen(how, k)`` with every kernel (1 1 p q) as it is found: by each method, after each iteration.

    Raises:
        FileNotFoundError, OSError: no such file, preset.
        TypeError: a picture or number of another kind.
        ValueError: everything else that cannot be meant; the message says what to do.

    Example:
        >>> from pnpsr import restore
        >>> from pnpsr.images import sample_picture
        >>> from pnpsr.kernels import gaussian
        >>> out = restore(sample_picture("camera")[..., 60:92, 140:172], 2, k=gaussian(5, 0.8))
        >>> out.x.shape
        torch.Size([1, 1, 64, 64])
    """
    picture = _picture(photo)
    ask = Ask.of(scale, solver, k, sigma, size, T, boundary, kernels_per, precision, device)
    y = picture.image
    h, w = y.shape[-2:]
    fitted = partial(plan, h, w, y.shape[1], scale, tile=_side(ask, y, tile), memory=memory)
    job = Job(y, ask, fitted(), progress, seen)
    named = ask.opened()
    if named is not None and (len(job.plan.tiles) == 1 or not isinstance(named, UnrolledSolver)) and kernels_per is None:
        return alone(job, fast(named, precision), watch, picture.notes)
    return _found_then_fixed(job, named, keep, watch, picture.notes, lambda reach: fitted(reach=reach))


def _found_then_fixed(
    job: Job, named: nn.Module | None, keep: str | Path | None, watch: bool, notes: tuple[str, ...], replan: Callable[[int], Plan]
) -> Restoration:
    """First the kernel, from the most informative window; then all tiles with it."""
    ask, y = job.ask, job.y
    kept = Kept(None if keep is None else Path(keep), {"y": digest(y), "side": job.plan.side, **ask.identity()})
    blind = named if isinstance(named, UnrolledSolver) else None
    restoring = finisher(ask.scale, known=ask.k is not None) if blind is None else with_kernel_given(blind)
    finish = quick(restoring, ask)
    belief = believe(job, blind, kept)
    touched = belief.acts or ask.kernels_per is not None
    if not touched:
        x, fields = (y.clone() if ask.scale == 1 else enlarged(y, ask.scale)), None
    else:
        wide = extent(belief.k if belief.field is None else belief.field.k)
        job = dataclasses.replace(job, plan=replan(wide))
        finish = faithful(job, restoring, finish, belief)
        x, fields = by_tiles(job, finish, belief, kept)
        if _hedged(ask, belief):
            x = x.lerp_(enlarged(y, ask.scale), PLAIN)
    kept.forget()
    steps, b = history(job, finish, belief) if watch else (), belief
    part = y[(..., *b.windows[0].inside)] if b.windows else y
    curves = {"data residual": [residual(x, k, part, ask.scale) for x, k in steps]} if steps else {}
    return Restoration(
        x, b.k, b.sigma, ask.scale, b.blurred, b.words, job.plan, b.found, fields, b.windows, curves, steps, notes, touched
    )


def _hedged(ask: Ask, belief: Belief) -> bool:
    """Whether a sharp picture is only enlarged: nobody knows what reduced it, and a mean of two guesses does less harm than one."""
    return ask.scale > 1 and not belief.blurred and belief.field is None and not ask.sigma


def _picture(photo: str | Path | Picture | Tensor) -> Picture:
    if isinstance(photo, Picture):
        return photo
    if isinstance(photo, Tensor):
        y = checks.displayed(photo, "photo").float()
        if y.shape[0] != 1 or y.shape[1] not in (1, 3):
            raise ValueError(f"photo must be one picture, (1 1 h w) or (1 3 h w), got {tuple(y.shape)}; restore a batch one by one")
        return Picture(y)
    if not isinstance(photo, str | Path):
        raise TypeError(f"photo must be a file, a Picture, or a tensor (1 c h w) in [0, 1], got {type(photo).__name__}")
    return read_image(photo)


def _side(ask: Ask, y: Tensor, tile: int | None) -> int | None:
    """The side of a tile: all of what is periodic, half a cell where kernels vary."""
    if ask.boundary == "circular":
        return max(*y.shape[-2:], 128)
    return tile if ask.kernels_per is None else max(128, min(tile or ask.kernels_per // 2, ask.kernels_per // 2))
