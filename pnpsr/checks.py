"""Refuse bad input in one sentence: which argument, what came, what to do.

Every public edge of the library calls these; private cores trust them. Checks of *values* (NaN, sign) read numbers back
from the device, so they are skipped while ``torch.compile`` traces.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real
from pathlib import Path

import torch
from torch import Tensor

Scale = int | tuple[int, int]


def tracing() -> bool:
    """True while ``torch.compile`` traces: values cannot be read then, only shapes and types."""
    return torch.compiler.is_compiling()


def factors(scale: Scale, name: str = "scale") -> tuple[int, int]:
    """``scale`` as (rows, columns): positive integers, one per axis.

    Raises:
        TypeError: not an integer or a pair of integers (2.5 is refused, never rounded).
        ValueError: below 1.
    """
    pair = tuple(scale) if isinstance(scale, tuple | list) else (scale, scale)
    if len(pair) != 2 or any(isinstance(s, bool) or not isinstance(s, Integral) for s in pair):
        raise TypeError(f"{name} must be an integer (or one integer per axis), got {scale!r}; resample the image for other factors")
    if min(pair) < 1:
        raise ValueError(f"{name} must be at least 1, got {scale!r}")
    return int(pair[0]), int(pair[1])


def size(shape: Scale, name: str) -> tuple[int, int]:
    """``shape`` as (rows, columns) of a kernel or an image; an integer means a square. Raises as :func:`factors`."""
    return factors(shape, name)


def offsets(offset: Scale, scale: Scale) -> tuple[int, int]:
    """The decimation offset as (row, column), each within 0 .. s - 1: which pixel of every s x s patch is kept.

    Raises:
        TypeError: not an integer or a pair of integers.
        ValueError: outside the patch.
    """
    pair = tuple(offset) if isinstance(offset, tuple | list) else (offset, offset)
    if len(pair) != 2 or any(isinstance(o, bool) or not isinstance(o, Integral) for o in pair):
        raise TypeError(f"offset must be an integer (or one integer per axis), got {offset!r}")
    if any(not 0 <= o < s for o, s in zip(pair, factors(scale), strict=True)):
        raise ValueError(f"offset must lie in 0 .. scale - 1, got {offset!r} for scale {scale!r}")
    return int(pair[0]), int(pair[1])


def layout(t: object, name: str, shape: str = "(b c h w)") -> Tensor:
    """``t`` if it is a four-axis floating-point tensor without empty axes; its values are not read (for hot paths).

    Raises:
        TypeError: no tensor, or integers (8-bit pictures must be divided by 255 first).
        ValueError: wrong number of axes, or an empty axis.
    """
    if not isinstance(t, Tensor):
        raise TypeError(f"{name} must be a torch tensor of shape {shape}, got {type(t).__name__}")
    if not t.dtype.is_floating_point:
        raise TypeError(f"{name} must hold floats in [0, 1], got {t.dtype}; convert with {name}.float() / 255 for 8-bit pictures")
    if t.ndim != 4:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(t.shape)}; add or drop axes")
    if 0 in t.shape:
        raise ValueError(f"{name} has an empty axis: {tuple(t.shape)}")
    return t


def tensor(t: object, name: str, shape: str = "(b c h w)") -> Tensor:
    """``t`` if it is a four-axis floating-point tensor without empty axes, NaN or infinity.

    Raises:
        TypeError: no tensor, or integers (8-bit pictures must be divided by 255 first), or half precision.
        ValueError: wrong number of axes, an empty axis, NaN or infinity.
    """
    t = layout(t, name, shape)
    if t.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{name} must be float32 or float64, got {t.dtype}; keep states in float32 and use torch.autocast for networks"
        )
    if not tracing() and not t.is_meta and not finite(t.detach()):
        raise ValueError(f"{name} holds NaN or infinity; clean it first, for example with torch.nan_to_num")
    return t


def finite(t: Tensor) -> bool:
    """Whether there is no NaN or infinity in t: by one sum, which is fast, and by a second look if the sum overflows."""
    return math.isfinite(t.sum()) or bool(torch.isfinite(t).all())


def wide(t: Tensor) -> bool:
    """Whether the tensor's device computes in float64 (Apple's GPUs do not)."""
    return t.device.type != "mps"


def image(t: object, name: str, channels: int | None = None) -> Tensor:
    """A checked image batch (b c h w), see :func:`tensor`; with ``channels``, c must be that.

    Raises:
        ValueError: another number of channels.
    """
    t = tensor(t, name)
    if channels is not None and t.shape[1] != channels:
        raise ValueError(f"{name} must have {channels} channel(s), got {t.shape[1]} in shape {tuple(t.shape)}")
    return t


def kernel(k: object, name: str, within: tuple[int, int] | None = None) -> Tensor:
    """A checked kernel batch (b 1 p q): one kernel per sample, the same for all channels.

    Raises:
        ValueError: more than one channel, or larger than the image ``within`` which it must fit.
    """
    k = tensor(k, name, "(b 1 p p)")
    if k.shape[1] != 1:
        raise ValueError(f"{name} must have shape (b 1 p p), one kernel for all colours, got {tuple(k.shape)}")
    if within is not None and (k.shape[-2] > within[0] or k.shape[-1] > within[1]):
        raise ValueError(f"{name} of {k.shape[-2]} x {k.shape[-1]} is larger than the image of {within[0]} x {within[1]}; crop it")
    return k


def matching(a: Tensor, b: Tensor, names: str) -> None:
    """Two tensors must agree in dtype, device and batch (a batch of 1 goes with any).

    Raises:
        ValueError: batch sizes or devices differ.
        TypeError: dtypes differ (nothing is cast behind the caller's back).
    """
    if a.device != b.device:
        raise ValueError(f"{names} are on different devices: {a.device} and {b.device}; move one with .to(...)")
    if a.dtype != b.dtype:
        raise TypeError(f"{names} have different dtypes: {a.dtype} and {b.dtype}; convert one with .to(...)")
    if a.shape[0] != b.shape[0] and 1 not in (a.shape[0], b.shape[0]):
        raise ValueError(f"{names} have different batch sizes: {a.shape[0]} and {b.shape[0]}")


def divisible(t: Tensor, scale: Scale, name: str) -> tuple[int, int]:
    """The low-resolution (h, w) of an image whose sides are multiples of the scale.

    Raises:
        ValueError: a side is not; crop or pad the image first.
    """
    (s1, s2), (rows, columns) = factors(scale), t.shape[-2:]
    if rows % s1 or columns % s2:
        fit = (rows - rows % s1, columns - columns % s2)
        raise ValueError(f"{name} of {rows} x {columns} is not divisible by the scale {scale}; crop it to {fit[0]} x {fit[1]}")
    return rows // s1, columns // s2


def per_sample(value: float | Tensor, like: Tensor, name: str, *, positive: bool = False, signed: bool = False) -> Tensor:
    """A number, (b,) or (b 1 1 1) tensor as (b 1 1 1) or (1 1 1 1), in the dtype and on the device of ``like``.

    Raises:
        TypeError: neither a number nor a tensor.
        ValueError: another shape, another batch size, another device, NaN, negative (unless ``signed``), zero where ``positive``.
    """
    if isinstance(value, Tensor):
        if value.ndim == 0:
            value = value.reshape(1)
        if value.ndim not in (1, 4) or value.numel() != value.shape[0] or value.numel() == 0:
            raise ValueError(f"{name} must be a number or one per sample, (b,) or (b 1 1 1), got shape {tuple(value.shape)}")
        if value.shape[0] not in (1, like.shape[0]) and like.shape[0] != 1:
            raise ValueError(f"{name} has {value.shape[0]} values for a batch of {like.shape[0]}")
        if value.device != like.device and value.numel() > 1:
            raise ValueError(f"{name} is on {value.device}, the image on {like.device}; move one with .to(...)")
        value = value.reshape(-1, 1, 1, 1).to(like)
    elif isinstance(value, Real) and not isinstance(value, bool):
        value = like.new_full((1, 1, 1, 1), float(value))
    else:
        raise TypeError(f"{name} must be a number or a tensor with one value per sample, got {value!r}")
    if not tracing() and not value.is_meta:
        low, high = (float(v) for v in torch.aminmax(value.detach()))
        if not math.isfinite(low + high):
            raise ValueError(f"{name} must be finite, got {low:g}")
        if (low < 0 and not signed) or (positive and low <= 0):
            raise ValueError(f"{name} must be {'positive' if positive else 'zero or positive'}, got {low:g}")
    return value


def choice(value: object, options: Collection[object], name: str) -> None:
    """``value`` must be one of ``options``.

    Raises:
        ValueError: it is not; the message lists them.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")


def whole(value: object, name: str, least: int = 1) -> int:
    """``value`` as an integer of at least ``least``: a number of channels, blocks, iterations.

    Raises:
        TypeError: no integer (2.5 is refused, never rounded).
        ValueError: below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def feed(t: object, name: str, channels: int, weight: Tensor, shape: str = "(b c h w)") -> Tensor:
    """``t`` if a network can read it: ``channels`` channels, on the device and in the dtype of its ``weight``. Values are not read.

    Raises:
        TypeError: as :func:`layout`, or another dtype than the network's (under autocast any floating-point dtype will do).
        ValueError: as :func:`layout`, or another number of channels, or another device.
    """
    t = layout(t, name, shape)
    if t.shape[1] != channels:
        raise ValueError(f"{name} of shape {tuple(t.shape)}: the net has {channels} channel(s), got {t.shape[1]}")
    if t.device != weight.device:
        raise ValueError(f"{name} is on {t.device}, the net on {weight.device}; move one with .to(...)")
    if t.dtype != weight.dtype and not torch.is_autocast_enabled(t.device.type):
        raise TypeError(f"{name} is {t.dtype}, the net {weight.dtype}; convert one with .to(...)")
    return t


def span(value: object, name: str) -> tuple[float, float]:
    """``value`` as a range (low, high) of finite numbers with 0 <= low <= high.

    Raises:
        TypeError: no pair of numbers.
        ValueError: negative, in the wrong order, or not finite.
    """
    pair = tuple(value) if isinstance(value, tuple | list) else ()
    if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, Real) for v in pair):
        raise TypeError(f"{name} must be a pair (low, high) of numbers, got {value!r}")
    low, high = float(pair[0]), float(pair[1])
    if not (0 <= low <= high < math.inf):
        raise ValueError(f"{name} must satisfy 0 <= low <= high, got {value!r}")
    return low, high


def precision(dtype: object, name: str = "dtype") -> torch.dtype:
    """``dtype`` if numbers of that type can sum to 1 within 1e-6: float32 or float64.

    Raises:
        TypeError: another type.
    """
    if dtype not in (torch.float32, torch.float64) or not isinstance(dtype, torch.dtype):
        raise TypeError(f"{name} must be torch.float32 or torch.float64, got {dtype!r}")
    return dtype


def writable(path: str | Path) -> Path:
    """``path``, if a file can be put there: its folder exists, and it is no folder itself.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: a folder.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into; make it first")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a file in it")
    return path


def inside(t: Tensor, border: Scale, name: str) -> Tensor:
    """``t`` without ``border`` rows at the top and bottom and columns at the left and right (an integer, or one per axis).

    Raises:
        TypeError: no integers.
        ValueError: negative, or nothing would be left.
    """
    rows, columns = (whole(n, "border", 0) for n in (border if isinstance(border, tuple) else (border, border)))
    h, w = t.shape[-2:]
    if h <= 2 * rows or w <= 2 * columns:
        raise ValueError(f"border {border!r} leaves nothing of {name} of {h} x {w}")
    return t[..., rows : h - rows, columns : w - columns]
