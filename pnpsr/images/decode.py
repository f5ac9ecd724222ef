"""Bytes to samples (h w c), in four ways: what OpenCV decodes, what Pillow does, TIFF, and who is asked first.

OpenCV keeps 16 bits; Pillow knows animations, WebP, profiles and EXIF; tifffile every kind of TIFF. Whatever a damaged file makes
them raise becomes a ``ValueError``.
"""

import io
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass
class Decoded:
    """Samples (h w c) with c = 1, 3, or 2 and 4 with alpha last, as the camera was held, and what goes with them."""

    samples: Samples
    suffix: str
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes | None = None
    notes: list[str] = field(default_factory=list)


def decode(data: bytes) -> Decoded:
    """The first picture in ``data``.

    Raises:
        ValueError: no picture, or a damaged one, or more than :data:`PIXELS` pixels; without the file's name.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # both libraries warn of what is handled here, and of damage they step over
        try:
            return _tiff(data) if data.startswith(TIFF) else _pillow(data)
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
    samples = _by_opencv(data) if image.format in ("PNG", "JPEG", "MPO", "BMP") else None
    if samples is None:
        samples = _by_pillow(image)
    return Decoded(samples, SUFFIX[image.format], orientation, icc, _block(exif), notes)


def _by_opencv(data: bytes) -> Samples | None:
    import cv2

    try:
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    if samples is None:
        raise ValueError("OpenCV found no picture")
    if samples.ndim == 2:
        return samples[..., None]
    return samples[..., [2, 1, 0, 3]] if samples.shape[2] == 4 else samples[..., ::-1]


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


def _tiff(data: bytes) -> Decoded:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        pages, page = len(file.pages), file.pages.first
        if page.photometric not in (0, 1, 2, 3, 5, 6) or page.imagedepth > 1:
            raise refused(f"is a TIFF of another kind of colours ({int(page.photometric)}); save it as gray or RGB")
        too_many(page.imagelength, page.imagewidth)
        if page.size > 4 * PIXELS:
            raise refused(f"holds {page.size} samples in one page; save it as gray or RGB")
        samples = page.asarray()
        samples = samples[..., None] if "S" not in page.axes else np.moveaxis(samples, page.axes.index("S"), -1)
        notes = [f"the first of {pages} pages"] if pages > 1 else []
        icc = page.iccprofile
        samples, note = _colours(page, samples)
        if note:
            notes, icc = [*notes, note], None
        orientation = int(page.tags.valueof(ORIENTATION) or 1)
    return Decoded(samples, ".tif", orientation, icc, _described(data), notes)


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


def _described(data: bytes) -> bytes | None:
    """The tags of a TIFF that say something on the picture and not on the file, as EXIF."""
    from PIL import Image

    try:
        exif = Image.open(io.BytesIO(data)).getexif()
        for tag in [tag for tag in exif if tag not in DESCRIBES]:
            del exif[tag]
        return _block(exif)
    except Exception:  # Pillow does not open every kind of TIFF
        return None
