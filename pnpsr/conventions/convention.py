"""Everything between (x, k) and y, stated once: centre, offset, direction, boundary, decimation, quantisation.

All of it meets in one number per axis. With g = k (correlation) or k flipped (convolution) every pick of a pixel is

    y(i) = Σ_j g(j) x(s i + start + j),        start = offset - centre              (correlation)
                                               start = offset + centre - (p - 1)    (convolution)

so two conventions with the same boundary give the same y if and only if they give the same g at the same start.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from torch import Tensor

from pnpsr import checks, physics
from pnpsr.checks import Scale
from pnpsr.conventions import bicubic

Pair = tuple[int, int]
BOUNDARIES = (*physics.BOUNDARIES, "symmetric")
CENTRES: dict[str, Callable[[int], Fraction]] = {
    "p//2": lambda p: Fraction(p // 2),
    "(p-1)//2": lambda p: Fraction((p - 1) // 2),
    "(p-1)/2": lambda p: Fraction(p - 1, 2),
}
OFFSETS: dict[str, Callable[[int], Fraction]] = {
    "(s-1)//2": lambda s: Fraction((s - 1) // 2),
    "(s-1)/2": lambda s: Fraction(s - 1, 2),
}
DECIMATIONS = ("pick", "bicubic")
QUANTISED = (None, "round", "truncate")


@dataclass(frozen=True)
class Convention:
    """How y is made of an image x and a kernel k of p rows (and likewise columns) at scale s. Two are equal if all but the name is.

    Args:
        name: for messages and tables.
        centre: which entry of k stands for "no displacement": ``p//2``, ``(p-1)//2``, or ``(p-1)/2``, the exact middle, which for
            even p lies between two entries.
        offset: which pixel of every s x s patch ↓s keeps, counted from the upper left: a number (or one per axis), ``(s-1)//2``, or
            ``(s-1)/2``, the exact middle, which for even s lies between two pixels.
        correlation: k is laid onto the image as it is stored; else (convolution) turned by 180 degrees.
        boundary: ``circular``, ``reflect`` (d c b | a b c d | c b a), ``symmetric`` (c b a | a b c d | d c b), ``replicate``,
            ``zero``, or ``valid`` (only outputs that need no border; offset and y then count from the first of these).
        decimation: ``pick`` keeps the pixel ``offset``; ``bicubic`` is MATLAB's imresize(1/s) with antialiasing, centred on
            the patch, with its own symmetric border, after the blur.
        quantised: None, ``round`` (to the nearest of 256 levels), or ``truncate``: what scipy.ndimage makes of uint8 pictures.

    Raises:
        TypeError: an offset that is neither an integer nor a rule.
        ValueError: an unknown rule, a negative offset, bicubic decimation with an offset or without a border, truncation of it.
    """

    name: str = field(compare=False)
    centre: str = "p//2"
    offset: Scale | str = 0
    correlation: bool = False
    boundary: str = "circular"
    decimation: str = "pick"
    quantised: str | None = None

    def __post_init__(self) -> None:
        checks.choice(self.centre, CENTRES, "centre")
        checks.choice(self.boundary, BOUNDARIES, "boundary")
        checks.choice(self.decimation, DECIMATIONS, "decimation")
        checks.choice(self.quantised, QUANTISED, "quantised")
        checks.choice(self.correlation, (False, True), "correlation")
        if isinstance(self.offset, str):
            checks.choice(self.offset, OFFSETS, "offset")
        else:
            for number in self.offset if isinstance(self.offset, tuple) else (self.offset,):
                checks.whole(number, "offset", 0)
        if self.decimation == "bicubic" and (self.offset != 0 or self.boundary == "valid" or self.quantised == "truncate"):
            raise ValueError("bicubic decimation is centred on the patch, has a border and is not truncated: leave offset at 0")

    def offsets(self, scale: Pair) -> tuple[Fraction, Fraction]:
        """The pixel (row, column) of every patch that ↓s keeps; halves where it lies between two.

        Raises:
            ValueError: a given offset outside the patch.
        """
        if isinstance(self.offset, str):
            return OFFSETS[self.offset](scale[0]), OFFSETS[self.offset](scale[1])
        rows, columns = checks.offsets(self.offset, scale)
        return Fraction(rows), Fraction(columns)

    def starts(self, size: Pair, scale: Pair) -> tuple[Fraction, Fraction]:
        """``start`` of the equation above, for (rows, columns) of a kernel of ``size``; halves where the kernel is off the grid."""
        rows, columns = (self._start(p, o) for p, o in zip(size, self.offsets(scale), strict=True))
        return rows, columns

    def _start(self, p: int, offset: Fraction) -> Fraction:
        if self.boundary == "valid":
            return offset  # the first output needs exactly the first p pixels, wherever the centre is
        centre = CENTRES[self.centre](p)
        return offset - centre if self.correlation else offset + centre - (p - 1)

    def taps(self, k: Tensor) -> Tensor:
        """``g`` of the equation above, (b 1 p q); applied to g it gives k back."""
        return k if self.correlation else k.flip(-2, -1)

    def border(self, size: Scale, scale: Scale) -> Pair:
        """How many rows and columns of y on each side depend on the boundary rule, for kernels of ``size``."""
        sizes, pair = checks.size(size, "size"), checks.factors(scale)
        margins = []
        for p, s, start in zip(sizes, pair, self.starts(sizes, pair), strict=True):
            before, after = -start, start + p - s
            if self.decimation == "bicubic":
                weights, first = bicubic.taps(s)
                before, after = before - first, after + first + weights.numel() - 1
            margins.append(0 if self.boundary == "valid" else max(0, math.ceil(before / s), math.ceil(after / s)))
        return margins[0], margins[1]

    def stored(self, quantised: str | None) -> "Convention":
        """The same with y stored in 8 bits: ``round``, ``truncate``; None: as computed.

        Raises:
            ValueError: another word.
        """
        checks.choice(quantised, QUANTISED, "quantised")
        suffix = {None: "", "round": ", rounded", "truncate": ", truncated"}[quantised]
        return replace(self, name=self.name.split(",")[0] + suffix, quantised=quantised)

    def __str__(self) -> str:
        return self.name
