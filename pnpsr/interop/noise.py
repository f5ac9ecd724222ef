# ruff: noqa: TID253
"""Gaussian noise as a deepinv noise model that keeps nothing a call passes to it."""

import torch
from deepinv.physics import GaussianNoise, ZeroNoise
from deepinv.physics.noise import NoiseModel
from torch import Tensor

from pnpsr import checks
from pnpsr.physics import gaussian_noise


class PerSampleNoise(GaussianNoise):  # type: ignore[misc]
    """x + sigma n: a sigma passed to the call is used without being stored; (b,) and (b 1 1 1) both mean per sample."""

    def forward(self, x: Tensor, sigma: float | Tensor | None = None, seed: int | None = None) -> Tensor:
        """x plus noise of standard deviation ``sigma`` (by default the stored one), drawn from this model's own generator."""
        self.rng_manual_seed(seed)
        return gaussian_noise(x, self.sigma if sigma is None else sigma, generator=self.rng)


def noise_model(sigma: float | Tensor | None, generator: torch.Generator | None) -> NoiseModel:
    """A model of its own: deepinv's default is one object that all physics share.

    Raises:
        TypeError: sigma neither a number nor a tensor.
        ValueError: negative or non-finite sigma, or one that is not a number per sample.
    """
    if sigma is None:
        return ZeroNoise(rng=generator)
    checks.noise(sigma, sigma.new_zeros(1) if isinstance(sigma, Tensor) else torch.zeros(1))
    return PerSampleNoise(sigma, rng=generator)
