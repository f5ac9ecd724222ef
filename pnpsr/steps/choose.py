"""A choice among kernels by the images that they give."""

import math

import torch
from torch import Tensor, nn

from pnpsr.needs import Needs, needs_of
from pnpsr.starts import Upsample
from pnpsr.state import State, Step


class ChooseTurn(nn.Module):
    """k or its turn by 180°, whichever gives the image of smaller Σ|∇x|^q: per sample, after one image step with each.

    The power spectrum of y says nothing about the turn, and a network that saw little else is often wrong by it. An image that is
    deblurred by the turned kernel rings, and ringing is not sparse. The image step starts from the interpolated y, with
    alpha = floor + gain σ², σ as given or as y shows it. Wraps any step that writes k: as ``k0``, or as an estimator.

    Args:
        step: state -> k (b 1 p p).
        floor: alpha without noise.
        gain: alpha per noise variance.
        exponent: q, below 1: the smaller, the more a few strong edges are preferred to many weak ones.

    Raises:
        TypeError: a step that cannot be called.
        ValueError: floor or exponent not positive, negative gain.
    """

    def __init__(self, step: Step, *, floor: float = 0.1, gain: float = 3.0, exponent: float = 0.8) -> None:
        super().__init__()
        if not callable(step):
            raise TypeError(f"step must be callable, state -> k; got {step!r}")
        if not (0 < floor < math.inf and 0 <= gain < math.inf and 0 < exponent < math.inf):
            raise ValueError(f"floor and exponent must be positive, gain zero or more; got {floor!r}, {exponent!r}, {gain!r}")
        self.step, self.floor, self.gain, self.exponent = step, floor, gain, exponent

    @property
    def needs(self) -> Needs:
        """Those of the step, and a periodic y."""
        return Needs(periodic=True) & needs_of(self.step)

    def forward(self, state: State) -> Tensor:
        """The kernel (b 1 p p) or its turn.

        Raises:
            TypeError: the step returns no kernel.
        """
        k = self.step(state)
        if not isinstance(k, Tensor):
            raise TypeError(f"step must return a kernel, got {type(k).__name__}")
        turned = turn(k)
        with torch.no_grad():  # a choice has no derivative
            better = self.score(state, turned) < self.score(state, k)
        return torch.where(better, turned, k)

    def score(self, state: State, k: Tensor) -> Tensor:
        """Σ|∇x|^q (b 1 1 1) of the gray image that one image step with k gives."""
        alpha = self.floor + self.gain * state.believed().square()
        x = state.physics.prox_image(state.y, k, Upsample()(state), alpha).mean(1, keepdim=True)
        down, right = x[..., 1:, :-1] - x[..., :-1, :-1], x[..., :-1, 1:] - x[..., :-1, :-1]
        return (down.square() + right.square()).pow(self.exponent / 2).sum((1, 2, 3), keepdim=True)

    def extra_repr(self) -> str:
        """The numbers, for printing."""
        return f"alpha = {self.floor:g} + {self.gain:g} sigma², exponent={self.exponent:g}"


def turn(k: Tensor) -> Tensor:
    """k (b 1 p q) turned by 180° around its centre p // 2; an even side wraps its first row or column."""
    p, q = k.shape[-2:]
    return k.flip(-2, -1).roll((1 - p % 2, 1 - q % 2), (-2, -1))
