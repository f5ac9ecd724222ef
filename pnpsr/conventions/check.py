"""Does (x, k) give this y? The check behind every published triple."""

from dataclasses import dataclass

from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.conventions.convention import Convention
from pnpsr.conventions.degrade import degrade
from pnpsr.conventions.named import PNPSR
from pnpsr.precision import double


@dataclass(frozen=True)
class Report:
    """How close degrade(x, k) came to y: ``psnr`` (b,) in dB for a peak of 1, inf where equal.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.conventions import Report, reproduces
        >>> from pnpsr.kernels import gaussian
        >>> x, k = torch.rand(1, 1, 16, 16), gaussian(5, 1.0)
        >>> report = reproduces(Degradation(2)(x, k), x, k, 2)
        >>> isinstance(report, Report), bool(report.psnr > 100)
        (True, True)
    """

    convention: Convention
    psnr: Tensor

    def matches(self, threshold: float = 55.0) -> bool:
        """Whether every sample is at least ``threshold`` dB close.

        The default lets a y pass that was rounded to 8 bits (58.9 dB), not a truncated one (52.9 dB); one pixel of displacement
        costs a photograph some 20 dB more.
        """
        return bool((self.psnr >= threshold).all())

    def __bool__(self) -> bool:
        return self.matches()


def reproduces(
    y: Tensor, x: Tensor, k: Tensor, scale: Scale, convention: Convention = PNPSR, *, border: Scale | None = None
) -> Report:
    """-10 log10 mean((y - degrade(x, k, scale, convention))²): whether the triple and the convention belong together.

    Args:
        y: the given image (b c h w).
        x: the image it is said to come from, (b c sh sw) in [0, 1].
        k: kernels (b 1 p q), or one for all (1 1 p q).
        scale: integer factor, or one per axis.
        convention: what k and ↓s are said to mean; ``IKRNET.stored("truncate")`` and the like for 8-bit files.
        border: rows and columns of y left out on each side; None leaves out none. ``convention.border(size of k, scale)`` leaves
            out all that depends on the boundary, for a y cut from a larger picture.

    Raises:
        TypeError: as :func:`degrade`.
        ValueError: as :func:`degrade`, or y of another shape than the convention gives.

    Example:
        >>> import torch
        >>> from pnpsr.conventions import DAN, degrade, reproduces
        >>> from pnpsr.kernels import gaussian
        >>> x, k = torch.rand(1, 1, 16, 16), gaussian(5, 1.0)
        >>> bool(reproduces(degrade(x, k, 2, DAN), x, k, 2).psnr > 60), bool(reproduces(degrade(x, k, 2), x, k, 2).psnr > 60)
        (False, True)
    """
    y = checks.image(y, "y")
    return Report(convention, closeness(y, degrade(x, k, scale, convention), border))


def closeness(y: Tensor, z: Tensor, border: Scale | None) -> Tensor:
    """-10 log10 mean((y - z)²) within the border, per sample (b,).

    Raises:
        TypeError: different dtypes.
        ValueError: different shapes, or a border that leaves nothing.
    """
    if y.shape[1:] != z.shape[1:] or (y.shape[0] != z.shape[0] and 1 not in (y.shape[0], z.shape[0])):
        raise ValueError(f"y is {tuple(y.shape)}, but x and k give {tuple(z.shape)} at this scale; crop y or x, or check the scale")
    checks.matching(y, z, "y and x")
    error = checks.inside(y, border or 0, "y") - checks.inside(z, border or 0, "y")
    return -10 * error.to(double(error)).square().mean((1, 2, 3)).log10()
