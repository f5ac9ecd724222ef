"""Contrast: a faint picture is stretched for a solver and brought back, because networks have seldom seen one.

What restores a + g y under noise g sigma should make a + g x of it; networks that were trained on pictures from black to white do
so only roughly. Not stretched is what is faint because blur has spread its few bright or dark marks, stars or the lines of a chart:
its x has more range than y, and would be cut off at the ends of the stretched one. Its pixels lie close together, for their range.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

FAINT = 0.5  # of the range from black to white: what fills less is stretched to it
SPREAD = 0.14  # standard deviation by range below which y is few marks on an even ground: sharp training pictures have 0.12 to 0.36
LOUD = 0.05  # noise level up to which anything is stretched: more is more than networks know


@dataclass(frozen=True)
class Contrast:
    """y ↦ p + g (y - p), with p between black and white such that what y leaves free beside them shrinks by one factor."""

    gain: float
    fixed: float

    @classmethod
    def of(cls, y: Tensor, sigma: float) -> "Contrast":
        """What brings the range of y (.. h w), values in [0, 1], to a half of white, if it is less; with the noise up to 5 %.

        One pixel far from all others ends it: what is beyond the range would be cut off.
        """
        low, high = (float(v) for v in torch.aminmax(y))
        if high - low >= FAINT or float(y.std(correction=0)) < SPREAD * (high - low):
            return AS_IT_IS
        gain = max(1.0, min(FAINT / max(high - low, 1e-3), LOUD / max(sigma, 1e-6)))
        return cls(gain, low / max(low + 1 - high, 1e-3))

    def raised(self, y: Tensor) -> Tensor:
        """y as a solver is to see it, within [0, 1]."""
        return y if self.gain == 1.0 else (self.fixed + self.gain * (y - self.fixed)).clamp(0, 1)

    def lowered(self, x: Tensor) -> Tensor:
        """What a solver made of that, as y is."""
        return x if self.gain == 1.0 else self.fixed + (x - self.fixed) / self.gain

    def noise(self, sigma: float) -> float:
        """The noise level of what the solver sees."""
        return sigma * self.gain


AS_IT_IS = Contrast(1.0, 0.0)
