"""Where tensors live and how wide they are. The laws of devices run on the CPU, too, so that they are right when a GPU comes."""

import pytest
import torch
from torch import Tensor

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
on_every_device = pytest.mark.parametrize("device", DEVICES)
in_every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def keeps(found: Tensor, device: str, dtype: torch.dtype) -> bool:
    """It lives there, in that dtype, and is finite."""
    return found.device.type == device and found.dtype == dtype and bool(found.isfinite().all())


def agrees(found: Tensor, expected: Tensor, tolerance: float = 1e-6) -> bool:
    """In float64, where no rounding is large enough to decide otherwise somewhere, a device gives what the CPU gives."""
    return found.dtype == torch.float32 or torch.allclose(found.cpu(), expected, rtol=tolerance, atol=tolerance)
