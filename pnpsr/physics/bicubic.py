"""Bicubic reduction by an integer factor: the same few weights at every pixel, so a kernel of its own."""

import math

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.blur import Margins, extend, extend_adjoint
from pnpsr.physics.operator import LinearOperator

Pair = tuple[int, int]


def taps(s: int) -> tuple[Tensor, int]:
    """b(v) ∝ cubic((v - (s - 1) / 2) / s), v = first, first + 1, ...: the weights (n,) of sum 1 in float64, and ``first``.

    cubic is Keys' kernel (1981) with a = -1/2, stretched by s against aliasing: MATLAB's imresize(x, 1/s).
    """
    first = math.floor((s - 1) / 2 - 2 * s) + 1
    v = torch.arange(first, s - first, dtype=torch.float64)  # symmetric about (s - 1) / 2
    t = ((v - (s - 1) / 2) / s).abs()
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weights = torch.where(t <= 1, near, far)
    return weights / weights.sum(), first


class Bicubic(LinearOperator):
    """y(i) = Σ_v b(v) z(s i + v) along rows and columns, beyond the border z mirrored with its edge: (b c sh sw) -> (b c h w)."""

    def __init__(self, scale: Scale) -> None:
        self.scale = checks.factors(scale)

    def __call__(self, v: Tensor) -> Tensor:
        """v reduced by the scale.

        Raises:
            ValueError: sides that are no multiples of the scale.
        """
        checks.divisible(checks.image(v, "v"), self.scale, "v")
        for axis, s in ((-2, self.scale[0]), (-1, self.scale[1])):
            weights, margins = _reach(s, axis)
            v = (extend(v, margins, "symmetric").unfold(axis, weights.numel(), s) * weights.to(v)).sum(-1)
        return v

    def adjoint(self, u: Tensor) -> Tensor:
        """Every pixel is spread with the weights it was made with."""
        u = checks.image(u, "u")
        for axis, s in ((-1, self.scale[1]), (-2, self.scale[0])):
            weights, margins = _reach(s, axis)
            n = u.shape[axis]
            shape = list(u.shape)
            shape[axis] = s * n + sum(margins)
            full = u.new_zeros(shape)
            for v, weight in enumerate(weights.tolist()):
                rows = torch.arange(n, device=u.device) * s + v
                full = full.index_add(axis, rows, u, alpha=weight)
            u = extend_adjoint(full, margins, "symmetric")
        return u

    def __repr__(self) -> str:
        return f"Bicubic({self.scale[0]} x {self.scale[1]})"


def _reach(s: int, axis: int) -> tuple[Tensor, Margins]:
    """The weights, and how far they reach beyond an axis of length s n."""
    weights, first = taps(s)
    before, after = -first, first + weights.numel() - s
    return weights, ((before, after, 0, 0) if axis == -2 else (0, 0, before, after))


def compose(g: Tensor, scale: Pair) -> tuple[Tensor, Pair]:
    """Σ_v b(v) g(j - v): the taps (b 1 p q) of blur and bicubic reduction in one, and by how much their start moves."""
    (rows, up), (columns, left) = taps(scale[0]), taps(scale[1])
    both = torch.outer(rows, columns)[None, None].to(g)
    full = torch.nn.functional.conv2d(g, both.flip(-2, -1), padding=(len(rows) - 1, len(columns) - 1))
    return full, (up, left)
