"""Everything between (x, k) and y, stated once and by name: centre, offset, direction, boundary, decimation, quantisation.

At a scale a convention is a :class:`pnpsr.physics.Degradation`, which states the equation; two conventions with the same boundary
give the same y if and only if they give the same taps at the same start.
"""

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction

from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics import Degradation, bicubic

Pair = tuple[int, int]
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

    Example:
        >>> import torch
        >>> from pnpsr.conventions import Convention
        >>> from pnpsr.kernels import gaussian
        >>> mine = Convention("mine", offset=1, correlation=True)
        >>> mine.at(2)(torch.rand(1, 1, 8, 8), gaussian(3, 0.8)).shape
        torch.Size([1, 1, 4, 4])
    """

    name: str = field(compare=False)
    centre: str = "p//2"
    offset: Scale | str = 0
    correlation: bool = False
    boundary: str = "circular"
    decimation: str = "pick"
    quantised: str | None = None

    def __post_init__(self) -> None:
        checks.choice(self.quantised, QUANTISED, "quantised")
        self.at(1 + max(0, *self._given()))  # which refuses unknown rules
        if self.decimation == "bicubic" and self.quantised == "truncate":
            raise ValueError("bicubic decimation is centred on the patch, has a border and is not truncated: leave offset at 0")

    def _given(self) -> Pair:
        """The offset where it is a number, (0, 0) where it is a rule."""
        given = 0 if isinstance(self.offset, str) else self.offset
        rows, columns = given if isinstance(given, tuple) else (given, given)
        return checks.whole(rows, "offset", 0), checks.whole(columns, "offset", 0)

    def at(self, scale: Scale) -> Degradation:
        """The physics (x, k) ↦ y of this convention at a scale, before y is stored: it degrades, and its steps invert.

        Raises:
            TypeError: a scale that is no integer.
            ValueError: a given offset outside the patch.
        """
        return Degradation(
            scale,
            offset=self.offset,
            boundary=self.boundary,
            centre=self.centre,
            correlation=self.correlation,
            decimation=self.decimation,
        )

    def offsets(self, scale: Scale) -> tuple[Fraction, Fraction]:
        """See :meth:`pnpsr.physics.Degradation.offsets`."""
        return self.at(scale).offsets()

    def starts(self, size: Pair, scale: Scale) -> tuple[Fraction, Fraction]:
        """See :meth:`pnpsr.physics.Degradation.starts`."""
        return self.at(scale).starts(size)

    def taps(self, k: Tensor) -> Tensor:
        """``g`` of the equation, (b 1 p q); applied to g it gives k back."""
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
