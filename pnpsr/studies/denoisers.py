"""Denoisers before, after and inside a solver: deepinv's, told a noise level, in the socket of an image prior."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from pnpsr.needs import Needs
from pnpsr.physics import estimate_noise
from pnpsr.solver import UnrolledSolver
from pnpsr.state import Prior, State
from pnpsr.steps import HQSRestorer, Until
from pnpsr.values import Registry

LAST = 4  # iterations with another denoiser, IKR-Net section 4.3


def denoiser(name: str, device: str = "cpu") -> Prior:
    """A deepinv denoiser as a prior: ``tv``, ``tgv``, ``median``, ``wavelet``, ``bm3d``, one of ``PRIORS``, or ``deepinv:CLASS``.

    Raises:
        ValueError: no such denoiser, or one whose package or weights are not at hand.
    """
    from deepinv import models

    from pnpsr.interop.deepinv import as_prior

    if not name.startswith("deepinv:"):
        return PRIORS.find(name)(device)
    kind = name.removeprefix("deepinv:")
    if not hasattr(models, kind):
        raise ValueError(f"deepinv has no denoiser {kind!r}; by their own names there are {', '.join(PRIORS)}")
    return as_prior(_built(name, Fresh(kind, {}, device)))


def _built(name: str, fresh: "Fresh") -> nn.Module:
    """An instance; what it lacks is said in a sentence."""
    try:
        return fresh.build()
    except (ImportError, RuntimeError, OSError, TypeError) as error:
        raise ValueError(f"denoiser {name} cannot be had here: {error}") from error


def _offline(name: str, kind: str, options: dict[str, Any]) -> Callable[[str], Prior]:
    def build(device: str) -> Prior:
        from pnpsr.interop.deepinv import as_prior

        fresh = Fresh(kind, options, device)
        _built(name, fresh)
        return as_prior(fresh)

    return build


@dataclass(frozen=True)
class Fresh:
    """(x, sigma) ↦ D(x; sigma) by a new instance: those of TV and TGV start from the last picture they saw."""

    kind: str
    options: dict[str, Any]
    device: str

    def build(self) -> nn.Module:
        """A new instance of the class of deepinv's."""
        from deepinv import models

        module: nn.Module = getattr(models, self.kind)(**self.options).to(self.device).eval()
        return module

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The denoised x, which depends on nothing but the arguments."""
        denoised: Tensor = self.build()(x, sigma)
        return denoised


PRIORS: Registry[Callable[[str], Prior]] = Registry("denoiser")  # name -> (device) -> prior
for _name, _kind, _options in (
    ("tv", "TVDenoiser", {"n_it_max": 200}),
    ("tgv", "TGVDenoiser", {"n_it_max": 200}),
    ("median", "MedianFilter", {"kernel_size": 3}),
    ("wavelet", "WaveletDenoiser", {}),
    ("bm3d", "BM3D", {}),
):
    PRIORS[_name] = _offline(_name, _kind, _options)


class Denoise:
    """x ↦ D(x; σ) with the σ that :func:`pnpsr.physics.estimate_noise` finds in x."""

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def __call__(self, x: Tensor) -> Tensor:
        """The denoised x (b c h w), in [0, 1]."""
        return self.prior(x, estimate_noise(x)).clamp(0, 1)


class AtSigma(nn.Module):
    """x ← P(D(y, x, k; α); σ): an image step whose prior is told the noise level that the tuner believes, not its β."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.step = HQSRestorer(prior)

    @property
    def needs(self) -> Needs:
        """Those of the step."""
        return self.step.needs

    def forward(self, state: State) -> Tensor:
        """The new image (b c sh sw)."""
        x: Tensor = self.step(replace(state, hyper=replace(state.hyper, beta=state.hyper.sigma)))
        return x


def inside(solver: UnrolledSolver, prior: Prior) -> UnrolledSolver:
    """The solver with ``prior`` in place of its own in the last four iterations; all other parts are shared."""
    if solver.restorer is None:
        raise ValueError("the solver has no restorer whose prior could be replaced")
    return UnrolledSolver(
        solver.estimator,
        Until(max(solver.T - LAST, 0), solver.restorer, AtSigma(prior)),
        solver.T,
        tuner=solver.tuner,
        k0=solver.k0,
        x0=solver.x0,
        order=solver.order,
        detach=solver.detach,
        scale=solver.scale,
    )
