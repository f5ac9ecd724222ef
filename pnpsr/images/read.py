"""A file to a picture."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pnpsr import checks
from pnpsr.images.decode import count_pages, decode
from pnpsr.images.formats import PEAK
from pnpsr.images.picture import LUMA, Picture

BITS = {"uint8": 8, "uint16": 16, "float16": 32, "float32": 32, "float64": 32}
TURNS = {1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


def read_image(path: str | Path, *, channels: int | None = None, page: int | None = None) -> Picture:
    """The picture in a file (PNG, TIFF, JPEG, WebP, BMP, GIF), upright, as floats in [0, 1], with its profile and EXIF.

    What it is its first bytes say, not its name. Gray stays gray, alpha is kept apart and not multiplied into the colours, palettes
    are resolved, EXIF orientation is applied and taken out of the EXIF; of an animation the first frame is read. ``notes`` of the
    result say what was left or converted.

    Args:
        path: the file.
        channels: 1 turns colour into its luma 0.299 R + 0.587 G + 0.114 B, 3 repeats gray, None keeps what the file has.
        page: of a TIFF that has several (:func:`pages_in`), from 0; None is the first, and ``notes`` tell of the others.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, a file that is no (whole) picture, a page that it has not, over 178 megapixels, unsupported
            samples, floats outside [0, 1].

    Example:
        >>> import torch
        >>> from pnpsr.images import read_image, write_image
        >>> write_image("deep.png", torch.full((1, 1, 4, 4), 0.25), bits=16)
        ()
        >>> picture = read_image("deep.png")
        >>> picture.bits, picture.image.shape, round(float(picture.image.mean()), 4)
        (16, torch.Size([1, 1, 4, 4]), 0.25)
    """
    checks.choice(channels, (None, 1, 3), "channels")
    path = _file(path)
    try:
        found = decode(path.read_bytes(), page if page is None else checks.whole(page, "page", 0))
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    pixels = _upright(found.samples, found.orientation)
    bits = _bits(pixels, path)
    planes = torch.empty(1, pixels.shape[2], *pixels.shape[:2])
    for channel in range(pixels.shape[2]):  # one by one: never a second copy of a large picture in floats
        planes[0, channel] = torch.from_numpy(pixels[..., channel].astype(np.float32))
    if bits < 32:
        planes /= PEAK[bits]
    colours = planes.shape[1] - (planes.shape[1] in (2, 4))
    image, alpha = planes[:, :colours], planes[:, colours:] if colours < planes.shape[1] else None
    if colours == 3 and (alpha is not None or found.suffix == ".webp") and torch.equal(image[:, :1].expand_as(image), image):
        image = image[:, :1]  # gray with alpha has four channels for most decoders, and gray in WebP always three
    if channels == 3:
        image = image.expand(-1, 3, -1, -1)
    elif channels == 1 and image.shape[1] == 3:
        image = (image * image.new_tensor(LUMA).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    alpha = None if alpha is None else alpha.contiguous()
    return Picture(image.contiguous(), alpha, bits, found.suffix, found.icc, found.exif, tuple(found.notes))


def pages_in(path: str | Path) -> int:
    """How many pictures a file holds that are restored one by one: the pages of a TIFF, 1 for all others.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder.

    Example:
        >>> import torch
        >>> from pnpsr.images import pages_in, write_image
        >>> write_image("one.png", torch.rand(1, 3, 4, 4))
        ()
        >>> pages_in("one.png")
        1
    """
    with _file(path).open("rb") as file:
        return count_pages(file)


def _file(path: str | Path) -> Path:
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a picture; name one file")
    if not path.exists():
        raise FileNotFoundError(f"there is no picture at {path}")
    return path


def _bits(pixels: NDArray[np.generic], path: Path) -> int:
    bits = BITS.get(pixels.dtype.name)
    if bits is None or pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or pixels.size == 0:
        raise ValueError(f"{path} holds {pixels.dtype} samples of shape {pixels.shape}; save it as 8-bit or 16-bit gray or colour")
    if bits == 32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"{path} holds floats from {pixels.min():g} to {pixels.max():g}; rescale them to [0, 1]")
    return bits


def _upright(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """The picture as it was seen, from the EXIF tag 1 .. 8: quarter turns, then left to right."""
    turns, mirrored = TURNS.get(orientation, (0, False))
    turned = np.rot90(pixels, turns)
    return turned[:, ::-1] if mirrored else turned
