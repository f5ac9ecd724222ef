"""The normal equations from the windows inside a picture, without looking at every window.

Moving both taps of an entry by s pixels moves all windows by one row: G[i + s, i' + s] is G[i, i'] without the first row of
windows, with one more behind the last. So does a step along the columns. G follows from its first s rows and columns, which are
correlations of x, and from the windows along the four borders (displacement structure, Kailath, Kung, Morf 1979).
Rows i, i' and columns j, j' of a window are counted from its upper left here, m = p - 1 - i.
"""

import torch
from einops import einsum, rearrange
from torch import Tensor
from torch.nn.functional import pad

from pnpsr.physics.correlation import lagged
from pnpsr.physics.gram import inside
from pnpsr.physics.polyphase import Pair, split


def valid_gram(y: Tensor, x: Tensor, size: Pair, scale: Pair, offset: Pair) -> tuple[Tensor, Tensor]:
    """G (b pq pq) and b (b pq 1) from the pixels of y whose kernel window lies inside x: no boundary is assumed at all.

    Raises:
        ValueError: no window of that size lies inside the image.
    """
    kept, x = inside(x, (y.shape[-2], y.shape[-1]), size, scale, offset)
    y = y[..., *kept]
    corner, band, target = _correlations(y, x, size, scale)
    low = y.shape[-2], y.shape[-1]
    band = _march(corner, band, _columns(x, size, scale, low), scale[1])
    first = rearrange(band, "b j l i k -> b i k j l")
    gram = _march(first, rearrange(first, "b i k j l -> b k i l j"), _rows(x, size, scale, low), scale[0])
    return rearrange(gram, "b i k j l -> b (i j) (k l)").flip(1, 2), target.flatten(1).flip(1).unsqueeze(-1)


def _march(first: Tensor, second: Tensor, change: Tensor, step: int) -> Tensor:
    """M (b n n ...) of which M[:step] and M[:, :step] are given, and change[i, k] = M[i + step, k + step] - M[i, k]."""
    n, blocks = first.shape[2], [first]
    for top in range(step, n, step):
        count = min(step, n - top)
        moved = blocks[-1][:, :count, : n - step] + change[:, top - step : top - step + count]
        blocks.append(torch.cat([second[:, top : top + count], moved], 2))
    return torch.cat(blocks, 1)


def _correlations(y: Tensor, x: Tensor, size: Pair, scale: Pair) -> tuple[Tensor, Tensor, Tensor]:
    """G (b j j' i i') where i and j are below s, where i and j' are, and the right side (b i j)."""
    (h, w), (p, q), (s1, s2) = y.shape[-2:], size, scale
    far1, far2 = (p - 1) // s1, (q - 1) // s2
    grid = _long(h + far1), _long(w + far2)  # no window of the sums wraps around
    parts = split(pad(x, (0, s2 * grid[1] - x.shape[-1], 0, s1 * grid[0] - x.shape[-2])), scale)
    rows, columns = (torch.arange(m, device=x.device) < n for m, n in zip(grid, (h, w), strict=True))
    above, left = parts * rows[:, None], parts * columns
    ahead = lagged(above * columns, parts, range(far1 + 1), range(far2 + 1))
    back = lagged(above, left, range(far1 + 1), range(0, -far2 - 1, -1))
    seen = lagged(pad(y, (0, grid[1] - w, 0, grid[0] - h)).unsqueeze(2), parts, range(far1 + 1), range(far2 + 1))
    corner = rearrange(ahead, "b (i j) (a c) k l -> b j (l c) i (k a)", i=s1, a=s1)[:, :q, :q, :p, :p]
    band = rearrange(back, "b (i c) (a j) k l -> b (l c) j i (k a)", i=s1, a=s1)[:, :q, :q, :p, :p]
    return corner, band, rearrange(seen, "b 1 (a c) k l -> b (k a) (l c)", a=s1)[:, :p, :q]


def _columns(x: Tensor, size: Pair, scale: Pair, low: Pair) -> Tensor:
    """What a step along the columns changes (b j j' i i'), for i below s: windows on the right enter, those on the left leave."""
    width = max(size[1] - scale[1], 0)
    enter, leave = (x[..., t : t + width].unfold(2, size[0], scale[0]) for t in (scale[1] * low[1], 0))
    equation = "b c n j i, b c n l k -> b j l i k"
    few = slice(scale[0])
    return einsum(enter[..., few], enter, equation) - einsum(leave[..., few], leave, equation)


def _rows(x: Tensor, size: Pair, scale: Pair, low: Pair) -> Tensor:
    """What a step along the rows changes (b i i' j j'): a row of windows enters below, one leaves above. Found as G itself is."""
    height, width = max(size[0] - scale[0], 0), max(size[1] - scale[1], 0)
    corner = edge = x.new_zeros(())
    for t, sign in ((scale[0] * low[0], 1), (0, -1)):
        strip = x[..., t : t + height, :]
        windows = strip.unfold(3, size[1], scale[1])
        edge = edge + sign * einsum(windows[..., : scale[1]], windows, "b c i n j, b c k n l -> b j l i k")
        for u, turn in ((scale[1] * low[1], sign), (0, -sign)):
            block = strip[..., u : u + width]
            corner = corner + turn * einsum(block, block, "b c i j, b c k l -> b j l i k")
    return rearrange(_march(edge, rearrange(edge, "b j l i k -> b l j k i"), corner, scale[1]), "b j l i k -> b i k j l")


def _long(n: int) -> int:
    """The next number from n on that is 8 to 15 times a power of two: no slow length of an FFT."""
    return n + -n % (1 << max(0, n.bit_length() - 4))
