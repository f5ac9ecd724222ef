"""The normal equations of y = (x ⊗ k)↓s in the p x q coefficients of k: G = Σ_c U_cᵀ U_c and b = Σ_c U_cᵀ y_c.

Row n of U_c holds the pixels of x_c that the kernel touches at low-resolution pixel n, U_c[n, m] = x_c(s n + offset + p // 2 - m).
"""

import torch
from einops import rearrange
from torch import Tensor

from pnpsr.physics.correlation import autocorrelated, lagged
from pnpsr.physics.polyphase import Pair, split

CHUNK = 2**24  # elements of U held at a time: 128 MiB in float64


def circular_gram(y: Tensor, x: Tensor, size: Pair, scale: Pair, offset: Pair) -> tuple[Tensor, Tensor]:
    """G (b pq pq) and b (b pq 1) on the circle, gathered from the correlations of the polyphase components of x.

    With phases r and shifts a, G[m, m'] = Σ_n x_r(n + a) x_r'(n + a') is the correlation of components r and r' at lag a' - a.
    """
    (phase1, row, rows), (phase2, column, columns) = (_touched(*axis, x) for axis in zip(size, scale, offset, strict=True))
    phase = (phase1[:, None] * scale[1] + phase2).flatten()
    row, column = row.repeat_interleave(size[1]), column.repeat(size[0])
    parts, far = split(x, scale), (len(rows) - 1, len(columns) - 1)
    table = autocorrelated(parts, *far)
    lag1, lag2 = row - row[:, None] + far[0], column - column[:, None] + far[1]
    gram = _gathered(table.flatten(1, 2), phase[:, None] * table.shape[2] + phase, lag1, lag2)
    seen = lagged(y.unsqueeze(2), parts, rows, columns)[:, 0]
    return gram, _gathered(seen, phase, row - rows.start, column - columns.start).unsqueeze(-1)


def weighted_gram(y: Tensor, x: Tensor, size: Pair, scale: Pair, offset: Pair, weights: Tensor) -> tuple[Tensor, Tensor]:
    """G = Σ_c U_cᵀ W_c U_c and b = Σ_c U_cᵀ W_c y_c, where pixel n of y whose window lies inside x counts ``weights`` (b c h w).

    Raises:
        ValueError: no window of that size lies inside the image.
    """
    (p, q), b = size, x.shape[0]
    kept, seen = inside(x, (y.shape[-2], y.shape[-1]), size, scale, offset)
    patches = seen.unfold(2, p, scale[0]).unfold(3, q, scale[1])
    y, w = y[..., *kept], weights.expand(b, x.shape[1], *weights.shape[-2:])[..., *kept]
    gram, target = x.new_zeros(b, p * q, p * q), x.new_zeros(b, p * q, 1)
    step = max(1, CHUNK // (b * x.shape[1] * y.shape[-1] * p * q))
    for top in range(0, y.shape[-2], step):
        U = rearrange(patches[:, :, top : top + step], "b c h w p q -> b (c h w) (p q)").flip(-1)
        V = U * rearrange(w[:, :, top : top + step], "b c h w -> b (c h w) 1")
        gram = gram + V.mT @ U
        target = target + V.mT @ rearrange(y[:, :, top : top + step], "b c h w -> b (c h w) 1")
    return gram, target


def inside(x: Tensor, low: Pair, size: Pair, scale: Pair, offset: Pair) -> tuple[tuple[slice, slice], Tensor]:
    """Which rows and columns of a y of size ``low`` have their windows inside x, and the pixels of x that these touch.

    Raises:
        ValueError: none.
    """
    kept, touched = [], []
    for n, m, p, s, o in zip(x.shape[-2:], low, size, scale, offset, strict=True):
        reach = o + p // 2  # the window of pixel i covers s i + reach - p + 1 .. s i + reach
        start, stop = max(0, -((reach - p + 1) // s)), min(m, (n - 1 - reach) // s + 1)
        if stop <= start:
            raise ValueError(
                f"no {size[0]} x {size[1]} window lies inside an image of {x.shape[-2]} x {x.shape[-1]}; "
                "use a larger image or a smaller kernel"
            )
        kept.append(slice(start, stop))
        touched.append(slice(s * start + reach - p + 1, s * (stop - 1) + reach + 1))
    return (kept[0], kept[1]), x[..., touched[0], touched[1]]


def _touched(size: int, scale: int, offset: int, like: Tensor) -> tuple[Tensor, Tensor, range]:
    """Of u(m) = offset + p // 2 - m, m = 0 .. p-1: the phase u mod s, the low-resolution shift u // s, and all such shifts."""
    u = offset + size // 2 - torch.arange(size, device=like.device)
    shifts = range((offset + size // 2 - size + 1) // scale, (offset + size // 2) // scale + 1)
    return u % scale, torch.div(u, scale, rounding_mode="floor"), shifts


def _gathered(table: Tensor, first: Tensor, second: Tensor, third: Tensor) -> Tensor:
    """table[:, first, second, third] for a table (b m n o); by one index, whose derivative is fast."""
    at = (first * table.shape[2] + second) * table.shape[3] + third
    return table.flatten(1).index_select(1, at.flatten()).reshape(len(table), *at.shape)
