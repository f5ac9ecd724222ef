"""Several guesses at the blur, and which of them to believe, without knowing the truth.

Guesses: none; what the trained solver finds, where one ships for the scale; and what is found coarse to fine, up to three sizes of
kernel. Each is judged by what it makes of the picture:

    score = S(x) / S(y↑s) · max(1, |y - (x ⊗ k)↓s| / σ')^0.5 · exp(1.75 (1 - a)) · (d / d0)^0.375 · exp(max(0.3 (2.5 - l), -0.3)),

S(x) = Σ|∇x| / √(N Σ|∇x|²). The first factor is low where few strong edges explain x (Krishnan, Tay, Fergus 2011): it is high with
too narrow a kernel, whose x stays soft, and does not change with contrast, so that a wide kernel cannot buy it. The second is above
1 where x and k no longer explain y to its noise and to a tenth of its mean gradient, σ'² = σ² + 0.01 Σ|∇y|² / N: too wide a
kernel, which rings. The third is above 1 where a kernel stands alone: a is its largest normalised correlation with another guess,
and chance does not repeat itself. The fourth is above 1 where y has fine detail d in every direction and cannot be blurred
(:func:`pnpsr.photo.detail.detail`). The fifth doubts narrow kernels (l: standard deviation in pixels along their longer axis),
since a sharp picture of soft things looks like that, and believes wide ones; it is for scale 1, where a wrong kernel does most
harm. The trained solver knows its scale: it is spared the last two, and half of the third. Leaving the picture as it is scores 1,
and the lowest score wins. How the numbers were found and how well they do: ``docs/photographs.md``.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pnpsr.bordered import solve
from pnpsr.kernels import dirac
from pnpsr.photo.clipped import Brisk, counting
from pnpsr.photo.detail import detail
from pnpsr.photo.pyramid import coarse_to_fine, on_grid_of
from pnpsr.photo.windows import noise
from pnpsr.photo.words import shape_of
from pnpsr.physics import Degradation
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import upsample

NONE, SHARP, LEARNED = "none", "sharp", "learned"
SIZES = {1: (13, 27, 51)}  # of kernels in pixels of y, by scale
FINER = (9, 17, 27)  # at all other scales
MISFIT, ALONE, DETAILED = 0.5, 1.75, 0.375  # exponents of the second to the fourth factor
NARROW, LENGTH, WIDE = 0.3, 2.5, 0.3  # the fifth: per pixel, the length that is as likely blur as not, the most a wide one gains
MODEL = 0.1  # of the mean gradient: what no kernel explains, because blur is never the same everywhere
USUAL = {1: 0.1}  # detail of a picture that may or may not be blurred, by scale
USUAL_FINER = 0.25  # at all other scales
ROUNDING = 1 / 255 / 12**0.5  # standard deviation of 8-bit rounding: no picture explains y better
BORDER = 8  # pixels of y left out of the score on each side, where there are enough


@dataclass(frozen=True)
class Candidate:
    """A guess, and what it makes of the window it is judged on."""

    name: str  # none, sharp, learned, coarse to fine 27
    k: Tensor  # (1 1 p p)
    x: Tensor  # the window, restored with it (1 c sh sw)
    score: float  # lower is better, 1 for the window as it is
    explained: float  # PSNR of (x ⊗ k)↓s against y, in dB


def untouched(y: Tensor, scale: int) -> Candidate:
    """The window as it is, enlarged by aligned bicubic interpolation: what every other candidate has to beat."""
    x = upsample(y, scale).clamp(0, 1)
    return Candidate(NONE, dirac(3), x, 1.0, decibels(residual(x, dirac(3), y, scale)))


def judged(name: str, k: Tensor, y: Tensor, scale: int, sigma: float, finish: UnrolledSolver) -> Candidate:
    """The window y (1 c h w) restored with k, and its score but for the third factor; ``sigma`` is what the solver is told."""
    return scored(name, k, explained_by(finish, y, scale, k.to(y), sigma), y, scale)


def explained_by(finish: UnrolledSolver, y: Tensor, scale: int, k: Tensor, sigma: float) -> Tensor:
    """y restored with k (1 c sh sw); pixels that may be clipped do not count."""
    counts = counting(y, k, scale)
    return solve(finish, y, scale if counts is None else Brisk(scale), sigma=sigma, k=k, mask=counts).known("x")


def scored(name: str, k: Tensor, x: Tensor, y: Tensor, scale: int) -> Candidate:
    """A restored window x (1 c sh sw) of y and its score, but for the third factor."""
    misfit, border = residual(x, k.to(y), y, scale), BORDER * scale
    score = sparsity(x, border) / sparsity(upsample(y, scale).clamp(0, 1), border)
    score *= max(1.0, misfit / math.hypot(max(noise(y), ROUNDING), MODEL * _gradient(y))) ** MISFIT
    if name not in (NONE, SHARP, LEARNED):
        score *= (detail(y) / USUAL.get(scale, USUAL_FINER)) ** DETAILED
        score *= math.exp(max(NARROW * (LENGTH - shape_of(k).along), -WIDE)) if scale == 1 else 1.0
    return Candidate(name, k, x, score, decibels(misfit))


def agreeing(done: list[Candidate]) -> list[Candidate]:
    """The candidates with the third factor in their scores, where there are others to agree with."""
    found = [c for c in done if c.name not in (NONE, SHARP)]
    if len(found) < 2:
        return done
    alone = {c.name: 1 - max(agreement(c.k, other.k) for other in found if other is not c) for c in found}
    price = {name: ALONE * lonely * (0.5 if name == LEARNED else 1) for name, lonely in alone.items()}
    return [replace(c, score=c.score * math.exp(price.get(c.name, 0.0))) for c in done]


def agreement(a: Tensor, b: Tensor) -> float:
    """max over shifts of Σ a b / |a| |b| for two kernels (1 1 p q): 1 where they are equal but for a shift."""
    size = [m + n for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True)]
    A, B = (torch.fft.rfft2(k.double(), s=size) for k in (a, b))
    return float(torch.fft.irfft2(A * B.conj(), s=size).amax() / (a.double().norm() * b.double().norm()).clamp_min(1e-12))


def residual(x: Tensor, k: Tensor, y: Tensor, scale: int) -> float:
    """Root mean square of y - (x ⊗ k)↓s, over the pixels that are not clipped."""
    if k.shape[-2] > x.shape[-2] or k.shape[-1] > x.shape[-1]:
        return float((x[..., ::scale, ::scale] - y).square().mean().sqrt())  # smaller than its kernel: nothing to convolve
    r, counts = Degradation(scale, boundary="replicate").freeze(k=k)(x) - y, counting(y, k, scale)
    if counts is None:
        return float(_inner(r, BORDER).square().mean().sqrt())
    seen = _inner(counts, BORDER)
    return float((_inner(r, BORDER).square().mean(1, keepdim=True) * seen).sum().div(seen.sum().clamp_min(1)).sqrt())


def decibels(rms: float) -> float:
    """-20 log10 of a root mean square, at most 99."""
    return -20 * float(torch.tensor(max(rms, 1e-12)).log10()) if rms > 1.2e-5 else 99.0


def sparsity(x: Tensor, border: int) -> float:
    """Σ|∇x| / √(N Σ|∇x|²) of the mean of the channels, between 0 and 1; 1 for a picture without any gradient."""
    g = _inner(x.mean(1, keepdim=True), border)
    if min(g.shape[-2:]) < 2:
        return 1.0
    energy = (g[..., 1:, :-1] - g[..., :-1, :-1]).square() + (g[..., :-1, 1:] - g[..., :-1, :-1]).square()
    total = float(energy.mean())
    return float(energy.sqrt().mean()) / total**0.5 if total > 1e-12 else 1.0


def _gradient(y: Tensor) -> float:
    """Root mean square of |∇y|, all channels."""
    down, right = (y[..., 1:, :] - y[..., :-1, :]).square(), (y[..., 1:] - y[..., :-1]).square()
    return float(sum(d.mean() for d in (down, right) if d.numel())) ** 0.5


def justified(k: Tensor, x: Tensor, y: Tensor, scale: int, *, trained: bool) -> bool:
    """Whether what a solver of the caller's made of the window y, x (1 c sh sw) with k, explains it better than leaving it alone.

    Its kernel has to agree with one that was found coarse to fine; but a trained solver has more to do than to deblur above scale
    1, and neither that nor the picture's own detail is an argument against it there.
    """
    if trained and scale > 1:
        return scored(LEARNED, k, x, y, scale).score < 1
    mine, size = scored("asked", k, x, y, scale).score, SIZES.get(scale, FINER)[1]
    if 2 * size <= min(y.shape[-2:]):
        mine *= math.exp(ALONE * (1 - agreement(k, on_grid_of(coarse_to_fine(y, size, counting(y)), scale))))
    return mine < 1


def guesses(
    y: Tensor, scale: int, sigma: float, learned: UnrolledSolver | None, counts: Tensor | None = None
) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Names of kernels for the window y (1 c h w), and how each is found; ``counts`` (1 1 h w) are the pixels not clipped."""
    if learned is not None:
        yield LEARNED, lambda: solve(learned, y, scale, sigma=sigma).known("k").float()
    for size in SIZES.get(scale, FINER):
        if 2 * size <= min(y.shape[-2:]):
            name = f"coarse to fine {scale * (size - 1) + 1}"
            yield name, lambda size=size: on_grid_of(coarse_to_fine(y, size, counts), scale)  # type: ignore[misc]


def _inner(t: Tensor, border: int) -> Tensor:
    h, w = t.shape[-2:]
    return t[..., border : h - border, border : w - border] if min(h, w) > 4 * border else t
