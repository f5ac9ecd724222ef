"""Small pictures and quick methods for the tests of the evaluation."""

import copy
import itertools
import os
import signal
from collections.abc import Sequence

import torch
from synthetic import kernels, pictures
from torch import Tensor

from pnpsr.evaluate import Method, Protocol, Result, grid
from pnpsr.starts import upsample


class InMemory:
    """Named pictures; None stands for a file that cannot be read. Counts how often each was read."""

    def __init__(self, images: dict[str, Tensor | None]) -> None:
        self.images, self.names, self.reads = images, tuple(images), [0] * len(images)

    def read(self, index: int) -> Tensor:
        self.reads[index] += 1
        image = self.images[self.names[index]]
        if image is None:
            raise ValueError(f"{self.names[index]} is not a whole picture")
        return image


def some(names: Sequence[str] = ("a.png", "b.png"), h: int = 33, w: int = 38) -> InMemory:
    """Pictures of eight bits."""
    x = (pictures(len(names), 3, h, w, seed=5, dtype=torch.float32) * 255).round() / 255
    return InMemory({name: x[i : i + 1] for i, name in enumerate(names)})


def protocol(**changes: object) -> Protocol:
    """×2 and ×3, without noise and with 2 %; two kernels of 7 x 7."""
    settings = {
        "name": "small",
        "conditions": grid((2, 3), (0.0, 0.02)),
        "kernels": kernels(2, 7, seed=2, dtype=torch.float32),
        "metrics": ("psnr", "ssim", "kernel_mse", "data_psnr"),
    }
    return Protocol(**(settings | changes))  # type: ignore[arg-type]


def guess(y: Tensor, scale: int) -> Result:
    """Bicubic, and a kernel that is always the same."""
    k = torch.zeros(1, 1, 5, 5)
    k[..., 2, 2] = 1
    return Result(upsample(y, scale), k)


GUESS = Method("guess", guess)
CALLS = itertools.count()  # has no description: what is counted is not part of the methods below


def calls() -> int:
    """How often they were called."""
    return next(copy.copy(CALLS))


def counted(y: Tensor, scale: int) -> Result:
    """As ``guess``, and counts."""
    next(CALLS)
    return guess(y, scale)


def dying(y: Tensor, scale: int) -> Result:
    """As ``guess``, but ends the process without warning after so many calls as the environment says."""
    if next(CALLS) >= int(os.environ.get("CALLS", "1000000")):
        os.kill(os.getpid(), signal.SIGKILL)
    return guess(y, scale)
