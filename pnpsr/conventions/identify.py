"""Which convention made this y? The answer to "my kernel does not reproduce the picture"."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import product

from torch import Tensor

from pnpsr import checks, physics
from pnpsr.checks import Scale
from pnpsr.conventions.check import closeness
from pnpsr.conventions.convention import Convention
from pnpsr.conventions.convert import convert_kernel
from pnpsr.conventions.degrade import degrade
from pnpsr.conventions.named import NAMED

Pair = tuple[int, int]
Key = tuple[bool, str, str, Fraction, Fraction]
CLOSE = 0.1  # dB: candidates that an 8-bit y cannot tell apart
EQUAL = 120.0  # dB: what is left above it is rounding, in float32


def identify(y: Tensor, x: Tensor, k: Tensor, scale: Scale, *, border: Scale | None = None) -> list[tuple[str, float]]:
    """All named conventions and all decimation offsets, best first: (name, dB of the worst sample).

    Above 120 dB all count as equal and keep the order of ``NAMED``, other offsets last: where no border is in play, as for small
    kernels and middle offsets, boundaries cannot be told apart.

    Conventions that mean the same for this scale and size share a line ("PNPSR = DEEPINV = ..."). Offsets (row, column) other
    than a named one are tried with each direction and boundary, for even sizes with both integer centres. Conventions that put
    the kernel between pixels are tried with the interpolated one. If y has 256 levels the best are tried rounded and (if x
    has them too) truncated as well.

    Args:
        y: the given image (b c h w).
        x: the image it is said to come from.
        k: its kernel.
        scale: integer factor, or one per axis.
        border: as in :func:`reproduces`.

    Raises:
        TypeError: as :func:`degrade`.
        ValueError: as :func:`reproduces`.

    Example:
        >>> import torch
        >>> from pnpsr.conventions import degrade, identify, KAIR_CENTER
        >>> from pnpsr.kernels import gaussian, shift_kernel
        >>> x, k = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0)), shift_kernel(gaussian(7, 1.0), (1, 0))
        >>> identify(degrade(x, k, 3, KAIR_CENTER), x, k, 3)[0][0]
        'USRNET_UNSHIFTED = KAIR_CENTER'
    """
    y, pair = checks.image(y, "y"), checks.factors(scale)
    checks.divisible(checks.image(x, "x"), scale, "x")
    size = (checks.kernel(k, "k").shape[-2], k.shape[-1])
    labels, meant = _candidates(size, pair)
    blurred: dict[Convention, Tensor] = {}
    found = {key: closeness(y, _picture(x, k, pair, meant[key], blurred), border).min().item() for key in meant}
    ranked = [(labels[key], psnr) for key, psnr in found.items()]
    if _eight_bits(y):
        for key in [key for key, psnr in found.items() if psnr >= max(found.values()) - CLOSE]:
            rounded = physics.quantise(_picture(x, k, pair, meant[key], blurred))
            ranked.append((f"{labels[key]}, rounded", closeness(y, rounded, border).min().item()))
            if _eight_bits(x) and meant[key].decimation == "pick" and _on_grid(meant[key], size, pair):
                truncated = degrade(x, k, scale, meant[key].stored("truncate"))
                ranked.append((f"{labels[key]}, truncated", closeness(y, truncated, border).min().item()))
    return sorted(ranked, key=lambda line: -min(line[1], EQUAL))


def _candidates(size: Pair, scale: Pair) -> tuple[dict[Key, str], dict[Key, Convention]]:
    """What to try, each once: its label, and a convention that means it. What has the same taps at the same start is the same."""
    labels: dict[Key, str] = {}
    meant: dict[Key, Convention] = {}
    for name, convention in NAMED.items():
        key = _key(convention, size, scale)
        labels[key] = f"{labels[key]} = {name}" if key in labels else name
        meant.setdefault(key, convention)
    for label, convention in _displaced(size, scale):
        key = _key(convention, size, scale)
        labels.setdefault(key, label)
        meant.setdefault(key, convention)
    return labels, meant


def _key(convention: Convention, size: Pair, scale: Pair) -> Key:
    return convention.correlation, convention.boundary, convention.decimation, *convention.starts(size, scale)


def _displaced(size: Pair, scale: Pair) -> Iterator[tuple[str, Convention]]:
    """Every direction and boundary of the named ones at every offset, for even sizes also around the other centre."""
    centres = ("p//2", "(p-1)//2") if 0 in (size[0] % 2, size[1] % 2) else ("p//2",)
    for name, convention in NAMED.items():
        if convention.decimation == "pick" and convention.centre == "p//2" and convention.offset == 0:
            for centre, offset in product(centres, product(range(scale[0]), range(scale[1]))):
                where = f"{name} at offset {offset}" + ("" if centre == "p//2" else f" with centre {centre}")
                yield where, replace(convention, centre=centre, offset=offset)


def _on_grid(convention: Convention, size: Pair, scale: Pair) -> bool:
    return all(start.denominator == 1 for start in convention.starts(size, scale))


def _picture(x: Tensor, k: Tensor, scale: Pair, convention: Convention, blurred: dict[Convention, Tensor]) -> Tensor:
    """y under the convention; a blur that serves several offsets is made once and kept in ``blurred``."""
    size = (k.shape[-2], k.shape[-1])
    if not _on_grid(convention, size, scale):
        target = replace(convention, centre="p//2", offset=0)
        return degrade(x, convert_kernel(k, convention, target, scale, interpolate=True), scale, target)
    rows, columns = convention.offsets(scale)
    if convention.decimation == "bicubic" or rows.denominator * columns.denominator != 1:
        return degrade(x, k, scale, convention)
    full = replace(convention, offset=0)
    if full not in blurred:
        blurred[full] = degrade(x, k, 1, full)
    return blurred[full][..., int(rows) :: scale[0], int(columns) :: scale[1]]


def _eight_bits(t: Tensor) -> bool:
    grey = t * 255
    return bool(((grey - grey.round()).abs() <= 1e-2).all())
