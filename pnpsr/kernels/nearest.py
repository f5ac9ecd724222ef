"""The Gaussian nearest to a kernel, and kernels that are taken for the Gaussian that they nearly are."""

import torch
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.kernels.grid import offsets

LIKE = 0.01  # of the energy: what networks say of Gaussians is off by less, see docs/first-kernel.md
NARROW = 1e-3  # square pixels: the variance of a Gaussian that is a Dirac on the grid
RIDGE = 1e-3  # of the normal equations: where the width no longer shows, it stays
FAR = 0.5  # in one iteration: of the logarithm of a variance, and pixels
ITERATIONS = 10


def nearest_gaussian(k: Tensor) -> Tensor:
    """argmin_g Σ (k - g)², g ∝ exp(-½ (d - m)ᵀ C⁻¹ (d - m)) of sum 1 for any mean m and covariance C: (b 1 p q) -> (b 1 p q).

    By Gauss-Newton from the moments of k², which do not mind a little mass far out; the best of the iterates, a local minimum where
    k has several lobes. No gradient passes.

    Raises:
        TypeError: no tensor of float32 or float64.
        ValueError: another shape, or a kernel that does not sum to 1.

    Example:
        >>> from pnpsr.kernels import gaussian, nearest_gaussian
        >>> k = gaussian(21, 2.0, width2=1.0, angle=0.5)
        >>> off = 0.97 * k + 0.03 / 441
        >>> [round(float((g - k).square().sum() / (off - k).square().sum()), 2) for g in (off, nearest_gaussian(off))]
        [1.0, 0.55]
    """
    k = checks.blur(k, "k").detach()
    with torch.no_grad(), precision.exact(k):
        found = _fitted(k.to(precision.double(k)))
    return found.to(k)


def settled(k: Tensor) -> Tensor:
    """K ← g + w (k - g), w = q³ / (q³ + 10⁻⁶), q = Σ (k - g)² / Σ k², g the :func:`nearest_gaussian`: (b 1 p q).

    What networks see is a Gaussian plus errors without any structure. These are small beside k, but not beside the high
    frequencies of k, where a Gaussian has nothing and an image step divides by it. From q = 0.05 on, as motion and lenses out of
    focus have unless they are short or small, less than a hundredth changes. Gradients pass as if nothing had been done: what
    learns goes on learning.

    Raises:
        TypeError, ValueError: as :func:`nearest_gaussian`.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian, line, settled
        >>> errors = torch.rand(21, 21, generator=torch.Generator().manual_seed(0))
        >>> for k in (gaussian(21, 1.5), line(21, 11.0)):
        ...     rough = 0.98 * k + 0.02 * errors / errors.sum()
        ...     print([round(1e5 * float((k0 - k).square().mean()), 3) for k0 in (rough, settled(rough))])
        [0.003, 0.002]
        [0.008, 0.008]
    """
    g, said = nearest_gaussian(k), k.detach()
    off = said - g
    q = off.square().sum((1, 2, 3), keepdim=True) / said.square().sum((1, 2, 3), keepdim=True)
    w = q**3 / (q**3 + LIKE**3)
    return k + (w - 1) * off


def _fitted(k: Tensor) -> Tensor:
    """The fit in double precision, with no value read back."""
    shape = k.shape
    d = torch.stack([t.expand(shape[-2:]) for t in offsets((shape[-2], shape[-1]), k)], -1).reshape(1, -1, 2)
    k = k.flatten(1)
    share = (k.square() / k.square().sum(1, keepdim=True))[..., None]
    mean = (share * d).sum(1, keepdim=True)
    C = 2 * (share * (d - mean)).mT @ (d - mean)  # the square of a Gaussian has half its covariance
    C = C + NARROW * torch.eye(2, dtype=k.dtype, device=k.device)
    best, error = torch.zeros_like(k), torch.full_like(k[:, :1], torch.inf)
    for _ in range(ITERATIONS):
        S = _root(C)
        inverse = _inverse(S)
        u = (d - mean) @ inverse
        g = torch.exp(-u.square().sum(-1) / 2)
        g = g / g.sum(1, keepdim=True)
        now = (k - g).square().sum(1, keepdim=True)
        best, error = torch.where(now < error, g, best), torch.minimum(now, error)
        a, b = u.unbind(-1)
        tangent = torch.stack([(a * a + b * b) / 2, (a * a - b * b) / 2, a * b], -1)  # of the logarithm of C, in its own axes
        tangent = torch.cat([tangent, u @ inverse], -1)
        tangent = g[..., None] * (tangent - (g[..., None] * tangent).sum(1, keepdim=True))
        step = _solved(tangent.mT @ tangent, tangent.mT @ (k - g)[..., None]).clamp(-FAR, FAR)
        C, mean = S @ _exponential(step[:, :3]) @ S, mean + step[:, None, 3:]
    return best.reshape(shape)


def _solved(A: Tensor, b: Tensor) -> Tensor:
    """(A + ridge)⁻¹ b as (b n), A (b n n) positive, by elimination: plain arithmetic, which every device and format has."""
    n = A.shape[-1]
    one = torch.eye(n, dtype=A.dtype, device=A.device)
    A = A + RIDGE * one * A + torch.finfo(A.dtype).eps * one
    M = torch.cat([A, b], -1)
    for i in range(n):
        row = M[:, i : i + 1] / M[:, i : i + 1, i : i + 1]
        M = M - M[:, :, i : i + 1] * row + one[:, i : i + 1] * row
    return M[..., n]


def _root(C: Tensor) -> Tensor:
    """√C of symmetric positive 2 x 2 matrices: (C + √det C) / √(tr C + 2 √det C)."""
    det = (C[:, 0, 0] * C[:, 1, 1] - C[:, 0, 1] * C[:, 1, 0]).clamp_min(NARROW**3).sqrt()[:, None, None]
    trace = (C[:, 0, 0] + C[:, 1, 1])[:, None, None]
    return (C + det * torch.eye(2, dtype=C.dtype, device=C.device)) / (trace + 2 * det).sqrt()


def _inverse(S: Tensor) -> Tensor:
    (a, b), (c, d) = (row.unbind(-1) for row in S.unbind(-2))
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    return adjugate / (a * d - b * c)[:, None, None]


def _exponential(t: Tensor) -> Tensor:
    """Exp of [[t0 + t1, t2], [t2, t0 - t1]]."""
    size = t[:, 1:].square().sum(1).sqrt()
    scale, up, down = torch.exp(t[:, 0]), torch.exp(size), torch.exp(-size)
    cosh, part = (up + down) / 2, (up - down) / (2 * size.clamp_min(1e-8))  # at 0 what it multiplies is 0 too
    one, two = part * t[:, 1], part * t[:, 2]
    return scale[:, None, None] * torch.stack([torch.stack([cosh + one, two], -1), torch.stack([two, cosh - one], -1)], -2)
