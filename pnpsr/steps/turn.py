"""k or k turned by 180 degrees: what second-order statistics leave open, decided by what each makes of the picture."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from pnpsr.kernels import turned
from pnpsr.needs import Needs, needs_of
from pnpsr.prox import sparsity
from pnpsr.slots import Slotted
from pnpsr.starts import Upsample
from pnpsr.state import State, Step

Cost = Callable[[Tensor], Tensor]  # gray images (b 1 h w) -> (b), the lower the likelier


class ChooseTurn(Slotted):
    """k0 or its turn by 180°, per sample: that whose image step, in gray, has the lower ``cost``.

    The autocorrelation and the power spectrum of y, hence everything :class:`pnpsr.nets.KernelStatistics` reads, are the same for a
    kernel and its mirror image. The image is not: argmin |y - (x ⊗ k)↓s|² + α |x - x0|², α = 0.1 + 3 σ², x0 cubic, has echoes of
    its edges under the wrong one. To choose, never to descend: the sparsest image of all is y itself, with a Dirac.

    Args:
        start: step that returns the first kernel (b 1 p q).
        cost: gray images (b 1 h w) -> (b); by default :func:`pnpsr.prox.sparsity`.

    Raises:
        TypeError: a part that cannot be called; on a call: a start that returns no kernel.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.steps import ChooseTurn
        >>> start = ChooseTurn(lambda state: gaussian(5, 1.0))
        >>> start(State(torch.rand(1, 3, 16, 16), Degradation(2))).shape
        torch.Size([1, 1, 5, 5])
    """

    SLOTS: ClassVar = {"start": "state -> k", "cost": "gray images -> (b)"}

    def __init__(self, start: Step, cost: Cost = sparsity) -> None:
        super().__init__()
        self.start, self.cost = start, cost

    def forward(self, state: State) -> Tensor:
        """The first kernel (b 1 p q), turned where that is likelier."""
        k = self.start(state)
        if not isinstance(k, Tensor):
            raise TypeError(f"start must return a kernel, got {type(k).__name__}")
        with torch.no_grad():  # a choice has no derivative
            costs = self.costs(state, k)
        return torch.where((costs[:, 1] < costs[:, 0])[:, None, None, None], turned(k), k)

    @property
    def needs(self) -> Needs:
        """What the start needs, and the physics of closed forms."""
        return Needs(periodic=True) & needs_of(self.start)

    def costs(self, state: State, k: Tensor) -> Tensor:
        """The costs (b 2) of k (b 1 p q) and of its turn."""
        x0 = Upsample("bicubic")(state)
        alpha = 0.1 + 3 * state.believed().square() / state.y.shape[1]  # of the channels' mean, which is what is judged
        both = (state.physics.prox_image(state.y, turn, x0, alpha) for turn in (k, turned(k)))
        return torch.stack([self.cost(x.mean(1, keepdim=True)) for x in both], 1)


def before_turning(start: Step | None) -> Step | None:
    """What says the kernel that a :class:`ChooseTurn` turns or not; any other start is its own.

    Example:
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.steps.turn import ChooseTurn, before_turning
        >>> start = lambda state: gaussian(5, 1.0)
        >>> before_turning(ChooseTurn(start)) is before_turning(start) is start
        True
    """
    return start.start if isinstance(start, ChooseTurn) else start
