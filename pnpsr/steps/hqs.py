"""The two half-steps of half-quadratic splitting: a closed form, then a prior."""

import math
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs, needs_of
from pnpsr.physics.edges import differences
from pnpsr.physics.kernel_step import CONSTRAINTS, DOMAINS, without_energy
from pnpsr.prox import simplex
from pnpsr.slots import Slotted
from pnpsr.state import Prior, State, Step


class HQSRestorer(Slotted):
    """x ← P(D(y, x, k; α); β): the physics' data step, then image prior (IKR-Net Eq. 3 as modules in Eq. 5, USRNet Eq. 6-7).

    Args:
        prior: ``(v, strength) -> v``; its strength is the tuner's β.
        around: stay near the ``previous`` image (the papers), or near the ``first`` one.

    Raises:
        TypeError: a prior that cannot be called.
        ValueError: (on a call) no tuner has written α.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, Hyper, State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.prox import tv
        >>> from pnpsr.steps import HQSRestorer
        >>> restorer = HQSRestorer(tv)
        >>> hyper = Hyper(alpha=torch.full((1, 1, 1, 1), 0.1), beta=torch.full((1, 1, 1, 1), 0.01))
        >>> state = State(torch.rand(1, 1, 8, 8), Degradation(2), x=torch.rand(1, 1, 16, 16), k=gaussian(5, 1.0), hyper=hyper)
        >>> restorer(state).shape
        torch.Size([1, 1, 16, 16])
    """

    SLOTS: ClassVar = {"prior": "v, strength -> v"}

    def __init__(self, prior: Prior, *, around: str = "previous") -> None:
        super().__init__()
        checks.choice(around, ("previous", "first"), "around")
        self.prior, self.around = prior, around

    @property
    def needs(self) -> Needs:
        """Those of the prior, and a periodic y."""
        return Needs(periodic=True) & needs_of(self.prior)

    def forward(self, state: State) -> Tensor:
        """The new image (b c sh sw)."""
        s = state
        if s.hyper.alpha is None:
            raise ValueError(
                "alpha is unknown: give the solver a tuner that writes it, for example tuner=Schedule(alpha=0.01, beta=0.01)"
            )
        near = s.known("x" if self.around == "previous" else "x0")
        z = s.physics.prox_image(s.y, s.known("k"), near, s.hyper.alpha)
        return self.prior(z, s.hyper.beta).to(s.y.dtype)


class DataStep(Slotted):
    """x ← D(y, R(y, x, k), k; α): another restorer, then the exact data step, so that x explains y under k up to the noise.

    Args:
        restorer: any step that returns x.
        alpha: weight of the proximity to what the restorer said; a parameter, kept positive by its logarithm.

    Raises:
        TypeError: a restorer that cannot be called.
        ValueError: alpha not positive.

    Example:
        >>> import torch
        >>> from pnpsr import UnrolledSolver
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.steps import DataStep
        >>> solver = UnrolledSolver(None, DataStep(lambda state: state.x), T=1, k0=None)
        >>> solver(torch.rand(1, 1, 8, 8), 2, k=gaussian(5, 1.0)).x.shape
        torch.Size([1, 1, 16, 16])
    """

    SLOTS: ClassVar = {"restorer": "state -> x"}

    def __init__(self, restorer: Step, alpha: float = 0.1) -> None:
        super().__init__()
        if not (isinstance(alpha, int | float) and math.isfinite(alpha) and alpha > 0):
            raise ValueError(f"alpha must be a positive number, got {alpha!r}")
        self.restorer, self.log_alpha = restorer, nn.Parameter(torch.tensor(math.log(alpha)))

    @property
    def needs(self) -> Needs:
        """Those of the restorer, and a periodic y."""
        return Needs(periodic=True) & needs_of(self.restorer)

    def forward(self, state: State) -> Tensor:
        """The new image (b c sh sw)."""
        z = self.restorer(state)
        if not isinstance(z, Tensor):
            raise TypeError(f"restorer must return an image, got {type(z).__name__}")
        return state.physics.prox_image(state.y, state.known("k"), z, self.log_alpha.exp().to(z))


class HQSEstimator(Slotted):
    """k ← P_k(D_k(y, x, k; γ)): the physics' data step, then kernel prior (IKR-Net Eq. 4 as modules in Eq. 5).

    Args:
        prior: ``(v, strength) -> v`` on kernels; its strength is None.
        gamma: weight of the proximity term.
        relative: multiply gamma by the mean diagonal of the normal matrix (:func:`pnpsr.prox.gram_scale`), which makes it free of
            the image's size and contrast.
        learn: make gamma a parameter (as its logarithm: positive).
        per_iteration: number of iterations with a gamma of their own; later ones take the last, so that T at test stays free.
        around: stay near the ``previous`` kernel (the paper), near ``zero`` (the released code; also the classical ridge), or near
            the ``first`` one.
        edges: fit differences of y and x instead of their values.
        gray: fit the mean of the channels instead of each; colours carry little on the blur and most of the noise.
        project: project what the prior returns onto the simplex; a network's answer need not lie there.
        domain, boundary, constraint: see :func:`pnpsr.prox.prox_kernel`.

    Raises:
        TypeError: a prior that cannot be called.
        ValueError: unknown options, gamma not positive.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.prox import simplex
        >>> from pnpsr.steps import HQSEstimator
        >>> estimator = HQSEstimator(simplex, 0.1, relative=True)
        >>> state = State(torch.rand(1, 1, 8, 8), Degradation(2), x=torch.rand(1, 1, 16, 16), k=gaussian(5, 1.0))
        >>> estimator(state).shape
        torch.Size([1, 1, 5, 5])
    """

    SLOTS: ClassVar = {"prior": "v, strength -> v"}

    def __init__(
        self,
        prior: Prior,
        gamma: float = 0.1,
        *,
        relative: bool = False,
        learn: bool = False,
        per_iteration: int | None = None,
        around: str = "previous",
        edges: bool = False,
        gray: bool = False,
        project: bool = False,
        domain: str = "grid",
        boundary: str = "circular",
        constraint: str | None = None,
    ) -> None:
        super().__init__()
        checks.choice(around, ("previous", "first", "zero"), "around")
        checks.choice(domain, DOMAINS, "domain")
        checks.choice(constraint, CONSTRAINTS, "constraint")
        checks.choice(boundary, ("circular", "valid") if domain == "support" else ("circular",), f"boundary on the {domain}")
        if not (isinstance(gamma, int | float) and math.isfinite(gamma) and gamma > 0):
            raise ValueError(f"gamma must be a positive number, got {gamma!r}")
        self.prior, self.relative, self.around, self.edges, self.gray = prior, relative, around, edges, gray
        self.domain, self.boundary, self.constraint, self.project = domain, boundary, constraint, project
        self.log_gamma: Tensor
        shape = () if per_iteration is None else (checks.whole(per_iteration, "per_iteration"),)
        start = torch.full(shape, math.log(gamma))
        if learn:
            self.log_gamma = nn.Parameter(start)
        else:
            self.register_buffer("log_gamma", start)  # no parameter: nobody may train it by accident

    @property
    def needs(self) -> Needs:
        """Those of the prior, whose channels are a kernel's, and a periodic y."""
        return Needs(periodic=True) & replace(needs_of(self.prior), channels=None)

    def gamma(self, t: int, like: Tensor) -> Tensor:
        """The weight in use in the iteration after t others, (1 1 1 1); of the normal matrix' diagonal where ``relative``."""
        log_gamma = self.log_gamma if self.log_gamma.ndim == 0 else self.log_gamma[min(t, len(self.log_gamma) - 1)]
        return log_gamma.exp().to(like).reshape(1, 1, 1, 1)

    def forward(self, state: State) -> Tensor:
        """The new kernel (b 1 p q); samples whose picture is black (with ``edges``: flat) keep the kernel they have."""
        s, k = state, state.known("k")
        near = k if self.around == "previous" else s.known("k0") if self.around == "first" else torch.zeros_like(k)
        z = s.physics.prox_kernel(
            s.y,
            s.known("x"),
            near,
            self.gamma(s.t, s.y),
            domain=self.domain,
            constraint=self.constraint,
            relative=self.relative,
            edges=self.edges,
            gray=self.gray,
            inside=self.boundary == "valid",
        )
        new = self.prior(z, None).to(s.y.dtype)
        blank = self._blank(s.y) | self._blank(s.known("x"))
        return torch.where(blank, k.detach(), simplex(new) if self.project else new)

    def _blank(self, x: Tensor) -> Tensor:
        """Which images say nothing of their kernel, (b 1 1 1)."""
        return without_energy((differences(x, 1) if self.edges else x).square().sum((1, 2, 3), keepdim=True))

    def extra_repr(self) -> str:
        """The options, for printing."""
        values = ", ".join(f"{value:.3g}" for value in self.log_gamma.detach().exp().reshape(-1).tolist())
        unit = " x gram" if self.relative else ""
        return f"gamma={values}{unit}, around={self.around}, {self.domain}, {self.boundary}, constraint={self.constraint}"
