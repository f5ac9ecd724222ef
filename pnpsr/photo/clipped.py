"""Pixels that say less than they seem to: where light was more than white, and blur has carried it on."""

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from pnpsr.photo.words import extent
from pnpsr.physics import Degradation, unclipped

WHITE = 1 - 0.5 / 255  # from here on a pixel may be clipped
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
