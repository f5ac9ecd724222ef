# ruff: noqa: TID253
"""What deepinv asks of a linear operator beyond A and A*, for x ↦ (x ⊗ k)↓s: all through A A*, which acts on the small grid.

Where the boundary is circular, A A* is one number per frequency of that grid and everything is in closed form; elsewhere deepinv's
conjugate gradients run on it, every iteration differentiable in the kernel.
"""

import torch
from deepinv.optim.linear import conjugate_gradient
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.physics import Degradation

SINGULAR = 1e-5  # singular values below this share of the largest count as zero in the pseudo-inverse
EXCESS = 1e-3  # relative
STALL = 1e-16  # deepinv adds this to squared norms; its default of 1e-8 would stop float64 early


def outer_gram(degradation: Degradation, k: Tensor, y: Tensor) -> Tensor:
    """A A* y, (b c h w) -> (b c h w)."""
    if not degradation.closed:
        A = degradation.freeze(k=k)
        return A(A.adjoint(y))
    y = checks.image(y, "y")
    return torch.fft.irfft2(_power(degradation, k, y) * torch.fft.rfft2(y), s=y.shape[-2:])


def nearest(
    degradation: Degradation, k: Tensor, y: Tensor, z: Tensor | float, gamma: float | Tensor, *, max_iter: int, tol: float
) -> Tensor:
    """argmin_x gamma |A x - y|² / 2 + |x - z|² / 2 = z + A* (A A* + 1 / gamma)⁻¹ (y - A z).

    Raises:
        TypeError: different dtypes.
        ValueError: gamma not positive, shapes that do not fit.
    """
    y = checks.image(y, "y")
    alpha = checks.per_sample(gamma, y, "gamma", positive=True).reciprocal()
    A = degradation.freeze(k=k)
    if not isinstance(z, Tensor):
        z = torch.full_like(A.adjoint(y.detach()), float(z)).detach()
    if degradation.closed:
        return degradation.prox_image(y, k, z, alpha)
    u = conjugate_gradient(lambda u: A(A.adjoint(u)) + alpha * u, y - A(z), max_iter=max_iter, tol=tol, eps=STALL)
    return z + A.adjoint(u)


def pseudo_inverse(degradation: Degradation, k: Tensor, y: Tensor, *, max_iter: int, tol: float) -> Tensor:
    """A⁺ y = A* (A A*)⁺ y: the shortest x that explains y best."""
    y, A = checks.image(y, "y"), degradation.freeze(k=k)
    if not degradation.closed:
        return A.adjoint(conjugate_gradient(lambda u: A(A.adjoint(u)), y, max_iter=max_iter, tol=tol, eps=STALL))
    power = _power(degradation, k, y, precision.double(y))
    kept = power > SINGULAR**2 * power.amax((-2, -1), keepdim=True)
    weighted = torch.fft.rfft2(y.to(power.dtype)) * kept / torch.where(kept, power, 1)
    return A.adjoint(torch.fft.irfft2(weighted, s=y.shape[-2:]).to(y.dtype))


def largest_gain(degradation: Degradation, k: Tensor, x0: Tensor) -> Tensor:
    """‖A‖² for images of the size of x0, the largest over the batch, 0-d.

    Where the boundary is not circular: power iteration on A A*, plus the norm of its residual, so that a step size taken from it is
    not too large; at most ``EXCESS`` above the true value once converged.
    """
    if degradation.closed:
        low = checks.divisible(checks.image(x0, "x0"), degradation.scale, "x0")
        return _power(degradation, k, x0[..., : low[0], : low[1]]).amax()
    A = degradation.freeze(k=k)
    y = A(x0[:1, :1].detach())
    u = torch.rand(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype).to(y.device)
    for _ in range(1000):
        u = u / _norm(u).clamp_min(torch.finfo(u.dtype).tiny)  # a kernel of zeros has no direction
        image = A(A.adjoint(u))
        square = (u * image).sum((1, 2, 3), keepdim=True)
        residual = _norm(image - square * u)
        if bool((residual <= EXCESS * square).all()):
            break
        u = image.detach()  # the square depends on k through the last image alone: exact for an eigenvector
    return (square + residual.detach()).amax()


def _power(degradation: Degradation, k: Tensor, y: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A A* (b 1 h w/2+1) at the frequencies of the small grid, that of y."""
    checks.matching(k, y, "kernel and image")
    grid = (degradation.scale[0] * y.shape[-2], degradation.scale[1] * y.shape[-1])
    k = checks.kernel(k, "kernel", within=grid).to(dtype or y.dtype)
    return degradation.spectrum(k, (y.shape[-2], y.shape[-1]))


def _norm(t: Tensor) -> Tensor:
    return t.square().sum((1, 2, 3), keepdim=True).sqrt()
