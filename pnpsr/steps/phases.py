"""One step first, another later: continuation, freezing and finishing as wrappers with the socket of a step."""

from dataclasses import replace

from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs, needs_of
from pnpsr.state import Hyper, State, Step


class Until(nn.Module):
    """``first`` for iterations 1 to t, ``then`` for all later ones (so that T at test stays free), which it counts from 1 again.

    Args:
        t: number of iterations of the first step.
        first: any step.
        then: any step that writes the same field.
    """

    def __init__(self, t: int, first: Step, then: Step) -> None:
        super().__init__()
        self.t, self.first, self.then = checks.whole(t, "t", least=0), first, then

    @property
    def needs(self) -> Needs:
        """Those of both; the first step is left before it runs out of weights."""
        later = needs_of(self.then).longest
        return replace(needs_of(self.first) & needs_of(self.then), longest=None if later is None else self.t + later)

    def forward(self, state: State) -> Tensor | Hyper:
        """What the step in charge returns."""
        if state.t < self.t:
            return self.first(state)
        try:
            return self.then(replace(state, t=state.t - self.t))
        except ValueError as error:
            kind = checks.NotFinite if isinstance(error, checks.NotFinite) else ValueError  # a training reads it as divergence
            raise kind(f"{error} (in the phase after the first {self.t})") from error

    def extra_repr(self) -> str:
        """The moment of the change, for printing."""
        return f"t={self.t}"


class Afresh(nn.Module):
    """A step that takes ``x0(state)`` for x in its first iteration: a phase that does not go on from the last one's image.

    Args:
        step: any step.
        x0: first image, a callable that reads y and the scale.
    """

    def __init__(self, step: Step, x0: Step) -> None:
        super().__init__()
        self.step, self.x0 = step, x0

    @property
    def needs(self) -> Needs:
        """Those of the step."""
        return needs_of(self.step)

    def forward(self, state: State) -> Tensor | Hyper:
        """What the step returns."""
        return self.step(state if state.t else state.write("x", self.x0(state)))


def keep_kernel(state: State) -> Tensor:
    """k, unchanged: an estimator that has finished."""
    return state.known("k")
