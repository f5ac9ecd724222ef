"""What a training tells: a record every few steps, and why it stopped."""

from collections.abc import Mapping
from dataclasses import dataclass

from pnpsr.train.validation import Scores


class Diverged(ArithmeticError):
    """The loss became NaN or infinite; the message names the step and the last good checkpoint.

    Example:
        >>> from pnpsr.train import Diverged
        >>> issubclass(Diverged, Exception)
        True
    """


@dataclass(frozen=True)
class Record:
    """What happened at a step.

    Example:
        >>> from pnpsr.train import Record
        >>> Record(10, "joint", {"total": 0.1}, 1e-4, 1.0, 3.5).stage
        'joint'
    """

    step: int  # optimiser steps completed, over all stages
    stage: str
    losses: Mapping[str, float]  # weighted, by name, with their sum as "total"; means over the processes
    rate: float  # learning rate before the parts' factors
    norm: float  # of the gradient before clipping
    images_per_second: float  # over all processes, since the last record
    scores: Scores | None = None
    left_out: int = 0  # pictures and samples left out so far, by this process since it began; ``left_out.csv`` names them
