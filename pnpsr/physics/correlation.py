"""Correlations at a few lags, by FFT: no more of the inverse transform is taken than these lags need."""

import math

import torch
from einops import rearrange
from torch import Tensor

from pnpsr import checks

CHUNK = 2**22  # elements of a product of spectra held at a time: 64 MiB


def lagged(a: Tensor, b: Tensor, rows: range, columns: range) -> Tensor:
    """C[r, t, i, j] = Σ_c Σ_n a_cr(n) b_ct(n + (rows[i], columns[j])) on the circle, (b r t i j).

    Args:
        a: components (b c r h w).
        b: others on the same grid (b c t h w).
        rows, columns: lags along the two axes.
    """
    if a.shape[1] > 1 and b.numel() > CHUNK:  # one channel at a time: spectra of all need not be there together
        return torch.stack([lagged(a[:, c : c + 1], b[:, c : c + 1], rows, columns) for c in range(a.shape[1])]).sum(0)
    return _at(torch.fft.rfft2(a), torch.fft.rfft2(b), (a.shape[-2], a.shape[-1]), rows, columns)


def autocorrelated(a: Tensor, rows: int, columns: int) -> Tensor:
    """:func:`lagged` of a with itself, at all lags from -rows, -columns to rows, columns.

    C[r, t](l) = C[t, r](-l): only half of the pairs are computed.
    """
    if a.shape[1] > 1 and a.numel() > CHUNK:
        return torch.stack([autocorrelated(a[:, c : c + 1], rows, columns) for c in range(a.shape[1])]).sum(0)
    spectra, grid, count = torch.fft.rfft2(a), (a.shape[-2], a.shape[-1]), a.shape[2]
    lags = range(-rows, rows + 1), range(-columns, columns + 1)
    half = [_at(spectra[:, :, r : r + 1], spectra[:, :, r:], grid, *lags)[:, 0] for r in range(count)]
    turned = [[half[t][:, r - t].flip(-2, -1) for t in range(r)] for r in range(count)]
    return torch.stack(
        [torch.cat([torch.stack(past, 1), own], 1) if past else own for past, own in zip(turned, half, strict=True)], 1
    )


def _at(first: Tensor, second: Tensor, grid: tuple[int, int], rows: range, columns: range) -> Tensor:
    """The inverse transform of Σ_c conj(A_cr) B_ct at the lags, from the spectra of components of that grid."""
    down, right = _waves(grid[0], rows, second), _half_waves(grid[1], columns, second)
    if first.shape[2] * second.shape[2] == 1:
        table = (down @ (first.conj() * second).sum((1, 2))).unsqueeze(-1)
    else:
        conjugate = torch.complex(first.real, -first.imag)  # not a lazy one, which small products would resolve one by one
        A = rearrange(conjugate, "b c r h w -> b h w r c").contiguous()
        B = rearrange(second, "b c t h w -> b h w c t").contiguous()
        if checks.tracing():  # in one product, for a program counts no rows: they may be others when it runs
            table = down @ (A @ B).flatten(2)
        else:
            several, table = max(1, CHUNK // (len(B) * B.shape[2] * A.shape[3] * B.shape[4])), second.new_zeros(())
            for top in range(0, grid[0], several):
                cross = (A[:, top : top + several] @ B[:, top : top + several]).flatten(2)
                table = table + down[:, top : top + several] @ cross
        table = rearrange(table, "b i (w n) -> b i w n", w=B.shape[2])
    table = rearrange((right @ table).real, "b i j (r t) -> b r t i j", r=first.shape[2])
    return table / (grid[0] * grid[1])


def _waves(n: int, lags: range, like: Tensor) -> Tensor:
    """e^(2πi f l / n), (l f); the product is reduced in integers, so that no digits are lost for large n."""
    steps = torch.arange(lags.start, lags.stop, lags.step, device=like.device)
    angle = ((steps[:, None] * torch.arange(n, device=like.device)) % n).to(like.real.dtype) * (2 * math.pi / n)
    return torch.complex(angle.cos(), angle.sin())


def _half_waves(n: int, lags: range, like: Tensor) -> Tensor:
    """The same for the n // 2 + 1 frequencies of a real signal, (l f), each weighed by how many of all n it stands for."""
    waves = _waves(n, lags, like)[:, : n // 2 + 1]
    twice = torch.arange(n // 2 + 1, device=like.device)
    return waves * (1 + ((twice > 0) & (2 * twice < n))).to(waves.dtype)
