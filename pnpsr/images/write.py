"""A picture to a file: samples in strips, so that a large picture is never held twice in floats."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pnpsr import checks
from pnpsr.files import replace_file
from pnpsr.images.formats import PEAK, check_destination
from pnpsr.images.read import read_image

STRIP = 256  # rows that are converted at a time
QUALITY = 95  # of JPEG and WebP
PLAIN_TAGS = (0x010F, 0x0110, 0x0132, 0x013B, 0x8298)  # make, model, date, artist, copyright: what TIFF holds as text of its own
BLOCKS = (0x8769, 0x8825)  # EXIF and GPS, which may be empty
RESOLUTION = (0x011A, 0x011B, 0x0128)  # which is another one after an enlargement


def write_image(
    path: str | Path,
    image: Tensor,
    *,
    alpha: Tensor | None = None,
    bits: int = 8,
    icc: bytes | None = None,
    exif: bytes | None = None,
) -> tuple[str, ...]:
    """Write round(peak · clamp(image, 0, 1)) with peak = 255 or 65535 (``bits=32``: the floats); all of the file or none of it.

    Args:
        path: where; the suffix decides the format (see :func:`check_destination`).
        image: (1 1 h w) gray or (1 3 h w) colour, in [0, 1].
        alpha: (1 1 h w) in [0, 1], 1 is opaque.
        bits: 8, 16, or 32 for floats.
        icc: colour profile.
        exif: EXIF block, of an upright picture.

    Returns:
        What of profile and EXIF the format does not hold, one sentence each.

    Raises:
        ValueError: a batch, another number of channels, NaN, a combination that :func:`check_destination` refuses.
        OSError: no such folder, or the disk said no.

    Example:
        >>> import torch
        >>> from pnpsr.images import read_image, write_image
        >>> write_image("one.png", torch.rand(1, 3, 4, 4))
        ()
        >>> read_image("one.png").image.shape
        torch.Size([1, 3, 4, 4])
    """
    path = check_destination(path, bits=bits, alpha=alpha is not None)
    image = checks.image(image, "image").detach()
    if image.shape[0] != 1 or image.shape[1] not in (1, 3):
        raise ValueError(f"image must be one picture, (1 1 h w) or (1 3 h w), got {tuple(image.shape)}; write a batch one by one")
    if alpha is not None and checks.image(alpha, "alpha", 1).shape != (1, 1, *image.shape[-2:]):
        raise ValueError(f"alpha of shape {tuple(alpha.shape)} does not fit an image of {tuple(image.shape)}; enlarge it too")
    notes: list[str] = []
    gray = image.shape[1] == 1 and alpha is None
    if icc is not None and (icc[16:20] == b"GRAY") != gray:
        icc, notes = None, ["the colour profile is for another kind of picture and is left out"]
    samples = _samples(image, alpha, bits)
    data = _encode(path.suffix.lower(), samples, icc, exif, notes)
    replace_file(path, data)
    return tuple(notes)


def _samples(image: Tensor, alpha: Tensor | None, bits: int) -> NDArray[Any]:
    """(h w c) of the file's own type, red first, alpha last."""
    channels = image.shape[1] if alpha is None else 4
    out = np.empty((*image.shape[-2:], channels), np.float32 if bits == 32 else np.dtype(f"uint{bits}"))
    for top in range(0, len(out), STRIP):
        rows = slice(top, top + STRIP)
        for part, planes in ((slice(None, None if alpha is None else 3), image), (slice(3, 4), alpha)):
            if planes is not None:
                levels = planes[0, :, rows].permute(1, 2, 0).cpu().double().numpy().clip(0, 1) * PEAK[bits]
                out[rows, :, part] = levels if bits == 32 else levels.round()
    return out


def _encode(suffix: str, samples: NDArray[Any], icc: bytes | None, exif: bytes | None, notes: list[str]) -> bytes:
    if suffix in (".tif", ".tiff"):
        file = io.BytesIO()
        _tiff(file, [(samples, _tags(exif, notes), icc)])
        return file.getvalue()
    if suffix in (".jpg", ".jpeg", ".webp"):
        return _pillow(suffix, samples, icc, exif)
    import cv2

    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[samples.shape[2]]
    whole, data = cv2.imencode(suffix, samples[..., order])  # OpenCV stores blue first
    if not whole:
        raise ValueError(f"a picture of {samples.shape[1]} x {samples.shape[0]} cannot be encoded as {suffix}")
    if suffix == ".png":
        return b"".join(_with_chunks(data.tobytes(), icc, exif))
    notes += [f"{suffix[1:].upper()} holds no {what}" for what, there in (("colour profile", icc), ("EXIF", exif)) if there]
    return data.tobytes()


def _pillow(suffix: str, samples: NDArray[Any], icc: bytes | None, exif: bytes | None) -> bytes:
    from PIL import Image

    file, more = io.BytesIO(), {"icc_profile": icc} if icc else {}
    more |= {"exif": exif} if exif else {}
    kind = "WEBP" if suffix == ".webp" else "JPEG"
    try:
        image = Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)
        gray = bool((samples[..., :1] == samples[..., 1:3]).all())  # which lossy WebP would tint
        image.save(
            file, kind, quality=QUALITY, **({"subsampling": 0} if kind == "JPEG" else {"exact": True, "lossless": gray}), **more
        )
    except (OSError, ValueError, SystemError) as error:
        largest = 16383 if kind == "WEBP" else 65500
        raise ValueError(
            f"a picture of {samples.shape[1]} x {samples.shape[0]} does not fit {kind}, which holds {largest} a side"
        ) from error
    return file.getvalue()


def _with_chunks(png: bytes, icc: bytes | None, exif: bytes | None) -> Iterator[bytes]:
    """The PNG with iCCP and eXIf after its header, where decoders look for them."""
    header = 8 + 12 + 13
    yield png[:header]
    for name, content in (
        (b"iCCP", b"ICC profile\0\0" + zlib.compress(icc) if icc else None),
        (b"eXIf", exif.removeprefix(b"Exif\0\0") if exif else None),
    ):
        if content is not None:
            yield struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    yield png[header:]


def _tags(exif: bytes | None, notes: list[str]) -> list[tuple[int, int, int, str, bool]]:
    """What TIFF holds of an EXIF block."""
    if not exif:
        return []
    from PIL import Image

    stored = Image.Exif()
    stored.load(exif)
    if any(tag not in (*PLAIN_TAGS, *RESOLUTION) and (tag not in BLOCKS or stored.get_ifd(tag)) for tag in stored):
        notes.append("of the EXIF, TIFF keeps make, model, date, artist and copyright")
    return [(tag, 2, 0, str(stored[tag]), True) for tag in PLAIN_TAGS if tag in stored]


def _tiff(file: BinaryIO, pages: Iterable[tuple[NDArray[Any], list[Any], bytes | None]]) -> None:
    """A page for each of samples, tags and profile, one after another: no more than one is in memory."""
    import tifffile

    with tifffile.TiffWriter(file) as writer:
        for samples, tags, icc in pages:
            options: dict[str, Any] = {"extrasamples": ["unassalpha"]} if samples.shape[2] == 4 else {}
            writer.write(
                samples[..., 0] if samples.shape[2] == 1 else samples,
                photometric="minisblack" if samples.shape[2] == 1 else "rgb",
                compression="adobe_deflate",
                predictor=samples.dtype.kind != "f",
                iccprofile=icc,
                extratags=tags,
                metadata=None,
                software=False,
                **options,
            )


def join_pages(path: str | Path, parts: Sequence[Path]) -> None:
    """Write one TIFF whose pages are the pictures of the files ``parts``, as deep as each of them; all of the file or none of it.

    Raises:
        ValueError: ``path`` is no TIFF, a part cannot be read.
        OSError: no such folder or part, or the disk said no.

    Example:
        >>> import pathlib
        >>> import torch
        >>> from pnpsr.images import join_pages, pages_in, write_image
        >>> write_image("one.png", torch.rand(1, 3, 4, 4))
        ()
        >>> join_pages("both.tif", [pathlib.Path("one.png"), pathlib.Path("one.png")])
        >>> pages_in("both.tif")
        2
    """
    path = check_destination(path, bits=32)

    def pages() -> Iterator[tuple[NDArray[Any], list[Any], bytes | None]]:
        for part in parts:
            picture = read_image(part)
            yield _samples(picture.image, picture.alpha, picture.bits), _tags(picture.exif, []), picture.icc

    replace_file(path, lambda file: _tiff(file, pages()))
