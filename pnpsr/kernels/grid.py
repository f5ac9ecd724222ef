"""What every kernel generator shares: coordinates around the centre p // 2, unit mass, and seeded draws."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pnpsr import checks


def blank(values: Sequence[object], dtype: torch.dtype, device: torch.device | str | None) -> Tensor:
    """A tensor without content (b 0) whose batch, dtype and device are those of the kernels to be made.

    b is the longest of the per-sample parameters ``values``; without ``device`` it is where the first tensor among them lives.
    """
    tensors = [value for value in values if isinstance(value, Tensor)]
    b = max((value.shape[0] for value in tensors if value.ndim), default=1)
    if device is None and tensors:
        device = tensors[0].device
    return torch.empty(b, 0, dtype=checks.precision(dtype), device=device)


def offsets(size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column coordinates (p 1), (1 q) in pixels from the centre index p // 2."""
    rows, columns = (torch.arange(n, dtype=like.dtype, device=like.device) - n // 2 for n in size)
    return rows[:, None], columns[None, :]


def reach(size: tuple[int, int]) -> tuple[int, int]:
    """Pixels on the shorter side of the centre, per axis: what lies within is mirrored by the support, for odd and even p."""
    return (size[0] - 1) // 2, (size[1] - 1) // 2


def unit(k: Tensor) -> Tensor:
    """K / sum(k), per sample."""
    return k / k.sum((-2, -1), keepdim=True)


def hat(positions: Tensor, cells: Tensor) -> Tensor:
    """Linear weights max(0, 1 - |cell - position|): positions (b n), cells (p) -> (b n p), in pixels.

    They add up to 1 and have their mean at the position wherever it lies between two cells. At the kinks, on whole pixels, the
    gradient is that towards larger positions for all weights at once, so that it still moves the mean at unit rate.
    """
    d = cells - positions[..., None]
    return torch.where(d > 0, 1 - d, 1 + d) * ((d > -1) & (d <= 1))


def splat(path: Tensor, size: tuple[int, int]) -> Tensor:
    """Rasterise points (b 2 n), in pixels from the centre, with bilinear weights into kernels (b 1 p q) of sum 1.

    The centroid of the kernel is that of the points, exactly, as long as they stay within the support.
    """
    rows, columns = offsets(size, path)
    with torch.autocast(path.device.type, enabled=False):
        k = hat(path[:, 0], rows[:, 0]).mT @ hat(path[:, 1], columns[0])
    return unit(k[:, None])


def draw(sampler: Callable[..., Tensor], shape: tuple[int, ...], like: Tensor, generator: torch.Generator | None) -> Tensor:
    """``torch.rand`` or ``torch.randn`` where the generator lives, then moved: one seed gives the same kernels on every device."""
    device = torch.device("cpu") if generator is None else generator.device
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return sampler(shape, generator=generator, dtype=dtype, device=device).to(like)
