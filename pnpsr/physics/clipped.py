"""What a sensor or a file cannot show: values above white are cut off, and say no more than that they were as bright."""

from typing import ClassVar

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.around import Around
from pnpsr.physics.operator import LinearOperator
from pnpsr.physics.physics import Fit, Physics, Shape

ROUNDS = 30  # of the active set, which is found in some three


class Clipped(Around, Physics):
    """(x, k) ↦ min(A_k x, high) of ``base``: the image step fits Σ |y - A x|² below ``high``, and Σ max(0, y - A x)² at it.

    A clipped pixel counts as long as the model stays below it, and says nothing against a brighter one: the exact minimiser, by
    the masked step of the pixels that count, until they are the same. The kernel step leaves clipped pixels out.

    Args:
        base: any physics.
        high: the value at which y is cut off.

    Raises:
        ValueError: ``high`` not positive.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Clipped
        >>> x, k = torch.full((1, 3, 16, 16), 1.5), gaussian(5, 1.0)
        >>> physics = Clipped(Degradation(2))
        >>> y = physics(x, k)
        >>> float(y.max()), torch.equal(physics.prox_image(y, k, x, 0.1), x)
        (1.0, True)
    """

    image_solver: ClassVar[str] = "masked steps around the closed form"

    def __init__(self, base: Physics, high: float = 1.0) -> None:
        if not high > 0:
            raise ValueError(f"high must be positive, got {high!r}")
        self.base, self.high, self.tolerance = base, float(high), base.tolerance

    @property
    def multiple(self) -> int:
        """That of the base."""
        return self.base.multiple

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """That of the base: what is linear, before anything is cut off."""
        return self.base.freeze(k=k, x=x, size=size)

    def image_shape(self, y: Tensor) -> Shape:
        """That of the base."""
        return self.base.image_shape(y)

    def observed(self, y: Tensor) -> Tensor:
        """What the base says, cut off."""
        return self.base.observed(y).clamp(max=self.high)

    def complete(self, y: Tensor) -> Tensor:
        """What the base says: a clipped pixel is white, and no gap."""
        return self.base.complete(y)

    def noise_level(self, y: Tensor) -> Tensor | None:
        """The noise level (b 1 1 1) that y shows where it is not clipped; None where the base can see none."""
        return self.base._noise_where(y, self._below(y))

    def masked(self, mask: Tensor) -> Physics:
        """The same with ``mask`` on the base."""
        return Clipped(self.base.masked(mask), self.high)

    @property
    def whole(self) -> Physics:
        """The same around that of the base."""
        return Clipped(self.base.whole, self.high)

    @property
    def transposed(self) -> Physics:
        """The same around that of the base."""
        return Clipped(self.base.transposed, self.high)

    def count(self, y: Tensor) -> Tensor:
        """How many pixels of y no channel shows clipped, (b 1 1 1)."""
        return self._below(y).sum((2, 3), keepdim=True)

    def padded(self, margin: tuple[int, int], y: Tensor) -> Physics:
        """The same around the base for y continued by (rows, columns) on each side."""
        return Clipped(self.base.padded(margin, y), self.high)

    def prox_image(self, y: Tensor, k: Tensor, x0: Tensor, alpha: float | Tensor) -> Tensor:
        """argmin_x Σ_below (y - A_k x)² + Σ_clipped max(0, y - A_k x)² + alpha |x - x0|², as :meth:`Physics.prox_image`.

        Raises:
            ArithmeticError: no convergence.
        """
        y, k, x0 = self._fitting(y, k, x0)
        clipped = y >= self.high
        if not checks.tracing() and not bool(clipped.any()):
            return self.base.prox_image(y, k, x0, alpha)
        A, x = self.freeze(k=k.detach()), x0
        counts = self._counting(A, y, x0, clipped)
        for _ in range(ROUNDS):
            x = self.base.masked(counts.to(y)).prox_image(y, k, x0, alpha) if bool(counts.any()) else x0
            before, counts = counts, self._counting(A, y, x, clipped)
            if torch.equal(before, counts):
                return x
        raise ArithmeticError(f"which clipped pixels count was not settled in {ROUNDS} rounds; raise alpha")

    def prox_kernel(
        self,
        y: Tensor,
        x: Tensor,
        k0: Tensor,
        gamma: float | Tensor,
        *,
        domain: str = "support",
        constraint: str | None = None,
        relative: bool = False,
        edges: bool = False,
        gray: bool = False,
        inside: bool = False,
    ) -> Tensor:
        """The base's kernel step from the pixels that no channel shows clipped, see :meth:`Physics.prox_kernel`."""
        options = {"relative": relative, "edges": edges, "gray": gray, "inside": inside}
        return self._seeing(checks.image(y, "y")).prox_kernel(y, x, k0, gamma, domain=domain, constraint=constraint, **options)

    def normal_equations(
        self, y: Tensor, x: Tensor, size: tuple[int, int], fit: Fit, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Those of the base from the pixels that no channel shows clipped."""
        return self._seeing(y).normal_equations(y, x, size, fit, weights)

    def _seeing(self, y: Tensor) -> Physics:
        """The base with a mask on what is clipped, unless that is nothing, or all."""
        below = self._below(y)
        return self.base.masked(below) if bool((below == 0).any()) and bool((below > 0).any()) else self.base

    def _below(self, y: Tensor) -> Tensor:
        """Which pixels are not clipped in any channel, (b 1 h w) of ones and zeros."""
        return (y < self.high).all(1, keepdim=True).to(y)

    @staticmethod
    @torch.no_grad()
    def _counting(A: LinearOperator, y: Tensor, x: Tensor, clipped: Tensor) -> Tensor:
        """Which pixels count: those that are not clipped, and those that the model falls short of."""
        return ~clipped | (A(x) < y)

    def __repr__(self) -> str:
        return f"Clipped({self.base!r}, {self.high:g})"
