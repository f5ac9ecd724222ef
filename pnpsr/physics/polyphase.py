"""The one place that knows how ⊗ and ↓ meet in the Fourier domain.

Write x as its s² polyphase components x_r(n) = x(s n + r). On the low-resolution grid y = (x ⊗ k)↓s is then a 1 x s² row per
frequency,

    Y(f) = Σ_r A_r(f) X_r(f),        A_r = conj(rfft2(g_r)),        g(u) = k(offset + centre - u),

because y(n) = Σ_m k(m) x(s n + offset + centre - m) = Σ_u g(u) x(s n + u). For a fixed x the same holds with k in the unknown's
place. Nothing is folded or tiled, and no full-size complex spectrum is ever made.
"""

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

Pair = tuple[int, int]


def split(x: Tensor, scale: Pair) -> Tensor:
    """x (b c sh sw) -> its polyphase components (b c r h w), r = s² of them, row by row."""
    return rearrange(x, "b c (h s1) (w s2) -> b c (s1 s2) h w", s1=scale[0], s2=scale[1])


def join(parts: Tensor, scale: Pair) -> Tensor:
    """The inverse of :func:`split`."""
    return rearrange(parts, "b c (s1 s2) h w -> b c (h s1) (w s2)", s1=scale[0], s2=scale[1])


def kernel_row(k: Tensor, grid: Pair, scale: Pair, offset: Pair = (0, 0)) -> Tensor:
    """A (b 1 r h w/2+1) of the operator x ↦ (x ⊗ k)↓s on an image of size ``grid``; k (b 1 p q), its centre at p // 2."""
    p, q = k.shape[-2:]
    flipped = pad(k.flip(-2, -1), (0, grid[1] - q, 0, grid[0] - p))
    return _row(flipped.roll((offset[0] + p // 2 - p + 1, offset[1] + q // 2 - q + 1), (-2, -1)), scale)


def image_row(x: Tensor, scale: Pair, offset: Pair = (0, 0)) -> Tensor:
    """A (b c r h w/2+1) of the operator k ↦ (x ⊗ k)↓s, where k is as large as the image and has its centre at (0, 0)."""
    return _row(x.flip(-2, -1).roll((1 + offset[0], 1 + offset[1]), (-2, -1)), scale)


def _row(g: Tensor, scale: Pair) -> Tensor:
    return torch.fft.rfft2(split(g, scale)).conj()


def subtract_row(data: Tensor, row: Tensor, parts: Tensor) -> Tensor:
    """Y_c - Σ_r A_cr X_cr (b c 1 h w), for data (b c 1 h w), row and unknown (b c r h w); one channel of these two serves all."""
    if parts.shape[2] == 1:  # no decimation: one pass over the memory instead of three
        return torch.addcmul(data, row, parts, value=-1)
    return data - (row * parts).sum(2, keepdim=True)


def power(row: Tensor) -> Tensor:
    """A A* = Σ_r |A_r|² per frequency, for a row of one channel: (b 1 r h w/2+1) -> (b 1 h w/2+1), real."""
    row = row.conj()  # of the same power, and back to what no vmap chokes on: rows are lazy conjugates
    return (row.real.square() + row.imag.square()).sum(2)


def embed(k: Tensor, grid: Pair) -> Tensor:
    """k (b 1 p q) on an image-sized grid with its centre p // 2 at (0, 0), wrapped around."""
    p, q = k.shape[-2:]
    return pad(k, (0, grid[1] - q, 0, grid[0] - p)).roll((-(p // 2), -(q // 2)), (-2, -1))


def crop(full: Tensor, size: Pair) -> Tensor:
    """The adjoint of :func:`embed`: the p x q window around (0, 0)."""
    p, q = size
    return full.roll((p // 2, q // 2), (-2, -1))[..., :p, :q]
