"""How a run is carried out, apart from what it learns."""

from dataclasses import dataclass
from math import cos, pi
from typing import Any, Literal

from pnpsr import checks

Decay = Literal["constant", "halving", "cosine"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Options:
    """Steps, rates, precision and what is kept. Two runs with equal options, data and hardware are equal.

    Example:
        >>> from pnpsr.train import Options
        >>> Options(steps=100, rate=1e-3).precision
        '32-true'
    """

    steps: int = 100_000
    """Optimiser steps of all stages together."""
    rate: float = 1e-4
    """Learning rate of Adam (beta = 0.9, 0.99, as both papers), before its decay."""
    decay: Decay = "cosine"
    """Course of the rate within each stage: constant (IKR-Net), halved every ``halve`` of the stage (DAN), or cosine to zero."""
    halve: float = 0.5
    """Part of a stage after which the rate is halved, again and again; 0.5 is DAN's 2e5 of 4e5 steps."""
    warmup: int = 100
    """Steps over which the rate rises linearly at the beginning of each stage."""
    clip: float = 1.0
    """Largest norm of the gradient; larger ones are scaled down to it."""
    average: float = 0.999
    """Decay of the exponential moving average of the weights, which is what is validated and kept; 0 turns it off."""
    precision: Precision = "32-true"
    """Arithmetic of the networks; exact data steps keep float32 whatever is said here."""
    checkpointing: bool = False
    """Recompute each iteration in the backward pass: memory of one iteration instead of T."""
    implicit: bool = False
    """Take the last iterate for a fixed point: the gradient of one iteration, repeated until it settles, in the memory of one."""
    compile: bool = False
    """Compile the iteration with torch.compile."""
    channels_last: bool = True
    """Memory layout of the convolutions' weights; faster on CPUs and on GPUs in half precision."""
    workers: int = 2
    """Background processes that draw the data; 0 draws them in between."""
    save_every: int = 500
    """Steps between checkpoints: what a killed run can lose."""
    keep: int = 2
    """Checkpoints that are kept, the newest ones."""
    validate_every: int = 1000
    """Steps between validations; 0 turns them off."""
    log_every: int = 20
    """Steps between records."""

    def __post_init__(self) -> None:
        for name in ("steps", "save_every", "keep", "log_every"):
            checks.whole(getattr(self, name), name)
        for name in ("warmup", "workers", "validate_every"):
            checks.whole(getattr(self, name), name, 0)
        if not self.rate > 0 or not self.clip > 0 or not 0 < self.halve <= 1 or not 0 <= self.average < 1:
            raise ValueError(
                "rate and clip must be positive, halve in (0, 1], average in [0, 1); got "
                f"{self.rate}, {self.clip}, {self.halve}, {self.average}"
            )


def lasting(options: Options) -> dict[str, Any]:
    """What must not change when a run is resumed: all that has a part in the numbers."""
    free = ("workers", "save_every", "keep", "validate_every", "log_every")
    return {name: value for name, value in vars(options).items() if name not in free}


def rate_factor(options: Options, step: int, total: int) -> float:
    """The learning rate at ``step`` (from 0) of a stage of ``total`` steps, as a factor of ``options.rate``."""
    rise = min(1.0, (step + 1) / (options.warmup + 1))
    done = step / max(1, total)
    course = {
        "constant": 1.0,
        "halving": 0.5 ** int(done / options.halve),
        "cosine": (1 + cos(pi * done)) / 2,
    }
    return rise * course[options.decay]
