"""What JPEG has taken from a picture, read off the picture: its blocks hold multiples of steps, whatever the file said."""

import math

import torch
from torch import Tensor

from pnpsr.photo.windows import fine_noise

SIDE = 8  # of a block
STEPS = range(3, 128)  # that are looked for, in 255ths: smaller ones are less than what rounding adds
LUMA = (0.299, 0.587, 0.114)
FEWEST = 8  # coefficients other than zero that show a step
SURE = 0.6  # mean cosine of their phase: 1 for multiples of the step, 0 for anything
ROWS = 64  # of blocks that are read, spread over the picture
COARSE, FINE = (0.03, 0.13), (0.15, 0.35)  # cycles per pixel
# detail inside of blocks up to which a picture is surely blurred, and twice of which surely not. Crops of 26 training pictures:
# nine of ten that were sharp had 0.32 and more (0.45 at ×2), of those under a Gaussian of 1.6 pixels or a motion at most 0.23 (0.3)
SOFT, FINER = 0.1, 0.24  # at scale 1, and at all others
LEAST = 1e-3
SECTORS = 3  # of directions: a block does not tell one from its mirror image


def compression(y: Tensor) -> float:
    """Root mean square of what quantising the blocks of y (1 c h w) has changed, as a fraction of white; 0 where it was not done.

    In each of the 63 frequencies of blocks of 8 x 8 the largest step of which all values but zeros are multiples; p of n values are
    no zeros. Under the Laplacian density of width b in which p lie beyond half a step q, p = exp(-q / 2b), the mean square is

        p q²/12 + b² (2 - (u² + 2u + 2) p),    u = -log p:

    that of rounding where values are many, and what was there where all became zero. Of luminance;
    blocks begin at the first pixel.
    """
    values = _cosines(y).flatten(0, 1).flatten(1).T[1:]  # (63 n), without the means of blocks
    if values.shape[1] == 0:
        return 0.0
    energy = sum(_lost(v.abs(), q) for v, q in zip(values, _steps(values), strict=True) if q)
    return math.sqrt(energy) / SIDE / 255


def detail_in_blocks(y: Tensor) -> float:
    """min over directions of the mean power of ∇y at fine frequencies by that at coarse ones, of blocks of 8 x 8 each for itself.

    What :func:`pnpsr.photo.detail.detail` says of a whole picture, without the jumps from block to block that compression leaves:
    what it set to zero is no detail. Of luminance, white noise taken off; y (1 c h w) begins with a block; 1 where it is smaller.
    """
    if min(y.shape[-2:]) < SIDE:
        return 1.0
    grain = 255 * fine_noise(torch.tensordot(_luma(y), y, ([0], [1]))[None])
    power = (_cosines(y).square().mean((0, 1)) - grain**2).clamp_min(0)
    n = torch.arange(SIDE, dtype=y.dtype) / (2 * SIDE)
    f, angle = torch.hypot(n[:, None], n), torch.atan2(n[:, None], n.expand(SIDE, SIDE))
    power, sector = power * f**2, (angle / (math.pi / 2) * (SECTORS - 1)).round()
    found = []
    for i in range(SECTORS):
        coarse, fine = (float(power[(sector == i) & (f > low) & (f < high)].mean()) for low, high in (COARSE, FINE))
        found.append(fine / max(coarse, 1e-12))
    return min(found)


def softness(y: Tensor, scale: int) -> float:
    """1 where :func:`detail_in_blocks` says that y (1 c h w), to be enlarged by ``scale``, is blurred, and 0 where it is not."""
    return min(1.0, max(0.0, 1 - math.log2(max(detail_in_blocks(y), LEAST) / (SOFT if scale == 1 else FINER))))


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


def _cosines(y: Tensor) -> Tensor:
    """Cosine transforms of blocks of the luminance of y (1 c h w), in 255ths: (rows columns 8 8)."""
    h, w = (n // SIDE * SIDE for n in y.shape[-2:])
    rows = torch.arange(h // SIDE)[:: max(1, h // SIDE // ROWS)]
    strips = y[0, :, :h, :w].reshape(y.shape[1], h // SIDE, SIDE, w)[:, rows]
    luma = 255 * torch.tensordot(_luma(y), strips, 1)  # (rows 8 w)
    return _basis(y) @ luma.reshape(len(rows), SIDE, w // SIDE, SIDE).transpose(1, 2) @ _basis(y).mT


def _luma(y: Tensor) -> Tensor:
    """Weights of the channels (c)."""
    return y.new_tensor(LUMA) if y.shape[1] == 3 else y.new_full((y.shape[1],), 1 / y.shape[1])


def _basis(like: Tensor) -> Tensor:
    """The orthonormal cosine transform of 8 values (8 8)."""
    n = torch.arange(SIDE, dtype=like.dtype)
    basis = (math.pi / SIDE * (n + 0.5) * n[:, None]).cos() * math.sqrt(2 / SIDE)
    basis[0] /= math.sqrt(2)
    return basis
