# ruff: noqa: TID253
"""Denoisers across the border: deepinv's ``(x, sigma (b,))`` and pnpsr's ``(v, strength (b 1 1 1))`` are the same socket."""

import inspect
from collections.abc import Callable

from deepinv.models import Denoiser
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.physics.blur import extend
from pnpsr.state import Prior

GRAY = ("repeat", "refuse")


class DenoiserPrior(nn.Module):
    """v ↦ D(v; sigma = strength), see :func:`as_prior`. The denoiser's weights are this module's: they train with the solver.

    Example:
        >>> from pnpsr.interop.deepinv import as_prior, DenoiserPrior
        >>> isinstance(as_prior(lambda x, sigma: x), DenoiserPrior)
        True
    """

    def __init__(self, denoiser: Callable[..., Tensor], channels: int | None, gray: str, multiple: int, weight: bool) -> None:
        super().__init__()
        self.denoiser, self.channels, self.gray, self.multiple, self.weight = denoiser, channels, gray, multiple, weight

    def forward(self, v: Tensor, strength: Tensor | float | None = None) -> Tensor:
        """The denoised v (b c h w), in its shape and dtype.

        Args:
            v: images in [0, 1], any h and w.
            strength: noise level σ in the same units, or with ``weight`` β = σ² of ½ |u - v|² + β Φ(u):
                a number, (b,) or (b 1 1 1); None for denoisers that take none.

        Raises:
            TypeError: v holds no floats.
            ValueError: channels the denoiser does not read, no strength where it needs one, or one of another batch size.
        """
        v = checks.layout(v, "v")
        sigma = self._sigma(v, strength)
        fed, sigma = self._to_channels(v, sigma)
        rows, columns = v.shape[-2:]
        out = self.denoiser(extend(fed, (0, -rows % self.multiple, 0, -columns % self.multiple), "reflect"), sigma)
        return self._from_channels(out[..., :rows, :columns], v).to(v.dtype)

    def _sigma(self, v: Tensor, strength: Tensor | float | None) -> Tensor | None:
        if strength is not None:
            level = _levels(strength, v, "strength").flatten()
            return level.sqrt() if self.weight else level
        parameter = inspect.signature(getattr(self.denoiser, "forward", self.denoiser)).parameters.get("sigma")
        if parameter is not None and parameter.default is inspect.Parameter.empty:
            raise ValueError("this denoiser needs a noise level: pass strength as a number, (b,) or (b 1 1 1)")
        return None

    def _to_channels(self, v: Tensor, sigma: Tensor | None) -> tuple[Tensor, Tensor | None]:
        c = v.shape[1]
        if self.channels in (None, c):
            return v, sigma
        if self.gray == "repeat" and c == 1:
            return v.expand(-1, self.channels, -1, -1), sigma
        if self.gray == "repeat" and self.channels == 1:
            return v.reshape(-1, 1, *v.shape[-2:]), None if sigma is None else sigma.repeat_interleave(c)
        raise ValueError(
            f"v has {c} channel(s), the denoiser reads {self.channels}; convert v, or take gray='repeat' between 1 and several"
        )

    def _from_channels(self, out: Tensor, v: Tensor) -> Tensor:
        if out.shape == v.shape:
            return out
        if v.shape[1] == 1 and out.shape[1] == self.channels:
            return out.mean(1, keepdim=True)
        if self.channels == 1 and out.shape[0] == v.shape[0] * v.shape[1]:
            return out.reshape(v.shape)
        raise ValueError(f"the denoiser returned {tuple(out.shape)} for v of {tuple(v.shape)}; is channels= what it reads?")

    def extra_repr(self) -> str:
        """How pictures are fed."""
        return f"channels={self.channels}, gray={self.gray!r}, multiple={self.multiple}"


def as_prior(
    denoiser: Callable[..., Tensor], *, channels: int | None = None, gray: str = "repeat", multiple: int = 8, weight: bool = False
) -> DenoiserPrior:
    """A deepinv denoiser as a pnpsr ``Prior``: (v, strength) ↦ D(v, sigma), where strength is the noise level sigma, or sigma².

    Args:
        denoiser: any ``deepinv.models.Denoiser``, or another callable ``(x, sigma) -> x``.
        channels: how many channels it reads, 1 or 3 for most networks; None: whatever comes (total variation, median, wavelets).
        gray: what happens to a picture of another number of channels. ``repeat``: one channel is repeated for a colour denoiser and
            its output averaged; the channels of a colour picture go one by one through a gray denoiser. ``refuse``: ValueError.
        multiple: sides are extended by reflection to multiples of this, and cropped back (8 for U-nets with three halvings, the
            window for SwinIR, 1 for filters).
        weight: the strength is β of ½ |u - v|² + β Φ(u), as for ``tv``, so that sigma = √β; else it is sigma itself.

    Raises:
        TypeError: a denoiser that cannot be called, ``channels`` or ``multiple`` that is no integer.
        ValueError: unknown ``gray``, ``channels`` or ``multiple`` below 1.

    Example:
        >>> import torch
        >>> from pnpsr.interop.deepinv import as_prior
        >>> prior = as_prior(lambda x, sigma: x / 2, multiple=1)
        >>> prior(torch.ones(1, 3, 4, 4), 0.1).mean().item()
        0.5
    """
    if not callable(denoiser):
        raise TypeError(f"denoiser must be callable, (x, sigma) -> x; got {denoiser!r}")
    checks.choice(gray, GRAY, "gray")
    channels = None if channels is None else checks.whole(channels, "channels")
    return DenoiserPrior(denoiser, channels, gray, checks.whole(multiple, "multiple"), bool(weight))


class AsDenoiser(Denoiser):  # type: ignore[misc]
    """x ↦ P(x; strength = sigma), see :func:`as_denoiser`.

    Example:
        >>> from pnpsr.interop.deepinv import as_denoiser, AsDenoiser
        >>> from pnpsr.prox import tv
        >>> isinstance(as_denoiser(tv), AsDenoiser)
        True
    """

    def __init__(self, prior: Prior, *, uses_sigma: bool = True) -> None:
        super().__init__()
        self.prior, self.uses_sigma = prior, uses_sigma

    def forward(self, x: Tensor, sigma: Tensor | float | None = None) -> Tensor:
        """The regularised x (b c h w).

        Args:
            x: noisy images in [0, 1].
            sigma: noise level: a number, 0-d, (b,) or (b 1 1 1).
        """
        if sigma is None or not self.uses_sigma:
            return self.prior(x, None)
        return self.prior(x, _levels(sigma, checks.layout(x, "x"), "sigma"))


def as_denoiser(prior: Prior, *, uses_sigma: bool = True) -> AsDenoiser:
    """A pnpsr prior (a ``ResUNet``, a proximal map, any function) as a ``deepinv.models.Denoiser``: sigma becomes its strength.

    Args:
        prior: ``(v, strength) -> v``.
        uses_sigma: False for priors without a strength; deepinv's sigma is then not passed on.

    Raises:
        TypeError: a prior that cannot be called.

    Example:
        >>> import torch
        >>> from pnpsr.interop.deepinv import as_denoiser
        >>> from pnpsr.prox import tv
        >>> as_denoiser(tv)(torch.rand(1, 1, 8, 8), 0.1).shape
        torch.Size([1, 1, 8, 8])
    """
    if not callable(prior):
        raise TypeError(f"prior must be callable, (v, strength) -> v; got {prior!r}")
    return AsDenoiser(prior, uses_sigma=bool(uses_sigma))


def _levels(value: Tensor | float, like: Tensor, name: str) -> Tensor:
    """One noise level per image, (b 1 1 1)."""
    level = checks.per_sample(value, like, name)
    if level.shape[0] > like.shape[0]:
        raise ValueError(f"{name} has {level.shape[0]} values for a batch of {like.shape[0]}")
    return level.expand(like.shape[0], 1, 1, 1)
