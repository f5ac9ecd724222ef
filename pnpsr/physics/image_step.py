"""The image data step in closed form."""

from typing import NamedTuple

import torch
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.checks import Scale
from pnpsr.physics import polyphase


def prox_image(y: Tensor, k: Tensor, x0: Tensor, alpha: float | Tensor, scale: Scale, *, offset: Scale = 0) -> Tensor:
    """argmin_x |y - (x ⊗ k)↓s|² + alpha |x - x0|², exactly (IKR-Net Eq. 8-9; USRNet Eq. 7), circular boundary.

    Computed as x0 + A*(A A* + alpha)⁻¹ (y - A x0), one scalar division per low-resolution frequency; nothing is divided by
    alpha, so small alpha is safe. Differentiable in y, k, x0 and alpha; float64 inside where float32 would not do (alpha below
    1e-4).

    Args:
        y: observed image (b c h w).
        k: kernels (b 1 p q), or one for all (1 1 p q); centre at p // 2.
        x0: the point to stay near, (b c sh sw).
        alpha: weight of the proximity term, positive; a number, (b,) or (b 1 1 1), always per sample.
        scale: integer factor, or one per axis.
        offset: which pixel of every s x s patch ↓s keeps.

    Returns:
        x (b c sh sw), in the dtype of y.

    Raises:
        TypeError: integer or half-precision tensors, different dtypes, a scale that is no integer.
        ValueError: sizes that do not fit, kernel larger than the image, NaN, alpha not positive, different devices or batches.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.prox import prox_image
        >>> x, k = torch.rand(1, 3, 8, 8), gaussian(5, 1.0)
        >>> y = Degradation(2)(x, k)
        >>> z = prox_image(y, k, torch.zeros_like(x), 1e-6, 2)
        >>> float((Degradation(2)(z, k) - y).abs().max()) < 1e-4
        True
    """
    return image_step(y, k, x0, alpha, checks.factors(scale), checks.offsets(offset, scale))


class Spectra(NamedTuple):
    """What an image step takes from y and k alone."""

    data: Tensor  # of y (b c 1 h w/2+1)
    row: Tensor  # of the operator, see pnpsr.physics.polyphase
    power: Tensor  # A A*


def spectra(y: Tensor, k: Tensor, scale: polyphase.Pair, offset: polyphase.Pair, dtype: torch.dtype) -> Spectra:
    """The spectra of y and k in ``dtype``."""
    grid = scale[0] * y.shape[-2], scale[1] * y.shape[-1]
    with precision.exact(y):
        row = polyphase.kernel_row(k.to(dtype), grid, scale, offset)
        return Spectra(torch.fft.rfft2(y.to(dtype).unsqueeze(2)), row, polyphase.power(row))


def image_step(
    y: Tensor,
    k: Tensor,
    x0: Tensor,
    alpha: float | Tensor,
    scale: polyphase.Pair,
    offset: polyphase.Pair,
    known: Spectra | None = None,
) -> Tensor:
    """:func:`prox_image` at any integer offset, also outside the patch: on a circle it is but a shift.

    ``known`` are the spectra of this y and k, where a solve has them already; not used where the step needs a wider type.
    """
    y, x0, k = checks.image(y, "y"), checks.image(x0, "x0"), checks.kernel(k, "k", within=(x0.shape[-2], x0.shape[-1]))
    for other, names in ((x0, "x0 and y"), (k, "k and y")):
        checks.matching(other, y, names)
    low = checks.divisible(x0, scale, "x0")
    if (*x0.shape[:2], *low) != tuple(y.shape):
        raise ValueError(f"x0 of {tuple(x0.shape)} does not fit y of {tuple(y.shape)} at scale {scale}")
    alpha = checks.per_sample(alpha, checks.of_more(y, k), "alpha", positive=True)
    dtype = precision.dtype_for(alpha, y)
    if known is None or known.power.dtype != dtype:
        known = spectra(y, k, scale, offset, dtype)
    with precision.exact(y):
        return _solve(known, x0, alpha, scale, dtype)


def _solve(known: Spectra, x0: Tensor, alpha: Tensor, scale: polyphase.Pair, dtype: torch.dtype) -> Tensor:
    low = x0.shape[-2] // scale[0], x0.shape[-1] // scale[1]
    parts = torch.fft.rfft2(polyphase.split(x0.to(dtype), scale))
    residual = polyphase.subtract_row(known.data, known.row, parts)
    gain = known.row.conj() * (1 / (known.power + alpha.to(dtype))).unsqueeze(2)
    updated = torch.addcmul(parts, gain, residual)
    return polyphase.join(torch.fft.irfft2(updated, s=low), scale).to(x0.dtype)
