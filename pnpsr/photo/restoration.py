"""What comes back from a photograph, and what may be asked for."""

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from pnpsr.photo.find import Found
from pnpsr.photo.plan import Plan
from pnpsr.photo.windows import Window

LOUDEST = 0.5  # noise level above which no picture is left


@dataclass(frozen=True)
class Restoration:
    """A restored photograph, the blur that was found, and why it was believed.

    Example:
        >>> from pnpsr import restore
        >>> from pnpsr.images import sample_picture
        >>> from pnpsr.kernels import gaussian
        >>> out = restore(sample_picture("camera")[..., 60:84, 140:164], 1, k=gaussian(5, 0.8))
        >>> out.x.shape, out.k.shape, out.scale
        (torch.Size([1, 1, 24, 24]), torch.Size([1, 1, 5, 5]), 1)
    """

    x: Tensor  # (1 c sh sw) float32 in [0, 1]
    k: Tensor  # (1 1 p q): of the whole picture, or of its most informative window where there is a field of kernels
    sigma: float | None  # noise level, a fraction of white; None where the solver kept it to itself
    scale: int
    blurred: bool  # False: no blur was found
    words: str  # one sentence
    plan: Plan
    found: Found | None = None  # None where the kernel was given, or a solver of the caller's found it
    field: Tensor | None = None  # kernels (rows columns p p), one per cell of the picture, where they were asked for
    windows: tuple[Window, ...] = ()  # where the kernel was looked for
    curves: dict[str, list[float]] = dataclasses.field(default_factory=dict)  # one value per iteration
    steps: tuple[tuple[Tensor, Tensor], ...] = ()  # x and k after each iteration, of the first window
    notes: tuple[str, ...] = ()  # what the reader of the file had to say
    touched: bool = True  # False: x is the picture itself, enlarged without a prior
