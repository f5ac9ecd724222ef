"""What hypothesis draws: small sizes and a seed. Tensors are made from the seed, in float64."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

Pair = tuple[int, int]
SCALES = (1, 2, 3, 4, (2, 3))
seeds = st.integers(0, 2**31 - 1)


def examples(n: int) -> settings:
    """n examples where the profile asks for 30, and in proportion elsewhere: for laws that cost more than most."""
    return settings(max_examples=max(1, n * settings().max_examples // 30))


def noise(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers in [0, 1]."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@dataclass(frozen=True)
class Problem:
    """One random instance of y = (x ⊗ k)↓s; y is not the image of x, so that residuals are never zero."""

    y: Tensor  # (b c h w)
    x: Tensor  # (b c s1 h, s2 w)
    k: Tensor  # (b 1 p q), of sum 1 and any sign
    wide: Tensor  # (b c s1 h + p - 1, s2 w + q - 1): an image whose blurred inside has the size of x
    scale: Pair
    offset: Pair
    seed: int

    @property
    def grid(self) -> Pair:
        return self.x.shape[-2], self.x.shape[-1]

    @property
    def taps(self) -> Pair:
        return self.k.shape[-2], self.k.shape[-1]

    def sample(self, i: int) -> "Problem":
        """The i-th problem of the batch on its own."""
        return self._map(lambda t: t[i : i + 1])

    def to(self, dtype: torch.dtype) -> "Problem":
        return self._map(lambda t: t.to(dtype))

    def _map(self, f: Callable[[Tensor], Tensor]) -> "Problem":
        return replace(self, **{name: f(getattr(self, name)) for name in ("y", "x", "k", "wide")})


def factor_pairs(scale: int | Pair) -> Pair:
    return scale if isinstance(scale, tuple) else (scale, scale)


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    scale: int | Pair | None = None,
    batch: int = 2,
    channels: int = 3,
    low: int = 3,
    taps: int = 4,
    full: bool = False,
) -> Problem:
    """Any scale (also per axis), offset, batch, channels, non-square image, and kernels of 1 tap up to the size of the image."""
    b, c, h, w = (draw(st.integers(1, n)) for n in (batch, channels, low, low))
    s1, s2 = (draw(st.integers(1, 3)), draw(st.integers(1, 3))) if scale is None else factor_pairs(scale)
    offset = draw(st.integers(0, s1 - 1)), draw(st.integers(0, s2 - 1))
    p, q = (s1 * h, s2 * w) if full else (draw(st.integers(1, min(taps, s1 * h))), draw(st.integers(1, min(taps, s2 * w))))
    seed = draw(seeds)
    return Problem(
        y=noise(b, c, h, w, seed=seed),
        x=noise(b, c, s1 * h, s2 * w, seed=seed + 1),
        k=(k := noise(b, 1, p, q, seed=seed + 2)) + (1 - k.sum((-2, -1), keepdim=True)) / (p * q),
        scale=(s1, s2),
        offset=offset,
        wide=noise(b, c, s1 * h + p - 1, s2 * w + q - 1, seed=seed + 3),
        seed=seed + 4,
    )
