"""A batch with its truth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pnpsr.checks import Scale
from pnpsr.physics import Degradation, Physics


@dataclass(frozen=True)
class Sample:
    """What was observed, and the truth behind it: y = (x ⊗ k)↓s + n.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.data import Sample
        >>> from pnpsr.kernels import dirac
        >>> x, k = torch.rand(2, 3, 16, 16), dirac(5, 2)
        >>> sample = Sample(Degradation(2)(x, k), x, k, torch.zeros(2, 1, 1, 1), 2)
        >>> sample.y.shape
        torch.Size([2, 3, 8, 8])
    """

    y: Tensor  # (b c h w)
    x: Tensor  # (b c sh sw)
    k: Tensor | None  # (b 1 p q); None: nobody knows it, as with paired pictures
    sigma: Tensor | None  # (b 1 1 1); None: the noise is unknown, or not Gaussian
    scale: Scale
    wide: Tensor | None = None  # (b 1 H W): gray, a larger window of the same picture with the same k and sigma, for first kernels
    names: tuple[str, ...] = ()  # of the b pictures, where they have names
    mask: Tensor | None = None  # (b 1 h w) of ones and zeros: pixels of y that count, where some are missing or saturated
    left_out: tuple[tuple[str, str], ...] = ()  # pictures that could not be read, each with the reason; others took their places
    physics: Physics | None = None  # what made y, where that is no blur and ↓s as the library has them; the same for all b

    @property
    def told(self) -> Physics:
        """What a solver is to invert: the physics, or blur and ↓s, of the pixels that count."""
        physics = Degradation(self.scale) if self.physics is None else self.physics
        return physics if self.mask is None else physics.masked(self.mask)

    def known(self, name: str) -> Tensor:
        """The truth ``name`` (k or sigma), which must be known.

        Raises:
            ValueError: nobody knows it.
        """
        value: Tensor | None = getattr(self, name)
        if value is None:
            raise ValueError(f"the true {name} of these data is unknown; leave out losses and stages that need it")
        return value

    def given(self, *names: str) -> dict[str, Tensor | None]:
        """The named truths, as keywords of a solver's call: what a stage of training, or an evaluation, does not leave unknown."""
        return {name: getattr(self, name) for name in names}

    def part(self, *indices: int) -> "Sample":
        """Those samples of the batch, as a batch."""
        chosen, optional = list(indices), (("k", self.k), ("sigma", self.sigma), ("mask", self.mask), ("wide", self.wide))
        fields: dict[str, Any] = {name: None if v is None else v[chosen] for name, v in optional}
        return replace(
            self, y=self.y[chosen], x=self.x[chosen], names=tuple(self.names[i] for i in chosen) if self.names else (), **fields
        )

    def to(self, device: torch.device | str) -> "Sample":
        """The same on ``device``; where it was pinned, without waiting."""
        return self._each(lambda t: t.to(device, non_blocking=True))

    def pin_memory(self) -> "Sample":
        """The same in memory from which a GPU copies while the CPU goes on."""
        return self._each(Tensor.pin_memory)

    def _each(self, act: Callable[[Tensor], Tensor]) -> "Sample":
        tensors = {name: getattr(self, name) for name in ("y", "x", "k", "sigma", "mask", "wide")}
        fields: dict[str, Any] = {name: act(t) for name, t in tensors.items() if t is not None}
        return replace(self, **fields)
