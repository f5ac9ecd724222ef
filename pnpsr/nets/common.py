"""What both generations of DAN's networks share: their checks and the way back to full resolution."""

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.nets.weights import copying, interpolating

SCALES = (1, 2, 3, 4)
SLOPE = 0.2  # of every leaky rectifier in DAN and IKC


def one_scale(scale: int) -> int:
    """``scale`` if DAN's networks exist for it.

    Raises:
        TypeError: no integer.
        ValueError: outside 1 .. 4.
    """
    if checks.whole(scale, "scale") not in SCALES:
        raise ValueError(f"scale must be one of {SCALES}, got {scale}")
    return int(scale)


def leaky() -> nn.LeakyReLU:
    """The rectifier between two convolutions: it overwrites the first one's output, which nobody else reads."""
    return nn.LeakyReLU(SLOPE, inplace=True)


def upscaler(scale: int, width: int, channels: int) -> nn.Sequential:
    """(b ``width`` h w) -> (b ``channels`` sh sw): convolution and pixel shuffle (twice for 4), then a 3 x 3 convolution.

    Starts as interpolation of the first ``channels`` features.
    """
    layers: list[nn.Module] = []
    for factor in (2, 2) if scale == 4 else (scale,):
        spread = nn.Conv2d(width, width * factor**2, 3, padding=1)
        interpolating(spread, factor)
        layers += [spread, nn.PixelShuffle(factor)]
    last = nn.Conv2d(width, channels, 3, padding=1)
    copying(last)
    return nn.Sequential(*layers, last)


def last_of(upscale: nn.Module) -> str:
    """The name, within a restorer, of the layer of its ``upscale`` that returns the picture."""
    return f"upscale.{len(upscale) - 1}" if isinstance(upscale, nn.Sequential) else "upscale"


def pair(y: Tensor, x: Tensor, scale: int, channels: int, weight: Tensor) -> None:
    """The two pictures an estimator reads must belong together: x (b c sh sw) to y (b c h w).

    Raises:
        TypeError: no floats, or another dtype than the net.
        ValueError: wrong number of channels, or x is not ``scale`` times as large as y, or the batches differ.
    """
    checks.feed(y, "y", channels, weight)
    checks.feed(x, "x", channels, weight, "(b c sh sw)")
    due = (y.shape[0], channels, scale * y.shape[-2], scale * y.shape[-1])
    if x.shape != due:
        raise ValueError(f"x must have shape {due} for this y at scale {scale}, got {tuple(x.shape)}")


def picture_and_code(y: Tensor, code: Tensor, channels: int, length: int, weight: Tensor) -> Tensor:
    """The picture y (b c h w) and the reduced kernel (b n) a restorer reads; returns the code as (b n 1 1).

    Raises:
        TypeError: no floats, or another dtype than the net.
        ValueError: wrong number of channels, or a code of another length or batch size.
    """
    checks.feed(y, "y", channels, weight)
    return checks.feed(columns(code, length, y.shape[0]), "code", length, weight, "(b n)")


def columns(code: Tensor, length: int, batch: int | None = None) -> Tensor:
    """A code (b n) as (b n 1 1).

    Raises:
        TypeError: no tensor.
        ValueError: not two axes, or another length than ``length``, or another batch size than ``batch``.
    """
    if not isinstance(code, Tensor):
        raise TypeError(f"code must be a torch tensor of shape (b n), got {type(code).__name__}")
    if code.ndim != 2 or code.shape[1] != length or code.shape[0] != (code.shape[0] if batch is None else batch):
        raise ValueError(f"code must have shape ({'b' if batch is None else batch}, {length}), got {tuple(code.shape)}")
    return code[..., None, None]


def corner(t: Tensor, rows: int, columns: int) -> Tensor:
    """t (b c h w) without what lies beyond ``rows`` and ``columns``.

    For a trace by indices: there a slice would settle in memory as the traced size does, which may be the one that cuts nothing.
    """
    if not checks.tracing():
        return t[..., :rows, :columns]
    down, right = (torch.arange(n, device=t.device) for n in (rows, columns))
    return t.index_select(-2, down).index_select(-1, right)
