"""The kernel data step in closed form: on the image grid as in the paper, or exactly on the kernel's support."""

import torch
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.checks import Scale
from pnpsr.physics import polyphase
from pnpsr.physics.cg import solve_by_cg
from pnpsr.physics.gram import circular_gram
from pnpsr.physics.gram_inside import valid_gram
from pnpsr.physics.polyphase import Pair
from pnpsr.physics.simplex_qp import project_simplex, simplex_minimiser, sum_constrained
from pnpsr.physics.solve import solve

DOMAINS = ("grid", "support")
CONSTRAINTS = (None, "sum", "simplex")


def prox_kernel(
    y: Tensor,
    x: Tensor,
    k0: Tensor,
    gamma: float | Tensor,
    scale: Scale,
    *,
    domain: str = "grid",
    boundary: str = "circular",
    constraint: str | None = None,
    offset: Scale = 0,
) -> Tensor:
    """argmin_k Σ_c |y_c - (x_c ⊗ k)↓s|² + gamma |k - k0|² (IKR-Net Eq. 10-11), one kernel for all channels.

    ``domain="grid"`` solves for a kernel as large as the image and crops it to the size of k0, as the paper does: fast, but the
    crop is a projection, not the minimiser. ``domain="support"`` solves for the p x q coefficients themselves (normal
    equations, Cholesky). gamma has the units of Σ|x|² / s², orders of magnitude above those of alpha: see
    :func:`pnpsr.prox.gram_scale`.
    Differentiable in y, x, k0 and gamma; always float64 inside, because normal matrices of images lose half the digits.

    Args:
        y: observed image (b c h w).
        x: current image (b c sh sw).
        k0: the kernel to stay near (b 1 p q); its size is that of the result.
        gamma: weight of the proximity term, positive; a number, (b,) or (b 1 1 1), always per sample.
        scale: integer factor, or one per axis.
        domain: ``grid`` or ``support``.
        boundary: ``circular``; or ``valid`` (on the support only): use the pixels of y whose kernel window lies inside x,
            assume nothing.
        constraint: ``sum`` for Σk = 1, ``simplex`` for also k >= 0. On the support these are the constrained minimisers; on the
            grid, where the crop forbids that, the nearest such kernel to the cropped one (``sum`` then adds a constant,
            IKR-Net's released rule).
        offset: which pixel of every s x s patch ↓s keeps.

    Returns:
        k (b 1 p q), in the dtype of y.

    Raises:
        TypeError: integer or half-precision tensors, different dtypes, a scale that is no integer.
        ValueError: unknown options, sizes that do not fit, NaN, gamma not positive or too small for the normal matrix, or
            ``boundary="valid"`` on the grid.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.prox import prox_kernel
        >>> x, k = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)), gaussian(5, 1.0)
        >>> y = Degradation(2)(x, k)
        >>> found = prox_kernel(y, x, torch.zeros_like(k), 1e-6, 2, domain="support", constraint="simplex")
        >>> float((found - k).abs().max()) < 1e-3
        True
    """
    return kernel_step(
        y,
        x,
        k0,
        gamma,
        checks.factors(scale),
        checks.offsets(offset, scale),
        domain=domain,
        boundary=boundary,
        constraint=constraint,
    )


def kernel_step(
    y: Tensor,
    x: Tensor,
    k0: Tensor,
    gamma: float | Tensor,
    scale: Pair,
    offset: Pair,
    *,
    domain: str = "grid",
    boundary: str = "circular",
    constraint: str | None = None,
) -> Tensor:
    """:func:`prox_kernel` at any integer offset, also outside the patch: on a circle it is but a shift."""
    for value, options, name in (
        (domain, DOMAINS, "domain"),
        (boundary, ("circular", "valid"), "boundary"),
        (constraint, CONSTRAINTS, "constraint"),
    ):
        checks.choice(value, options, name)
    if domain == "grid" and boundary == "valid":
        raise ValueError('boundary="valid" needs domain="support": the grid solve is periodic')
    y, x, k0 = checks.image(y, "y"), checks.image(x, "x"), checks.kernel(k0, "k0", within=(x.shape[-2], x.shape[-1]))
    for other, names in ((x, "x and y"), (k0, "k0 and y")):
        checks.matching(other, y, names)
    if (*x.shape[:2], *checks.divisible(x, scale, "x")) != tuple(y.shape):
        raise ValueError(f"x of {tuple(x.shape)} does not fit y of {tuple(y.shape)} at scale {scale}")
    gamma = checks.per_sample(gamma, checks.of_more(y, k0), "gamma", positive=True)
    batch = max(len(y), len(k0), len(gamma))
    dtype, wide = y.dtype, precision.double(y)
    with precision.exact(y):
        y, x, k0, gamma = (t.to(wide).expand(batch, -1, -1, -1) for t in (y, x, k0, gamma))
        if domain == "grid":
            k = constrained(_on_grid(y, x, k0, gamma, scale, offset), constraint)
        else:
            gram, target = (circular_gram if boundary == "circular" else valid_gram)(y, x, size_of(k0), scale, offset)
            k = on_support(gram, target, k0, gamma, constraint)
    return k.to(dtype)


def without_energy(energy: Tensor) -> Tensor:
    """Where a sum of squares is zero, or has no digits: nothing may be measured in it."""
    return energy < 1e6 * torch.finfo(energy.dtype).tiny


def as_unit(energy: Tensor) -> Tensor:
    """``energy``, or 1 where there is none: with no data the kernel step returns k0, whatever gamma is."""
    return torch.where(without_energy(energy), 1, energy)


def gram_scale(x: Tensor, scale: Scale) -> Tensor:
    """Σ_c |x_c|² / s², (b 1 1 1): the mean diagonal of the kernel step's normal matrix, the natural unit of gamma.

    Example:
        >>> import torch
        >>> from pnpsr.prox import gram_scale
        >>> gram_scale(torch.ones(2, 3, 8, 8), 2).shape
        torch.Size([2, 1, 1, 1])
    """
    s1, s2 = checks.factors(scale)
    return checks.image(x, "x").square().sum((1, 2, 3), keepdim=True) / (s1 * s2)


def _on_grid(y: Tensor, x: Tensor, k0: Tensor, gamma: Tensor, scale: Pair, offset: Pair) -> Tensor:
    grid, low, size = (x.shape[-2], x.shape[-1]), (y.shape[-2], y.shape[-1]), (k0.shape[-2], k0.shape[-1])
    row = polyphase.image_row(x, scale, offset)
    start = polyphase.embed(k0, grid)
    residual = polyphase.subtract_row(torch.fft.rfft2(y.unsqueeze(2)), row, torch.fft.rfft2(polyphase.split(start, scale))).squeeze(
        2
    )
    gram = torch.einsum("bcrhw,bdrhw->bcdhw", row, row.conj())
    weights = _solve_channels(gram, residual, gamma)
    step = torch.fft.irfft2((row.conj() * weights.unsqueeze(2)).sum(1, keepdim=True), s=low)
    return polyphase.crop(start + polyphase.join(step, scale), size)


def weighted_on_grid(
    y: Tensor, x: Tensor, k0: Tensor, gamma: Tensor, scale: Pair, offset: Pair, weights: Tensor, tolerance: float
) -> Tensor:
    """argmin_k Σ_n w(n) |y - (x ⊗ k)↓s|²(n) + gamma |k - k0|² for k as large as the image, cropped; all in double.

    k0 + B*(B B* + gamma)⁻¹ (√w y - B k0) with B = √w (x ⊗ ·)↓s, by conjugate gradients around the closed form without weights.
    """
    low, row = (y.shape[-2], y.shape[-1]), polyphase.image_row(x, scale, offset)
    start = polyphase.embed(k0, (x.shape[-2], x.shape[-1]))
    gram = torch.einsum("bcrhw,bdrhw->bcdhw", row, row.conj())
    root = weights.sqrt()
    over = torch.where(weights > 0, weights.clamp_min(torch.finfo(weights.dtype).tiny).rsqrt(), 0)
    usual = weights.sum((1, 2, 3), keepdim=True) / (weights > 0).sum((1, 2, 3), keepdim=True).clamp_min(1)
    guess = (gram.detach(), (gamma / usual).detach())

    def normal(u: Tensor) -> Tensor:
        spectra = torch.einsum("bcdhw,bdhw->bchw", gram, torch.fft.rfft2(root * u))
        return root * torch.fft.irfft2(spectra, s=low) + gamma * u

    def inverse(r: Tensor) -> Tensor:
        return over * torch.fft.irfft2(_solve_channels(guess[0], torch.fft.rfft2(over * r), guess[1]), s=low)

    parts = torch.fft.rfft2(polyphase.split(start, scale))
    residual = polyphase.subtract_row(torch.fft.rfft2(y.unsqueeze(2)), row, parts).squeeze(2)
    u = root * solve_by_cg(normal, root * torch.fft.irfft2(residual, s=low), inverse, tolerance=tolerance)
    step = torch.fft.irfft2((row.conj() * torch.fft.rfft2(u).unsqueeze(2)).sum(1, keepdim=True), s=low)
    return polyphase.crop(start + polyphase.join(step, scale), size_of(k0))


def _solve_channels(gram: Tensor, residual: Tensor, gamma: Tensor) -> Tensor:
    """(gram + gamma I)⁻¹ residual per frequency: gram (b c c h w) Hermitian, residual (b c h w); elimination needs no pivots."""
    channels = residual.shape[1]
    rows = [[gram[:, i, j] + (gamma[:, 0] if i == j else 0) for j in range(channels)] for i in range(channels)]
    right = list(residual.unbind(1))
    for i in range(channels):
        for j in range(i + 1, channels):
            ratio = rows[j][i] / rows[i][i]
            rows[j] = [rows[j][n] - ratio * rows[i][n] for n in range(channels)]
            right[j] = right[j] - ratio * right[i]
    solved: dict[int, Tensor] = {}
    for i in reversed(range(channels)):
        known = [rows[i][j] * solved[j] for j in range(i + 1, channels)]
        solved[i] = (right[i] - torch.stack(known).sum(0) if known else right[i]) / rows[i][i]
    return torch.stack([solved[i] for i in range(channels)], 1)


def size_of(k: Tensor) -> Pair:
    """(p, q) of kernels (b 1 p q)."""
    return k.shape[-2], k.shape[-1]


def on_support(gram: Tensor, target: Tensor, k0: Tensor, gamma: Tensor, constraint: str | None) -> Tensor:
    """argmin_k ½ kᵀG k - bᵀk + ½ gamma |k - k0|² (b 1 p q) under the constraint, from G (b pq pq) and b (b pq 1) in double.

    Raises:
        ValueError: gamma too small for the normal matrix.
    """
    H = gram + gamma[:, 0] * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(H.detach())
    factor = factor if checks.readable(failed) else torch.where(failed[:, None, None] == 0, factor, torch.nan)  # shows in the end
    if checks.readable(failed) and bool(checks.values(failed).any()):
        needed = 1e-14 * float(checks.values(gram.diagonal(dim1=1, dim2=2).sum(1)).max())
        raise ValueError(f"gamma is too small for this x: the normal matrix is singular in {gram.dtype}; use at least {needed:.1g}")
    start = k0.reshape(*k0.shape[:1], -1, 1)
    k = start + solve(H, factor, target - gram @ start)
    if constraint is not None:
        ones = torch.ones_like(k)
        k = sum_constrained(solve(H, factor, ones), k, ones)
    if constraint == "simplex":
        k = simplex_minimiser(H, target + gamma[:, 0] * start, k)
    return k.reshape(k0.shape)


def constrained(k: Tensor, constraint: str | None) -> Tensor:
    """The nearest kernel in the constraint set."""
    if constraint == "sum":
        return k + (1 - k.sum((-2, -1), keepdim=True)) / (k.shape[-2] * k.shape[-1])
    return k if constraint is None else project_simplex(k.flatten(1)).reshape(k.shape)
