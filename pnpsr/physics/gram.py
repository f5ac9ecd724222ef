"""The normal equations of y = (x ⊗ k)↓s in the p x q coefficients of k: G = Σ_c U_cᵀ U_c and b = Σ_c U_cᵀ y_c.

Row n of U_c holds the pixels of x_c that the kernel touches at low-resolution pixel n, U_c[n, m] = x_c(s n + offset + p // 2 - m).
"""

import torch
from einops import rearrange
from torch import Tensor

from pnpsr.physics.polyphase import Pair, split

CHUNK = 2**24  # elements of U held at a time: 128 MiB in float64


def _touched(size: int, scale: int, offset: int) -> tuple[Tensor, Tensor]:
    """Of u(m) = offset + p // 2 - m, m = 0 .. p-1: the phase u mod s and the low-resolution shift u // s."""
    u = offset + size // 2 - torch.arange(size)
    return u % scale, torch.div(u, scale, rounding_mode="floor")


def circular_gram(y: Tensor, x: Tensor, size: Pair, scale: Pair, offset: Pair) -> tuple[Tensor, Tensor]:
    """G (b pq pq) and b (b pq 1) on the circle, gathered from the cross-correlations of the polyphase components of x, by FFT.

    With phases r and shifts a, G[m, m'] = Σ_n x_r(n + a) x_r'(n + a') is the correlation of components r and r' at lag a' - a.
    """
    (h, w), (p, q) = y.shape[-2:], size
    (phase1, shift1), (phase2, shift2) = (_touched(n, s, o) for n, s, o in zip(size, scale, offset, strict=True))
    phase = (phase1[:, None] * scale[1] + phase2).flatten()
    at = [lambda m, u=o + n // 2: u - m for n, o in zip(size, offset, strict=True)]  # in numbers, which a trace can follow
    rows, columns = shift1.repeat_interleave(q), shift2.repeat(p)
    spectra = torch.fft.rfft2(split(x, scale))
    target = torch.fft.irfft2((torch.fft.rfft2(y).conj().unsqueeze(2) * spectra).sum(1), s=(h, w))[:, phase, rows % h, columns % w]
    parts, order = [], []
    for r in range(scale[0] * scale[1]):  # one phase at a time: s times s² maps would not fit for large images
        own = [m for m in range(p * q) if at[0](m // q) % scale[0] * scale[1] + at[1](m % q) % scale[1] == r]
        if not own:
            continue
        mine = torch.tensor(own)
        correlation = torch.fft.irfft2((spectra[:, :, r : r + 1].conj() * spectra).sum(1), s=(h, w))
        lag1, lag2 = (rows - rows[mine, None]) % h, (columns - columns[mine, None]) % w
        parts.append(correlation[:, phase.expand_as(lag1), lag1, lag2])
        order.append(mine)
    return torch.cat(parts, 1)[:, torch.cat(order).argsort()], target.unsqueeze(-1)


def valid_gram(y: Tensor, x: Tensor, size: Pair, scale: Pair, offset: Pair, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """G and b from the low-resolution pixels whose kernel window lies inside the image: no boundary is assumed at all.

    With ``weights`` (b c h w) pixel n counts that much: G = Σ_c U_cᵀ W_c U_c and b = Σ_c U_cᵀ W_c y_c.

    Raises:
        ValueError: no window of that size lies inside the image.
    """
    (p, q), b = size, x.shape[0]
    first, windows, kept = [], [], []
    for axis in (0, 1):
        low, n, s = y.shape[-2 + axis], x.shape[-2 + axis], scale[axis]
        reach = offset[axis] + size[axis] // 2  # the window of pixel i covers s i + reach - p + 1 .. s i + reach
        start, stop = max(0, -((reach - size[axis] + 1) // s)), min(low, (n - 1 - reach) // s + 1)
        if stop <= start:
            raise ValueError(
                f"no {p} x {q} window lies inside an image of {x.shape[-2]} x {x.shape[-1]}; use a larger image or a smaller kernel"
            )
        first.append(s * start + reach - size[axis] + 1)
        windows.append(stop - start)
        kept.append(slice(start, stop))
    patches = x[..., first[0] :, first[1] :].unfold(2, p, scale[0]).unfold(3, q, scale[1])[:, :, : windows[0], : windows[1]]
    y = y[..., kept[0], kept[1]]
    w = None if weights is None else weights.expand(b, x.shape[1], *weights.shape[-2:])[..., kept[0], kept[1]]
    gram, target = x.new_zeros(b, p * q, p * q), x.new_zeros(b, p * q, 1)
    step = max(1, CHUNK // (b * x.shape[1] * windows[1] * p * q))
    for top in range(0, windows[0], step):
        U = rearrange(patches[:, :, top : top + step], "b c h w p q -> b (c h w) (p q)").flip(-1)
        V = U if w is None else U * rearrange(w[:, :, top : top + step], "b c h w -> b (c h w) 1")
        gram = gram + V.mT @ U
        target = target + V.mT @ rearrange(y[:, :, top : top + step], "b c h w -> b (c h w) 1")
    return gram, target
