"""n ~ N(0, sigma²): the noise of Eq. 1 of both papers."""

import torch
from torch import Tensor

from pnpsr import checks


def gaussian_noise(x: Tensor, sigma: float | Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """x + sigma n, n ~ N(0, 1), not clipped.

    Args:
        x: images (b c h w) in [0, 1]; one image with several sigma gives as many samples, each with noise of its own.
        sigma: standard deviation in the same units (2 % noise is 0.02), at most 1: a number, (b,) or (b 1 1 1), always per sample.
        generator: source of randomness, on the device of x.

    Raises:
        ValueError: negative or non-finite sigma, or above 1, or a number of values that is not the batch.

    Example:
        >>> import torch
        >>> from pnpsr.physics import gaussian_noise
        >>> x = torch.full((2, 1, 64, 64), 0.5)
        >>> noisy = gaussian_noise(x, torch.tensor([0.0, 0.1]), generator=torch.Generator().manual_seed(0))
        >>> [round(float(v.std()), 2) for v in noisy]
        [0.0, 0.1]
    """
    x = checks.image(x, "x")
    sigma = checks.noise(sigma, x)
    shape = (max(len(x), len(sigma)), *x.shape[1:])
    return x + sigma * torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)


def quantise(x: Tensor, bits: int = 8) -> Tensor:
    """x in [0, 1] rounded to the nearest of 2^bits levels and clipped, as a stored picture is (rounded, never truncated).

    Raises:
        ValueError: fewer than 1 or more than 16 bits.

    Example:
        >>> import torch
        >>> from pnpsr.physics import quantise
        >>> [round(v, 4) for v in quantise(torch.tensor([[[[0.1, 0.5, 1.2]]]])).flatten().tolist()]
        [0.102, 0.502, 1.0]
    """
    if not (isinstance(bits, int) and 1 <= bits <= 16):
        raise ValueError(f"bits must be an integer in 1 .. 16, got {bits!r}")
    levels = 2**bits - 1
    return (checks.image(x, "x").clamp(0, 1) * levels).round() / levels


def estimate_noise(y: Tensor, weights: Tensor | None = None) -> Tensor:
    """sigma ≈ median |y * N| / (6 · 0.6745), N = [1 -2 1]ᵀ[1 -2 1]: the noise level of an image, per sample (b 1 1 1).

    N answers to noise (with gain 6) and hardly to smooth content (Immerkær 1996; the median in place of his mean ignores
    edges). Fine texture is taken for noise, so that the value is an upper estimate on noise-free images; images under 3 x 3
    give zero. With ``weights`` (b c h w) only windows count whose pixels all have a positive one; where there is none, all do.

    Example:
        >>> import torch
        >>> from pnpsr.physics import estimate_noise, gaussian_noise
        >>> y = gaussian_noise(torch.full((1, 1, 64, 64), 0.5), 0.05, generator=torch.Generator().manual_seed(0))
        >>> round(float(estimate_noise(y)), 2)
        0.05
    """
    y = checks.image(y, "y")
    seen = None if weights is None else (weights > 0).to(y)
    for axis in (-2, -1):
        n = y.shape[axis] - 2
        if n < 1:
            return y.new_zeros(y.shape[0], 1, 1, 1)
        y = y.narrow(axis, 0, n) - 2 * y.narrow(axis, 1, n) + y.narrow(axis, 2, n)
        seen = None if seen is None else seen.narrow(axis, 0, n) * seen.narrow(axis, 1, n) * seen.narrow(axis, 2, n)
    answer = y.abs()
    if seen is not None:
        counts = (seen > 0) | ~(seen > 0).flatten(1).any(1).reshape(-1, 1, 1, 1)
        answer = torch.where(counts.expand_as(answer), answer, torch.nan)
    middle = answer.flatten(1).median(1) if seen is None else answer.flatten(1).nanmedian(1)
    return (middle.values / (6 * 0.6745)).reshape(-1, 1, 1, 1)
