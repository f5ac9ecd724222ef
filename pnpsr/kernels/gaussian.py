"""Gaussian kernels: given, random (the two training settings of DAN), and the eight isotropic ones it is tested on."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.kernels.grid import blank, draw, offsets, reach, unit

SETTING1_WIDTHS: Mapping[int, tuple[float, float]] = MappingProxyType({2: (0.2, 2.0), 3: (0.2, 3.0), 4: (0.2, 4.0)})
SETTING2_WIDTHS = (0.6, 5.0)
GAUSSIAN8_WIDTHS: Mapping[int, tuple[float, float]] = MappingProxyType({2: (0.80, 1.60), 3: (1.35, 2.40), 4: (1.80, 3.20)})


def gaussian(
    size: Scale,
    width: float | Tensor,
    *,
    width2: float | Tensor | None = None,
    angle: float | Tensor = 0.0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """K ∝ exp(-½ dᵀ Σ⁻¹ d), Σ = R diag(width², width2²) Rᵀ, d = (row, column) from the centre p // 2: (b 1 p q) of sum 1.

    ``width`` and ``width2`` are standard deviations in pixels, a number or one per sample (b,); without ``width2`` the
    kernel is isotropic. ``angle`` (radians) turns the axis of ``width`` from the row axis (down) towards the column axis
    (right): its direction is (cos angle, sin angle) in (row, column), so 0 blurs downwards by ``width`` and π/2 sideways.
    A width far below a pixel gives a Dirac. An even side has one row or column without a mirror image (index 0): it stays
    zero, so that the centroid is exactly the centre. Differentiable in all three.

    Raises:
        TypeError: size or dtype of another kind.
        ValueError: a width that is not positive, or batches that differ.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> gaussian(5, 1.0).shape
        torch.Size([1, 1, 5, 5])
        >>> gaussian(9, torch.tensor([1.0, 2.0]), width2=0.8, angle=0.5).shape
        torch.Size([2, 1, 9, 9])
    """
    shape = checks.size(size, "size")
    like = blank((width, width2, angle), dtype, device)
    first = checks.per_sample(width, like, "width", positive=True)
    second = first if width2 is None else checks.per_sample(width2, like, "width2", positive=True)
    turn = checks.per_sample(angle, like, "angle", signed=True)
    rows, columns = offsets(shape, like)
    along = (rows * turn.cos() + columns * turn.sin()) / first
    across = (columns * turn.cos() - rows * turn.sin()) / second
    mirrored = (rows >= -reach(shape)[0]) & (columns >= -reach(shape)[1])
    return unit(torch.exp(-(along.square() + across.square()) / 2) * mirrored)


def random_gaussian(
    count: int,
    size: Scale = 21,
    *,
    widths: tuple[float, float] = SETTING1_WIDTHS[4],
    anisotropic: bool = False,
    multiplicative: float | Tensor = 0.0,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Gaussians of uniformly drawn width(s) in pixels: (count 1 p q) of sum 1.

    ``anisotropic`` draws a second width from the same range and an angle from [-π, π]. ``multiplicative`` = m multiplies
    every pixel by its own 1 + u, u uniform in [0, m], before the kernel is normalised: one-sided, as DAN's released
    generator does it (the generator of the DIV2KRK test kernels draws u from [-m, m] instead). It moves the centroid a little.

    Raises:
        TypeError: count, size, widths or dtype of another kind.
        ValueError: widths not positive or in the wrong order, negative noise.

    Example:
        >>> from pnpsr.kernels import random_gaussian
        >>> random_gaussian(4, 9, widths=(0.6, 2.0), anisotropic=True).shape
        torch.Size([4, 1, 9, 9])
    """
    shape, b = checks.size(size, "size"), checks.whole(count, "count")
    low, high = checks.span(widths, "widths")
    if low == 0:
        raise ValueError(f"widths must be positive, got {widths!r}; for no blur use dirac")
    like = torch.empty(b, 0, dtype=checks.precision(dtype), device=device)
    noise = checks.per_sample(multiplicative, like, "multiplicative")
    width, width2, turn = draw(torch.rand, (3, b), like, generator)
    width, width2 = (low + (high - low) * u for u in (width, width2))
    angle = math.pi * (2 * turn - 1)
    if not anisotropic:
        width2, angle = width, torch.zeros_like(angle)
    k = gaussian(shape, width, width2=width2, angle=angle, dtype=dtype)
    return unit(k * (1 + noise * draw(torch.rand, tuple(k.shape), k, generator)))


def dan_setting1(
    count: int,
    scale: int,
    size: Scale = 21,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """DAN's training setting 1: isotropic, widths uniform in [0.2, 2 | 3 | 4] at scale 2 | 3 | 4 (Luo et al. 2021, section 4.1).

    Raises:
        ValueError: a scale without a range in the paper; use :func:`random_gaussian` with ``widths``.

    Example:
        >>> from pnpsr.kernels import dan_setting1
        >>> dan_setting1(3, 2).shape
        torch.Size([3, 1, 21, 21])
    """
    checks.choice(scale, SETTING1_WIDTHS, "scale")
    return random_gaussian(count, size, widths=SETTING1_WIDTHS[scale], generator=generator, dtype=dtype, device=device)


def dan_setting2(
    count: int,
    size: Scale,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """DAN's training setting 2: anisotropic, both widths uniform in (0.6, 5), any angle, 25 % noise (Luo et al. 2021, section 4.1).

    The paper takes size 11 at scale 2 and 31 at scale 4.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import dan_setting2
        >>> k = dan_setting2(3, 11, generator=torch.Generator().manual_seed(0))
        >>> k.shape, [round(float(v), 4) for v in k.sum((1, 2, 3))]
        (torch.Size([3, 1, 11, 11]), [1.0, 1.0, 1.0])
    """
    return random_gaussian(
        count, size, widths=SETTING2_WIDTHS, anisotropic=True, multiplicative=0.25, generator=generator, dtype=dtype, device=device
    )


def gaussian8(
    scale: int, size: Scale = 21, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """The test kernels Gaussian8 (8 1 p q): isotropic, widths evenly spaced in the range of the scale (IKC; DAN section 4.1).

    [0.80, 1.60] at scale 2, [1.35, 2.40] at 3, [1.80, 3.20] at 4, both ends included.

    Raises:
        ValueError: another scale; no range is defined for it.

    Example:
        >>> from pnpsr.kernels import gaussian8
        >>> gaussian8(4).shape
        torch.Size([8, 1, 21, 21])
    """
    checks.choice(scale, GAUSSIAN8_WIDTHS, "scale")
    low, high = GAUSSIAN8_WIDTHS[scale]
    return gaussian(size, torch.linspace(low, high, 8, dtype=checks.precision(dtype), device=device), dtype=dtype)
