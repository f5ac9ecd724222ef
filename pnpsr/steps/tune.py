"""Tuners: what noise level to believe, and how strong the data step and the prior are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs, needs_of
from pnpsr.nets import HyperMLP
from pnpsr.prox import edge_scale
from pnpsr.slots import Slotted
from pnpsr.state import Hyper, State, Step

LEAST = 0.1  # percent of white: what a proportional tuner takes a picture without noise for


class Schedule:
    """(α, β) at iteration t from two lists; after their end the last value stays, so T at test is free.

    Args:
        alpha: weights of the image data step, a number or one per iteration; all positive.
        beta: strengths of the image prior, a number or one per iteration; None leaves the prior without a strength.
        relative: multiply β by the squared gradient of y's strong edges (:func:`pnpsr.prox.edge_scale`), so that the price of
            an edge does not depend on the picture's contrast.

    Raises:
        ValueError: an empty list, α not positive, β negative.

    Example:
        >>> import dataclasses
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.steps import Schedule
        >>> tuner = Schedule(alpha=[0.1, 1.0], beta=0.01)
        >>> state = State(torch.rand(1, 1, 8, 8), Degradation(2))
        >>> [round(float(tuner(dataclasses.replace(state, t=t)).alpha), 2) for t in range(4)]
        [0.1, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        alpha: float | Sequence[float] | Tensor,
        beta: float | Sequence[float] | Tensor | None = None,
        *,
        relative: bool = False,
    ) -> None:
        self.alpha, self.beta = _row(alpha, "alpha", positive=True), None if beta is None else _row(beta, "beta")
        self.relative = relative

    def __call__(self, state: State) -> Hyper:
        """σ as the caller gave it, and the scheduled (α, β)."""
        alpha, beta = (None if row is None else _value(row, state) for row in (self.alpha, self.beta))
        if beta is not None and self.relative:
            beta = beta * state.once(_edges)
        return Hyper(state.sigma, alpha, beta)

    def __repr__(self) -> str:
        return f"Schedule({len(self.alpha)} alphas from {self.alpha[0]:g} to {self.alpha[-1]:g})"


class Believing(Slotted):
    """A tuner that is told the noise level: the caller's, or else what :func:`pnpsr.physics.estimate_noise` finds in y.

    Args:
        tuner: one that needs σ, such as ``HyperNet`` without a noise network.
        least: bound of α from below. A solver that was trained with true kernels trusts them, and rings with estimated ones; the
            more α, the less the data step fits y where the prior disagrees.

    Raises:
        TypeError: a tuner that cannot be called.
        ValueError: a negative bound.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.steps import Believing, HyperNet
        >>> tuner = Believing(HyperNet(hidden=4))
        >>> hyper = tuner(State(torch.rand(1, 1, 16, 16), Degradation(2)))
        >>> hyper.sigma.shape
        torch.Size([1, 1, 1, 1])
    """

    SLOTS: ClassVar = {"tuner": "state -> Hyper"}

    def __init__(self, tuner: Step, least: float = 0.0) -> None:
        super().__init__()
        if not least >= 0:
            raise ValueError(f"least must be zero or more, got {least!r}")
        self.tuner, self.least = tuner, least

    @property
    def needs(self) -> Needs:
        """Those of the tuner, but no noise level."""
        return replace(needs_of(self.tuner), sigma=False)

    def forward(self, state: State) -> Tensor | Hyper:
        """What the tuner returns, with the bound."""
        hyper = self.tuner(replace(state, sigma=state.believed()))
        if not isinstance(hyper, Hyper) or hyper.alpha is None:
            return hyper
        return replace(hyper, alpha=hyper.alpha.clamp(min=self.least))


class Continuation(nn.Module):
    """α grows geometrically and β = λ / 2α: tends to argmin |y - (x ⊗ k)↓s|² + λ Φ(x) for a prior of ½|u - v|² + βΦ(u).

    λ = floor + gain σ²: the floor answers for the errors of the kernel, the second term for the noise. σ is the caller's, or else
    estimated from y (:func:`pnpsr.physics.estimate_noise`).

    Args:
        alpha: first and last α.
        steps: iterations between them; later ones keep the last.
        floor: λ without noise.
        gain: λ per noise variance.

    Raises:
        ValueError: α or floor not positive, negative gain, no steps.

    Example:
        >>> import dataclasses
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.steps import Continuation
        >>> tuner = Continuation((0.01, 1.0), 3)
        >>> state = State(torch.rand(1, 1, 8, 8), Degradation(2), sigma=torch.full((1, 1, 1, 1), 0.01))
        >>> [round(float(tuner(dataclasses.replace(state, t=t)).alpha), 2) for t in range(3)]
        [0.01, 0.1, 1.0]
    """

    def __init__(self, alpha: tuple[float, float], steps: int, *, floor: float = 1e-3, gain: float = 20.0) -> None:
        super().__init__()
        self.alpha, self.steps = checks.span(alpha, "alpha"), checks.whole(steps, "steps")
        if not self.alpha[0] > 0 or not floor > 0 or not gain >= 0:
            raise ValueError(f"alpha and floor must be positive, gain zero or more, got {alpha}, {floor}, {gain}")
        self.floor, self.gain = floor, gain

    def forward(self, state: State) -> Hyper:
        """σ, α and β of this iteration."""
        sigma = state.believed()
        share = min(state.t / max(self.steps - 1, 1), 1.0)
        alpha = torch.full_like(sigma, self.alpha[0] * (self.alpha[1] / self.alpha[0]) ** share)
        return Hyper(sigma, alpha, (self.floor + self.gain * sigma.square()) / (2 * alpha))

    def extra_repr(self) -> str:
        """The course of α and the weight, for printing."""
        return f"alpha {self.alpha[0]:g} to {self.alpha[1]:g} in {self.steps}, lambda = {self.floor:g} + {self.gain:g} sigma²"


class HyperNet(Slotted):
    """(σ, α, β) = F(y, x, k) (IKR-Net Eq. 7): σ as given, or from y - (x ⊗ k)↓s by a net; then an MLP on (σ, s) (USRNet 4.3).

    Args:
        noise: network y - y_D (b c h w) -> σ (b 1 1 1), for calls that do not give σ; None means σ must be given.
        per_iteration: T for separate values at each of T iterations (USRNet), None for one pair that serves any number (IKR-Net).
        hidden: width of the MLP.
        percent: the MLP reads σ in percent of white: from 0 to some units, as its other input.
        proportional: α and β are what the MLP says times (σ in percent + 0.1), so that a told noise level acts whatever was
            learned: told too little, the data step trusts the noise.

    Raises:
        TypeError, ValueError: a count that is no positive integer.
        ValueError: (on a call) σ neither given nor estimated, or more iterations than ``per_iteration``.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import dirac
        >>> from pnpsr.nets import NoiseNet
        >>> from pnpsr.steps import HyperNet
        >>> state = State(torch.rand(2, 1, 16, 16), Degradation(2), x=torch.rand(2, 1, 32, 32), k=dirac(5, 2))
        >>> hyper = HyperNet(NoiseNet(1, width=4), hidden=4)(state)
        >>> hyper.alpha.shape, bool((hyper.alpha > 0).all())
        (torch.Size([2, 1, 1, 1]), True)
    """

    SLOTS: ClassVar = {"noise": "residual -> sigma"}
    OPTIONAL: ClassVar = ("noise",)

    def __init__(
        self,
        noise: nn.Module | None = None,
        *,
        per_iteration: int | None = None,
        hidden: int = 64,
        percent: bool = False,
        proportional: bool = False,
    ) -> None:
        super().__init__()
        self.noise, self.percent, self.proportional = noise, bool(percent), bool(proportional)
        self.per_iteration = None if per_iteration is None else checks.whole(per_iteration, "per_iteration")
        self.mlp = HyperMLP(2 * (per_iteration or 1), hidden=hidden)

    @property
    def needs(self) -> Needs:
        """A noise level where no network finds one, and no more iterations than there are values for."""
        found = self.noise is not None
        return Needs(sigma=not found, longest=self.per_iteration, finds_sigma=found) & needs_of(self.noise)

    def forward(self, state: State) -> Hyper:
        """The hyper-parameters of this iteration, each (b 1 1 1)."""
        s, count = state, self.per_iteration or 1
        if self.per_iteration is not None and s.t >= count:
            raise ValueError(f"has values for {count} iterations; iteration {s.t + 1} asked for")
        sigma = s.sigma
        if sigma is None:
            if self.noise is None:
                raise ValueError("sigma is unknown: pass sigma=..., or build HyperNet(noise=NoiseNet())")
            seen = s.physics.freeze(k=s.known("k"))(s.known("x"))  # an estimate need not sum to 1
            sigma = self.noise(s.physics.complete(s.y - seen)).to(s.y.dtype)
        values = self.mlp(100 * sigma if self.percent else sigma, s.scale).to(s.y.dtype)
        if self.proportional:
            values = values * (100 * sigma + LEAST)
        t = s.t if self.per_iteration is not None else 0
        return Hyper(sigma, values[:, t : t + 1], values[:, count + t : count + t + 1])


def _edges(s: State) -> Tensor:
    return edge_scale(s.completed, s.scale)


def _row(values: float | Sequence[float] | Tensor, name: str, positive: bool = False) -> Tensor:
    row = torch.as_tensor(values, dtype=torch.float64).reshape(-1)
    if len(row) == 0:
        raise ValueError(f"{name} must have at least one value")
    checks.per_sample(row, row.reshape(-1, 1, 1, 1), name, positive=positive)
    return row


def _value(row: Tensor, state: State) -> Tensor:
    place, shape = min(state.t, len(row) - 1), (state.y.shape[0], 1, 1, 1)
    if checks.tracing():
        return row[place].to(state.y).expand(shape)
    return state.y.new_full(shape, row.tolist()[place])  # a number, and no copy that a GPU is waited for
