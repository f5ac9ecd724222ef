"""A picture in memory, with everything that its file said about it."""

from dataclasses import dataclass

from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, full range


@dataclass(frozen=True)
class Picture:
    """What a file held, and what is needed to write a result of the same kind.

    Example:
        >>> import torch
        >>> from pnpsr.images import Picture
        >>> Picture(torch.rand(1, 3, 4, 4)).bits
        8
    """

    image: Tensor  # (1 c h w) float32 in [0, 1]; c = 1 gray, 3 red green blue
    alpha: Tensor | None = None  # (1 1 h w) float32 in [0, 1], or None: the file has no transparency
    bits: int = 8  # per sample: 8, 16, or 32 for floats
    suffix: str = ".png"  # of the format that the content is in, whatever the file is called
    icc: bytes | None = None  # colour profile, as the file has it
    exif: bytes | None = None  # EXIF block for the picture as it lies in ``image``: upright, of no stated size
    notes: tuple[str, ...] = ()  # what of the file is not here, or here in another form, one sentence each


def crop_to_multiple(x: Tensor, scale: Scale) -> Tensor:
    """x (b c h w) without its last rows and columns that ↓s would split: sides become multiples of the scale.

    Raises:
        ValueError: the image is smaller than the scale.

    Example:
        >>> import torch
        >>> from pnpsr.images import crop_to_multiple
        >>> crop_to_multiple(torch.rand(1, 3, 9, 11), 4).shape
        torch.Size([1, 3, 8, 8])
    """
    (s1, s2), (h, w) = checks.factors(scale), checks.image(x, "x").shape[-2:]
    if h < s1 or w < s2:
        raise ValueError(f"x of {h} x {w} is smaller than the scale {scale}")
    return x[..., : h - h % s1, : w - w % s2]
