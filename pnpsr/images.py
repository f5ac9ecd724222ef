"""Pictures in and out of files, at their own bit depth; sample pictures; crops. OpenCV decodes: it keeps 16 bits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.files import replace_file

PEAK = {8: 255.0, 16: 65535.0, 32: 1.0}  # largest value of a file with so many bits per sample; 32 are floats
# suffix: (bits without alpha, bits with alpha). No alpha in 8-bit TIFF: decoders disagree on whether it multiplies the colours
FORMATS = {
    ".png": ((8, 16), (8, 16)),
    ".tif": ((8, 16, 32), (16,)),
    ".tiff": ((8, 16, 32), (16,)),
    ".jpg": ((8,), ()),
    ".jpeg": ((8,), ()),
    ".bmp": ((8,), ()),
}
SAMPLES = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field"),
    *("immunohistochemistry", "moon", "page", "retina", "rocket", "text"),
)
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, full range


@dataclass(frozen=True)
class Picture:
    """What a file held, and what is needed to write a result of the same kind."""

    image: Tensor  # (1 c h w) float32 in [0, 1]; c = 1 gray, 3 red green blue
    alpha: Tensor | None = None  # (1 1 h w) float32 in [0, 1], or None: the file has no transparency
    bits: int = 8  # per sample: 8, 16, or 32 for floats


def read_image(path: str | Path, *, channels: int | None = None) -> Picture:
    """The picture in a file (PNG, TIFF, JPEG and whatever else OpenCV decodes), upright, as floats in [0, 1].

    Gray stays gray, alpha is kept apart, palettes are resolved, EXIF orientation is applied, colour profiles are ignored; of a
    file with several pages the first is read.

    Args:
        path: the file.
        channels: 1 turns colour into its luma 0.299 R + 0.587 G + 0.114 B, 3 repeats gray, None keeps what the file has.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, a file that is no (whole) picture, unsupported samples, floats outside [0, 1].
    """
    checks.choice(channels, (None, 1, 3), "channels")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a picture; name one file")
    if not path.exists():
        raise FileNotFoundError(f"there is no picture at {path}")
    pixels = _decode(path.read_bytes(), path)
    bits = {"uint8": 8, "uint16": 16, "float32": 32, "float64": 32}.get(pixels.dtype.name)
    if bits is None or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
        raise ValueError(f"{path} holds {pixels.dtype} samples of shape {pixels.shape}; save it as 8-bit or 16-bit gray or colour")
    if bits == 32 and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(f"{path} holds floats from {pixels.min():g} to {pixels.max():g}; rescale them to [0, 1]")
    planes = torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1) / np.float32(PEAK[bits]))[None]
    image, alpha = (planes[:, :3], planes[:, 3:]) if planes.shape[1] == 4 else (planes, None)
    if alpha is not None and torch.equal(image[:, :1].expand_as(image), image):
        image = image[:, :1]  # gray with alpha: decoders know only four channels
    if channels == 3:
        image = image.expand(-1, 3, -1, -1)
    elif channels == 1 and image.shape[1] == 3:
        image = (image * image.new_tensor(LUMA).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    return Picture(image.contiguous(), None if alpha is None else alpha.contiguous(), bits)


def write_image(path: str | Path, image: Tensor, *, alpha: Tensor | None = None, bits: int = 8) -> None:
    """Write round(peak · clamp(image, 0, 1)) with peak = 255 or 65535 (``bits=32``: the floats); all of the file or none of it.

    Args:
        path: where; the suffix decides the format (see :func:`check_destination`).
        image: (1 1 h w) gray or (1 3 h w) colour, in [0, 1].
        alpha: (1 1 h w) in [0, 1], 1 is opaque.
        bits: 8, 16, or 32 for floats.

    Raises:
        ValueError: a batch, another number of channels, NaN, a combination that :func:`check_destination` refuses.
        OSError: no such folder, or the disk said no.
    """
    import cv2

    path = check_destination(path, bits=bits, alpha=alpha is not None)
    planes = checks.image(image, "image").detach()
    if planes.shape[0] != 1 or planes.shape[1] not in (1, 3):
        raise ValueError(f"image must be one picture, (1 1 h w) or (1 3 h w), got {tuple(planes.shape)}; write a batch one by one")
    planes = planes.flip(1)  # OpenCV stores blue first
    if alpha is not None:
        if checks.image(alpha, "alpha", 1).shape != (1, 1, *planes.shape[-2:]):
            raise ValueError(f"alpha of shape {tuple(alpha.shape)} does not fit an image of {tuple(image.shape)}; enlarge it too")
        planes = torch.cat([planes.expand(-1, 3, -1, -1), alpha.detach().to(planes)], 1)
    levels = planes[0].permute(1, 2, 0).cpu().double().numpy().clip(0, 1) * PEAK[bits]
    levels = levels.astype(np.float32) if bits == 32 else levels.round().astype(f"uint{bits}")
    whole, data = cv2.imencode(path.suffix.lower(), levels)
    if not whole:
        raise ValueError(f"an image of shape {tuple(image.shape)} cannot be encoded as {path.suffix}")
    replace_file(path, data.tobytes())


def check_destination(path: str | Path, *, bits: int = 8, alpha: bool = False) -> Path:
    """The path, if :func:`write_image` can write there: ask before minutes of computing.

    Raises:
        ValueError: unknown suffix, a format without such bits or without alpha, a folder in place of the file.
        FileNotFoundError: no such folder.
    """
    path = Path(path)
    checks.choice(bits, tuple(PEAK), "bits")
    checks.choice(path.suffix.lower(), tuple(FORMATS), f"the suffix of {path}")
    if bits not in FORMATS[path.suffix.lower()][alpha]:
        fit = [suffix for suffix, options in FORMATS.items() if bits in options[alpha]]
        raise ValueError(
            f"{path}: {path.suffix} does not hold {bits} bits{' with alpha' if alpha else ''}; "
            f"use {' or '.join(fit) if fit else 'other bits or no alpha'}"
        )
    return checks.writable(path)


def sample_picture(name: str = "astronaut") -> Tensor:
    """One of scikit-image's pictures that come with its installation: (1 3 h w), or (1 1 h w) for a gray one, in [0, 1].

    Raises:
        ValueError: unknown name; the message lists them.
    """
    checks.choice(name, SAMPLES, "name")
    from skimage import data

    pixels = np.atleast_3d(getattr(data, name)())
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(PEAK[8]))


def crop_to_multiple(x: Tensor, scale: Scale) -> Tensor:
    """x (b c h w) without its last rows and columns that ↓s would split: sides become multiples of the scale.

    Raises:
        ValueError: the image is smaller than the scale.
    """
    (s1, s2), (h, w) = checks.factors(scale), checks.image(x, "x").shape[-2:]
    if h < s1 or w < s2:
        raise ValueError(f"x of {h} x {w} is smaller than the scale {scale}")
    return x[..., : h - h % s1, : w - w % s2]


def _decode(data: bytes, path: Path) -> NDArray[np.generic]:
    """Pixels (h w c), upright, red first."""
    import cv2

    flat = raw = None
    buffer = np.frombuffer(data, np.uint8)
    try:
        if not data.startswith(b"GIF8"):  # some versions decode the first frame of an animation, some nothing
            flat = cv2.imdecode(buffer, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)  # upright, but drops alpha
            raw = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)  # has alpha, but lies as the camera was held
    except cv2.error:  # an empty file, or more pixels than it dares
        pass
    if flat is None or raw is None:
        raise ValueError(f"{path} is not a whole picture of a known format; PNG, TIFF and JPEG are")
    if raw.ndim == 3 and raw.shape[2] == 4:
        if data[:4] in (b"II*\0", b"MM\0*") and raw.dtype == np.uint8 and raw[..., 3].min() < 255:
            raise ValueError(f"{path} is an 8-bit TIFF with transparency, whose colours the decoder may alter; save it as PNG")
        return _upright(raw, flat)[..., [2, 1, 0, 3]]
    return flat[..., ::-1] if flat.ndim == 3 else flat[..., None]


def _upright(raw: NDArray[np.generic], flat: NDArray[np.generic]) -> NDArray[np.generic]:
    """``raw`` (h w 4) turned and mirrored until its colours are those of ``flat``: the orientation tag itself is not handed out."""
    for turns in range(4):
        for side in (raw, raw[:, ::-1]):
            turned = np.rot90(side, turns)
            if np.array_equal(turned[..., :3], flat):
                return turned
    return raw
