"""The loop: alternate whatever sits in three slots. Knows ``State`` and two untrained starts, nothing else of the library."""

import copy
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from operator import and_
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.needs import Needs, needs_of_step, together
from pnpsr.physics import Physics
from pnpsr.slots import Slotted
from pnpsr.starts import Dirac, Upsample
from pnpsr.state import Hyper, State, Step, as_physics

_READS = ("x", "k", "hyper")
_NO_BLUR = Dirac(21)  # where an estimator begins unless it is told; no estimate by itself


class UnrolledSolver(Slotted):
    """x, k = argmin |y - (x ⊗ k)↓s|² + priors: T rounds of ``estimator`` (writes k), ``tuner`` (hyper), ``restorer`` (x).

    A step is any callable that reads a :class:`State` and returns one value; an empty slot (None) is skipped. Every step reads
    all and writes one, so the slots can be filled independently: networks, closed forms, or plain functions.

    Args:
        estimator: step that returns k (b 1 p p), or None for a known kernel.
        restorer: step that returns x (b c sh sw).
        T: number of iterations, unless a call says otherwise.
        tuner: step that returns a :class:`Hyper`.
        k0: step that returns the first kernel; None means the caller passes ``k=``, and so does the default (no blur) without an
            estimator, which nothing would ever improve.
        x0: step that returns the first image; None means the caller passes ``x=``.
        order: the slots in the order of their turns (DAN restores first, IKR-Net estimates first).
        detach: fields that steps read without passing gradients back, among ``x``, ``k`` and ``hyper``. What a step writes
            keeps its graph, so the last iterate always trains.
        checkpoint: recompute each iteration in the backward pass instead of storing it: same gradients, memory of one iteration.
        scale: the only scale the steps can do, if they can do only one; calls may then omit it.
        scales: the factors that the weights were trained for, an attribute that may be set later; None: any.

    Raises:
        ValueError: unknown names in ``order`` or ``detach``, negative T.
        TypeError: a slot that cannot be called, here or when it is set later.

    Example:
        >>> import torch
        >>> from pnpsr import UnrolledSolver
        >>> from pnpsr.prox import simplex, tv
        >>> from pnpsr.starts import Gaussian
        >>> from pnpsr.steps import HQSEstimator, HQSRestorer, Schedule
        >>> estimator, restorer = HQSEstimator(simplex, relative=True), HQSRestorer(tv)
        >>> solver = UnrolledSolver(estimator, restorer, T=2, tuner=Schedule(0.1, 0.01), k0=Gaussian(5))
        >>> out = solver(torch.rand(1, 1, 8, 8), 2)
        >>> out.x.shape, out.k.shape
        (torch.Size([1, 1, 16, 16]), torch.Size([1, 1, 5, 5]))
        >>> [s.t for s in solver.iterate(solver.start(torch.rand(1, 1, 8, 8), 2), T=3)]
        [1, 2, 3]
    """

    WRITES: ClassVar = {"estimator": "k", "tuner": "hyper", "restorer": "x"}
    SLOTS: ClassVar = dict.fromkeys((*WRITES, "k0", "x0"), "state -> value")
    OPTIONAL: ClassVar = tuple(SLOTS)
    RENAMED: ClassVar = {"detached": "detach"}  # in files of earlier versions

    def __init__(
        self,
        estimator: Step | None,
        restorer: Step | None,
        T: int = 4,
        *,
        tuner: Step | None = None,
        k0: Step | None = _NO_BLUR,
        x0: Step | None = Upsample(),  # noqa: B008
        order: Sequence[str] = ("estimator", "tuner", "restorer"),
        detach: Collection[str] = (),
        checkpoint: bool = False,
        scale: Scale | None = None,
        scales: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if k0 is _NO_BLUR and estimator is None:
            k0 = None
        for name in order:
            checks.choice(name, tuple(self.WRITES), "order")
        for name in detach:
            checks.choice(name, _READS, "detach")
        if isinstance(order, str) or len(set(order)) != len(order):
            raise ValueError(f"order must name each slot at most once, got {order!r}")
        if scale is not None:
            checks.factors(scale)
        self.estimator, self.tuner, self.restorer, self.k0, self.x0 = estimator, tuner, restorer, k0, x0
        self.T, self.order, self.detach, self.checkpoint = checks.whole(T, "T", 0), tuple(order), tuple(detach), checkpoint
        self.scale = scale
        self.scales = None if scales is None else tuple(checks.whole(s, "scales") for s in scales)

    @property
    def needs(self) -> Needs:
        """What a call must give and what the solver can do, from what its slots say; a restored y needs no more."""
        built = (self.scale,) if isinstance(self.scale, int) else None
        own = Needs(kernel=self.k0 is None, scales=built) & Needs(scales=self.scales)
        steps = [name for name in self.order if name != "tuner"]  # which decides on numbers alone
        own &= reduce(and_, (needs_of_step(getattr(self, name)) for name in steps), Needs())
        return own & together(getattr(self, name) for name in (*(set(self.order) - set(steps)), "k0", "x0"))

    def start(
        self,
        y: Tensor,
        physics: Physics | Scale | None = None,
        *,
        sigma: float | Tensor | None = None,
        x: Tensor | None = None,
        k: Tensor | None = None,
        mask: Tensor | None = None,
        scale: Scale | None = None,
        given: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> State:
        """The state before the first iteration: what the caller knows, completed by ``k0`` and ``x0``.

        Args:
            y: observed image (b c h w), floats in [0, 1]; noise may leave that range by up to 1.
            physics: what made y of x and k, see :class:`pnpsr.physics.Physics`; an integer factor between x and y (or one per
                axis) stands for ``Degradation(scale)``. May be omitted where the solver was built for one scale.
            sigma: noise standard deviation in the units of y, at most 1; a number or one per sample; None: unknown.
            x: first image (b c sh sw), in place of ``x0``.
            k: first kernel (b 1 p p) or (1 1 p p), of sum 1, in place of ``k0``; with no estimator it is the kernel.
            mask: (b 1 h w) or (b c h w) of zeros and ones, the pixels of y that count: short for ``physics.masked(mask)``.
            scale: another word for ``physics``, where that is a number.
            given: y before it was continued beyond its border, if it was.
            noise: the noise level (b 1 1 1) that ``given`` shows.

        Raises:
            TypeError: integers where floats in [0, 1] are due, different dtypes, also of y and the networks.
            ValueError: wrong shapes, NaN, values outside [0, 1] that are no noise, a kernel that does not sum to 1, sigma above
                1, no kernel or image to start from, a scale the solver was not built for.
        """
        physics = self.physics_for(physics, mask, scale)
        y = checks.shown(y, "y") if physics.shows else checks.image(y, "y")
        if sigma is not None:
            sigma = checks.noise(sigma, y)
            if len(sigma) not in (1, len(y)):
                raise ValueError(f"sigma has {len(sigma)} values for a batch of {len(y)}")
            sigma = sigma.expand(len(y), 1, 1, 1)
        self._same_dtype(y)
        physics.image_shape(y)  # refuses a y that does not fit, before anything reads it
        s = State(y, physics, sigma, x, k, given=given, noise=noise)
        for name, init in (("k", self.k0), ("x", self.x0)):
            if getattr(s, name) is None:
                if init is None:
                    raise ValueError(f"no {name} to start from: pass {name}=..., or build the solver with {name}0=...")
                s = s.write(name, init(s))
        s = _checked(s)
        if k is not None:
            checks.blur(k, "k", remedy="; where y has that gain too, divide y by it")
        return s

    def step(self, s: State) -> State:
        """One iteration: each slot in its turn reads the state and writes its field; a black picture keeps its x and k.

        On a GPU no value is read back, so that the host need not wait; what is not finite shows in x or k.
        """
        with checks.unwatched(s.y):
            for slot in self.order:
                if (write := getattr(self, slot)) is not None:
                    field = self.WRITES[slot]
                    s = _unless_black(s, s.write(field, write(s.detach(self.detach))), field)
        return replace(s, t=s.t + 1)

    def iterate(self, s: State, T: int | None = None) -> Iterator[State]:
        """Yield the state after each of T further iterations: history, early stop and resuming are for loops over this."""
        for _ in range(self.T if T is None else checks.whole(T, "T", 0)):
            s = checkpoint(self.step, s, use_reentrant=False) if self.checkpoint else self.step(s)
            yield s

    def forward(
        self,
        y: Tensor,
        physics: Physics | Scale | None = None,
        *,
        T: int | None = None,
        sigma: float | Tensor | None = None,
        x: Tensor | None = None,
        k: Tensor | None = None,
        mask: Tensor | None = None,
        scale: Scale | None = None,
    ) -> State:
        """The state after T iterations from ``start(y, ...)``: ``out.x`` (b c sh sw), ``out.k`` (b 1 p p), ``out.hyper``.

        Raises:
            TypeError, ValueError: as :meth:`start`, and what the steps refuse; on a GPU, where they do not look at values, an x
                or k that is not finite in the end (:class:`pnpsr.checks.NotFinite`).
        """
        s = self.start(y, physics, sigma=sigma, x=x, k=k, mask=mask, scale=scale)
        for s in self.iterate(s, T):  # noqa: B007, B020  only the last state is wanted, and none before it is held
            pass
        return _finite(s) if s.y.device.type != "cpu" and checks.reading() else s

    def only(self, *slots: str) -> "UnrolledSolver":
        """A view that runs only these slots and shares every module: training stages are views."""
        for name in slots:
            checks.choice(name, tuple(self.WRITES), "slots")
        view = copy.copy(self)
        view._modules = dict(self._modules)  # what is put into the view's slots stays out of the solver's
        view.order = tuple(name for name in self.order if name in slots)
        return view

    def extra_repr(self) -> str:
        """T and the data flow, for printing."""
        filled = " → ".join(name for name in self.order if getattr(self, name) is not None)
        built = f", scale={self.scale}" if self.scale is not None else ""
        return f"T={self.T}, {filled}, detach=({', '.join(self.detach)}){built}"

    def physics_for(
        self, physics: Physics | Scale | None = None, mask: Tensor | None = None, scale: Scale | None = None
    ) -> Physics:
        """The physics that a call means by its ``physics`` (or ``scale``) and ``mask``.

        Raises:
            TypeError: neither a physics nor a scale, or both.
            ValueError: none where the solver was built for no scale, or one of a scale that it is not for.
        """
        if physics is not None and scale is not None:
            raise TypeError("physics and scale are two words for one thing; pass one")
        physics = scale if physics is None else physics
        if physics is None and self.scale is None:
            raise ValueError("scale is missing: call the solver as solver(y, scale), or solver(y, physics)")
        physics = as_physics(self.scale if physics is None else physics)
        pair, able = physics.scale, self.needs.scales
        shown = pair[0] if pair[0] == pair[1] else pair
        if self.scale is not None and pair != checks.factors(self.scale):
            raise ValueError(f"this solver was built for scale {self.scale}, got {shown!r}; build one for that scale")
        if able is not None and shown not in able:
            raise ValueError(f"this solver is for scale {' or '.join(map(str, able))}, got {shown!r}; take one for that scale")
        return physics if mask is None else physics.masked(mask)

    def _same_dtype(self, y: Tensor) -> None:
        """Refuse a y that the networks cannot read, in the caller's words; under autocast they read any."""
        weights = (p for p in self.parameters() if p.ndim > 1)  # single numbers are converted where they are used
        weight = next(weights, y)
        if weight.dtype != y.dtype and not torch.is_autocast_enabled(y.device.type):
            raise TypeError(
                f"y is {y.dtype}, the networks of the solver are {weight.dtype}: "
                f"convert y with .to({weight.dtype}), or the solver with .to({y.dtype})"
            )


@runtime_checkable
class Iterative(Protocol):
    """What can be stepped through: a solver whose calls start, and go on from state to state. :class:`UnrolledSolver` is one.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.solver import Iterative
        >>> isinstance(usrnet(T=1, widths=(2, 2, 2, 2)), Iterative)
        True
    """

    T: int  # iterations, unless a call says otherwise

    def physics_for(
        self, physics: Physics | Scale | None = None, mask: Tensor | None = None, scale: Scale | None = None
    ) -> Physics:
        """As :meth:`pnpsr.UnrolledSolver.physics_for`."""

    def start(
        self,
        y: Tensor,
        physics: Physics | Scale | None = None,
        *,
        sigma: float | Tensor | None = None,
        k: Tensor | None = None,
        given: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> State:
        """As :meth:`pnpsr.UnrolledSolver.start`."""

    def step(self, s: State) -> State:
        """As :meth:`pnpsr.UnrolledSolver.step`."""


class PerIteration(nn.Module):
    """Step t of a list at iteration t: untied weights. Any slot of a solver may hold one.

    Raises:
        TypeError: an item that cannot be called.

    Example:
        >>> import torch
        >>> from pnpsr import PerIteration, UnrolledSolver
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.prox import identity, tv
        >>> from pnpsr.steps import HQSRestorer, Schedule
        >>> restorer = PerIteration([HQSRestorer(identity), HQSRestorer(tv)])
        >>> solver = UnrolledSolver(None, restorer, T=2, tuner=Schedule(0.1, 0.01))
        >>> solver(torch.rand(1, 1, 8, 8), 2, k=gaussian(5, 1.0)).t
        2
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        super().__init__()
        self.count = len(steps)
        for i, step in enumerate(steps):
            if not callable(step):
                raise TypeError(f"steps must be callable, state -> value; item {i} is {step!r}")
            setattr(self, str(i), step)  # registers modules; plain callables are plain attributes

    @property
    def needs(self) -> Needs:
        """Those of all steps, and no more iterations than there are of them."""
        return Needs(longest=self.count) & replace(reduce(and_, map(needs_of_step, self), Needs()), longest=None)

    def forward(self, state: State) -> Tensor | Hyper:
        """What the step of this iteration returns.

        Raises:
            ValueError: more iterations asked for than there are steps.
        """
        if state.t >= self.count:
            raise ValueError(f"has weights for {self.count} iterations; iteration {state.t + 1} asked for")
        return self[state.t](state)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Step]:
        return (self[t] for t in range(self.count))

    def __getitem__(self, t: int) -> Step:
        step: Step = getattr(self, str(range(self.count)[t]))
        return step


def train_only(solver: nn.Module, *names: str) -> list[nn.Parameter]:
    """Let gradients reach only the named parts (``"restorer"``, ``"tuner.noise"``); freeze the rest; return what trains.

    Raises:
        ValueError: a name that is no part of the solver, or a part without parameters.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.solver import train_only
        >>> solver = usrnet(T=1, widths=(2, 2, 2, 2))
        >>> len(train_only(solver, "tuner")), any(p.requires_grad for p in solver.restorer.parameters())
        (6, False)
    """
    parts = dict(solver.named_modules(remove_duplicate=False))  # a net in two slots answers to both names
    for name in names:
        if name not in parts or not any(True for _ in parts[name].parameters()):
            slots = ", ".join(n for n, m in parts.items() if n and "." not in n and any(True for _ in m.parameters()))
            raise ValueError(f"{name!r} is no part with parameters; the solver has {slots or 'none'}")
    for parameter in solver.parameters():
        parameter.requires_grad_(False)
    chosen = [parameter for name in names for parameter in parts[name].parameters()]
    for parameter in chosen:
        parameter.requires_grad_(True)
    return list(dict.fromkeys(chosen))


def _unless_black(before: State, after: State, field: str) -> State:
    """``after``, but ``field`` as it was in samples whose y is zero throughout: nothing is seen there that could say more."""
    old, new = getattr(before, field), getattr(after, field)
    if not isinstance(old, Tensor):
        return after
    black = before.y.detach().abs().amax((1, 2, 3), keepdim=True) == 0
    return after.write(field, torch.where(black, old.detach(), new))


def _finite(s: State) -> State:
    """The state, if its x and k are finite: one look for all iterations."""
    if s.x is not None and s.k is not None and not checks.finite(torch.stack([s.x.detach().sum(), s.k.detach().sum()])):
        checks.tensor(s.x, "x after the last iteration")
        checks.tensor(s.k, "k after the last iteration", "(b 1 p p)")
    return s


def _checked(s: State) -> State:
    """The state, if its x and k fit its y; a kernel of batch 1 is shared by all samples."""
    due = s.physics.image_shape(s.y)
    x = checks.image(s.x, "x")
    k = checks.kernel(s.k, "k", within=(due[2], due[3]))
    checks.matching(x, s.y, "x and y")
    checks.matching(k, s.y, "k and y")
    if x.shape != due:
        raise ValueError(f"x must have shape {due} for y of {tuple(s.y.shape)} at scale {s.scale}, got {tuple(x.shape)}")
    if k.shape[0] not in (1, due[0]):
        raise ValueError(f"k has batch {k.shape[0]}, y has {due[0]}: pass one kernel, or one per sample")
    k = k.expand(due[0], -1, -1, -1)
    return replace(s, x=x, k=k, x0=x, k0=k)
