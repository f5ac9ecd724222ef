"""The referee: dense matrices written straight from y(n) = Σ_m k(m) x(s n + offset + p // 2 - m), with numpy's padding.

No FFT, and nothing of pnpsr.
"""

import numpy as np
import torch
from torch import Tensor

Pair = tuple[int, int]
PADDING = {"circular": "wrap", "reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "zero": "constant"}


def windows(x: np.ndarray, taps: Pair, boundary: str, outside: float = 0) -> np.ndarray:
    """U[n, m] = x(n + p // 2 - m), (h w p q), for x (h w); only the windows that lie inside where ``valid``."""
    (p, q), constant = taps, {"constant_values": outside} if boundary == "zero" else {}
    if boundary != "valid":
        x = np.pad(x, ((p - 1 - p // 2, p // 2), (q - 1 - q // 2, q // 2)), PADDING[boundary], **constant)
    rows = np.arange(x.shape[0] - p + 1)[:, None] + p - 1 - np.arange(p)
    columns = np.arange(x.shape[1] - q + 1)[:, None] + q - 1 - np.arange(q)
    return x[rows[:, None, :, None], columns[None, :, None, :]]


def in_k(x: Tensor, taps: Pair, scale: Pair = (1, 1), offset: Pair = (0, 0), boundary: str = "circular") -> Tensor:
    """The matrix (c h w, p q) of k ↦ (x ⊗ k)↓s for one image x (c sh sw)."""
    U = [windows(channel, taps, boundary)[offset[0] :: scale[0], offset[1] :: scale[1]] for channel in x.numpy()]
    return torch.from_numpy(np.stack(U).reshape(-1, taps[0] * taps[1]))


def in_x(
    k: Tensor, grid: Pair, scale: Pair = (1, 1), offset: Pair = (0, 0), boundary: str = "circular", channels: int = 1
) -> Tensor:
    """The matrix (c h w, c sh sw) of x ↦ (x ⊗ k)↓s for one kernel k (p q)."""
    pixels = np.arange(grid[0] * grid[1]).reshape(grid)
    source = windows(pixels, (k.shape[0], k.shape[1]), boundary, outside=-1)[offset[0] :: scale[0], offset[1] :: scale[1]]
    source = torch.from_numpy(source.reshape(-1, k.numel()))
    M = k.new_zeros(len(source), pixels.size + 1).scatter_add(1, source % (pixels.size + 1), k.reshape(1, -1).expand(source.shape))
    return torch.block_diag(*[M[:, :-1]] * channels)  # the last column stands for what lies outside


def inside_in_k(x: Tensor, y: Tensor, taps: Pair, scale: Pair, offset: Pair) -> tuple[Tensor, Tensor]:
    """Those rows of the matrix in k, and entries of y (c h w), whose window lies inside x."""
    U = torch.cat(
        [
            torch.from_numpy(windows(channel, taps, "zero", outside=np.nan)[offset[0] :: scale[0], offset[1] :: scale[1]]).flatten(
                0, 1
            )
            for channel in x.numpy()
        ]
    ).flatten(1)
    keep = ~U.isnan().any(1)
    return U[keep], y.flatten()[keep]


def ridge(M: Tensor, y: Tensor, rho: float | Tensor, v0: Tensor, total: float | None = None) -> Tensor:
    """argmin_v |y - M v|² + rho |v - v0|², with Σv = total where one is given, by the dense normal (or KKT) equations."""
    n = M.shape[1]
    H, b = M.T @ M + rho * torch.eye(n, dtype=M.dtype), M.T @ y.flatten() + rho * v0.flatten()
    if total is None:
        return torch.linalg.solve(H, b)
    ones = torch.ones(n, 1, dtype=M.dtype)
    K = torch.cat([torch.cat([H, ones], 1), torch.cat([ones.T, torch.zeros(1, 1, dtype=M.dtype)], 1)])
    return torch.linalg.solve(K, torch.cat([b, b.new_tensor([total])]))[:n]


def simplex_gap(H: Tensor, b: Tensor, k: Tensor) -> float:
    """How far k (n) is from the optimality conditions of min ½ kᵀH k - bᵀk over the simplex; the gradient relative to its terms."""
    slack = H @ k - b
    multiplier = slack[k > 0].mean()
    worst = max((slack[k > 0] - multiplier).abs().max(), (multiplier - slack).max())
    return max(float(worst / ((H.abs() @ k.abs()).max() + b.abs().max())), float(-k.min()), abs(float(k.sum()) - 1))
