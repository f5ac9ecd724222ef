"""Pictures that are drawn, not taken: discs that hide each other, with the edges of photographs at every size."""

import torch
from torch import Tensor

from pnpsr import checks


def dead_leaves(count: int, side: int, *, discs: int = 2500, generator: torch.Generator | None = None) -> Tensor:
    """Pictures (count 3 s s) of discs that hide each other, with radii of density r⁻³ from one pixel to half the side.

    As in photographs, there are edges of every length, and the power spectrum falls as one over the square of the frequency (Lee,
    Mumford, Huang 2001, "Occlusion models for natural images"). Periodic, values from 0.25 to 0.75, colours mostly gray.

    Args:
        count: how many, float32 on the CPU.
        side: in pixels, at least 4.
        discs: of each picture, the last on top.
        generator: source of places, sizes and colours.

    Raises:
        TypeError, ValueError: numbers that are no whole ones, or too small.

    Example:
        >>> import torch
        >>> from pnpsr.images import dead_leaves
        >>> x = dead_leaves(2, 32, discs=200, generator=torch.Generator().manual_seed(0))
        >>> x.shape, bool((x >= 0.25).all() and (x <= 0.75).all())
        (torch.Size([2, 3, 32, 32]), True)
    """
    count, side, discs = checks.whole(count, "count"), checks.whole(side, "side", 4), checks.whole(discs, "discs")
    return 0.25 + 0.5 * torch.stack([_drawn(side, discs, generator) for _ in range(count)])


def _drawn(side: int, discs: int, generator: torch.Generator | None) -> Tensor:
    """One picture (3 s s) in [0, 1]."""

    def drawn(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")

    x = drawn(3, 1, 1).expand(3, side, side).clone()
    least = (side / 2) ** -2
    radii = (1 - (1 - least) * drawn(discs)).rsqrt()
    gray = drawn(discs, 1)
    colours = 0.7 * gray + 0.3 * drawn(discs, 3)
    centres = drawn(discs, 2) * side
    line = torch.arange(side, device="cpu")
    for r, colour, centre in zip(radii, colours, centres, strict=True):
        down, across = ((line - at + side / 2) % side - side / 2 for at in centre)
        rows, columns = (v.abs() < r for v in (down, across))
        inside = down[rows, None].square() + across[None, columns].square() < r.square()
        at = torch.meshgrid(line[rows], line[columns], indexing="ij")
        x[:, at[0][inside], at[1][inside]] = colour[:, None]
    return x
