"""Camera shake: random trajectories of the open shutter, rasterised below the pixel."""

import math
from typing import Literal

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.kernels.grid import draw, reach, splat

MODES = 8  # terms of the expansion below: corners down to a sixteenth of the exposure
POINTS_PER_PIXEL = 16  # keeps the trail closed where the motion is several times faster than its mean


def brownian(xi: Tensor, n: int) -> Tensor:
    """W(τ) = Σ_m ξ_m √2 sin((m - ½) π τ) / ((m - ½) π), smooth Brownian motion at n times τ in [0, 1]: (b modes) -> (b n).

    The first terms of its Karhunen-Loève expansion, so that W(0) = 0 and the variance at τ = 1 is nearly 1.
    """
    frequency = math.pi * (torch.arange(xi.shape[1], dtype=xi.dtype, device=xi.device) + 0.5)
    tau = (torch.arange(n, dtype=xi.dtype, device=xi.device) + 0.5) / n
    waves = math.sqrt(2) * torch.sin(frequency[:, None] * tau) / frequency[:, None]
    return (xi[:, :, None] * waves).sum(1)


def trajectories(length: Tensor, nonlinearity: Tensor, turn: Tensor, xi: Tensor, n: int) -> Tensor:
    """Paths (b 2 n), (row, column) in pixels around their mean; ``length`` and the others (b 1), ``xi`` (b 2 modes).

    Heading 2π (turn + nonlinearity W(τ)), pace exp(nonlinearity V(τ)), W and V Brownian: all turning is proportional to
    the nonlinearity.
    """
    heading = 2 * math.pi * (turn + nonlinearity * brownian(xi[:, 0], n))
    pace = torch.exp(nonlinearity * brownian(xi[:, 1], n))
    pace = length * pace / pace.sum(-1, keepdim=True)
    steps = torch.stack((pace * heading.cos(), pace * heading.sin()), 1)
    path = steps.cumsum(-1) - steps / 2
    return path - path.mean(-1, keepdim=True)


def random_motion(
    count: int,
    size: Scale = 21,
    *,
    nonlinearity: float | Tensor = 0.5,
    length: tuple[float, float] | None = None,
    centre: Literal["mass", "path"] = "mass",
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Random camera-shake kernels (count 1 p q) of sum 1; with ``centre="mass"`` their centroid is p // 2 to rounding.

    With ``centre="path"`` a point of the path is at the centre instead, where the camera was at an instant drawn from the middle
    half of the exposure: x is then the scene of that instant, and the centroid is pixels away, as in many measured kernels.

    ``nonlinearity`` (a number or one per sample) runs from 0, a straight line at constant speed, to 1, very crooked and
    uneven; for one seed the total turning is proportional to it. ``length`` is the range of the distance travelled, in
    pixels, drawn uniformly; by default from r to 2 r with r = (min(p, q) - 1) // 2, which always fits. Longer trajectories
    are allowed: one that would leave the support is shrunk until it fits.

    Raises:
        TypeError: count, size, length or dtype of another kind.
        ValueError: nonlinearity outside [0, 1], length negative or in the wrong order, another centre.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import random_motion
        >>> k = random_motion(2, 15, generator=torch.Generator().manual_seed(0))
        >>> k.shape, bool((k >= 0).all())
        (torch.Size([2, 1, 15, 15]), True)
    """
    shape, b = checks.size(size, "size"), checks.whole(count, "count")
    if centre not in ("mass", "path"):
        raise ValueError(f"centre must be 'mass' or 'path', got {centre!r}")
    room = reach(shape)
    low, high = checks.span((min(room), 2 * min(room)) if length is None else length, "length")
    like = torch.empty(b, 0, dtype=checks.precision(dtype), device=device)
    crooked = checks.per_sample(nonlinearity, like, "nonlinearity")[:, 0, 0]
    if checks.reading() and checks.values(crooked).max() > 1:
        raise ValueError(f"nonlinearity must be between 0 and 1, got {crooked.max():g}")
    travelled, turn = draw(torch.rand, (2, b, 1), like, generator)
    xi = draw(torch.randn, (b, 2, MODES), like, generator)
    path = trajectories(low + (high - low) * travelled, crooked, turn, xi, POINTS_PER_PIXEL * max(1, math.ceil(high)))
    if centre == "path":
        instant = 0.25 + 0.5 * draw(torch.rand, (b, 1, 1), like, generator)
        path = path - path.gather(-1, (instant * path.shape[-1]).long().expand(-1, 2, -1))
    extent = path.abs().amax(-1).clamp(min=torch.finfo(path.dtype).tiny)
    fit = (path.new_tensor(room) / extent).amin(-1).clamp(max=1)
    return splat(path * fit[:, None, None], shape)
