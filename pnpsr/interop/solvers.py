# ruff: noqa: TID253
"""A pnpsr solver as a deepinv reconstructor."""

from collections.abc import Callable

from deepinv.models import Reconstructor
from deepinv.physics import Physics
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.interop.measurements import kernel_of, scale_of, sigma_of
from pnpsr.state import State


class AsReconstructor(Reconstructor):  # type: ignore[misc]
    """(y, physics) ↦ x: a pnpsr solver wherever deepinv takes a ``Reconstructor`` (``Trainer``, ``test``, metrics, losses).

    deepinv's ``Trainer`` stores the true kernel in the physics before the model sees it. A blind solver must not look: with
    ``blind=True`` nothing but ``physics.factor`` is read.

    Args:
        solver: ``solver(y, scale) -> State``; non-blind ones are called as ``solver(y, scale, k=..., sigma=...)``.
        blind: False hands the physics' kernel and Gaussian noise level to the solver.
        scale: the factor between y and x, where the physics must not be asked. A physics that names no factor has 1.

    Raises:
        TypeError: a solver that cannot be called, a scale that is no integer.
        ValueError: a scale below 1.

    Example:
        >>> import torch
        >>> from pnpsr import blind_hqs, Degradation
        >>> from pnpsr.interop.deepinv import AsReconstructor, to_deepinv
        >>> from pnpsr.kernels import gaussian
        >>> model = AsReconstructor(blind_hqs(5, T=1, finish=1))
        >>> physics = to_deepinv(Degradation(1), gaussian(5, 1.0))
        >>> model(physics(torch.rand(1, 1, 16, 16)), physics).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(self, solver: Callable[..., State], *, blind: bool = True, scale: Scale | None = None) -> None:
        super().__init__()
        if not callable(solver):
            raise TypeError(f"solver must be callable, (y, scale) -> state; got {solver!r}")
        if scale is not None:
            checks.factors(scale)
        self.solver, self.blind, self.scale = solver, blind, scale

    def forward(self, y: Tensor, physics: Physics | None = None) -> Tensor:
        """The restored x (b c sh sw) of y (b c h w)."""
        return self.solve(y, physics).x  # type: ignore[return-value]

    def solve(self, y: Tensor, physics: Physics | None = None) -> State:
        """The whole last state, for losses and metrics on its kernel and noise level.

        Raises:
            ValueError: a non-blind solver without a physics, or what the solver refuses.
        """
        scale = self.scale if self.scale is not None or physics is None else scale_of(physics)
        if self.blind:
            return self.solver(y, scale)
        if physics is None:
            raise ValueError("a non-blind solver needs the physics: its kernel and its noise level")
        return self.solver(y, scale, k=kernel_of(physics, y), sigma=sigma_of(physics, y))
