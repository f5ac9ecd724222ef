"""One colour per pixel, as a camera's sensor sees: a Bayer mosaic of any physics."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.around import Around
from pnpsr.physics.cg import Map
from pnpsr.physics.noise import estimate_noise
from pnpsr.physics.operator import LinearOperator
from pnpsr.physics.physics import Fit, Physics, Shape
from pnpsr.physics.weighted import fill, framed

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")
PERIOD = 2


class Sensor(LinearOperator):
    """v (b 3 h w) ↦ Σ_c seen_c v_c (b 1 h w): every pixel keeps one colour, or none; the adjoint puts it back.

    Args:
        pattern: the colours of the upper left 2 x 2 pixels, row by row.
        mask: (b 1 h w) of zeros and ones, None: every pixel is seen.
    """

    def __init__(self, pattern: str, mask: Tensor | None = None) -> None:
        checks.choice(pattern, PATTERNS, "pattern")
        self.pattern, self.mask = pattern, None if mask is None else checks.image(mask, "mask", channels=1).detach()
        if self.mask is not None and bool(((self.mask != 0) & (self.mask != 1)).any()):
            raise ValueError("mask must hold zeros and ones")

    def seen(self, like: Tensor) -> Tensor:
        """Which colour every pixel of ``like`` shows, (1 3 h w) or (b 3 h w) of zeros and ones.

        Raises:
            ValueError: odd sides, or those of another mask.
        """
        h, w = like.shape[-2:]
        if h % PERIOD or w % PERIOD:
            raise ValueError(f"y must have even sides to hold a Bayer mosaic, got {h} x {w}")
        tile = like.new_zeros(1, 3, PERIOD, PERIOD)
        for n, colour in enumerate(self.pattern):
            tile[0, "RGB".index(colour), n // PERIOD, n % PERIOD] = 1
        seen = tile.repeat(1, 1, h // PERIOD, w // PERIOD)
        if self.mask is None:
            return seen
        if self.mask.shape[-2:] != (h, w):
            raise ValueError(f"mask of {tuple(self.mask.shape)} does not fit y of {h} x {w}")
        return seen * self.mask.to(like)

    def __call__(self, v: Tensor) -> Tensor:
        """(b 3 h w) -> (b 1 h w)."""
        return (checks.image(v, "v", channels=3) * self.seen(v)).sum(1, keepdim=True)

    def adjoint(self, u: Tensor) -> Tensor:
        """(b 1 h w) -> (b 3 h w), zero in the colours that were not seen."""
        return checks.image(u, "u", channels=1) * self.seen(u)

    def __repr__(self) -> str:
        return f"Sensor({self.pattern})"


class Mosaic(Around, Physics):
    """(x, k) ↦ the one colour per pixel that a Bayer filter leaves of ``base``: x (b 3 sh sw), y (b 1 h w), h and w even.

    The image step runs conjugate gradients around the closed form of ``base``, the kernel step solves its normal equations; an
    ``edges`` fit takes differences of pixels of one colour, and ``gray`` has no part in it: a pixel has but one.

    Args:
        base: any physics of colour images.
        pattern: the filter's colours of the upper left 2 x 2 pixels, row by row.
        mask: (b 1 h w) of zeros and ones: pixels that count, for dead ones.

    Raises:
        ValueError: an unknown pattern, or a mask of other values.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Mosaic
        >>> camera = Mosaic(Degradation(1), pattern="RGGB")
        >>> y = camera(torch.rand(1, 3, 8, 8), gaussian(3, 0.8), 0.01)
        >>> y.shape, camera.complete(y).shape
        (torch.Size([1, 1, 8, 8]), torch.Size([1, 3, 8, 8]))
    """

    image_solver: ClassVar[str] = "conjugate gradients around the closed form"

    def __init__(self, base: Physics, pattern: str = "RGGB", *, mask: Tensor | None = None) -> None:
        self.base, self.sensor, self.tolerance = base, Sensor(pattern, mask), base.tolerance

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """That of the base, then the filter."""
        return self.sensor @ self.base.freeze(k=k, x=x, size=size)

    def image_shape(self, y: Tensor) -> Shape:
        """(b 3 sh sw).

        Raises:
            ValueError: a y of several channels, or of odd sides, or another size than the mask's.
        """
        if y.shape[1] != 1:
            raise ValueError(f"a mosaic has one channel, y has {y.shape[1]}; keep the colour of each pixel's filter")
        return self.base.image_shape(self.sensor.seen(y).expand(len(y), -1, -1, -1))

    @property
    def multiple(self) -> int:
        """2, and what the base says."""
        return math.lcm(PERIOD, self.base.multiple)

    def observed(self, y: Tensor) -> Tensor:
        """y (b 1 h w), zero where the mask is."""
        return y if self.sensor.mask is None else y * self.sensor.mask.to(y)

    def complete(self, y: Tensor) -> Tensor:
        """The colours (b 3 h w) of y, interpolated bilinearly."""
        return self.base.complete(fill(self.sensor.adjoint(y), self.sensor.seen(y)))

    def noise_level(self, y: Tensor) -> Tensor:
        """The noise level (b 1 1 1) that y shows, from neighbours of one colour."""
        mask = self.sensor.mask
        return estimate_noise(_planes(y), None if mask is None else _planes(mask))

    def masked(self, mask: Tensor) -> Physics:
        """The same with ``mask`` on top."""
        mask = mask.to(torch.get_default_dtype()) if mask.dtype == torch.bool else mask
        own = self.sensor.mask
        return Mosaic(self.base, self.sensor.pattern, mask=mask if own is None else own * mask.to(own))

    @property
    def whole(self) -> Physics:
        """The same filter without a mask."""
        return Mosaic(self.base.whole, self.sensor.pattern)

    @property
    def transposed(self) -> Physics:
        """The transposed filter, around that of the base."""
        pattern, mask = "".join(self.sensor.pattern[n] for n in (0, 2, 1, 3)), self.sensor.mask
        return Mosaic(self.base.transposed, pattern, mask=None if mask is None else mask.mT)

    def count(self, y: Tensor) -> Tensor:
        """How many pixels of y (b 1 h w) the mask leaves, (b 1 1 1)."""
        mask = self.sensor.mask
        return super().count(y) if mask is None else mask.to(y).sum((1, 2, 3), keepdim=True).expand(len(y), 1, 1, 1)

    def padded(self, margin: tuple[int, int], y: Tensor) -> Physics:
        """The same for y continued by (rows, columns) on each side: what was added does not count."""
        rows, columns = (range(m, m + PERIOD) for m in margin)  # the filter goes on, so that its first pixel may be another
        pattern = "".join(self.sensor.pattern[i % PERIOD * PERIOD + j % PERIOD] for i in rows for j in columns)
        mask = torch.ones_like(y[:1]) if self.sensor.mask is None else self.sensor.mask
        return Mosaic(self.base.padded(margin, y), pattern, mask=framed(mask, margin))

    def normal_equations(
        self, y: Tensor, x: Tensor, size: tuple[int, int], fit: Fit, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Those of the base under the filter."""
        seen = self.sensor.seen(y).expand(len(y), -1, -1, -1)
        fit = Fit(fit.edges * PERIOD, False, fit.inside)
        return self.base.normal_equations(y * seen, x, size, fit, seen if weights is None else seen * weights)

    def _complete_where(self, y: Tensor, weights: Tensor) -> Tensor:
        return self.base.complete(fill(self.sensor.adjoint(y), self.sensor.seen(y) * weights))

    def _noise_where(self, y: Tensor, weights: Tensor) -> Tensor:
        mask = (weights > 0).to(y)
        return estimate_noise(_planes(y), _planes(mask if self.sensor.mask is None else mask * self.sensor.mask.to(y)))

    def _wide(self, y: Tensor) -> torch.dtype:
        return self.base._wide(y)

    def _rows(self, y: Tensor, k: Tensor) -> tuple[LinearOperator, Tensor]:
        return self.freeze(k=k), self.sensor(self.sensor.adjoint(y))

    def _square(self, y: Tensor, k: Tensor) -> Map | None:
        square = self.base._square(y, k)
        return None if square is None else lambda u: self.sensor(square(self.sensor.adjoint(u)))

    def _inverse(self, y: Tensor, k: Tensor, alpha: Tensor) -> Map | None:
        guess = self.base._inverse(y, k, alpha)
        return None if guess is None else lambda r: self.sensor(guess(self.sensor.adjoint(r)))

    def __repr__(self) -> str:
        return f"Mosaic({self.base!r}, {self.sensor.pattern})"


def _planes(t: Tensor) -> Tensor:
    """The four pictures (b 4 h/2 w/2) of every second pixel."""
    return torch.cat([t[..., i::PERIOD, j::PERIOD] for i in range(PERIOD) for j in range(PERIOD)], 1)
