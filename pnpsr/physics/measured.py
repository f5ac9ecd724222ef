"""Any linear operator as a physics: an operator of one's own, or of another library, after a blur or in place of one."""

from typing import ClassVar

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.operator import LinearOperator
from pnpsr.physics.physics import Physics, Shape


class Measured(Physics):
    """(x, k) ↦ A B(x, k) for an operator A that is known, after the blur ``before``, or (x, k) ↦ A x without one.

    Both steps know A and A* alone: the image step runs conjugate gradients in the dtype of y, the kernel step applies the operator
    to every unit kernel. Without ``before`` there is no kernel to estimate, and the solver takes any ``k=``.

    Args:
        operator: from images to whatever is measured, of four axes.
        before: the physics whose y the operator measures.

    Raises:
        TypeError: no :class:`LinearOperator`, no :class:`Physics`.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Downsample, Measured
        >>> physics = Measured(Downsample(2), before=Degradation(1))
        >>> physics(torch.rand(1, 1, 8, 8), gaussian(3, 0.8)).shape
        torch.Size([1, 1, 4, 4])
    """

    tolerance = 1e-5  # A may be of single precision
    shows: ClassVar[bool] = False

    def __init__(self, operator: LinearOperator, before: Physics | None = None) -> None:
        if not isinstance(operator, LinearOperator):
            raise TypeError(f"operator must be a LinearOperator, with a call and an adjoint; got {type(operator).__name__}")
        if before is not None and not isinstance(before, Physics):
            raise TypeError(f"before must be a Physics, such as Degradation(2), got {type(before).__name__}")
        self.operator, self.before = operator, before

    @property
    def scale(self) -> tuple[int, int]:
        """That of the blur before, else 1: how much larger x is than what A measures."""
        return (1, 1) if self.before is None else self.before.scale

    @property
    def position(self) -> tuple[float, float]:
        """That of the blur before."""
        return (0, 0) if self.before is None else self.before.position

    @property
    def whole(self) -> Physics:
        """None.

        Raises:
            ValueError: always: the operator is of one size.
        """
        raise ValueError(f"{self!r} is of one size: what is asked for needs a physics of pictures of any size")

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """A after the blur, or A.

        Raises:
            ValueError: the operator in k where there is no blur.
        """
        if self.before is not None:
            return self.operator @ self.before.freeze(k=k, x=x, size=size)
        if x is not None:
            raise ValueError("this physics has no kernel: build it with before=Degradation(...), or estimate none")
        return self.operator

    def image_shape(self, y: Tensor) -> Shape:
        """The shape of B* A* y."""
        low = self.complete(y)
        b, c, h, w = low.shape if self.before is None else self.before.image_shape(low)
        return b, c, h, w

    def complete(self, y: Tensor) -> Tensor:
        """A* y, a picture where y need be none."""
        with torch.no_grad():
            return self.operator.adjoint(checks.image(y, "y"))

    def noise_level(self, y: Tensor) -> None:
        """None: y need be no picture, and its neighbours may be anything."""
        del y

    def _complete_where(self, y: Tensor, weights: Tensor) -> Tensor:
        return self.complete(torch.where(weights > 0, y, 0))  # neighbours in y say nothing of each other

    def _noise_where(self, y: Tensor, weights: Tensor) -> None:
        del y, weights

    def _wide(self, y: Tensor) -> torch.dtype:
        return y.dtype

    def __repr__(self) -> str:
        return f"Measured({self.operator!r}{'' if self.before is None else f', before={self.before!r}'})"
