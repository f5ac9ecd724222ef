# ruff: noqa: TID253
"""deepinv's linear physics as the physics of a pnpsr solve."""

from deepinv.physics import LinearPhysics
from torch import Tensor

from pnpsr import checks
from pnpsr.physics import LinearOperator, Measured, Physics


class DeepinvOperator(LinearOperator):
    """x ↦ A x of a deepinv ``LinearPhysics``, without its noise, and its adjoint."""

    def __init__(self, physics: LinearPhysics) -> None:
        if not isinstance(physics, LinearPhysics):
            raise TypeError(f"physics must be a deepinv LinearPhysics, got {type(physics).__name__}")
        self.physics = physics

    def __call__(self, v: Tensor) -> Tensor:
        """A v."""
        return self.physics.A(v)

    def adjoint(self, u: Tensor) -> Tensor:
        """A* u."""
        return self.physics.A_adjoint(u)

    def __repr__(self) -> str:
        return f"DeepinvOperator({type(self.physics).__name__})"


class DeepinvPhysics(Measured):
    """(x, k) ↦ A x: the kernel, if A has one, is known and inside; the image step is its ``prox_l2``."""

    def __init__(self, physics: LinearPhysics) -> None:
        super().__init__(DeepinvOperator(physics))
        self.physics = physics

    def prox_image(self, y: Tensor, k: Tensor, x0: Tensor, alpha: float | Tensor) -> Tensor:
        """argmin_x |y - A x|² + alpha |x - x0|²; k is not used."""
        del k
        alpha = checks.per_sample(alpha, checks.image(y, "y"), "alpha", positive=True)
        return self.physics.prox_l2(checks.image(x0, "x0"), y, gamma=1 / alpha).to(y.dtype)


def as_physics(physics: LinearPhysics, *, before: Physics | None = None) -> Measured:
    """A deepinv physics for ``solver(y, physics)``: alone, or after a blur whose kernel the solver knows or looks for.

    Args:
        physics: any ``deepinv.physics.LinearPhysics`` between images: inpainting, compressed sensing, tomography, ...
        before: the blur that comes first, such as ``Degradation(1)``; without one call the solver with any ``k=``, or with a
            ``k0`` of its own and no estimator.

    Raises:
        TypeError: a physics that is not linear.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.interop.deepinv import as_physics, to_deepinv
        >>> from pnpsr.kernels import gaussian
        >>> physics = as_physics(to_deepinv(Degradation(2), gaussian(5, 1.0)))
        >>> physics.scale
        (1, 1)
    """
    return DeepinvPhysics(physics) if before is None else Measured(DeepinvOperator(physics), before)
