"""Several guesses at the blur, and which of them to believe, without knowing the truth.

Guesses: no blur; what the trained solver finds, where one ships for the scale; what the classical method finds at several sizes;
the same coarse to fine, for blur too wide to be found at once. Each is judged by what it makes of the picture:

    score = (Σ|∇x| / √(N Σ|∇x|²)) · max(1, |y - (x ⊗ k)↓s| / σ)^0.25

The first factor is low where few strong edges explain x (Krishnan, Tay, Fergus 2011): it is high with too narrow a kernel, whose x
stays soft, and does not change with contrast, so that a wide kernel cannot buy it. The second is above 1 where x and k no longer
explain y to the noise: too wide a kernel, which rings. The lowest score wins; that of the trained solver counts nine tenths,
since it knows the scale. Both numbers were fitted on two sample pictures with six kernels at two scales.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pnpsr.bordered import solve
from pnpsr.kernels import dirac
from pnpsr.physics import Degradation
from pnpsr.recipes import blind_hqs
from pnpsr.solver import UnrolledSolver

NONE, LEARNED = "none", "learned"
SIZES = (11, 21, 31)
WIDEST = 51
SMALLEST = 13  # of the coarsest kernel
MISFIT = 0.25  # exponent of the second factor
TRUST = {LEARNED: 0.9}  # factors of scores
ROUNDING = 1 / 255 / 12**0.5  # standard deviation of 8-bit rounding: no picture explains y better
BORDER = 8  # pixels of y left out of the score on each side, where there are enough


@dataclass(frozen=True)
class Candidate:
    """A guess, and what it makes of the window it is judged on."""

    name: str  # none, learned, classical 21, coarse to fine 51
    k: Tensor  # (1 1 p p)
    x: Tensor  # the window, restored with it (1 c sh sw)
    score: float  # lower is better
    explained: float  # PSNR of (x ⊗ k)↓s against y, in dB


def judged(name: str, k: Tensor, y: Tensor, scale: int, sigma: float, finish: UnrolledSolver) -> Candidate:
    """The window y (1 c h w) restored with k, and its score."""
    x = solve(finish, y, scale, k=k.to(y), sigma=sigma).x
    if x is None:
        raise ValueError("the solver returned no picture")
    misfit = residual(x, k.to(y), y, scale)
    score = TRUST.get(name, 1.0) * sparsity(x, BORDER * scale) * max(1.0, misfit / max(sigma, ROUNDING)) ** MISFIT
    return Candidate(name, k, x, score, decibels(misfit))


def residual(x: Tensor, k: Tensor, y: Tensor, scale: int) -> float:
    """Root mean square of y - (x ⊗ k)↓s."""
    if k.shape[-2] > x.shape[-2] or k.shape[-1] > x.shape[-1]:
        return float((x[..., ::scale, ::scale] - y).square().mean().sqrt())  # smaller than its kernel: nothing to convolve
    r = _inner(Degradation(scale, boundary="replicate").freeze(k=k)(x) - y, BORDER)
    return float(r.square().mean().sqrt())


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


def guesses(y: Tensor, scale: int, sigma: float, learned: UnrolledSolver | None) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Names of kernels for the window y (1 c h w), and how each is found."""
    yield NONE, lambda: dirac(3)
    if learned is not None:
        yield LEARNED, lambda: _kernel(learned, y, scale, sigma)
    for size in SIZES:
        if size <= min(y.shape[-2:]) * scale // 2:
            yield f"classical {size}", lambda size=size: _kernel(blind_hqs(size, finish=1), y, scale, sigma, T=12)  # type: ignore[misc]
    if 2 * WIDEST <= min(y.shape[-2:]) * scale:
        yield f"coarse to fine {WIDEST}", lambda: coarse_to_fine(y, scale, WIDEST)


def coarse_to_fine(y: Tensor, scale: int, size: int) -> Tensor:
    """A kernel (1 1 p p) of ``size`` by the classical method: found in a reduced y first, enlarged, and found again from there.

    The coarsest kernel has at most 13 pixels. Where ``scale`` is even, the level below enlargement is deblurring of y itself.
    """
    levels = [(y, scale, size)]
    while levels[-1][2] > SMALLEST and min(levels[-1][0].shape[-2:]) >= 48:
        z, s, p = levels[-1]
        half = p // 2 + 1 - (p // 2) % 2  # odd
        levels.append((z, s // 2, half) if s % 2 == 0 else (_halved(z), s, half))
    k: Tensor | None = None
    for z, s, p in reversed(levels):
        start = None if k is None else _enlarged(k, p)
        k = solve(blind_hqs(p, finish=1), z, s, k=start, T=12).k
    if k is None:
        raise ValueError("the classical method returned no kernel")
    return k


def _kernel(solver: UnrolledSolver, y: Tensor, scale: int, sigma: float, T: int | None = None) -> Tensor:
    return solve(solver, y, scale, sigma=sigma, T=T).known("k")


def _halved(y: Tensor) -> Tensor:
    return interpolate(y, scale_factor=0.5, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def _enlarged(k: Tensor, size: int) -> Tensor:
    k = interpolate(k, size=(size, size), mode="bicubic", align_corners=False).clamp_min(0)
    k = torch.where(k < 0.02 * k.amax(), 0, k)
    return k / k.sum()


def _inner(t: Tensor, border: int) -> Tensor:
    h, w = t.shape[-2:]
    return t[..., border : h - border, border : w - border] if min(h, w) > 4 * border else t
