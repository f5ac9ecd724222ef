"""Bytes to samples (h w c): TIFF by tifffile, PNG of 16 bits by imagecodecs, all else by Pillow.

Pillow knows animations, profiles and EXIF, but no colours of 16 bits; tifffile every kind of TIFF. Whatever a damaged file makes
them raise becomes a ``ValueError``, and nothing that they would say about it reaches the screen.
"""

import io
import logging
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pnpsr.images.formats import PIXELS

if TYPE_CHECKING:
    from PIL.Image import Exif, Image

Samples = NDArray[Any]
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".png", "TIFF": ".tif"}
# description, make, model, resolution (3), software, date, artist, copyright, EXIF, GPS
DESCRIBES = (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298, 0x8769, 0x8825)
ORIENTATION, EXIF_BLOCK, WIDTH, HEIGHT = 0x0112, 0x8769, 0xA002, 0xA003
PNG_DEPTH = 24  # the byte of a PNG that says how many bits a sample has

for name in ("tifffile", "imagecodecs"):  # they log damage, to the screen where nobody listens
    logging.getLogger(name).addHandler(logging.NullHandler())


@dataclass
class Decoded:
    """Samples (h w c) with c = 1, 3, or 2 and 4 with alpha last, as the camera was held, and what goes with them."""

    samples: Samples
    suffix: str
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    notes: list[str] = field(default_factory=list)


def decode(data: bytes, page: int | None = None) -> Decoded:
    """The picture in ``data``: of a TIFF with several pages that ``page`` (from 0), or the first with a note on the others.

    Raises:
        ValueError: no picture, no such page, a damaged one, or more than :data:`PIXELS` pixels; without the file's name.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both libraries warn of what is handled here, and of damage they step over
        try:
            if data.startswith(TIFF):
                return _tiff(data, page)
            if page:
                raise refused(f"has no page {page + 1}; only TIFF holds several")
            return _pillow(data)
        except ValueError as error:
            if getattr(error, "ours", False):
                raise
            reason = error
        except Exception as error:  # a damaged file raises almost anything, in both libraries
            reason = error  # type: ignore[assignment]
    raise refused("is not a whole picture of a known format; PNG, TIFF, JPEG, WebP, BMP and GIF are") from reason


def refused(message: str) -> ValueError:
    """A ``ValueError`` whose words are meant for the user."""
    error = ValueError(message)
    error.ours = True  # type: ignore[attr-defined]
    return error


def too_many(h: int, w: int) -> None:
    """Refuse a picture of more than :data:`PIXELS` pixels.

    Raises:
        ValueError: it has more.
    """
    if h * w > PIXELS:
        raise refused(f"says it has {h} x {w} pixels; at most {PIXELS / 1e6:.0f} megapixels are opened")


def _pillow(data: bytes) -> Decoded:
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise refused(f"says it has too many pixels; at most {PIXELS / 1e6:.0f} megapixels are opened") from error
    if image.format not in SUFFIX:
        raise refused(f"is a {image.format} picture; PNG, TIFF, JPEG, WebP, BMP and GIF are read")
    too_many(image.height, image.width)
    exif = image.getexif()
    orientation = exif.get(ORIENTATION, 1)
    notes = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        notes.append(f"the first of {frames} frames")
    if image.format == "GIF":
        notes.append("GIF holds 256 colours, so the result is PNG")
    icc = image.info.get("icc_profile")
    if image.mode == "CMYK":
        notes.append("CMYK is converted to RGB without its profile")
        icc = None
    deep = image.format == "PNG" and data[PNG_DEPTH] == 16
    samples = _sixteen_bits(data) if deep else _by_pillow(image)
    return Decoded(samples, SUFFIX[image.format], orientation, icc, _block(exif), notes)


def _sixteen_bits(data: bytes) -> Samples:
    import imagecodecs

    samples = imagecodecs.png_decode(data)
    return samples[..., None] if samples.ndim == 2 else samples


def _by_pillow(image: "Image") -> Samples:
    image.seek(0)
    mode = image.mode
    if mode in ("1", "L"):
        wanted = "L"
    elif image.has_transparency_data:
        wanted = "RGBA"
    elif mode == "P" and image.palette is not None and _gray(image.palette.getdata()[1]):
        wanted = "L"
    else:
        wanted = "RGB"
    samples = np.array(image.convert(wanted))
    return samples[..., None] if samples.ndim == 2 else samples


def _gray(palette: bytes) -> bool:
    return palette[0::3] == palette[1::3] == palette[2::3]


def _block(exif: "Exif") -> bytes | None:
    """EXIF for the upright picture of whatever size; None where there is nothing else in it."""
    exif.pop(ORIENTATION, None)
    for name in (WIDTH, HEIGHT):
        exif.get_ifd(EXIF_BLOCK).pop(name, None)
    return exif.tobytes() if len(exif) else None


def count_pages(file: BinaryIO) -> int:
    """How many pictures a TIFF holds, without thumbnails and masks; 1 for everything else, damaged files among them."""
    head = file.read(4)
    if head not in TIFF:
        return 1
    import tifffile

    file.seek(0)
    try:
        with warnings.catch_warnings(), tifffile.TiffFile(file) as opened:
            warnings.simplefilter("ignore")
            return max(1, len(_full(opened)))
    except Exception:  # what is wrong with it is said when it is read
        return 1


def _full(file: Any) -> list[Any]:
    """The pages that are pictures of their own."""
    return [page for page in file.pages if not page.is_reduced and not page.is_mask]


def _tiff(data: bytes, wanted: int | None) -> Decoded:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages = _full(file) or [file.pages.first]
        if (wanted or 0) >= len(pages):
            raise refused(f"has no page {(wanted or 0) + 1}, it has {len(pages)}")
        page = pages[wanted or 0]
        if page.photometric not in (0, 1, 2, 3, 5, 6) or page.imagedepth > 1:
            raise refused(f"is a TIFF of another kind of colours ({int(page.photometric)}); save it as gray or RGB")
        too_many(page.imagelength, page.imagewidth)
        if page.size > 4 * PIXELS:
            raise refused(f"holds {page.size} samples in one page; save it as gray or RGB")
        samples = page.asarray()
        samples = samples[..., None] if "S" not in page.axes else np.moveaxis(samples, page.axes.index("S"), -1)
        if samples.ndim != 3 or samples.size == 0:
            raise ValueError(f"samples of shape {samples.shape}")
        notes = [f"the first of {len(pages)} pages"] if len(pages) > 1 and wanted is None else []
        icc = page.iccprofile
        samples, note = _colours(page, samples)
        if note:
            notes, icc = [*notes, note], None
        orientation = int(page.tags.valueof(ORIENTATION) or 1)
    return Decoded(samples, ".tif", orientation, icc, _described(data, page.index), notes)


def _colours(page: Any, samples: Samples) -> tuple[Samples, str | None]:
    """Samples as gray or RGB, alpha last and not multiplied into the colours; a word where the profile no longer fits."""
    photometric, note = int(page.photometric), None
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * np.uint8(255)
    if photometric == 0:  # white is zero
        samples = (np.iinfo(samples.dtype).max - samples).astype(samples.dtype)
    if photometric == 3:  # 16-bit palette
        samples = page.colormap.T[samples[..., 0]]
        samples = (samples >> 8).astype(np.uint8)
    if photometric == 5:  # cyan, magenta, yellow, black
        ink = samples.astype(np.float64) / np.iinfo(samples.dtype).max
        light = (1 - ink[..., :3]) * (1 - ink[..., 3:4])
        samples, note = (
            (light * np.iinfo(samples.dtype).max).round().astype(samples.dtype),
            "CMYK is converted to RGB without its profile",
        )
    if page.extrasamples and int(page.extrasamples[0]) == 1:  # colours come multiplied by alpha
        samples = _divided(samples)
    return samples, note


def _divided(samples: Samples) -> Samples:
    peak = 1.0 if samples.dtype.kind == "f" else float(np.iinfo(samples.dtype).max)
    alpha = samples[..., -1:].astype(np.float64) / peak
    colours = np.divide(samples[..., :-1], alpha, out=np.zeros(samples[..., :-1].shape), where=alpha > 0).clip(0, peak)
    colours = colours if samples.dtype.kind == "f" else colours.round()
    return np.concatenate([colours.astype(samples.dtype), samples[..., -1:]], -1)


def _described(data: bytes, index: int) -> bytes | None:
    """The tags of a page of a TIFF that say something on the picture and not on the file, as EXIF."""
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
        image.seek(index)
        exif = image.getexif()
        for tag in [tag for tag in exif if tag not in DESCRIBES]:
            del exif[tag]
        return _block(exif)
    except Exception:  # Pillow does not open every kind of TIFF
        return None
