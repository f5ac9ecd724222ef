"""Pixels that say less than they seem to: where light was more than white, and what a wide kernel brings in from outside."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from pnpsr.photo.words import extent
from pnpsr.physics import Degradation, unclipped

WHITE = 1 - 0.5 / 255  # from here on a pixel may be clipped
WIDE = 13  # pixels of y that a kernel covers from which on y goes on beyond its border as nobody can guess
SHARES = (5e-4, 0.5)  # of the pixels of y: fewer change nothing, with more too little would be left


class Brisk(Degradation):
    """The usual physics, whose image step stops as soon as a picture shows no difference; with a mask it is iterative."""

    tolerance = 1e-3


def counting(y: Tensor, k: Tensor | None = None, scale: int = 1) -> Tensor | None:
    """A mask (1 1 h w) of the pixels of y (1 c h w) that count: 0 where one is clipped at white; None where all may count.

    With the kernel k of x (``scale`` times as fine) the inner parts of clipped areas count, which see nothing but white: what is
    dark beside a light cannot be told from their border alone.
    """
    counts = unclipped(y, low=-1.0, high=WHITE)
    if k is not None and not bool(counts.all()):
        reach = 2 * (extent(k) // (2 * scale)) + 1
        inner = 1 - max_pool2d(counts, reach, stride=1, padding=reach // 2)
        counts = torch.maximum(counts, inner)
    return counts if SHARES[0] <= 1 - float(counts.mean()) <= SHARES[1] else None


def seen(y: Tensor, k: Tensor, scale: int) -> Tensor | None:
    """The pixels (1 1 h w) of y that k (1 1 p q) is to explain, and no continuation of y; None where a smooth one does as well.

    Pixels that :func:`counting` leaves out; and all of y under a wide kernel. What it takes from outside the picture no smooth
    continuation of y tells, and the error runs along a line of 31 pixels through all of the picture; a mask, even of ones, leaves
    what was added free. For narrow kernels that is not worth the iterations that it takes.
    """
    counts = counting(y, k, scale)
    return torch.ones_like(y[:, :1]) if counts is None and extent(k) >= WIDE * scale else counts
