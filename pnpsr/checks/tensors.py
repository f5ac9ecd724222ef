"""Tensors of four axes: dtype, channels, finite values."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

import torch
from torch import Tensor

MASS = 0.05  # by so much a kernel's sum may differ from 1: rounding, cropping and moving between conventions cost up to 1.3 %
_TRUSTED = ContextVar("trusted", default=False)


class NotFinite(ValueError):
    """A NaN or infinity where numbers are due: in a training, the sign that it diverged."""


def tracing() -> bool:
    """True while ``torch.compile`` traces: values cannot be read then, only shapes and types."""
    return torch.compiler.is_compiling()


def values(t: Tensor) -> Tensor:
    """The numbers of t without their graph, for a check to read; under ``torch.func`` transforms those of all mapped samples."""
    functorch = torch._C._functorch  # torch says nowhere else whether a tensor is one of many that a vmap maps over
    while functorch.is_functorch_wrapped_tensor(t):
        t = functorch.get_unwrapped(t)
    return t.detach()


@contextmanager
def trusted() -> Iterator[None]:
    """Inside, values are taken for finite and in range, and are not read back from the device: who asks for it looks at results."""
    before = _TRUSTED.set(True)
    try:
        yield
    finally:
        _TRUSTED.reset(before)


def reading() -> bool:
    """Whether checks read values: not while tracing, and not inside :func:`trusted`."""
    return not tracing() and not _TRUSTED.get()


def unwatched(t: Tensor) -> AbstractContextManager[None]:
    """:func:`trusted` where reading values of t means waiting for a device, so that whoever enters it looks once at the end."""
    return nullcontext() if tracing() or t.device.type == "cpu" else trusted()


def readable(t: Tensor) -> bool:
    """Whether values of t may decide what is computed: never while tracing, inside :func:`trusted` only on the CPU."""
    return not tracing() and (not _TRUSTED.get() or t.device.type == "cpu")


def wide(t: Tensor) -> bool:
    """Whether the tensor's device computes in float64 (Apple's GPUs do not)."""
    return t.device.type != "mps"


def finite(t: Tensor) -> bool:
    """Whether there is no NaN or infinity in t: by one sum, which is fast, and by a second look if the sum overflows."""
    return math.isfinite(t.sum()) or bool(torch.isfinite(t).all())


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
        ValueError: wrong number of axes, an empty axis; NaN or infinity (:class:`NotFinite`).
    """
    t = layout(t, name, shape)
    if t.dtype not in (torch.float32, torch.float64):
        raise TypeError(
            f"{name} must be float32 or float64, got {t.dtype}; keep states in float32 and use torch.autocast for networks"
        )
    if reading() and not t.is_meta and not finite(values(t)):
        raise NotFinite(f"{name} holds NaN or infinity; clean it first, for example with torch.nan_to_num")
    return t


def image(t: object, name: str, channels: int | None = None) -> Tensor:
    """A checked image batch (b c h w), see :func:`tensor`; with ``channels``, c must be that.

    Raises:
        ValueError: another number of channels.
    """
    t = tensor(t, name)
    if channels is not None and t.shape[1] != channels:
        raise ValueError(f"{name} must have {channels} channel(s), got {t.shape[1]} in shape {tuple(t.shape)}")
    return t


def shown(y: object, name: str) -> Tensor:
    """A checked image batch of values in [0, 1], which noise may leave by as much as 1.

    Raises:
        ValueError: beyond that, which no noise explains: 8-bit levels, or high dynamic range.
    """
    y = image(y, name)
    if reading() and not y.is_meta:
        low, high = (float(v) for v in torch.aminmax(values(y)))
        if low < -1 or high > 2:
            raise _beyond_white(name, low, high)
    return y


def displayed(y: object, name: str) -> Tensor:
    """As :func:`shown`, for what is cut to [0, 1] in the end: means over 8 x 8 pixels, which noise hardly moves, lie there, too.

    Raises:
        ValueError: beyond that by more than a quarter, so that more than noise would be cut off.
    """
    y = shown(y, name)
    if reading() and not y.is_meta:
        means = torch.nn.functional.avg_pool2d(values(y), min(8, *y.shape[-2:]))
        if means.amin() < -0.25 or means.amax() > 1.25:
            raise _beyond_white(name, *(float(v) for v in torch.aminmax(values(y))))
    return y


def _beyond_white(name: str, low: float, high: float) -> ValueError:
    return ValueError(
        f"{name} must hold floats in [0, 1], got {low:g} .. {high:g}; divide 8-bit values by 255 and high dynamic range "
        "by its largest value, then multiply the result by it"
    )


def blur(k: object, name: str, within: tuple[int, int] | None = None, *, remedy: str = "") -> Tensor:
    """A checked kernel batch (b 1 p q), see :func:`kernel`, each of sum 1 to five per cent: a blur keeps the brightness.

    Raises:
        ValueError: another sum; ``remedy`` says what to do where a gain is meant.
    """
    k = kernel(k, name, within)
    if reading() and not k.is_meta:
        sums = values(k.sum((-2, -1)))
        if bool(((off := (sums - 1).abs()) > MASS).any()):
            raise ValueError(
                f"{name} must sum to 1, got a sum of {float(sums.flatten()[off.argmax()]):.4g}; divide it by its sum, "
                f".sum((-2, -1), keepdim=True){remedy}"
            )
    return k


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
