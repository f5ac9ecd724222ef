"""Whether one argument fits another: batches, devices, dtypes, sizes, one number per sample."""

import math
from numbers import Real

import torch
from torch import Tensor

from pnpsr.checks.plain import TOO_NOISY, Scale, factors, whole
from pnpsr.checks.tensors import NotFinite, layout, reading, values


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


def of_more(a: Tensor, b: Tensor) -> Tensor:
    """The one with more samples, a if both have as many; not by ``max(key=len)``, which older ``torch.compile`` cannot trace."""
    return a if len(a) >= len(b) else b


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
    if reading() and not value.is_meta:
        low, high = (float(v) for v in torch.aminmax(values(value)))
        if not math.isfinite(low + high):
            raise NotFinite(f"{name} must be finite, got {low:g}")
        if (low < 0 and not signed) or (positive and low <= 0):
            raise ValueError(f"{name} must be {'positive' if positive else 'zero or positive'}, got {low:g}")
    return value


def noise(value: float | Tensor, like: Tensor, name: str = "sigma") -> Tensor:
    """A noise level as :func:`per_sample` has it, each a fraction of white: 5 % is 0.05.

    Raises:
        TypeError, ValueError: as :func:`per_sample`, and above 1, which is what levels out of 255 are.
    """
    level = per_sample(value, like, name)
    if reading() and not level.is_meta and (most := float(values(level).amax())) > 1:
        raise ValueError(TOO_NOISY.format(name, most))
    return level


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
