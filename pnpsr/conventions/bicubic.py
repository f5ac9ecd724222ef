"""Bicubic reduction by an integer factor: the same few weights at every pixel, so a kernel of its own."""

import math

import torch
from torch import Tensor

Pair = tuple[int, int]


def taps(s: int) -> tuple[Tensor, int]:
    """b(v) ∝ cubic((v - (s - 1) / 2) / s), v = first, first + 1, ...: the weights (n,) of sum 1 in float64, and ``first``.

    cubic is Keys' kernel (1981) with a = -1/2, stretched by s against aliasing: MATLAB's imresize(x, 1/s).
    """
    first = math.floor((s - 1) / 2 - 2 * s) + 1
    v = torch.arange(first, s - first, dtype=torch.float64)  # symmetric about (s - 1) / 2
    t = ((v - (s - 1) / 2) / s).abs()
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weights = torch.where(t <= 1, near, far)
    return weights / weights.sum(), first


def reduce(z: Tensor, scale: Pair) -> Tensor:
    """y(i) = Σ_v b(v) z(s i + v) along rows and columns, beyond the border z mirrored with its edge: (b c sh sw) -> (b c h w)."""
    for axis, s in ((-2, scale[0]), (-1, scale[1])):
        weights, first = taps(s)
        z = mirror(z, axis, -first, first + weights.numel() - s)
        z = (z.unfold(axis, weights.numel(), s) * weights.to(z)).sum(-1)
    return z


def mirror(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """... c b a | a b c d | d c b ...: x continued by its mirror image, edge included, along one axis; negative extensions crop."""
    n = x.shape[axis]
    i = torch.arange(-before, n + after, device=x.device) % (2 * n)
    return x.index_select(axis, torch.minimum(i, 2 * n - 1 - i))


def compose(g: Tensor, scale: Pair) -> tuple[Tensor, Pair]:
    """Σ_v b(v) g(j - v): the taps (b 1 p q) of blur and bicubic reduction in one, and by how much their start moves."""
    (rows, up), (columns, left) = taps(scale[0]), taps(scale[1])
    both = torch.outer(rows, columns)[None, None].to(g)
    full = torch.nn.functional.conv2d(g, both.flip(-2, -1), padding=(len(rows) - 1, len(columns) - 1))
    return full, (up, left)
