"""First weights, where they are our choice: papers and released layouts leave them open, and short trainings depend on them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

SMALL = 0.1  # what a random weight is shrunk by where something definite is to show through


@torch.no_grad()
def copying(conv: nn.Conv2d, gain: float = 1.0) -> None:
    """Start as a copy: output channel i is ``gain`` times input channel i, as far as both exist, plus a little of everything."""
    shrink(conv.weight, conv.bias)
    conv.weight.add_(nn.init.dirac_(torch.empty_like(conv.weight))).mul_(gain)


@torch.no_grad()
def flat(conv: nn.Conv2d) -> None:
    """Start with n outputs that are all about 1 / n: a flat kernel of sum 1, as a softmax behind the layer would make of it."""
    n = conv.out_channels
    conv.weight.div_(n)
    if conv.bias is not None:
        conv.bias.fill_(1 / n)


@torch.no_grad()
def interpolating(conv: nn.Conv2d, factor: int) -> None:
    """Start as linear interpolation before ``PixelShuffle(factor)``, plus a little of everything; ``conv`` is 3 x 3.

    On the grid of ↓s: pixel i stays where it is, at s i, and what follows it lies between pixels i and i + 1.
    """
    step = torch.arange(factor, dtype=conv.weight.dtype, device=conv.weight.device) / factor
    row = torch.stack((torch.zeros_like(step), 1 - step, step), dim=1)
    taps = torch.einsum("ai,bj->abij", row, row).reshape(-1, 1, 3, 3)
    shrink(conv.weight, conv.bias)
    for i in range(conv.in_channels):
        conv.weight[i * factor**2 : (i + 1) * factor**2, i : i + 1] += taps


@torch.no_grad()
def edges(conv: nn.Conv2d, gain: float = 10.0) -> None:
    """Start blind to brightness: every filter sums to zero, and is larger since little is left of a picture then.

    A kernel shows in a picture's edges. Behind filters that see mostly brightness a kernel estimator stayed at the mean kernel for
    thousands of steps in our trials; behind these it left it within some hundreds.
    """
    conv.weight.sub_(conv.weight.mean((-2, -1), keepdim=True)).mul_(gain)


@torch.no_grad()
def keep_power(layers: Iterable[nn.Conv2d], slope: float) -> None:
    """Start convolutions so that a signal keeps its power through them and leaky rectifiers of the given slope (He et al. 2015)."""
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, a=slope)
        shrink(layer.bias)


@torch.no_grad()
def shrink(*weights: Tensor | None) -> None:
    """Start with less of some random weights."""
    for weight in weights:
        if weight is not None:
            weight.mul_(SMALL)
