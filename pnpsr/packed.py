"""Weights as integers of 8 or 12 bits and what one is worth in each row, or as float16; deflated: ``rounded``, ``widened``."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

BITS = (8, 12, 16)
LARGEST = 2**40  # bytes of one tensor: more is damage
WORTH, SHAPE, FORM, PLANES = "@worth", "@shape", "@form", "@planes"


def rounded(name: str, value: Tensor, bits: int) -> dict[str, Tensor]:
    """value ≈ worth × n with |n| < 2^(bits - 1), one worth for each row (first index); with 16 bits float16, as vectors always.

    The numbers lie deflated (zlib) in one tensor of bytes: the high eight bits of all, then the low eight, or, of 12 bits, the low
    four by twos. ``name@planes`` is their bits and shape.

    Example:
        >>> import torch
        >>> from pnpsr.packed import rounded
        >>> {name: value.tolist() for name, value in rounded("a", torch.ones(2, 3), 12).items() if name != "a"}["a@planes"]
        [12, 2, 3]
    """
    if value.ndim < 2:
        return {name: value.half()}
    extra = {f"{name}{PLANES}": torch.tensor((bits, *value.shape))}
    if bits == 16:
        n = value.half().view(torch.int16).to(torch.int32)
    else:
        largest = value.float().abs().flatten(1).amax(1)
        worth = torch.where(largest > 0, largest / (2 ** (bits - 1) - 1), torch.ones_like(largest))
        n, extra[f"{name}{WORTH}"] = (value.float() / _column(worth, value)).round().to(torch.int32), worth
    deflated = zlib.compress(_planes(n, bits).numpy().tobytes(), 9)
    return {name: torch.from_numpy(np.frombuffer(deflated, np.uint8).copy()), **extra}


def widened(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of a file, every one that :func:`rounded` made in float32 again.

    Files of earlier versions hold integers of 12 bits two in three bytes (``@form``), or are not deflated (``@shape``, or none).

    Raises:
        ValueError: pieces that do not belong together.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from pnpsr.packed import rounded, widened
        >>> widened(rounded("a", torch.tensor([[1.0, -0.5]]), 12), Path("file"))["a"].round(decimals=2)
        tensor([[ 1.0000, -0.5000]])
    """
    wide = {name: value for name, value in tensors.items() if not name.endswith((WORTH, SHAPE, FORM, PLANES))}
    for name in dict.fromkeys(name.rpartition("@")[0] for name in tensors.keys() - wide.keys()):
        worth, n = tensors.get(f"{name}{WORTH}"), wide.get(name)
        planes, form, shape = (tensors.get(f"{name}{what}") for what in (PLANES, FORM, SHAPE))
        if n is not None and planes is not None:
            n = _inflated(n, _listed(planes), _joined)
        elif n is not None and form is not None:
            n = _inflated(n, _listed(form), _unpacked)
        elif n is not None and shape is not None:
            n = _unpacked(n, tuple(_listed(shape)))
        elif n is not None and n.dtype != torch.int8:
            n = None
        if n is not None and n.dtype == torch.float16 and worth is None:
            wide[name] = n.float()
        elif n is not None and n.dtype != torch.float16 and worth is not None and worth.shape == n.shape[:1]:
            wide[name] = n.float() * _column(worth, n)
        else:
            raise ValueError(f"{path} is damaged: {name}{WORTH} belongs to no tensor of integers with as many rows")
    return wide


def _listed(numbers: Tensor) -> list[int]:
    """What a tensor of integers lists; none: it is no such tensor."""
    return numbers.tolist() if numbers.ndim == 1 and numbers.dtype == torch.int64 else []


def _inflated(deflated: Tensor, form: list[int], lie: Callable[[Tensor, tuple[int, ...]], Tensor | None]) -> Tensor | None:
    """The numbers of :func:`rounded` from their bytes, bits and shape; None: they do not fit. Never larger than the form says.

    ``lie`` says how those of 12 bits lie.
    """
    bits, *shape = form or (0,)
    if deflated.dtype != torch.uint8 or bits not in BITS or min(shape, default=0) < 1:
        return None
    size = _length(shape, bits)
    if size > LARGEST:
        return None
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(deflated.contiguous().numpy().tobytes(), size + 1)
    except zlib.error:
        return None
    if len(data) != size or not stream.eof or stream.unused_data:
        return None
    flat = torch.from_numpy(np.frombuffer(data, np.uint8).copy())
    if bits == 16:
        return torch.stack(flat.chunk(2)[::-1], 1).flatten().view(torch.float16).reshape(shape)
    return flat.view(torch.int8).reshape(shape) if bits == 8 else lie(flat, tuple(shape))


def _length(shape: Sequence[int], bits: int) -> int:
    """The bytes of so many numbers before they are deflated; of 12 bits two take three."""
    count = prod(shape)
    return count * bits // 8 if bits != 12 else 3 * ((count + 1) // 2)


def _planes(n: Tensor, bits: int) -> Tensor:
    """As bytes: the high eight bits of all, then the low eight; of 12 bits the low four, two in a byte, the first one's lower."""
    flat = n.flatten()
    if bits == 8:
        return flat.to(torch.int8).view(torch.uint8)
    if bits == 16:
        return torch.cat([flat >> 8 & 255, flat & 255]).to(torch.uint8)
    flat = torch.cat([flat + 2048, flat.new_zeros(flat.numel() % 2)])
    low = flat.reshape(-1, 2) & 15
    return torch.cat([flat >> 4, low[:, 0] | low[:, 1] << 4]).to(torch.uint8)


def _joined(planes: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The integers of 12 bits of :func:`_planes`, from as many bytes as the shape needs."""
    high, low = (part.to(torch.int32) for part in (planes[: 2 * len(planes) // 3], planes[2 * len(planes) // 3 :]))
    n = (high << 4 | torch.stack([low & 15, low >> 4], 1).flatten()) - 2048
    return n[: torch.Size(shape).numel()].reshape(shape)


def _unpacked(packed: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Integers of which two lie in three bytes: low eight bits, both halves' four, high eight; None: not as many bytes."""
    if packed.dtype != torch.uint8 or min(shape, default=0) < 1 or packed.shape != (_length(shape, 12),):
        return None
    low, both, high = packed.to(torch.int32).reshape(-1, 3).unbind(1)
    pairs = torch.stack([low | (both & 15) << 8, both >> 4 | high << 4], 1)
    return pairs.flatten()[: torch.Size(shape).numel()].reshape(shape) - 2048


def _column(worth: Tensor, value: Tensor) -> Tensor:
    """One number per row, in the number of dimensions of ``value``."""
    return worth.reshape(-1, *(1,) * (value.ndim - 1))
