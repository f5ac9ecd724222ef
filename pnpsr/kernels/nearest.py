"""The Gaussian nearest to a kernel, and kernels that are taken for the Gaussian that they nearly are."""

import torch
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.kernels.grid import offsets
from pnpsr.kernels.shift import centroid

LIKE = 0.01  # of the energy: what networks say of Gaussians is off by less, see docs/first-kernel.md
NARROW = 1e-3  # square pixels: the variance of a Gaussian that is a Dirac on the grid
RIDGE = 1e-3  # of the normal equations: where the width no longer shows, it stays
FAR = 0.5  # in one iteration: of the logarithm of a variance, and pixels
ITERATIONS = 12


def nearest_gaussian(k: Tensor) -> Tensor:
    """argmin_g Σ (k - g)², g ∝ exp(-½ (d - m)ᵀ C⁻¹ (d - m)) of sum 1 for any mean m and covariance C: (b 1 p q) -> (b 1 p q).

    By Gauss-Newton from the moments of k; the best of the iterates. Unlike the moments, least squares do not mind a little mass
    far out. No gradient passes.

    Raises:
        TypeError: no tensor of real floats.
        ValueError: another shape, or a kernel that does not sum to 1.

    Example:
        >>> from pnpsr.kernels import gaussian, nearest_gaussian
        >>> k = gaussian(21, 2.0, width2=1.0, angle=0.5)
        >>> off = 0.97 * k + 0.03 / 441
        >>> [round(float((g - k).square().sum() / (off - k).square().sum()), 2) for g in (off, nearest_gaussian(off))]
        [1.0, 0.55]
    """
    k = checks.blur(k, "k")
    with torch.no_grad(), precision.exact(k):
        found = _fitted(k.to(precision.double(k)).detach())
    return found.to(k)


def settled(k: Tensor) -> Tensor:
    """K ← g + w (k - g), w = q³ / (q³ + 10⁻⁶), q = Σ (k - g)² / Σ k², g the :func:`nearest_gaussian`: (b 1 p q).

    What networks see is a Gaussian plus errors without any structure. These are small beside k, but not beside the high
    frequencies of k, where a Gaussian has nothing and an image step divides by it. Kernels that are no Gaussians, of motion or of a
    lens out of focus, have q of 0.02 to 0.6 and stay as they are. Gradients pass as if g and w were constants.

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
    g = nearest_gaussian(k)
    with torch.no_grad():
        q = (k - g).square().sum((1, 2, 3), keepdim=True) / k.square().sum((1, 2, 3), keepdim=True)
        w = q**3 / (q**3 + LIKE**3)
    return g + w * (k - g)


def _fitted(k: Tensor) -> Tensor:
    """The fit in double precision, with no value read back."""
    whole = k
    position = torch.stack([t.expand(k.shape[-2:]) for t in offsets((k.shape[-2], k.shape[-1]), k)], -1).reshape(1, -1, 2)
    mean, k = centroid(k)[:, None], k.flatten(1)
    d = position - mean
    C = torch.einsum("bn,bni,bnj->bij", k, d, d) + NARROW * torch.eye(2, dtype=k.dtype, device=k.device)
    best, error = k, torch.full_like(k[:, :1], torch.inf)
    for _ in range(ITERATIONS):
        S = _root(C)
        inverse = _inverse(S)
        u = (position - mean) @ inverse
        g = torch.exp(-u.square().sum(-1) / 2)
        g = g / g.sum(1, keepdim=True)
        now = (k - g).square().sum(1, keepdim=True)
        best, error = torch.where(now < error, g, best), torch.minimum(now, error)
        a, b = u.unbind(-1)
        tangent = torch.stack([(a * a + b * b) / 2, (a * a - b * b) / 2, a * b], -1)  # of the logarithm of C, in its own axes
        tangent = torch.cat([tangent, u @ inverse], -1)
        tangent = g[..., None] * (tangent - (g[..., None] * tangent).sum(1, keepdim=True))
        A = tangent.mT @ tangent
        A = A + RIDGE * torch.diag_embed(A.diagonal(dim1=1, dim2=2) + torch.finfo(A.dtype).eps)
        step = torch.linalg.solve_ex(A, tangent.mT @ (k - g)[..., None])[0][..., 0].clamp(-FAR, FAR)
        C, mean = S @ _exponential(step[:, :3]) @ S, mean + step[:, None, 3:]
    return best.reshape(whole.shape)


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
    scale, cosh = torch.exp(t[:, 0]), torch.cosh(size)
    sinh = torch.where(size > 1e-8, torch.sinh(size) / size.clamp_min(1e-8), 1.0)
    one, two = sinh * t[:, 1], sinh * t[:, 2]
    return scale[:, None, None] * torch.stack([torch.stack([cosh + one, two], -1), torch.stack([two, cosh - one], -1)], -2)
