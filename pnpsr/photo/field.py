"""Kernels that differ over the picture: one per cell, and between cells their mixture."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpsr.kernels import centre_kernel, resize_support
from pnpsr.photo.find import Progress
from pnpsr.photo.kept import Kept


@dataclass(frozen=True)
class Field:
    """Kernels on a grid of cells; at any point the bilinear mixture of the nearest four."""

    k: Tensor  # (rows columns p p)
    cell: tuple[float, float]  # rows and columns of y in a cell

    def at(self, row: float, column: float) -> Tensor:
        """The kernel (1 1 p p) at a point in pixels of y."""
        (i, u), (j, v) = (
            _between(where / side - 0.5, count)
            for where, side, count in zip((row, column), self.cell, self.k.shape[:2], strict=True)
        )
        corners = [
            self.k[i, j],
            self.k[i, j + 1 - (v == 0)],
            self.k[i + 1 - (u == 0), j],
            self.k[i + 1 - (u == 0), j + 1 - (v == 0)],
        ]
        shares = [(1 - u) * (1 - v), (1 - u) * v, u * (1 - v), u * v]
        return sum((s * c for s, c in zip(shares, corners, strict=True)), torch.zeros_like(corners[0]))[None, None]


def field_of(
    y: Tensor, per: int, everywhere: Tensor, find: Callable[[Tensor], Tensor | None], kept: Kept, progress: Progress | None
) -> Field:
    """A kernel for every cell of about ``per`` pixels of y (1 c h w): what ``find`` finds in it, or the picture's own."""
    h, w = y.shape[-2:]
    rows, columns = max(1, round(h / per)), max(1, round(w / per))
    found = []
    for i in range(rows * columns):
        if progress is not None:
            progress("a kernel for every part", i, rows * columns)
        k = kept.get(f"kernel{i}")
        if k is None:
            top, left = i // columns, i % columns
            part = y[..., h * top // rows : h * (top + 1) // rows, w * left // columns : w * (left + 1) // columns]
            k = find(part)
            k = everywhere if k is None else k
            kept.put(f"kernel{i}", k)
        found.append(centre_kernel(k.float()) if k.shape[-1] > 1 else k.float())
    size = max(max(k.shape[-2:]) for k in found)
    together = torch.cat([resize_support(k, size) for k in found])
    return Field(together[:, 0].reshape(rows, columns, size, size), (h / rows, w / columns))


def _between(where: float, count: int) -> tuple[int, float]:
    """The cell below a position and the share of the next one."""
    where = min(max(where, 0.0), count - 1.0)
    below = min(int(where), max(count - 2, 0))
    return below, where - below if count > 1 else 0.0
