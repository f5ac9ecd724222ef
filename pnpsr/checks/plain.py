"""Arguments that are no tensors: factors, sizes, counts, ranges, options, dtypes."""

import math
from collections.abc import Collection
from numbers import Integral, Real

import torch

Scale = int | tuple[int, int]
TOO_NOISY = "{} must lie in 0 .. 1, a fraction of white (5 % noise is 0.05), got {:g}; divide levels out of 255 by 255"


def factors(scale: Scale, name: str = "scale") -> tuple[int, int]:
    """``scale`` as (rows, columns): positive integers, one per axis.

    Raises:
        TypeError: not an integer or a pair of integers (2.5 is refused, never rounded).
        ValueError: below 1.
    """
    pair = tuple(scale) if isinstance(scale, (tuple, list)) else (scale, scale)
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
    pair = tuple(offset) if isinstance(offset, (tuple, list)) else (offset, offset)
    if len(pair) != 2 or any(isinstance(o, bool) or not isinstance(o, Integral) for o in pair):
        raise TypeError(f"offset must be an integer (or one integer per axis), got {offset!r}")
    if any(not 0 <= o < s for o, s in zip(pair, factors(scale), strict=True)):
        raise ValueError(f"offset must lie in 0 .. scale - 1, got {offset!r} for scale {scale!r}")
    return int(pair[0]), int(pair[1])


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


def span(value: object, name: str) -> tuple[float, float]:
    """``value`` as a range (low, high) of finite numbers with 0 <= low <= high.

    Raises:
        TypeError: no pair of numbers.
        ValueError: negative, in the wrong order, or not finite.
    """
    pair = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(pair) != 2 or any(isinstance(v, bool) or not isinstance(v, Real) for v in pair):
        raise TypeError(f"{name} must be a pair (low, high) of numbers, got {value!r}")
    low, high = float(pair[0]), float(pair[1])
    if not (0 <= low <= high < math.inf):
        raise ValueError(f"{name} must satisfy 0 <= low <= high, got {value!r}")
    return low, high


def noise_span(value: object, name: str = "sigma") -> tuple[float, float]:
    """``value`` as a range of noise levels, each a fraction of white (0.05 is 5 %). Raises as :func:`span`, and above 1."""
    low, high = span(value, name)
    if high > 1:
        raise ValueError(TOO_NOISY.format(name, high))
    return low, high


def choice(value: object, options: Collection[object], name: str) -> None:
    """``value`` must be one of ``options``.

    Raises:
        ValueError: it is not; the message lists them.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}")


def precision(dtype: object, name: str = "dtype") -> torch.dtype:
    """``dtype`` if numbers of that type can sum to 1 within 1e-6: float32 or float64.

    Raises:
        TypeError: another type.
    """
    if dtype not in (torch.float32, torch.float64) or not isinstance(dtype, torch.dtype):
        raise TypeError(f"{name} must be torch.float32 or torch.float64, got {dtype!r}")
    return dtype
