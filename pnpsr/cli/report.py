"""What a restoration leaves behind: the picture in the format of the input, the kernel, and the scores where the truth is known."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pnpsr import checks
from pnpsr.evaluate import kernel_mse, psnr, ssim
from pnpsr.images import FORMATS, Picture, write_image
from pnpsr.kernels import dirac, resize_support, save_kernels
from pnpsr.photo import Restoration
from pnpsr.photo.tiles import enlarged
from pnpsr.starts import upsample


@dataclass(frozen=True)
class Truth:
    """The true image (1 c sh sw) and kernel (1 1 p q), as far as they are known."""

    x: Tensor | None = None
    k: Tensor | None = None


@dataclass(frozen=True)
class Target:
    """The file a picture goes to, and what is said about it."""

    path: Path
    bits: int
    notes: tuple[str, ...] = ()


def target(folder: Path, stem: str, picture: Picture, wanted: str | None = None) -> Target:
    """Format and depth of the input, or the format that is ``wanted`` (a suffix) at the depth that it holds.

    Raises:
        ValueError: the wanted format holds no transparency, and the picture has some.
    """
    suffix, bits, alpha, notes = wanted or picture.suffix, picture.bits, picture.alpha is not None, []
    if wanted is not None:
        checks.choice(wanted, tuple(FORMATS), "format")
    depths = FORMATS[suffix][alpha]
    if not depths:
        if wanted is not None:
            raise ValueError(f"{stem}: {wanted} holds no transparency, which the picture has; take png, tif or webp")
        suffix, depths = ".png", FORMATS[".png"][alpha]
        notes.append(f"written as PNG, since {picture.suffix[1:].upper()} holds no transparency here")
    if bits not in depths:
        bits = max(depths)
        notes.append(f"{'floats' if picture.bits == 32 else f'{picture.bits} bits'} become {bits} bits")
    return Target(folder / f"{stem}_restored{suffix}", bits, tuple(notes))


def write_result(to: Target, stem: str, picture: Picture, r: Restoration) -> tuple[list[Path], tuple[str, ...]]:
    """The restored picture with the input's transparency, profile and EXIF, and the kernel as .npz and .png: paths, and notes."""
    kernel, drawing = (to.path.with_name(f"{stem}_kernel{end}") for end in (".npz", ".png"))
    alpha = None if picture.alpha is None else enlarged(picture.alpha, r.scale)
    k = r.k if r.field is None else r.field.flatten(0, 1)[:, None]
    save_kernels(kernel, k)
    save_kernels(drawing, r.k.clamp_min(0))
    notes = write_image(to.path, r.x, alpha=alpha, bits=to.bits, icc=picture.icc, exif=picture.exif)
    return [to.path, kernel, drawing], notes


def scores(y: Tensor, r: Restoration, truth: Truth) -> dict[str, tuple[float, ...]]:
    """(PSNR, SSIM) of the ``bicubic`` and the ``restored`` image, and the ``kernel`` error × 1e5 without blur and as found.

    Over RGB with ``scale`` pixels of border left out; what there is no truth for is missing.

    Raises:
        ValueError: a truth of another size than the result.
    """
    lines: dict[str, tuple[float, ...]] = {}
    if truth.x is not None:
        for name, x in (("bicubic", upsample(y, r.scale).clamp(0, 1)), ("restored", r.x)):
            lines[name] = tuple(float(measure(x, truth.x, border=r.scale)) for measure in (psnr, ssim))
    if truth.k is not None:
        size = max(*r.k.shape[-2:], *truth.k.shape[-2:])
        size += 1 - size % 2
        true, mine = (resize_support(k.float(), size) for k in (truth.k, r.k))
        lines["kernel"] = tuple(1e5 * float(kernel_mse(k, true)) for k in (dirac(size), mine))
    return lines


def fits(y: Tensor, scale: int, truth: Truth) -> None:
    """Refuse a truth of another size than the result will have.

    Raises:
        ValueError: it has another.
    """
    h, w = y.shape[-2:]
    if truth.x is not None and truth.x.shape[-2:] != (h * scale, w * scale):
        raise ValueError(f"truth of {tuple(truth.x.shape[-2:])} is not {scale} times the image of {(h, w)}")


def spoken(lines: dict[str, tuple[float, ...]]) -> dict[str, str]:
    """The scores as lines for a reader."""
    said = {name: f"{values[0]:.2f} dB, SSIM {values[1]:.4f}" for name, values in lines.items() if name != "kernel"}
    if "kernel" in lines:
        none, found = lines["kernel"]
        said["kernel"] = f"mean squared error × 1e5: {none:.2f} of no blur, {found:.2f} estimated"
    return said
