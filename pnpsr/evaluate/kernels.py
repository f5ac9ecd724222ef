"""How close an estimated kernel is to the true one, as it stands or after the shift that no blind method can know.

(x ⊗ k)↓s does not change when the image moves one way and the kernel the other, so k is only ever known up to a shift.
"""

import functools

import numpy as np
import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.kernels.basis import KernelBasis
from pnpsr.kernels.shift import fourier_shift, resize_support
from pnpsr.precision import double, exact

STEPS_PER_PIXEL = 100  # how finely shifts are searched


def kernel_mse(k: Tensor, truth: Tensor, *, align: bool = False) -> Tensor:
    """mean((k - truth)²) over the p² entries: (b 1 p p) twice -> (b,).

    Kernels of different sizes are padded with zeros around their centres p // 2 to the larger size, rows and columns apart.

    Args:
        k: estimated kernels; a batch of 1 goes with any.
        truth: what they should be.
        align: first move k by :func:`best_shift`, with its Fourier series; what leaves the support still counts as error, and the
            result is never above that without moving.

    Raises:
        ValueError: no kernel batches, NaN, different batch sizes.
        TypeError: integers, different dtypes.

    Example:
        >>> from pnpsr.evaluate import kernel_mse
        >>> from pnpsr.kernels import gaussian, shift_kernel
        >>> k = gaussian(11, 1.0)
        >>> moved = shift_kernel(k, (1, 0))
        >>> bool(kernel_mse(moved, k, align=True) < 0.01 * kernel_mse(moved, k))
        True
    """
    wide, target, size = _on_one_grid(k, truth)
    error = (wide - target).square().sum((1, 2, 3))
    if align:
        with exact(k):
            moved = fourier_shift(wide, _best_shift(wide.detach(), target.detach()))
        error = torch.minimum(error, (moved - target).square().sum((1, 2, 3)))
    return (error / size).to(k)


def kernel_psnr(k: Tensor, truth: Tensor, *, align: bool = False) -> Tensor:
    """-10 log10 :func:`kernel_mse` in dB, (b,); the peak is 1, as in IKR-Net's tables (Ates et al. 2023). Equal ones give inf.

    Example:
        >>> from pnpsr.evaluate import kernel_psnr
        >>> from pnpsr.kernels import gaussian
        >>> bool(kernel_psnr(gaussian(11, 1.1), gaussian(11, 1.0)) > 30)
        True
    """
    return -10 * kernel_mse(k, truth, align=align).log10()


def kernel_l1(k: Tensor, truth: Tensor, basis: KernelBasis | None = None) -> Tensor:
    """mean |Bᵀ k - Bᵀ truth| over the codes of a basis B, (b,): the kernel error that DAN reports (Luo et al. 2021, Fig. 8).

    Kernels of another size than the basis are padded, or cropped, around their centres.

    Args:
        k: estimated kernels (b 1 p p).
        truth: what they should be.
        basis: the principal components; by default ten of the larger size, fitted to random Gaussians.

    Example:
        >>> from pnpsr.evaluate import kernel_l1
        >>> from pnpsr.kernels import gaussian
        >>> kernel_l1(gaussian(5, 1.0), gaussian(5, 1.0)).tolist()
        [0.0]
    """
    checks.matching(checks.kernel(k, "k"), checks.kernel(truth, "truth"), "k and truth")
    size = tuple(max(sides) for sides in zip(k.shape[-2:], truth.shape[-2:], strict=True))
    basis = _basis(size) if basis is None else basis
    codes = [resize_support(t, basis.size).flatten(1).to(basis.matrix) @ basis.matrix for t in (k, truth)]
    return (codes[0] - codes[1]).abs().mean(1).to(k)


@functools.cache
def _basis(size: tuple[int, int]) -> KernelBasis:
    return KernelBasis(size, min(10, size[0] * size[1]))


def best_shift(k: Tensor, truth: Tensor) -> Tensor:
    """argmax_d Σ k(n - d) truth(n): how far to move k, (rows down, columns right) in pixels, to meet the truth best: (b 2).

    Found to 1/100 pixel: the maximum of the cross-correlation over whole pixels, refined on its Fourier series (Guizar-Sicairos,
    Thurman, Fienup 2008). Among shifts of one kernel this is also the least squared error. An empty kernel stays where it is.
    Errors as :func:`kernel_mse`.

    Example:
        >>> from pnpsr.evaluate import best_shift
        >>> from pnpsr.kernels import gaussian, shift_kernel
        >>> k = gaussian(11, 1.0)
        >>> [round(v, 1) for v in best_shift(shift_kernel(k, (1, 0)), k)[0].tolist()]
        [-1.0, 0.0]
    """
    wide, target, _ = _on_one_grid(k, truth)
    return _best_shift(wide.detach(), target.detach()).to(k)


def _best_shift(k: Tensor, truth: Tensor) -> Tensor:
    from skimage.registration import phase_cross_correlation

    shifts = np.zeros((len(k), 2))
    for shift, moving, fixed in zip(shifts, k.cpu().numpy(), truth.cpu().numpy(), strict=True):
        if moving.any() and fixed.any():
            shift[:] = phase_cross_correlation(  # type: ignore[no-untyped-call]
                fixed[0], moving[0], upsample_factor=STEPS_PER_PIXEL, normalization=None
            )[0]
    return torch.from_numpy(shifts).to(k)


def _on_one_grid(k: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, int]:
    """Both in float64, padded so far that no shift which lets them overlap wraps around; entries of the larger support."""
    checks.matching(checks.kernel(k, "k"), checks.kernel(truth, "truth"), "k and truth")
    p, q = (max(sides) for sides in zip(k.shape[-2:], truth.shape[-2:], strict=True))
    # odd grids have no Nyquist frequency, so that moving by a fraction of a pixel keeps every kernel real and its energy the same
    wide = [resize_support(t.to(double(t)), (2 * p + 1, 2 * q + 1)) for t in (k, truth)]
    b = max(len(t) for t in wide)
    return wide[0].expand(b, -1, -1, -1), wide[1].expand(b, -1, -1, -1), p * q
