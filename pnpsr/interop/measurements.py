# ruff: noqa: TID253
"""deepinv's physics as a source of data with its truth, and as a pnpsr degradation."""

from collections.abc import Mapping
from typing import Any

import torch
from deepinv.physics import Blur, BlurFFT, Downsampling, GaussianNoise, Physics, ZeroNoise
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.data import Sample
from pnpsr.interop.operators import DegradationPhysics
from pnpsr.physics import Degradation

BOUNDARY = {
    "circular": "circular",
    "valid": "valid",
    "reflect": "reflect",
    "replicate": "replicate",
    "constant": "zero",
    "zeros": "zero",
}


def sample_from(
    physics: Physics,
    x: Tensor,
    *,
    parameters: Mapping[str, Any] | Any = None,
    generator: torch.Generator | None = None,
) -> Sample:
    """Degrade x by a deepinv physics and keep what it did: its kernel, factor and noise level.

    The physics is cloned first and stays as it was. So does the random generator of its noise model, if it has one: such a physics
    gives the same noise every time unless ``generator`` is given.

    Args:
        physics: a ``Blur``, ``BlurFFT``, ``Downsampling`` or pnpsr's own :class:`DegradationPhysics`.
        x: sharp images (b c sh sw) in [0, 1].
        parameters: what to update the clone with: a dictionary, or one of deepinv's physics generators, of which one step is taken.
        generator: source of the noise, and of the seed of a physics generator.

    Raises:
        TypeError: a physics without a kernel.
        ValueError: a physics whose kernel was never set, or differs between channels.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.interop.deepinv import sample_from, to_deepinv
        >>> from pnpsr.kernels import gaussian
        >>> x = torch.rand(1, 1, 8, 8)
        >>> sample_from(to_deepinv(Degradation(2), gaussian(3, 0.8)), x).y.shape
        torch.Size([1, 1, 4, 4])
    """
    x, clone = checks.image(x, "x"), physics.clone()
    if hasattr(parameters, "step"):
        seed = None if generator is None else int(torch.randint(2**31, (), generator=generator, device=generator.device))
        parameters = parameters.step(batch_size=x.shape[0], seed=seed)
    if parameters:
        clone.update(**parameters)
    if generator is not None:
        clone.noise_model.rng = generator
    with torch.no_grad():
        y = clone(x)
    return Sample(y, x, kernel_of(clone, x).expand(x.shape[0], -1, -1, -1), sigma_of(clone, x), scale_of(clone))


def degradation_from(physics: Physics) -> tuple[Degradation, Tensor]:
    """The same operator as a pnpsr :class:`Degradation` and its kernels (b 1 p q); what deepinv pads with becomes the boundary.

    Raises:
        TypeError: neither ``Blur``, ``BlurFFT``, ``Downsampling`` nor :class:`DegradationPhysics` (a subclass may do anything).
        ValueError: a physics whose kernel was never set, or differs between channels.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.interop.deepinv import degradation_from, to_deepinv
        >>> from pnpsr.kernels import gaussian
        >>> D, k = degradation_from(to_deepinv(Degradation(2), gaussian(5, 1.0)))
        >>> D.scale, k.shape
        ((2, 2), torch.Size([1, 1, 5, 5]))
    """
    if isinstance(physics, DegradationPhysics):
        return physics.degradation, kernel_of(physics)
    if type(physics) not in (Blur, BlurFFT, Downsampling):
        raise TypeError(f"physics must be a deepinv Blur, BlurFFT or Downsampling, got {type(physics).__name__}")
    boundary = BOUNDARY[getattr(physics, "padding", "circular")]
    return Degradation(scale_of(physics), boundary=boundary), kernel_of(physics)


def kernel_of(physics: Physics, like: Tensor | None = None) -> Tensor:
    """The physics' kernels (b 1 p q); a ``Downsampling`` without a filter has a single one, in the dtype of ``like``.

    Raises:
        TypeError: a physics without a kernel.
        ValueError: a kernel never set, or one per channel.
    """
    if not hasattr(physics, "filter"):
        raise TypeError(f"{type(physics).__name__} has no filter; pnpsr knows blur and downsampling")
    k = physics.filter
    if k is None and isinstance(physics, Downsampling):
        return torch.ones(1, 1, 1, 1) if like is None else like.new_ones(1, 1, 1, 1)
    if k is None:
        raise ValueError("this physics has no kernel yet: store one with physics.update(filter=...)")
    if not torch.equal(k, k[:, :1].expand_as(k)):
        raise ValueError(f"the kernel of shape {tuple(k.shape)} differs between channels; pnpsr knows one kernel for all colours")
    return checks.kernel(k[:, :1], "filter")


def scale_of(physics: Physics) -> Scale:
    """The factor between x and y; 1 for a physics that names none."""
    return getattr(physics, "factor", 1)


def sigma_of(physics: Physics, like: Tensor) -> Tensor | None:
    """The noise level per sample (b 1 1 1): 0 without noise, None where the noise is not Gaussian."""
    model = physics.noise_model
    if isinstance(model, ZeroNoise):
        return like.new_zeros(like.shape[0], 1, 1, 1)
    if not isinstance(model, GaussianNoise):
        return None
    return checks.per_sample(model.sigma, like, "sigma").expand(like.shape[0], 1, 1, 1)
