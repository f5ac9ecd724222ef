"""What a kernel makes of a picture, and how well both explain it."""

import math

import torch
from torch import Tensor

from pnpsr.bordered import solve
from pnpsr.photo.clipped import Brisk, counting, seen
from pnpsr.photo.contrast import Contrast
from pnpsr.physics import Degradation
from pnpsr.solver import UnrolledSolver

BORDER = 8  # pixels of y left out on each side, where there are enough


def explained_by(finish: UnrolledSolver, y: Tensor, scale: int, k: Tensor, sigma: float) -> Tensor:
    """y restored with k (1 c sh sw); pixels that may be clipped do not count, nor does a continuation that k cannot explain.

    A faint y is stretched for it (:mod:`pnpsr.photo.contrast`). The solver computes where its weights are; what comes back is
    where y is.
    """
    counts, there, contrast = seen(y, k, scale), place(finish, y), Contrast.of(y, sigma)
    mask, physics = None if counts is None else counts.to(there), scale if counts is None else Brisk(scale)
    out = solve(finish, contrast.raised(y).to(there), physics, sigma=contrast.noise(sigma), k=k.to(there), mask=mask)
    return contrast.lowered(out.known("x")).to(y.device)


def place(solver: UnrolledSolver, y: Tensor) -> torch.device:
    """Where the weights of a solver are; where y is, if it has none."""
    return next((p.device for p in solver.parameters()), y.device)


def residual(x: Tensor, k: Tensor, y: Tensor, scale: int, border: int = BORDER) -> float:
    """Root mean square of y - (x ⊗ k)↓s, over the pixels that are not clipped, without a border of y."""
    if k.shape[-2] > x.shape[-2] or k.shape[-1] > x.shape[-1]:
        return float((x[..., ::scale, ::scale] - y).square().mean().sqrt())  # smaller than its kernel: nothing to convolve
    r, counts = Degradation(scale, boundary="replicate").freeze(k=k)(x) - y, counting(y, k, scale)
    if counts is None:
        return float(inner(r, border).square().mean().sqrt())
    weights = inner(counts, border)
    return float((inner(r, border).square().mean(1, keepdim=True) * weights).sum().div(weights.sum().clamp_min(1)).sqrt())


def decibels(rms: float) -> float:
    """-20 log10 of a root mean square, at most 99."""
    return -20 * math.log10(rms) if rms > 1.2e-5 else 99.0


def sparsity(x: Tensor, border: int) -> float:
    """Σ|∇x| / √(N Σ|∇x|²) of the mean of the channels, between 0 and 1; 1 for a picture without any gradient."""
    g = inner(x.mean(1, keepdim=True), border)
    if min(g.shape[-2:]) < 2:
        return 1.0
    energy = (g[..., 1:, :-1] - g[..., :-1, :-1]).square() + (g[..., :-1, 1:] - g[..., :-1, :-1]).square()
    total = float(energy.mean())
    return float(energy.sqrt().mean()) / total**0.5 if total > 1e-12 else 1.0


def agreement(a: Tensor, b: Tensor) -> float:
    """max over shifts of Σ a b / |a| |b| for two kernels (1 1 p q): 1 where they are equal but for a shift."""
    size = [m + n for m, n in zip(a.shape[-2:], b.shape[-2:], strict=True)]
    A, B = (torch.fft.rfft2(k.double(), s=size) for k in (a, b))
    return float(torch.fft.irfft2(A * B.conj(), s=size).amax() / (a.double().norm() * b.double().norm()).clamp_min(1e-12))


def inner(t: Tensor, border: int) -> Tensor:
    """t (.. h w) without its border, where it has more than that."""
    h, w = t.shape[-2:]
    return t[..., border : h - border, border : w - border] if min(h, w) > 4 * border else t


def gradient(y: Tensor) -> float:
    """Root mean square of |∇y|, all channels."""
    down, right = (y[..., 1:, :] - y[..., :-1, :]).square(), (y[..., 1:] - y[..., :-1]).square()
    return float(sum(d.mean() for d in (down, right) if d.numel())) ** 0.5
