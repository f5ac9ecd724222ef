"""The released networks as plain functions of their state dicts, and state dicts of any size made from formulas.

Nothing here knows the library: torch.nn.functional, full complex spectra, and the names of other people's tensors.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def invented(shapes: Shapes, seed: int = 0, gain: float = 0.7) -> Weights:
    """Random tensors in float64, weights that keep about ``gain`` of a signal, and small biases."""
    g = torch.Generator().manual_seed(seed)

    def one(shape: tuple[int, ...]) -> Tensor:
        power = gain / max(1, torch.Size(shape[1:]).numel()) ** 0.5 if len(shape) > 1 else 0.1
        return power * torch.randn(shape, generator=g, dtype=torch.float64)

    return {name: one(shape) for name, shape in shapes.items()}


def conv(w: Weights, name: str, v: Tensor, stride: int = 1) -> Tensor:
    """A convolution that keeps the size, or divides it by the stride."""
    weight = w[f"{name}.weight"]
    return F.conv2d(v, weight, w.get(f"{name}.bias"), stride, weight.shape[-1] // 2)


def conv_shapes(name: str, out: int, into: int, p: int, bias: bool = True) -> Shapes:
    """Of a convolution, or with p = 0 of a fully connected layer."""
    return {f"{name}.weight": (out, into, p, p)[: 4 if p else 2]} | ({f"{name}.bias": (out,)} if bias else {})
