"""Two half-steps of blind deblurring by edges: an image of few edges for a kernel, and a kernel for those edges.

Gray images (h w) on a circle, kernels (p q) with their centre at p // 2.
"""

import torch
from torch import Tensor

from pnpsr.physics.polyphase import Pair, crop, embed

GROWTH, CEILING = 2.0, 1e5  # of the weight of the splitting
ROUNDS = 20  # of conjugate gradients


def edge_image(y: Tensor, k: Tensor, price: float) -> Tensor:
    """argmin_x |y - x ⊗ k|² + price · #{n : ∇x(n) ≠ 0}, nearly, by half-quadratic splitting on ∇x (Xu, Zheng, Jia 2013).

    With g in the place of ∇x and a weight that grows from 2 price: g keeps what is worth its price, then x is one division.
    """
    grid: Pair = (y.shape[-2], y.shape[-1])
    K, transfer = torch.fft.rfft2(embed(k[None, None], grid)[0, 0]), _difference_spectra(y)
    fit, gain, slope = K.conj() * torch.fft.rfft2(y), K.abs().square(), transfer.abs().square().sum(0)
    x, weight = y, 2 * price
    while weight < CEILING:
        g = differences(x)
        g = g * (g.square().sum(0) > price / weight)
        spectrum = fit + weight * (transfer.conj() * torch.fft.rfft2(g)).sum(0)
        x = torch.fft.irfft2(spectrum / (gain + weight * slope), s=grid)
        weight *= GROWTH
    return x


def fitted_kernel(dy: Tensor, dx: Tensor, counts: Tensor, k0: Tensor, gamma: float) -> Tensor:
    """argmin_k Σ_n counts(n) |dy(n) - (dx ⊗ k)(n)|² + gamma Σ|dx|² |k|² on the support of k0, by conjugate gradients from there.

    Args:
        dy: differences of the observed image (2 h w).
        dx: those of the image of few edges, likewise.
        counts: (2 h w), how much each difference counts: zero where a border, or a clipped pixel, has touched it.
        k0: where to begin (p q).
        gamma: weight of the ridge, in units of the normal equations' diagonal.

    Returns:
        k (p q), of any sign and sum.
    """
    grid: Pair = (dx.shape[-2], dx.shape[-1])
    size: Pair = (k0.shape[-2], k0.shape[-1])
    X, ridge = torch.fft.rfft2(dx), gamma * dx.square().sum()

    def back(r: Tensor) -> Tensor:
        return crop(torch.fft.irfft2((X.conj() * torch.fft.rfft2(counts * r)).sum(0), s=grid), size)

    def normal(k: Tensor) -> Tensor:
        return back(torch.fft.irfft2(X * torch.fft.rfft2(embed(k[None, None], grid)[0, 0]), s=grid)) + ridge * k

    target = back(dy)
    k, r = k0, target - normal(k0)
    d, rr, enough = r, r.square().sum(), 1e-10 * target.square().sum()
    for _ in range(ROUNDS):
        if rr <= enough:
            break
        Ad = normal(d)
        step = rr / (d * Ad).sum()
        k, r = k + step * d, r - step * Ad
        before, rr = rr, r.square().sum()
        d = r + rr / before * d
    return k


def differences(x: Tensor) -> Tensor:
    """To the pixel below and to the one on the right, (h w) -> (2 h w), on the circle."""
    return torch.stack([x.roll(-1, -2) - x, x.roll(-1, -1) - x])


def _difference_spectra(like: Tensor) -> Tensor:
    impulse = torch.zeros_like(like)
    impulse[0, 0] = 1
    return torch.fft.rfft2(differences(impulse))
