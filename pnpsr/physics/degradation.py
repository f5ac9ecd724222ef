"""y = (x ⊗ k)↓s + n: the forward model of both papers, bilinear in (x, k); freeze one argument to get a linear operator."""

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.blur import BOUNDARIES, Blur, KernelBlur
from pnpsr.physics.noise import gaussian_noise
from pnpsr.physics.operator import LinearOperator
from pnpsr.physics.sampling import Downsample


class Degradation:
    """(x, k) ↦ (x ⊗ k)↓s (DAN Eq. 1, IKR-Net Eq. 1).

    Args:
        scale: integer factor, or one per axis.
        offset: which pixel of every s x s patch ↓s keeps; 0 is the upper left.
        boundary: how x goes on beyond its border, see :class:`Blur`.

    Raises:
        TypeError: a scale that is no integer (2.5 is refused, never rounded).
        ValueError: scale below 1, offset outside the patch, unknown boundary; on a call: sizes that do not fit.
    """

    def __init__(self, scale: Scale, *, offset: Scale = 0, boundary: str = "circular") -> None:
        checks.choice(boundary, BOUNDARIES, "boundary")
        self.sampling, self.boundary = Downsample(scale, offset), boundary

    @property
    def scale(self) -> tuple[int, int]:
        """The factor of each axis."""
        return self.sampling.scale

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """The linear operator in the other argument: ``freeze(k=k)`` acts on images, ``freeze(x=x, size=p)`` on p x p kernels.

        Raises:
            ValueError: both or neither of k and x, or x without the size of the kernels.
        """
        if (k is None) == (x is None):
            raise ValueError("freeze exactly one of k= and x=")
        if k is not None:
            return self.sampling @ Blur(k, self.boundary)
        if size is None:
            raise ValueError("freeze(x=...) needs the size of the kernels it will act on: freeze(x=x, size=21)")
        return self.sampling @ KernelBlur(x, size, self.boundary)  # type: ignore[arg-type]

    def __call__(
        self, x: Tensor, k: Tensor, sigma: float | Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """(x ⊗ k)↓s, plus Gaussian noise of standard deviation ``sigma`` where one is given.

        Args:
            x: images (b c sh sw) in [0, 1].
            k: kernels (b 1 p q), or one for all (1 1 p q).
            sigma: noise level in the units of x, a number or one per sample.
            generator: source of the noise.

        Returns:
            y (b c h w).
        """
        y = self.freeze(k=k)(x)
        return y if sigma is None else gaussian_noise(y, sigma, generator=generator)

    def __repr__(self) -> str:
        return f"Degradation({self.sampling.scale[0]} x {self.sampling.scale[1]}, offset {self.sampling.offset}, {self.boundary})"
