"""Where a kernel's mass sits, and moving it: centroid, sub-pixel shift, centring, another support."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad as zero_pad

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.kernels.grid import hat, offsets

METHODS = ("linear", "fourier")


def mass(k: Tensor) -> Tensor:
    """Sum of |k| per sample, (b 1 1 1), whose slope at 0 is that for non-negative kernels."""
    return (k * torch.where(k < 0, -1.0, 1.0)).sum((-3, -2, -1), keepdim=True)


def compensation(k: Tensor, kept: Tensor, tolerance: float, what: str) -> Tensor:
    """Σ|k| / Σ|kept|, (b 1 1 1): the factor that makes up for what leaves the support, where that is no more than ``tolerance``."""
    if not 0 <= tolerance <= 1:
        raise ValueError(f"tolerance must be a fraction between 0 and 1, got {tolerance}")
    before, after = mass(k), mass(kept)
    if checks.reading():
        lost = float(checks.values(1 - after / before).max())
        if not lost <= min(tolerance + 1e-6, 1 - 1e-6):  # 1e-6: rounding of float32
            raise ValueError(
                f"{what} would lose {lost:.1%} of the mass of a kernel; at most {tolerance:.1%}, and never all, is allowed"
            )
    return before / after


def centroid(k: Tensor) -> Tensor:
    """Σ n k(n) / Σ k(n), n = (row, column) in pixels from the centre index p // 2: (b 1 p q) -> (b 2).

    Raises:
        ValueError: no kernel batch, or a kernel whose sum is not positive (it has no centroid).

    Example:
        >>> from pnpsr.kernels import centroid, gaussian, shift_kernel
        >>> [round(v, 2) for v in centroid(shift_kernel(gaussian(11, 1.0), (1, 2)))[0].tolist()]
        [1.0, 2.0]
    """
    checks.kernel(k, "k")
    total = k.sum((-3, -2, -1))
    if checks.reading() and checks.values(total).min() <= 0:
        raise ValueError(f"k must have a positive sum to have a centroid, got {checks.values(total).min():g}")
    moments = [(k * n).sum((-3, -2, -1)) for n in offsets((k.shape[-2], k.shape[-1]), k)]
    return torch.stack(moments, -1) / total[:, None]


def resize_support(k: Tensor, size: Scale, *, tolerance: float = 0.01) -> Tensor:
    """Crop or zero-pad to ``size`` around the centre: index p // 2 goes to q // 2, for odd and even sizes alike.

    Padding changes nothing but the shape. A crop may lose up to the fraction ``tolerance`` of Σ|k|, and what stays is
    scaled to keep the sum; ``tolerance=1`` allows any crop. Differentiable in k.

    Raises:
        ValueError: no kernel batch, or a crop that loses more than ``tolerance``.

    Example:
        >>> from pnpsr.kernels import gaussian, resize_support
        >>> resize_support(gaussian(5, 0.8), 9).shape
        torch.Size([1, 1, 9, 9])
    """
    checks.kernel(k, "k")
    margins: list[int] = []
    for new, old in zip(reversed(checks.size(size, "size")), reversed(k.shape[-2:]), strict=True):
        before = new // 2 - old // 2
        margins += [before, new - old - before]
    out = zero_pad(k, margins)
    if min(margins) >= 0:
        return out
    return out * compensation(k, out, tolerance, f"cropping to {size}")


def turned(k: Tensor) -> Tensor:
    """k(-n), turned by 180 degrees about its centre p // 2: (b 1 p q) -> (b 1 p q).

    In an even side index 0 has no mirror image within the support: what it holds stays there.

    Raises:
        ValueError: no kernel batch.

    Example:
        >>> from pnpsr.kernels import dirac, shift_kernel, turned
        >>> k = shift_kernel(dirac(5), (0, 1))
        >>> turned(k)[0, 0, 2].tolist()
        [0.0, 1.0, 0.0, 0.0, 0.0]
    """
    checks.kernel(k, "k")
    return k.flip(-2, -1).roll([1 - n % 2 for n in k.shape[-2:]], (-2, -1))


def as_shift(shift: tuple[float, float] | Tensor, k: Tensor) -> Tensor:
    """A pair of numbers, (2,) or (b 2) as (b 2) or (1 2) like k, finite."""
    given = shift.to(k) if isinstance(shift, Tensor) else k.new_tensor(shift)
    given = given[None] if given.ndim == 1 else given
    if given.ndim != 2 or given.shape[1] != 2 or (given.shape[0] != k.shape[0] and 1 not in (given.shape[0], k.shape[0])):
        raise ValueError(
            f"shift must be (rows, columns) or one such pair per sample, (b 2), got {tuple(given.shape)} for k of {tuple(k.shape)}"
        )
    if checks.reading() and not torch.isfinite(checks.values(given)).all():
        raise ValueError("shift holds NaN or infinity")
    return given


def shift_kernel(
    k: Tensor, shift: tuple[float, float] | Tensor, *, method: str = "linear", pad: bool = False, tolerance: float = 0.01
) -> Tensor:
    """K(n - shift): move the mass by ``shift`` = (rows down, columns right) pixels, one pair or one per sample (b 2).

    ``"linear"`` splits every value between its neighbours: k stays non-negative, keeps its sum, and its centroid moves by exactly
    the shift; a fraction f of a pixel widens it (variance + f (1 - f) per axis). ``"fourier"`` multiplies the spectrum by
    exp(-2πi f shift): invertible and without widening, but it rings, goes negative, and wraps around the support.
    Up to the fraction ``tolerance`` of the mass may leave the support (linear: the rest is scaled to keep the sum);
    ``pad=True`` enlarges the support instead, by the same margin on all sides. Differentiable in k and shift.

    Raises:
        ValueError: more mass than ``tolerance`` would leave the support, another shape of shift, or an unknown method.

    Example:
        >>> from pnpsr.kernels import dirac, shift_kernel
        >>> k = shift_kernel(dirac(5), (0, 1))
        >>> k[0, 0, 2].tolist()
        [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    checks.choice(method, METHODS, "method")
    move = as_shift(shift, checks.kernel(k, "k"))
    if pad:
        margin = 2 * math.ceil(float(checks.values(move).abs().max()))
        k = resize_support(k, (k.shape[-2] + margin, k.shape[-1] + margin))
    with torch.autocast(k.device.type, enabled=False):
        rows, columns = (n.flatten() for n in offsets((k.shape[-2], k.shape[-1]), k))
        down = hat(rows + move[:, :1], rows)[:, None]  # (b 1 p p): from row, to row
        right = hat(columns + move[:, 1:], columns)[:, None]
        kept = down.sum(-1, keepdim=True) * k * right.sum(-1)[..., None, :]
        factor = compensation(k, kept, tolerance, "shifting")
        return fourier_shift(k, move) if method == "fourier" else down.mT @ k @ right * factor


def fourier_shift(k: Tensor, move: Tensor) -> Tensor:
    """IFFT(FFT(k) exp(-2πi (f₁ shift₁ + f₂ shift₂))) on the periodic support; (b 1 p q), (b 2)."""
    p, q = k.shape[-2:]
    f1 = torch.fft.fftfreq(p, dtype=k.dtype, device=k.device)[:, None]
    f2 = torch.fft.rfftfreq(q, dtype=k.dtype, device=k.device)
    phase = -2 * math.pi * (f1 * move[:, 0, None, None, None] + f2 * move[:, 1, None, None, None])
    return torch.fft.irfft2(torch.fft.rfft2(k) * torch.polar(torch.ones_like(phase), phase), s=(p, q))


def centre_kernel(k: Tensor, *, method: str = "linear", pad: bool = False, tolerance: float = 0.01) -> Tensor:
    """Shift k by minus its centroid, so that the mass balances on the centre p // 2; (b 1 p q).

    An image restored with a kernel that is off centre is displaced by as much. Options as in :func:`shift_kernel`; exact for
    ``"linear"`` wherever no mass is lost. Differentiable, also through the centroid.

    Raises:
        ValueError: as :func:`shift_kernel` and :func:`centroid`.

    Example:
        >>> from pnpsr.kernels import centre_kernel, centroid, gaussian, shift_kernel
        >>> k = shift_kernel(gaussian(11, 1.0), (1.0, -0.5))
        >>> [abs(round(v, 2)) for v in centroid(centre_kernel(k))[0].tolist()]
        [0.0, 0.0]
    """
    return shift_kernel(k, -centroid(k), method=method, pad=pad, tolerance=tolerance)
