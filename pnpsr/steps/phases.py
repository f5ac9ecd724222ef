"""One step first, another later: continuation, freezing and finishing as one wrapper with the socket of a step."""

from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from pnpsr import checks
from pnpsr.needs import Needs, needs_of_step
from pnpsr.slots import Slotted
from pnpsr.state import Hyper, State, Step


class Until(Slotted):
    """``first`` for iterations 1 to t, ``then`` for all later ones (so that T at test stays free), which it counts from 1 again.

    Args:
        t: number of iterations of the first step.
        first: any step.
        then: any step that writes the same field.
        x0: first image of the later phase, a callable that reads the state; None: it goes on from the image of the first.

    Raises:
        TypeError: a step that cannot be called.
        ValueError: (on a call) what the second step raises, with the phase it was in; divergence stays :class:`NotFinite`.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.steps import Until
        >>> step = Until(2, lambda state: "first", lambda state: "then")
        >>> [step(State(torch.rand(1, 1, 8, 8), Degradation(2), t=t)) for t in range(4)]
        ['first', 'first', 'then', 'then']
    """

    SLOTS: ClassVar = dict.fromkeys(("first", "then", "x0"), "state -> value")
    OPTIONAL: ClassVar = ("x0",)

    def __init__(self, t: int, first: Step, then: Step, *, x0: Step | None = None) -> None:
        super().__init__()
        self.t, self.first, self.then, self.x0 = checks.whole(t, "t", least=0), first, then, x0

    @property
    def needs(self) -> Needs:
        """Those of both; the first step is left before it runs out of weights."""
        first, then = needs_of_step(self.first), needs_of_step(self.then)
        return replace(first & then, longest=None if then.longest is None else self.t + then.longest)

    def forward(self, state: State) -> Tensor | Hyper:
        """What the step in charge returns."""
        if state.t < self.t:
            return self.first(state)
        if state.t == self.t and self.x0 is not None:
            state = state.write("x", self.x0(state))
        try:
            return self.then(replace(state, t=state.t - self.t))
        except ValueError as error:
            kind = checks.NotFinite if isinstance(error, checks.NotFinite) else ValueError  # divergence stays told from misuse
            raise kind(f"{error} (in the phase after the first {self.t})") from error

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Weights of earlier versions, where a wrapper (``then.step``) held the first image of the later phase."""
        if not hasattr(self.then, "step"):
            for name in [name for name in state_dict if name.startswith(f"{prefix}then.step.")]:
                state_dict[f"{prefix}then.{name.removeprefix(f'{prefix}then.step.')}"] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """The moment of the change, for printing."""
        return f"t={self.t}"


def last_phase(step: Step | None) -> tuple[int, Step | None]:
    """After how many iterations the last phase of a step begins, and its step; (0, step) for one without phases."""
    if not isinstance(step, Until):
        return 0, step
    later, last = last_phase(step.then)
    return step.t + later, last


def keep_kernel(state: State) -> Tensor:
    """k, unchanged: an estimator that has finished.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.steps import keep_kernel
        >>> k = gaussian(5, 1.0)
        >>> keep_kernel(State(torch.rand(1, 1, 8, 8), Degradation(2), k=k)) is k
        True
    """
    return state.known("k")


keep_kernel.needs = Needs()  # type: ignore[attr-defined]
