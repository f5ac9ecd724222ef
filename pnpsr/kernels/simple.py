"""Kernels with a formula: no blur, defocus, straight uniform motion."""

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.kernels.grid import blank, offsets, reach, splat, unit


def dirac(size: Scale, count: int = 1, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None) -> Tensor:
    """K = δ: one at the centre p // 2, zero elsewhere, (count 1 p q).

    Example:
        >>> from pnpsr.kernels import dirac
        >>> dirac(3)[0, 0].tolist()
        [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    p, q = checks.size(size, "size")
    k = torch.zeros(checks.whole(count, "count"), 1, p, q, dtype=checks.precision(dtype), device=device)
    k[..., p // 2, q // 2] = 1
    return k


def disk(
    size: Scale, radius: float | Tensor, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """K ∝ area of each pixel inside the circle of ``radius`` pixels around the centre p // 2: defocus, (b 1 p q) of sum 1.

    The radius is a number or one per sample; up to half a pixel it gives a Dirac. Differentiable in the radius. The
    overlap is exact along columns and a mean of 32 lines per pixel along rows (error below 1e-3 of a pixel's area).

    Raises:
        TypeError: size or dtype of another kind.
        ValueError: a radius that is not positive, or a disk larger than the support.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import disk
        >>> disk(11, torch.tensor([2.0, 3.5])).shape
        torch.Size([2, 1, 11, 11])
    """
    shape = checks.size(size, "size")
    like = blank((radius,), dtype, device)
    r = checks.per_sample(radius, like, "radius", positive=True)
    room = min(reach(shape)) + 0.5
    if checks.reading() and checks.values(r).max() > room:
        raise ValueError(
            f"radius {checks.values(r).max():g} does not fit a kernel of {shape[0]} x {shape[1]}: at most {room}; enlarge the size"
        )
    r = r.clamp(min=0.5)  # smaller disks cover no other pixel either
    rows, columns = offsets(shape, like)
    lines = rows + (torch.arange(32, dtype=like.dtype, device=like.device) + 0.5) / 32 - 0.5
    inside = (lines.abs() < r)[..., None]
    chord = torch.where(inside, (r.square() - lines.square())[..., None], 1).sqrt()  # half of it; 1 keeps the root differentiable
    covered = torch.minimum(columns + 0.5, chord) - torch.maximum(columns - 0.5, -chord)
    return unit((covered.clamp(min=0) * inside).mean(-2))


def line(
    size: Scale,
    length: float | Tensor,
    angle: float | Tensor = 0.0,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """K ∝ time spent per pixel while moving ``length`` pixels at constant speed through the centre p // 2: (b 1 p q) of sum 1.

    ``angle`` (radians) as in :func:`pnpsr.kernels.gaussian`: direction (cos angle, sin angle) in (row, column). Numbers or
    one per sample. Rasterised with bilinear weights, so the centroid is exactly the centre.

    Raises:
        TypeError: size or dtype of another kind.
        ValueError: negative length, or a line longer than the support.

    Example:
        >>> from pnpsr.kernels import line
        >>> round(float(line(11, 5.0, 0.3).sum()), 4)
        1.0
    """
    shape = checks.size(size, "size")
    like = blank((length, angle), dtype, device)
    travelled = checks.per_sample(length, like, "length")[:, 0, 0]
    turn = checks.per_sample(angle, like, "angle", signed=True)[:, 0, 0]
    ends = travelled * torch.cat((turn.cos(), turn.sin()), 1) / 2  # (b 2)
    room = like.new_tensor(reach(shape))
    if checks.reading() and (checks.values(ends).abs() > room + 1e-4).any():
        raise ValueError(f"length {travelled.max():g} does not fit a kernel of {shape[0]} x {shape[1]}; enlarge the size")
    n = 16 * max(shape)
    return splat(ends[..., None] * ((2 * torch.arange(n, dtype=like.dtype, device=like.device) + 1) / n - 1), shape)
