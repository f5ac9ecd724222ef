"""What was found, in words."""

import math
from dataclasses import dataclass

from torch import Tensor

from pnpsr.kernels.grid import offsets

NARROW = 0.45  # standard deviation in pixels below which nobody would call it blur


@dataclass(frozen=True)
class Shape:
    """A kernel by its second moments: standard deviations in pixels along and across, and the direction of the longer."""

    along: float
    across: float
    angle: float  # in degrees from the columns' axis, counter-clockwise as one sees it, 0 .. 180


def shape_of(k: Tensor) -> Shape:
    """The shape of a kernel k (1 1 p q); negative values do not count."""
    k = k.double().clamp_min(0)
    k = k / k.sum().clamp_min(1e-12)
    rows, columns = (n.to(k) for n in offsets((k.shape[-2], k.shape[-1]), k))
    r, c = (k * rows).sum(), (k * columns).sum()
    rr, cc, rc = (float((k * a * b).sum()) for a, b in ((rows - r, rows - r), (columns - c, columns - c), (rows - r, columns - c)))
    middle, spread = (rr + cc) / 2, math.hypot((rr - cc) / 2, rc)
    angle = math.degrees(0.5 * math.atan2(-2 * rc, cc - rr)) % 180
    return Shape(math.sqrt(max(middle + spread, 0)), math.sqrt(max(middle - spread, 0)), angle)


def extent(k: Tensor) -> int:
    """The side of the square around the centre that holds all of k (.. p q) above a hundredth of its largest value."""
    there = (k > 0.01 * k.amax((-2, -1), keepdim=True)).flatten(0, -3).any(0).nonzero()
    centre = there.new_tensor([k.shape[-2] // 2, k.shape[-1] // 2])
    return 2 * int((there - centre).abs().max()) + 1 if len(there) else 1


def describe(k: Tensor) -> str:
    """ "motion of about 12 pixels at 30°", "blur of about 4 pixels", "no blur": length of a line, or full width at half maximum."""
    s = shape_of(k)
    if s.along < NARROW:
        return "no blur"
    if s.along > 1.5 and s.along > 2 * s.across:
        length = math.sqrt(12 * max(s.along**2 - s.across**2, 0)) + 1
        return f"motion of about {length:.0f} pixels at {s.angle:.0f}°"
    return f"blur of about {2.355 * math.sqrt(s.along * max(s.across, 0.1)):.1f} pixels"


def sentence(k: Tensor, sigma: float, explained: float) -> str:
    """The kernel, the noise level, and how well both explain the picture."""
    return f"{describe(k)}, noise {100 * sigma:.1f} %, explains the picture to {explained:.0f} dB"
