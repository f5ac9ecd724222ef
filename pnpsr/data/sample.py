"""A batch with its truth."""

from dataclasses import dataclass

from torch import Tensor

from pnpsr.checks import Scale


@dataclass(frozen=True)
class Sample:
    """What was observed, and the truth behind it: y = (x ⊗ k)↓s + n."""

    y: Tensor  # (b c h w)
    x: Tensor  # (b c sh sw)
    k: Tensor  # (b 1 p q)
    sigma: Tensor | None  # (b 1 1 1); None: the noise is not Gaussian
    scale: Scale
    wide: Tensor | None = None  # (b 1 H W): gray, a larger window of the same picture with the same k and sigma, for first kernels

    def given(self, *names: str) -> dict[str, Tensor | None]:
        """The named truths, as keywords of a solver's call: what a stage of training, or an evaluation, does not leave unknown."""
        return {name: getattr(self, name) for name in names}
