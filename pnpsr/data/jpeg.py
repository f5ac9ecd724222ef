"""What JPEG does to a picture, in batch on any device: the transform and its rounding, without the file."""

import math

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from pnpsr import checks

# ITU-T T.81, Annex K: the tables that encoders scale by quality
LUMINANCE = (
    *(
        16,
        11,
        10,
        16,
        24,
        40,
        51,
        61,
        12,
        12,
        14,
        19,
        26,
        58,
        60,
        55,
        14,
        13,
        16,
        24,
        40,
        57,
        69,
        56,
        14,
        17,
        22,
        29,
        51,
        87,
        80,
        62,
    ),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    *(
        17,
        18,
        24,
        47,
        99,
        99,
        99,
        99,
        18,
        21,
        26,
        66,
        99,
        99,
        99,
        99,
        24,
        26,
        56,
        99,
        99,
        99,
        99,
        99,
        47,
        66,
        99,
        99,
        99,
        99,
        99,
        99,
    ),
    *((99,) * 32),
)
YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF
RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def jpeg(x: Tensor, quality: Tensor | float, *, halved: bool = True) -> Tensor:
    """x after compression: 8 x 8 cosine transform of Y, Cb, Cr, rounded to multiples of the tables at ``quality`` (ITU-T T.81).

    Args:
        x: pictures (b c h w) in [0, 1], gray or colour; values outside are cut, as a file has none.
        quality: 1 to 100 as in the IJG's encoder, a number or one per sample.
        halved: colour differences are stored at half the size (4:2:0), as cameras do.

    Returns:
        (b c h w) in [0, 1], rounded to 8 bits. No gradient passes the rounding.

    Raises:
        ValueError: no pictures, or a quality outside 1 to 100.

    Example:
        >>> import torch
        >>> from pnpsr.data import jpeg
        >>> x = torch.rand(1, 3, 16, 16)
        >>> bool((jpeg(x, 95.0) - x).abs().mean() < (jpeg(x, 10.0) - x).abs().mean())
        True
    """
    q = checks.per_sample(quality, checks.image(x, "x"), "quality", positive=True)
    if checks.reading() and not bool(((q >= 1) & (q <= 100)).all()):
        raise ValueError(f"quality must be between 1 and 100, got {q.min():g} to {q.max():g}")
    (h, w), colour = x.shape[-2:], x.shape[1] == 3
    levels = F.pad((255 * x.clamp(0, 1)).round(), (0, -w % 16, 0, -h % 16), mode="replicate")
    if not colour:
        return (_coded(levels - 128, q, LUMINANCE) + 128)[..., :h, :w].round().clamp(0, 255) / 255
    ycc = torch.einsum("ij,bjhw->bihw", levels.new_tensor(YCC), levels)
    luminance, chroma = _coded(ycc[:, :1] - 128, q, LUMINANCE) + 128, ycc[:, 1:]
    if halved:
        chroma = F.interpolate(_coded(F.avg_pool2d(chroma, 2), q, CHROMINANCE), scale_factor=2, mode="bilinear")
    else:
        chroma = _coded(chroma, q, CHROMINANCE)
    out = torch.einsum("ij,bjhw->bihw", levels.new_tensor(RGB), torch.cat((luminance, chroma), 1))
    return out[..., :h, :w].round().clamp(0, 255) / 255


def _coded(planes: Tensor, quality: Tensor, table: tuple[int, ...]) -> Tensor:
    """Planes (b c h w) around zero, through the rounded cosine transform and back."""
    steps = planes.new_tensor(table).reshape(8, 8)
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)  # (b 1 1 1)
    steps = ((steps * percent + 50) / 100).floor().clamp(1, 255)[:, :, None, None]
    n = torch.arange(8, dtype=planes.dtype, device=planes.device)
    basis = torch.cos(math.pi / 8 * (n + 0.5) * n[:, None]) / 2
    basis = torch.cat((basis[:1] / math.sqrt(2), basis[1:]))
    blocks = rearrange(planes, "b c (h p) (w q) -> b c h w p q", p=8, q=8)
    rounded = (basis @ blocks @ basis.mT / steps).round() * steps
    return rearrange(basis.mT @ rounded @ basis, "b c h w p q -> b c (h p) (w q)")
