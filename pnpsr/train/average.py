"""The moving average of the weights, which is what is validated and kept."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

M = TypeVar("M", bound=nn.Module)


class Average(nn.Module, Generic[M]):
    """a ← a + (1 - d)(w - a), d rising from 0.1 to ``decay``, so that the first random weights are soon forgotten.

    All weights move in one call and nothing is read back from the device: what counts the steps stays on the CPU.

    Args:
        solver: whose weights are averaged; copied.
        decay: the d that is approached, in (0, 1).
    """

    n_averaged: torch.Tensor

    def __init__(self, solver: M, decay: float) -> None:
        super().__init__()
        self.decay, self.module = decay, copy.deepcopy(solver)
        self.register_buffer("n_averaged", torch.tensor(0, dtype=torch.long))

    @torch.no_grad()
    def update(self, solver: nn.Module) -> None:
        """Take in the weights of ``solver``; its buffers are copied."""
        mine, theirs = list(self.module.parameters()), list(solver.parameters())
        count = int(self.n_averaged)
        d = min(self.decay, (1 + count) / (10 + count)) if count else 0.0
        if mine:
            get_ema_multi_avg_fn(d)(mine, theirs, count)  # type: ignore[no-untyped-call]
        for ours, buffer in zip(self.module.buffers(), solver.buffers(), strict=True):
            ours.copy_(buffer)
        self.n_averaged += 1
