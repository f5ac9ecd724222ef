"""DANv1 and DANv2 (greatlog/DAN): ``Restorer``, ``Estimator``, and the kernel basis ``encoder``; every scale and kernel size."""

import math

import torch
from torch import nn

from pnpsr.kernels import KernelBasis
from pnpsr.recipes.dan import dan
from pnpsr.released.layout import Layout, Rules, Weights, count, renamed

_BUFFERS = ("encoder", "init_kernel", "init_ker_map")
_COMMON: Rules = [
    (r"^Restorer\.", "restorer.net."),
    (r"^Estimator\.", "estimator.net."),
    (r"\.head_LR(\.0)?\.", ".head_y."),
    (r"\.head_HR(\.0)?\.", ".head_x."),
]
_V1: Rules = [*_COMMON, (r"\.body\.(\d+)\.body\.3\.body\.", r".body.\1.attention."), (r"\.out\.", ".last.")]
_V2: Rules = [
    *_COMMON,
    (r"\.head1\.", ".head_y."),
    (r"\.head2\.", ".head_code."),
    (r"\.body\.(\d+)\.body1\.", r".blocks.\1.basic."),
    (r"\.body\.(\d+)\.body2\.", r".blocks.\1.conditional."),
    (r"\.tail\.0\.", ".tail."),
    (r"\.tail\.2\.", ".last."),
]


def _scale(weights: Weights) -> int:
    """From the way up: one convolution at scale 1, two shuffles at 4, else a convolution to s² times the width."""
    if "Restorer.upscale.weight" in weights:
        return 1
    if "Restorer.upscale.4.weight" in weights:
        return 4
    out, into = weights["Restorer.upscale.0.weight"].shape[:2]
    return math.isqrt(out // into)


def _size(weights: Weights) -> int:
    """The kernel's, from the basis; refused unless the network starts from a Dirac and its code, as the recipe does.

    Raises:
        ValueError: the two buffers say something else.
    """
    matrix, kernel, code = (weights[name][0] for name in _BUFFERS)
    size = math.isqrt(len(matrix))
    dirac = torch.zeros(size, size, dtype=kernel.dtype)
    dirac[size // 2, size // 2] = 1
    if not torch.equal(kernel, dirac) or not torch.allclose(code, matrix[dirac.flatten().argmax()], rtol=0, atol=1e-4):
        raise ValueError("it does not start from a Dirac kernel and its code (init_kernel, init_ker_map)")
    return size


def _build_1(weights: Weights) -> nn.Module:
    size, matrix = _size(weights), weights["encoder"][0]
    KernelBasis.from_matrix(matrix, size)  # our state holds the kernel, so decoding and encoding must return the code
    width, channels = weights["Restorer.head.weight"].shape[:2]
    blocks = count(weights, r"Restorer\.body\.(\d+)\.")
    if blocks % 4:
        raise ValueError(f"the restorer has {blocks} blocks, which must be a multiple of 4")
    return dan(_scale(weights), version=1, size=size, code=matrix.shape[1], width=width, blocks=blocks // 4, channels=channels)


def _build_2(weights: Weights) -> nn.Module:
    width, channels = weights["Restorer.head1.weight"].shape[:2]
    return dan(
        _scale(weights),
        size=_size(weights),
        code=weights["encoder"].shape[-1],
        width=width,
        groups=count(weights, r"Restorer\.body\.(\d+)\."),
        blocks=count(weights, r"Restorer\.body\.0\.body\.(\d+)\."),
        channels=channels,
        skip="released",
    )


def _translate_1(weights: Weights) -> Weights:
    basis = {f"{slot}.basis.matrix": weights["encoder"][0] for slot in ("restorer", "estimator")}
    return renamed({name: v for name, v in weights.items() if name not in _BUFFERS}, _V1) | basis


def _translate_2(weights: Weights) -> Weights:
    basis = {"restorer.basis.matrix": weights["encoder"][0]}
    return renamed({name: v for name, v in weights.items() if name not in _BUFFERS}, _V2) | basis


DAN_1 = Layout("DANv1", ("Restorer.head.weight", "Estimator.out.weight", *_BUFFERS), _build_1, _translate_1)
DAN_2 = Layout("DANv2", ("Restorer.head1.weight", "Estimator.tail.2.weight", *_BUFFERS), _build_2, _translate_2)
