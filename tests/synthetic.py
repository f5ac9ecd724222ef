"""Pictures and observations made from a seed: smooth random fields with edges, blurred, decimated and noisy."""

import torch
from torch import Tensor

from pnpsr.kernels import random_gaussian
from pnpsr.physics import Degradation


def pictures(b: int, c: int, h: int, w: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """(b c h w) in [0, 1]: a few slow waves per channel, and a few half planes and discs of one colour each."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, 1, 1, generator=g, dtype=torch.float64)

    rows = torch.linspace(0, 1, h, dtype=torch.float64)[:, None]
    columns = torch.linspace(0, 1, w, dtype=torch.float64)[None]
    x = 0.5 + sum(
        0.12 * torch.sin(2 * torch.pi * (2 * draw(b, c) * rows + 2 * draw(b, c) * columns + draw(b, c))) for _ in range(3)
    )
    for i in range(6):
        at, turn, colour = (draw(b, 1), draw(b, 1)), 2 * torch.pi * draw(b, 1), draw(b, c)
        away = (rows - at[0]) * torch.sin(turn) + (columns - at[1]) * torch.cos(turn)
        disc = (rows - at[0]).square() + (columns - at[1]).square() < (0.1 + 0.15 * draw(b, 1)).square()
        inside = disc if i else away > 0.2
        x = torch.where(inside, colour, x)
    return x.clamp(0, 1).to(dtype)


class Marked:
    """Pictures whose every pixel tells picture, row and column: (index, row, column) / 255 in three channels."""

    def __init__(self, *sizes: tuple[int, int]) -> None:
        self.sizes, self.names = sizes, tuple(f"{h} x {w}" for h, w in sizes)

    def read(self, index: int) -> Tensor:
        h, w = self.sizes[index]
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        return torch.stack((torch.full_like(rows, index), rows, columns))[None].float() / 255


def kernels(b: int, p: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """(b 1 p p): anisotropic Gaussians that fit."""
    widths = (0.6, max(0.7, p / 5))
    return random_gaussian(b, p, widths=widths, anisotropic=True, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def observed(x: Tensor, k: Tensor, scale: int, sigma: float | Tensor = 0.0, seed: int = 0, boundary: str = "circular") -> Tensor:
    """y = (x ⊗ k)↓s + n."""
    return Degradation(scale, boundary=boundary)(x, k, sigma, generator=torch.Generator().manual_seed(seed))


def psnr(x: Tensor, truth: Tensor) -> float:
    """In dB, over everything."""
    return float(-10 * (x - truth).square().mean().log10())
