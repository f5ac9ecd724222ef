"""Where in a picture its blur can be seen: edges in every direction, neither black nor white, above the noise."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pnpsr.physics import estimate_noise

SIDE = 256  # pixels of y
BLOCK = 32  # windows begin at multiples of it
SQUARE = 8  # side of the squares in which a plane is taken off
DOUBT = 1.03  # of the noise's variance, so that grain alone does not count as edges
LEVELS = (2 / 255, 253 / 255)  # beyond them a pixel may be clipped, and says nothing on the blur


@dataclass(frozen=True)
class Window:
    """A square of y (or all of a small y), and how much it tells."""

    top: int
    left: int
    height: int
    width: int
    score: float

    @property
    def inside(self) -> tuple[slice, slice]:
        """The part of y (.. h w)."""
        return self.of(1)

    def of(self, scale: int) -> tuple[slice, slice]:
        """The same part of an x that is ``scale`` times as large."""
        top, left, bottom, right = (n * scale for n in (self.top, self.left, self.top + self.height, self.left + self.width))
        return slice(top, bottom), slice(left, right)


def informative(y: Tensor, count: int = 2, side: int = SIDE) -> list[Window]:
    """The ``count`` windows of y (1 c h w) with the most edges in every direction, best first; they do not overlap by half.

    They begin with a block of JPEG's. Score: the smaller eigenvalue of the mean of ∇y ∇yᵀ over the window, y in gray, without what
    the noise of that adds to it (a mean of channels has less than they have); pixels that may be clipped do not count. A window of
    stripes has a small one, whatever their contrast: blur along them cannot be seen.
    """
    h, w = y.shape[-2:]
    height, width = min(side, h), min(side, w)
    gray = y.mean(1, keepdim=True)
    moments = _moments(gray, DOUBT * fine_noise(gray) ** 2)
    blocks = (max(1, height // BLOCK), max(1, width // BLOCK))
    if min(moments.shape[-2:]) == 0 or moments.shape[-2] < blocks[0] or moments.shape[-1] < blocks[1]:
        return [Window(0, 0, h, w, 0.0)]
    a, b, c = avg_pool2d(moments, blocks, stride=1)[0]
    smaller = (a + b) / 2 - (((a - b) / 2) ** 2 + c**2).sqrt()
    found: list[Window] = []
    for i in smaller.flatten().argsort(descending=True).tolist():
        top, left = (i // smaller.shape[1]) * BLOCK, (i % smaller.shape[1]) * BLOCK
        top, left = (min(n, most // SQUARE * SQUARE) for n, most in ((top, h - height), (left, w - width)))
        if all(abs(top - f.top) >= f.height // 2 or abs(left - f.left) >= f.width // 2 for f in found):
            found.append(Window(top, left, height, width, float(smaller.flatten()[i])))
        if len(found) == count:
            break
    return found


def noise(y: Tensor, side: int = 512) -> float:
    """The noise level of y (1 c h w), grain that is correlated between pixels included: the larger of two estimates.

    :func:`fine_noise` sees what differs from pixel to pixel; :func:`flat_noise` what is left of flat places, in which coarse grain
    and what a camera's interpolation did to its noise is whole.
    """
    return max(fine_noise(y, side), flat_noise(y))


def fine_noise(y: Tensor, side: int = 512) -> float:
    """That of white noise: the lower quartile over parts of y, since texture is taken for noise where there is any."""
    h, w = y.shape[-2:]
    parts = [
        float(estimate_noise(y[..., top : top + side, left : left + side]))
        for top in range(0, max(1, h - side // 2), side)
        for left in range(0, max(1, w - side // 2), side)
    ]
    return float(torch.tensor(parts).quantile(0.25)) if len(parts) > 1 else parts[0]


def flat_noise(y: Tensor, share: float = 0.1) -> float:
    """Standard deviation around a plane in squares of 8 x 8 pixels, per channel: exceeded by all but ``share`` of the squares.

    Squares that may be clipped do not count; where fewer than 8 are left, it is 0.
    """
    h, w = (n // SQUARE * SQUARE for n in y.shape[-2:])
    found = []
    for top in range(0, h, 32 * SQUARE) if w else ():
        blocks = y[0, :, top : min(top + 32 * SQUARE, h), :w].unfold(1, SQUARE, SQUARE).unfold(2, SQUARE, SQUARE)
        slope = torch.linspace(-1, 1, SQUARE, dtype=y.dtype)
        slope = slope / (SQUARE * slope.square().sum()).sqrt()
        rest = blocks - blocks.mean((-2, -1), keepdim=True)
        for ramp in (slope[:, None].expand(-1, SQUARE), slope.expand(SQUARE, -1)):
            rest = rest - (rest * ramp).sum((-2, -1), keepdim=True) * ramp
        spread = (rest.square().sum((-2, -1)) / (SQUARE**2 - 3)).sqrt()
        found.append(spread[(blocks.amin((-2, -1)) > LEVELS[0]) & (blocks.amax((-2, -1)) < LEVELS[1])])
    every = torch.cat(found) if found else y.new_zeros(0)
    return float(every.kthvalue(max(1, int(share * len(every)))).values) if len(every) >= 8 else 0.0


def _moments(y: Tensor, variance: float) -> Tensor:
    """Means of (∂₁y)², (∂₂y)² and ∂₁y ∂₂y over blocks, (1 3 h/BLOCK w/BLOCK), noise of that variance taken off."""
    rows = []
    h, w = y.shape[-2] // BLOCK * BLOCK, y.shape[-1] // BLOCK * BLOCK
    for top in range(0, h, 8 * BLOCK) if w else ():
        part = y[..., top : min(top + 8 * BLOCK, h) + 1, :]
        part = torch.cat([part, part[..., -1:, :]], -2) if part.shape[-2] % BLOCK == 0 else part
        right = torch.cat([part, part[..., -1:]], -1)[..., : w + 1]
        down, across = right[..., 1:, :-1] - right[..., :-1, :-1], right[..., :-1, 1:] - right[..., :-1, :-1]
        seen = ((right > LEVELS[0]) & (right < LEVELS[1]))[..., :-1, :-1].to(y)
        energy = torch.cat([down**2 - 2 * variance, across**2 - 2 * variance, down * across - variance], 1) * seen
        rows.append(avg_pool2d(energy, BLOCK))
    return torch.cat(rows, -2) if rows else y.new_zeros(1, 3, 0, 0)
