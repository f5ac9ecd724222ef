"""One step first, another later: continuation, freezing and finishing as wrappers with the socket of a step."""

from torch import Tensor, nn

from pnpsr import checks
from pnpsr.state import Hyper, State, Step


class Until(nn.Module):
    """``first`` for iterations 1 to t, ``then`` for all later ones (so that T at test stays free).

    Args:
        t: number of iterations of the first step.
        first: any step.
        then: any step that writes the same field.
    """

    def __init__(self, t: int, first: Step, then: Step) -> None:
        super().__init__()
        self.t, self.first, self.then = checks.whole(t, "t", least=0), first, then

    def forward(self, state: State) -> Tensor | Hyper:
        """What the step in charge returns."""
        return self.first(state) if state.t < self.t else self.then(state)

    def extra_repr(self) -> str:
        """The moment of the change, for printing."""
        return f"t={self.t}"


def keep_kernel(state: State) -> Tensor:
    """k, unchanged: an estimator that has finished."""
    return state.known("k")
