"""Untrained ways to begin: a first kernel, a first image. Parameter-free frozen callables, safe as shared defaults."""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import pad

from pnpsr import checks, precision
from pnpsr.checks import Scale
from pnpsr.needs import Needs
from pnpsr.state import State

MODES = ("nearest", "bilinear", "bicubic")


def interpolation_weights(scale: int, offset: float, mode: str) -> list[list[float]]:
    """Row r: weights of low-resolution pixels j-2 .. j+2 for high-resolution pixel s j + r, which is at j + (r - offset) / s.

    ``bicubic`` is Keys' cubic with a = -1/2 (Keys 1981), the one that reproduces quadratics; ``nearest`` repeats pixel j.

    Example:
        >>> from pnpsr.starts import interpolation_weights
        >>> interpolation_weights(2, 0.0, "bilinear")
        [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5, 0.0]]
    """

    def weight(d: float) -> float:
        d = abs(d)
        if mode == "bilinear":
            return max(0.0, 1 - d)
        if d <= 1:
            return 1.5 * d**3 - 2.5 * d**2 + 1
        return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0

    if mode == "nearest":
        return [[0.0, 0.0, 1.0, 0.0, 0.0]] * scale
    return [[weight((r - offset) / scale - tap) for tap in range(-2, 3)] for r in range(scale)]


def upsample(y: Tensor, scale: Scale, mode: str = "bicubic", offset: float | tuple[float, float] = 0) -> Tensor:
    """y (b c h w) -> (b c sh sw) on the grid of ↓s: low-resolution pixel n sits at high-resolution pixel s n + offset.

    ``torch.nn.functional.interpolate`` is centre-aligned instead and off by (s - 1) / 2 pixels. Borders are replicated.

    The offset may lie between two pixels.

    Raises:
        ValueError: unknown mode, or an offset outside 0 .. s - 1.

    Example:
        >>> import torch
        >>> from pnpsr.starts import upsample
        >>> y = torch.rand(1, 3, 4, 4)
        >>> upsample(y, 2).shape, torch.equal(upsample(y, 2, "nearest")[..., ::2, ::2], y)
        (torch.Size([1, 3, 8, 8]), True)
    """
    checks.choice(mode, MODES, "mode")
    pair = offset if isinstance(offset, tuple) else (offset, offset)
    if any(not 0 <= o <= s - 1 for o, s in zip(pair, checks.factors(scale), strict=True)):
        raise ValueError(f"offset must lie in 0 .. scale - 1, got {offset!r} for scale {scale!r}")
    for s, o in zip(checks.factors(scale), pair, strict=True):
        y = y.transpose(-1, -2)  # twice: rows first, then columns, each time along the last axis
        if s > 1:
            weights = torch.tensor(interpolation_weights(s, o, mode), dtype=y.dtype).to(y.device, non_blocking=True)
            windows = pad(y, (2, 2, 0, 0), mode="replicate").unfold(-1, 5, 1)
            with precision.exact(y):
                y = rearrange(torch.einsum("...wt,rt->...wr", windows, weights), "... w r -> ... (w r)")
    return y


@dataclass(frozen=True)
class Upsample:
    """x0 = y↑s, interpolated on the grid of ↓s (see :func:`upsample`).

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.starts import Upsample
        >>> Upsample("bilinear")(State(torch.rand(1, 3, 4, 4), Degradation(3))).shape
        torch.Size([1, 3, 12, 12])
    """

    mode: str = "bicubic"

    def __post_init__(self) -> None:
        checks.choice(self.mode, MODES, "mode")

    def __call__(self, state: State) -> Tensor:
        """The first image (b c sh sw)."""
        return upsample(state.completed, state.scale, self.mode, state.physics.position)


@dataclass(frozen=True)
class Dirac:
    """k0 = δ: one at the centre p // 2 of a p x p (or p x q) grid, for "no blur at all" (DAN section 3.3).

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.starts import Dirac
        >>> Dirac(5)(State(torch.rand(2, 3, 4, 4), Degradation(2))).shape
        torch.Size([2, 1, 5, 5])
    """

    size: Scale = 21

    def __post_init__(self) -> None:
        checks.size(self.size, "size")

    @property
    def needs(self) -> Needs:
        """The size of its kernels."""
        return Needs(kernel_size=max(checks.size(self.size, "size")))

    def __call__(self, state: State) -> Tensor:
        """The first kernel (b 1 p q)."""
        p, q = checks.size(self.size, "size")
        k = state.y.new_zeros(state.y.shape[0], 1, p, q)
        k[..., p // 2, q // 2] = 1
        return k


@dataclass(frozen=True)
class Gaussian:
    """k0 ∝ exp(-|n - p // 2|² / 2 width²), of sum 1; the width in high-resolution pixels.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.starts import Gaussian
        >>> Gaussian(5, 0.8)(State(torch.rand(2, 3, 4, 4), Degradation(2))).shape
        torch.Size([2, 1, 5, 5])
    """

    size: Scale = 21
    width: float = 1.0

    def __post_init__(self) -> None:
        checks.size(self.size, "size")
        if not (isinstance(self.width, int | float) and math.isfinite(self.width) and self.width > 0):
            raise ValueError(f"width must be a positive number of pixels, got {self.width!r}; for no blur use Dirac({self.size})")

    @property
    def needs(self) -> Needs:
        """The size of its kernels."""
        return Needs(kernel_size=max(checks.size(self.size, "size")))

    def __call__(self, state: State) -> Tensor:
        """The first kernel (b 1 p q)."""
        p, q = (
            torch.softmax(-((torch.arange(n, dtype=torch.float64) - n // 2) ** 2) / (2 * self.width**2), 0)
            for n in checks.size(self.size, "size")
        )
        return torch.outer(p, q).to(state.y).expand(state.y.shape[0], 1, -1, -1)
