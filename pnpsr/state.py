"""The vocabulary: what moves through a solver (``State``), and the two sockets that fill it (``Step``, ``Prior``)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from pnpsr.checks import Scale
from pnpsr.physics import Degradation, Physics

T = TypeVar("T")


@dataclass(frozen=True)
class Hyper:
    """What a tuner believes and decides: noise level and the two strengths of half-quadratic splitting, each (b 1 1 1) or None.

    Example:
        >>> import torch
        >>> from pnpsr import Hyper
        >>> Hyper(sigma=torch.full((1, 1, 1, 1), 0.01)).alpha is None
        True
    """

    sigma: Tensor | None = None  # noise standard deviation, in the units of the image
    alpha: Tensor | None = None  # weight of the proximity term of the image data step
    beta: Tensor | None = None  # strength handed to the image prior

    def detach(self) -> "Hyper":
        """The same values, cut from the graph."""
        return Hyper(*(None if v is None else v.detach() for v in (self.sigma, self.alpha, self.beta)))


@dataclass(frozen=True, eq=False)  # tensors have no one truth value
class State:
    """Everything a step may read; ``write`` returns a new one. y = (x ⊗ k)↓s + n, images in [0, 1].

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian
        >>> s = State(torch.rand(1, 3, 8, 8), Degradation(2))
        >>> s.write("k", gaussian(5, 1.0)).k.shape
        torch.Size([1, 1, 5, 5])
        >>> s.scale
        2
    """

    y: Tensor  # given, (b c h w)
    physics: Physics  # given: what made y of x and k; an integer, or one per axis, stands for Degradation(scale)
    sigma: Tensor | None = None  # given, (b 1 1 1), or None: unknown
    x: Tensor | None = None  # estimated by the restorer, (b c sh sw)
    k: Tensor | None = None  # estimated by the estimator, (b 1 p p)
    hyper: Hyper = field(default_factory=Hyper)  # estimated by the tuner
    t: int = 0  # iterations completed
    x0: Tensor | None = None  # the first image, as long as the solve lasts
    k0: Tensor | None = None  # the first kernel
    given: Tensor | None = None  # y as the caller had it, where the one above was continued beyond its border
    noise: Tensor | None = None  # the noise level (b 1 1 1) that the caller's y shows
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)  # of y and physics, see once(); the states of a solve share it

    def __post_init__(self) -> None:
        if not isinstance(self.physics, Physics):
            object.__setattr__(self, "physics", as_physics(self.physics))

    @property
    def scale(self) -> Scale:
        """The factor between x and y: an integer, or (rows, columns) where they differ."""
        s1, s2 = self.physics.scale
        return s1 if s1 == s2 else (s1, s2)

    @property
    def completed(self) -> Tensor:
        """y as an image without gaps (b c h w): what networks read. y itself where all of it was observed."""
        return self.once(_completed)

    def once(self, of_y: "Callable[[State], T]") -> T:
        """``of_y(self)``, a value that depends on y and the physics alone: computed once for all states of a solve.

        Args:
            of_y: a function of a module; a lambda is another one in every iteration.
        """
        if torch.compiler.is_compiling() or self.y.requires_grad or torch.is_inference_mode_enabled() != self.y.is_inference():
            return of_y(self)  # a graph of its own belongs to every iteration
        y, physics, value = self._known.get(of_y, (None, None, None))
        if y is not self.y or physics is not self.physics:
            value = of_y(self)
            self._known[of_y] = (self.y, self.physics, value)
        return value

    def believed(self) -> Tensor:
        """σ (b 1 1 1): the caller's, or else what his y shows.

        Raises:
            ValueError: neither is there.
        """
        if self.sigma is not None:
            return self.sigma
        shown = self.once(_shown) if self.noise is None else self.noise
        if shown is not None:
            return shown
        raise ValueError("sigma is unknown and cannot be read off this y: pass sigma=...")

    def known(self, name: str) -> Tensor:
        """Field ``name`` (sigma, x or k), which must have a value by now.

        Raises:
            ValueError: it is None.
        """
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"{name} is missing from the state: begin with solver.start(...)")
        return value

    def detach(self, names: Collection[str]) -> "State":
        """The same state with the named fields cut from the graph: what a step *reads* without passing gradients back."""
        first = {"x": "x0", "k": "k0"}  # the first one goes with its successors
        fields = {n: getattr(self, n) for name in names for n in (name, first.get(name, name))}
        return replace(self, **{name: value.detach() for name, value in fields.items() if value is not None})

    def write(self, name: str, value: "Tensor | Hyper") -> "State":
        """The state after a step wrote field ``name``; shapes and dtypes may not change over the iterations.

        Raises:
            TypeError: a tensor where ``hyper`` is due, or the other way round; another dtype than that of y.
            ValueError: the value has another shape than the one it replaces.
        """
        due = Hyper if name == "hyper" else Tensor
        if not isinstance(value, due):
            raise TypeError(f"a step that writes {name} must return a {due.__name__}, got {type(value).__name__}")
        old = getattr(self, name)
        if isinstance(value, Tensor) and isinstance(old, Tensor) and value.shape != old.shape:
            raise ValueError(f"{name} was {tuple(old.shape)}, a step returned {tuple(value.shape)}")
        if isinstance(value, Tensor) and value.dtype != self.y.dtype:
            raise TypeError(
                f"{name} must be {self.y.dtype} as y is, a step returned {value.dtype}; convert it with .to(state.y.dtype)"
            )
        written: dict[str, Any] = {name: value}
        return replace(self, **written)


def _completed(s: State) -> Tensor:
    return s.physics.complete(s.y)


def _shown(s: State) -> Tensor | None:
    return s.physics.noise_level(s.y)


class Step(Protocol):
    """Reads a state, returns one value: any callable will do. The slot it sits in decides which field it writes.

    Example:
        >>> import torch
        >>> from pnpsr import State
        >>> from pnpsr.state import Step
        >>> def keep(state: State) -> torch.Tensor:
        ...     return state.k
        >>> step: Step = keep
    """

    def __call__(self, state: State, /) -> "Tensor | Hyper":
        """The new x, k or hyper."""


class Prior(Protocol):
    """Maps a noisy or rough v (b c h w) to a likely one.

    The strength is β of argmin_u ½ |u - v|² + β Φ(u): (b 1 1 1), a number, or None where it has no meaning, as for projections and
    kernels. For a denoiser it is the standard deviation σ of the noise to take away, which is β = σ². Networks learn what it means.

    Example:
        >>> import torch
        >>> from pnpsr.state import Prior
        >>> from pnpsr.steps import HQSRestorer
        >>> def half(v: torch.Tensor, strength: float | None = None) -> torch.Tensor:
        ...     return v / 2
        >>> prior: Prior = half
        >>> HQSRestorer(prior).prior is half
        True
    """

    def __call__(self, v: Tensor, strength: "Tensor | float | None" = None, /) -> Tensor:
        """The regularised v, of the same shape."""


def as_physics(value: object) -> Physics:
    """A physics as it is; an integer, or one per axis, as ``Degradation(scale)``.

    Raises:
        TypeError: neither.
        ValueError: a scale below 1.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.state import as_physics
        >>> as_physics(2).scale, as_physics(Degradation(3)).scale
        ((2, 2), (3, 3))
    """
    if isinstance(value, Physics):
        return value
    if callable(value):
        raise TypeError(
            f"physics must be a Physics or a scale, got {type(value).__name__}; wrap a linear operator as Measured(operator), "
            "deepinv's physics as pnpsr.interop.deepinv.as_physics(physics)"
        )
    return Degradation(value)  # type: ignore[arg-type]  # which refuses what is no scale
