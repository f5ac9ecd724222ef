"""What a restorer makes of a picture, and of the same picture with rows and columns exchanged: their mean."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from pnpsr.needs import Needs, needs_of_step
from pnpsr.slots import Slotted
from pnpsr.state import State, Step


class SelfEnsemble(Slotted):
    """x ← ½ (R(y, x, k) + R(yᵀ, xᵀ, kᵀ)ᵀ): a restorer asked twice, once with rows and columns exchanged.

    A network answers each a little differently, and part of that is error (the self-ensemble of Timofte, Rothe, Van Gool 2016).
    Of the eight orientations of a picture it is the transposition that leaves the pixels which ↓s keeps where they are; a flip
    moves them by s - 1. It takes twice the time, and costs no weights.

    Args:
        restorer: step that returns x (b c sh sw); whole solves (:class:`pnpsr.debiased.Solved`) differ more than single
            iterations do.

    Raises:
        TypeError: a restorer that cannot be called; on a call: one that returns no image.
        ValueError: (on a call) a physics that has no :attr:`pnpsr.physics.Physics.transposed`.

    Example:
        >>> import torch
        >>> from pnpsr import State
        >>> from pnpsr.starts import Upsample
        >>> from pnpsr.steps import SelfEnsemble
        >>> SelfEnsemble(Upsample())(State(torch.rand(1, 3, 8, 8), 2)).shape
        torch.Size([1, 3, 16, 16])
    """

    SLOTS: ClassVar = {"restorer": "state -> x"}

    def __init__(self, restorer: Step) -> None:
        super().__init__()
        self.restorer = restorer

    @property
    def needs(self) -> Needs:
        """Those of the restorer."""
        return needs_of_step(self.restorer)

    def forward(self, state: State) -> Tensor:
        """The mean of both images (b c sh sw)."""
        one, other = (self.restorer(s) for s in (state, exchanged(state)))
        if not isinstance(one, Tensor) or not isinstance(other, Tensor):
            raise TypeError(f"restorer must return an image, got {type(one).__name__}")
        return (one + other.mT) / 2


def exchanged(state: State) -> State:
    """The state with rows and columns of all its pictures and kernels exchanged.

    Raises:
        ValueError: a physics that has no :attr:`pnpsr.physics.Physics.transposed`.

    Example:
        >>> import torch
        >>> from pnpsr import State
        >>> from pnpsr.steps.ensemble import exchanged
        >>> exchanged(State(torch.rand(1, 3, 8, 6), (2, 1))).scale
        (1, 2)
    """
    shown = {name: getattr(state, name) for name in ("y", "x", "k", "x0", "k0", "given")}
    turned: dict[str, Any] = {name: None if v is None else v.mT.contiguous() for name, v in shown.items()}
    return replace(state, **turned, physics=state.physics.transposed, _known={})
