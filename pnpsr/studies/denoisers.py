"""Denoisers before, after and inside a solver: deepinv's, told a noise level, in the socket of an image prior."""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from pnpsr.needs import Needs
from pnpsr.physics import estimate_noise
from pnpsr.solver import UnrolledSolver
from pnpsr.state import Prior, State
from pnpsr.steps import HQSRestorer, Until

OFFLINE: dict[str, tuple[str, dict[str, Any]]] = {
    "tv": ("TVDenoiser", {"n_it_max": 200}),
    "tgv": ("TGVDenoiser", {"n_it_max": 200}),
    "median": ("MedianFilter", {"kernel_size": 3}),
    "wavelet": ("WaveletDenoiser", {}),
    "bm3d": ("BM3D", {}),
}
LAST = 4  # iterations with another denoiser, IKR-Net section 4.3


def denoiser(name: str, device: str = "cpu") -> Prior:
    """A deepinv denoiser as a prior: ``tv``, ``tgv``, ``median``, ``wavelet``, ``bm3d``, or ``deepinv:CLASS`` as it comes.

    Raises:
        ValueError: no such denoiser, or one whose package or weights are not at hand.
    """
    from deepinv import models

    from pnpsr.interop.deepinv import as_prior

    kind, options = OFFLINE.get(name, (name.removeprefix("deepinv:"), {}))
    if (name not in OFFLINE and not name.startswith("deepinv:")) or not hasattr(models, kind):
        raise ValueError(f"denoiser must be one of {', '.join(OFFLINE)}, or deepinv:CLASS; got {name!r}")

    def build() -> nn.Module:
        module: nn.Module = getattr(models, kind)(**options).to(device).eval()
        return module

    def filtered(x: Tensor, sigma: Tensor) -> Tensor:
        """By a fresh instance: those of TV and TGV start from the last picture they saw, so that results would depend on order."""
        denoised: Tensor = build()(x, sigma)
        return denoised

    try:
        one = build()  # which says what is missing
    except (ImportError, RuntimeError, OSError, TypeError) as error:
        raise ValueError(f"denoiser {name} cannot be had here: {error}") from error
    return as_prior(filtered if name in OFFLINE else one)


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
        detach=solver.detached,
        scale=solver.scale,
    )
