"""What JPEG has taken from a picture, read off the picture: its blocks hold multiples of steps, whatever the file said."""

import math

import torch
from torch import Tensor

SIDE = 8  # of a block
STEPS = range(3, 128)  # that are looked for, in 255ths: smaller ones are less than what rounding adds
LUMA = (0.299, 0.587, 0.114)
FEWEST = 8  # coefficients other than zero that show a step
SURE = 0.6  # mean cosine of their phase: 1 for multiples of the step, 0 for anything
ROWS = 64  # of blocks that are read, spread over the picture


def compression(y: Tensor) -> float:
    """Root mean square of what quantising the blocks of y (1 c h w) has changed, as a fraction of white; 0 where it was not done.

    In each of the 63 frequencies of blocks of 8 x 8 the largest step of which all values but zeros are multiples; p of n values are
    no zeros. Under the Laplacian density of width b in which p lie beyond half a step q, p = exp(-q / 2b), the mean square is

        p q²/12 + b² (2 - (u² + 2u + 2) p),    u = -log p:

    that of rounding where values are many, and what was there where all became zero. Of luminance;
    blocks begin at the first pixel.
    """
    h, w = (n // SIDE * SIDE for n in y.shape[-2:])
    if min(h, w) == 0:
        return 0.0
    weights = y.new_tensor(LUMA) if y.shape[1] == 3 else y.new_full((y.shape[1],), 1 / y.shape[1])
    rows = torch.arange(h // SIDE)[:: max(1, h // SIDE // ROWS)]
    strips = y[0, :, :h, :w].reshape(y.shape[1], -1, SIDE, w)[:, rows]
    luma = 255 * (strips * weights.view(-1, 1, 1, 1)).sum(0)  # (rows 8 w)
    blocks = _cosines(y) @ luma.reshape(len(rows), SIDE, -1, SIDE).transpose(1, 2) @ _cosines(y).mT
    values = blocks.flatten(0, 1).flatten(1).T[1:]  # (63 n), without the means of blocks
    energy = sum(_lost(v.abs(), q) for v, q in zip(values, _steps(values), strict=True) if q)
    return math.sqrt(energy) / SIDE / 255


def _steps(values: Tensor) -> list[int]:
    """The step of each row of values (63 n); 0 where none shows."""
    found = [0] * len(values)
    for q in STEPS:
        some = values.abs() > q / 2
        phase = ((2 * math.pi / q * values).cos() * some).sum(1) / some.sum(1).clamp_min(1)
        for i in ((phase > SURE) & (some.sum(1) >= FEWEST)).nonzero()[:, 0].tolist():
            found[i] = q
    return found


def _lost(size: Tensor, q: int) -> float:
    """The mean square of what became multiples of q, from the share that is not zero."""
    p = float((size > q / 2).double().mean().clamp_max(0.999))
    u = -math.log(p)
    return p * q**2 / 12 + (q / (2 * u)) ** 2 * (2 - (u**2 + 2 * u + 2) * p)


def _cosines(like: Tensor) -> Tensor:
    """The orthonormal cosine transform of 8 values (8 8)."""
    n = torch.arange(SIDE, dtype=like.dtype)
    basis = (math.pi / SIDE * (n + 0.5) * n[:, None]).cos() * math.sqrt(2 / SIDE)
    basis[0] /= math.sqrt(2)
    return basis
