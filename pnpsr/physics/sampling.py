"""↓s: keep one pixel of every s x s patch."""

from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.operator import LinearOperator


class Downsample(LinearOperator):
    """x ↦ x↓s: keep pixel ``offset`` of every s1 x s2 patch; the adjoint fills the others with zeros.

    Args:
        scale: integer factor, or one per axis.
        offset: which pixel of a patch is kept, 0 (upper left, as USRNet and IKR-Net) to s - 1; one number or one per axis.

    Raises:
        TypeError: a factor that is no integer.
        ValueError: factor below 1, offset outside the patch; on a call: image not divisible by the factor.

    Example:
        >>> import torch
        >>> from pnpsr.physics import Downsample
        >>> Downsample(2)(torch.arange(16.0).reshape(1, 1, 4, 4)).flatten().tolist()
        [0.0, 2.0, 8.0, 10.0]
        >>> Downsample((1, 2), offset=(0, 1)).adjoint(torch.ones(1, 1, 2, 2)).flatten().tolist()
        [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    """

    def __init__(self, scale: Scale, offset: Scale = 0) -> None:
        self.scale, self.offset = checks.factors(scale), checks.offsets(offset, scale)

    def __call__(self, v: Tensor) -> Tensor:
        """v↓s: (b c sh sw) -> (b c h w)."""
        v = checks.image(v, "v")
        checks.divisible(v, self.scale, "v")
        return v[..., self.offset[0] :: self.scale[0], self.offset[1] :: self.scale[1]].clone()  # a view would keep all of v alive

    def adjoint(self, u: Tensor) -> Tensor:
        """u↑s: (b c h w) -> (b c sh sw), zeros between the samples."""
        u = checks.image(u, "u")
        (b, c, h, w), (s1, s2), (o1, o2) = u.shape, self.scale, self.offset
        full = u.new_zeros(b, c, h, s1, w, s2)
        full[:, :, :, o1, :, o2] = u
        return full.reshape(b, c, h * s1, w * s2)

    def __repr__(self) -> str:
        return f"Downsample({self.scale[0]} x {self.scale[1]}, offset {self.offset})"


class Flip(LinearOperator):
    """k ↦ k turned by 180 degrees: what makes a convolution of a correlation. Its own adjoint and inverse."""

    def __call__(self, v: Tensor) -> Tensor:
        """v turned (b c h w)."""
        return checks.tensor(v, "v").flip(-2, -1)

    def adjoint(self, u: Tensor) -> Tensor:
        """u turned."""
        return self(u)

    def __repr__(self) -> str:
        return "Flip()"
