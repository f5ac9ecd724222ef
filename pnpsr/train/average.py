"""The moving average of the weights, which is what is validated and kept."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


def averaged(solver: nn.Module, decay: float) -> AveragedModel:
    """a ← a + (1 - d)(w - a), d rising from 0.1 to ``decay``, so that the first random weights are soon forgotten."""
    return AveragedModel(solver, avg_fn=_averaging(decay))


def _averaging(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    def average(mean: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        d = min(decay, (1 + float(count)) / (10 + float(count)))
        return mean + (1 - d) * (weight - mean)

    return average
