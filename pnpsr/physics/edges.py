"""Differences of neighbours in place of values, and how much a difference counts."""

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale


def differences(x: Tensor, stride: Scale) -> Tensor:
    """Vertical and horizontal differences over ``stride`` pixels, (b c h w) -> (b 2c h w), on the circle.

    If y = (x ⊗ k)↓s then differences(y, 1) = (differences(x, s) ⊗ k)↓s: a kernel step on edges sees no flat colour, which carries
    no information on k but most of the energy of an image.

    Example:
        >>> import torch
        >>> from pnpsr.prox import differences
        >>> differences(torch.rand(1, 3, 8, 8), 2).shape
        torch.Size([1, 6, 8, 8])
    """
    s1, s2 = checks.factors(stride, "stride")
    x = checks.image(x, "x")
    return torch.cat([x.roll(-s1, -2) - x, x.roll(-s2, -1) - x], 1)


def cut(t: Tensor, stride: tuple[int, int]) -> Tensor:
    """``t`` without its last rows and columns, where :func:`differences` wrap around and nothing periodic may enter."""
    return t[..., : -stride[0], : -stride[1]]


def pair_weights(w: Tensor, stride: tuple[int, int]) -> Tensor:
    """How much a difference counts, (b 2c h w), from how much its two pixels do, (b c h w): 2 / (1/a + 1/b), or nothing."""
    others = torch.cat([w.roll(-stride[0], -2), w.roll(-stride[1], -1)], 1)
    own = torch.cat([w, w], 1)
    return 2 * own * others / (own + others).clamp_min(torch.finfo(w.dtype).tiny)
