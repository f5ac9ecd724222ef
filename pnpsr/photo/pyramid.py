"""The kernel of a picture, coarse to fine: found in a small copy first, then in larger ones, each from where the last ended."""

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, pad

from pnpsr import checks
from pnpsr.kernels import centre_kernel
from pnpsr.photo.alternate import differences, edge_image, fitted_kernel

RATIO = 2**0.5  # between levels
SMALLEST = 5  # side of the coarsest kernel
NARROWEST = 24  # shorter side of the coarsest picture
ROUNDS = 5  # at each level
PRICE, CHEAPER, CHEAPEST = 4e-3, 1.1, 1e-4  # of an edge: the first, divided by this every round, the last
GAMMA = 1e-2  # of the ridge
SHARE = 0.1  # of the largest entry: less is taken for noise
PIECE = 0.1  # of all mass: an island of less is taken for noise


def coarse_to_fine(y: Tensor, size: int, counts: Tensor | None = None) -> Tensor:
    """The kernel (1 1 p p) of the picture y (1 c h w) at its own scale, p = ``size`` pixels.

    At every level an image of few edges explains y under the kernel, and the kernel explains y from those edges, five times over
    with a falling price of an edge (Xu, Zheng, Jia 2013; Pan et al. 2014); the mean of the channels is what is explained. Entries
    under a tenth of the largest, and islands, are noise.

    Args:
        y: floats in [0, 1].
        size: of the kernel, odd, at most half of the shorter side of y.
        counts: (1 1 h w), 1 where a pixel counts and 0 where it is clipped.

    Raises:
        ValueError: a size that is even or does not fit.
    """
    if checks.whole(size, "size") % 2 == 0 or 2 * size > min(y.shape[-2:]):
        raise ValueError(f"size must be odd and at most half of a side of y, got {size} for {y.shape[-2]} x {y.shape[-1]}")
    gray = checks.image(y, "y").float().mean(1, keepdim=True)
    there = torch.ones_like(gray) if counts is None else counts.to(gray)
    k, price = gray.new_zeros(SMALLEST, SMALLEST), PRICE
    k[SMALLEST // 2, SMALLEST // 2 - 1 : SMALLEST // 2 + 1] = 0.5  # not at one pixel, where every alternation stays
    for p in _sizes(size, min(y.shape[-2:])):
        z, seen = gray, there
        if p != size:
            z = interpolate(gray, scale_factor=p / size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
            seen = (adaptive_avg_pool2d(there, (z.shape[-2], z.shape[-1])) > 0.999).to(z)
        k, price = _level(z, seen, _resized(k, p), price)
    return k[None, None]


def on_grid_of(k: Tensor, scale: int) -> Tensor:
    """A kernel (1 1 p p) of y as one of the x that is ``scale`` times as fine, of s (p - 1) + 1 pixels: interpolated."""
    size = scale * (k.shape[-1] - 1) + 1
    return _positive(interpolate(k, size=(size, size), mode="bicubic", align_corners=True), 0.02) if scale > 1 else k


def _sizes(size: int, side: int) -> list[int]:
    """Of the kernels of all levels, smallest first; odd."""
    sizes = [size]
    while (p := int((sizes[-1] / RATIO - 1) / 2) * 2 + 1) >= SMALLEST and side * p / size >= NARROWEST:
        sizes.append(p)
    return sizes[::-1]


def _level(z: Tensor, seen: Tensor, k: Tensor, price: float) -> tuple[Tensor, float]:
    """The kernel (p p) of one level, from the one before; and what an edge costs after it."""
    y, inside = _around(z, seen, k.shape[-1] // 2 + 2)
    counts, dy = inside * torch.stack([inside.roll(-1, -2), inside.roll(-1, -1)]), differences(y)
    for _ in range(ROUNDS):
        k = fitted_kernel(dy, differences(edge_image(y, k, price)), counts, k, GAMMA)
        k = centre_kernel(_whole(_positive(k, SHARE))[None, None], tolerance=1.0)[0, 0].clamp_min(0)
        k, price = k / k.sum(), max(price / CHEAPER, CHEAPEST)
    return k, price


def _around(z: Tensor, seen: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """z (1 1 h w) continued smoothly around a torus by at least ``margin``, and where it counts; both (h' w')."""
    from deepinv.physics.functional import liu_jia_pad
    from scipy.fft import next_fast_len

    def fast(n: int) -> int:
        return next((m for m in range(margin, margin + 64) if next_fast_len(n + 2 * m) == n + 2 * m), margin)

    rows, columns = fast(z.shape[-2]), fast(z.shape[-1])
    low, high = z.amin(), z.amax()
    wide = liu_jia_pad(z, padding=(rows, columns)).clamp(low, high)
    return wide[0, 0], pad(seen, (columns, columns, rows, rows))[0, 0]


def _positive(k: Tensor, share: float) -> Tensor:
    """k without what is less than a share of its largest entry, of sum 1; one pixel where nothing is positive."""
    if not float(k.amax()) > 0:
        k = torch.zeros_like(k)
        k[..., k.shape[-2] // 2, k.shape[-1] // 2] = 1
    k = torch.where(k < share * k.amax(), 0, k)
    return k / k.sum()


def _whole(k: Tensor) -> Tensor:
    """k (p p) without islands of little mass, of sum 1; pixels that touch at a corner are of one piece."""
    from scipy.ndimage import label, sum_labels

    pieces, count = label((k > 0).numpy(), structure=[[1, 1, 1]] * 3)
    masses = sum_labels(k.numpy(), pieces, list(range(1, count + 1)))
    kept = [False, *(m >= min(PIECE, masses.max()) for m in masses)]
    k = k * torch.tensor(kept)[torch.from_numpy(pieces).long()]
    return k / k.sum()


def _resized(k: Tensor, size: int) -> Tensor:
    return _positive(interpolate(k[None, None], size=(size, size), mode="bicubic", align_corners=False)[0, 0], 0.02)
