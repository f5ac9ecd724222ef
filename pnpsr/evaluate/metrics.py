"""How close a restored image is to the truth: PSNR and SSIM as the super-resolution papers report them, one value per sample."""

import math

import numpy as np
import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale

COLOURS = ("rgb", "y", "y_full")
WINDOW = 11  # rows and columns of the Gaussian window of SSIM, of standard deviation 1.5 pixels
_YCBCR = (65.481, 128.553, 24.966)
_LUMA = (0.299, 0.587, 0.114)


def luminance(x: Tensor) -> Tensor:
    """Y = (16 + 65.481 R + 128.553 G + 24.966 B) / 255: (b 3 h w) in [0, 1] -> (b 1 h w) in [16, 235] / 255.

    ITU-R BT.601, studio range, not rounded: what MATLAB's ``rgb2ycbcr`` returns for floats, and what papers call "PSNR on Y".

    Raises:
        ValueError: the image has not three channels.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import luminance
        >>> luminance(torch.rand(1, 3, 4, 4)).shape
        torch.Size([1, 1, 4, 4])
    """
    weights = checks.image(x, "x", 3).new_tensor(_YCBCR).reshape(1, 3, 1, 1)
    return ((x * weights).sum(1, keepdim=True) + 16) / 255


def luma(x: Tensor) -> Tensor:
    """Y = 0.299 R + 0.587 G + 0.114 B: (b 3 h w) in [0, 1] -> (b 1 h w) in [0, 1], the full range of BT.601.

    PSNR on it is 20 log10(255 / 219) = 1.32 dB below that on :func:`luminance`, whose range is narrower.

    Raises:
        ValueError: the image has not three channels.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import luma
        >>> [round(v, 3) for v in luma(torch.ones(1, 3, 1, 1)).flatten().tolist()]
        [1.0]
    """
    return (checks.image(x, "x", 3) * x.new_tensor(_LUMA).reshape(1, 3, 1, 1)).sum(1, keepdim=True)


def psnr(x: Tensor, truth: Tensor, *, border: Scale = 0, colour: str = "rgb", data_range: float = 1.0) -> Tensor:
    """10 log10(R² / mean((x - truth)²)) in dB, R = ``data_range``: (b c h w) twice -> (b,); equal images give inf.

    Nothing is clamped or rounded here: papers compare 8-bit results, see :func:`pnpsr.physics.quantise`.

    Args:
        x: restored images; a batch of 1 goes with any.
        truth: what they should be.
        border: pixels ignored on each side (an integer, or one per axis); papers cut as many as the scale.
        colour: ``"rgb"`` compares all channels (so does it for gray), ``"y"`` the :func:`luminance` of colour images, as papers
            do, ``"y_full"`` their :func:`luma`.
        data_range: the value of white: images are in [0, data_range].

    Raises:
        ValueError: different shapes, unknown colour, a border that leaves nothing, NaN; a truth outside [0, data_range],
            by more than noise would leave it.
        TypeError: integers, different dtypes.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import psnr
        >>> x = torch.full((1, 3, 8, 8), 0.5)
        >>> round(float(psnr(x + 0.1, x)), 2)
        20.0
    """
    a, b = _comparable(x, truth, border, colour, data_range)
    return -10 * (a - b).square().mean((1, 2, 3)).log10().to(x)


def ssim(x: Tensor, truth: Tensor, *, border: Scale = 0, colour: str = "rgb", data_range: float = 1.0) -> Tensor:
    """Mean structural similarity, (b c h w) twice -> (b,), at most 1.

    As in Wang et al. 2004 and the papers: Gaussian window of 11 x 11 with standard deviation 1.5, K1 = 0.01, K2 = 0.03,
    windows that lie wholly inside the image, channels averaged. Computed by scikit-image on the CPU; not differentiable.
    Arguments and errors as :func:`psnr`.

    Raises:
        ValueError: also for images which are smaller than the window once the border is cut.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import ssim
        >>> x = torch.rand(1, 3, 16, 16)
        >>> round(float(ssim(x, x)), 4)
        1.0
    """
    from skimage.metrics import structural_similarity

    a, b = (t.detach().cpu().double().numpy() for t in _comparable(x, truth, border, colour, data_range))
    if min(a.shape[-2:]) < WINDOW:
        raise ValueError(f"SSIM needs at least {WINDOW} x {WINDOW} pixels, {a.shape[-2]} x {a.shape[-1]} are left of the images")
    edge = WINDOW // 2
    values = [
        structural_similarity(  # type: ignore[no-untyped-call]
            *pair, channel_axis=0, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )[1][:, edge:-edge, edge:-edge].mean()
        for pair in zip(a, b, strict=True)
    ]
    return torch.from_numpy(np.array(values)).to(x)


def _comparable(x: Tensor, truth: Tensor, border: Scale, colour: str, data_range: float) -> tuple[Tensor, Tensor]:
    """What is compared of both, of equal shape, with white at 1."""
    checks.choice(colour, COLOURS, "colour")
    if not (isinstance(data_range, int | float) and 0 < data_range < math.inf):
        raise ValueError(f"data_range must be the value of white, a positive number, got {data_range!r}")
    checks.matching(checks.image(x, "x"), checks.image(truth, "truth"), "x and truth")
    if x.shape[1:] != truth.shape[1:]:
        raise ValueError(f"x and truth must have the same shape, got {tuple(x.shape)} and {tuple(truth.shape)}")
    if colour != "rgb" and x.shape[1] != 3:
        raise ValueError(
            f"colour={colour!r} needs red, green and blue, got {x.shape[1]} channel(s); compare gray with colour='rgb'"
        )
    x, truth = x / data_range, truth / data_range
    low, high = (float(v) * data_range for v in torch.aminmax(truth.detach()))
    if low < -data_range or high > 2 * data_range:  # x may be anything, and is then far from the truth
        raise ValueError(f"truth must be in [0, {data_range:g}], got {low:g} .. {high:g}; say data_range=... if white is not 1")
    b = max(len(x), len(truth))
    x, truth = (checks.inside(t, border, "the images").expand(b, -1, -1, -1) for t in (x, truth))
    convert = {"rgb": lambda t: t, "y": luminance, "y_full": luma}[colour]
    return convert(x), convert(truth)
