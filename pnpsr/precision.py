"""Which arithmetic the exact steps use: never half precision, and float64 where float32 would lose the answer."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from pnpsr import checks

# The data steps amplify rounding errors by up to 1 / (2 sqrt(rho)): below this rho float32 transforms cost more than five digits.
SAFE_IN_FLOAT32 = 1e-4


def exact(t: Tensor) -> AbstractContextManager[None]:
    """A context without autocast: transforms and normal matrices are never taken in half precision."""
    return torch.autocast(t.device.type, enabled=False)


def double(t: Tensor) -> torch.dtype:
    """float64, or the tensor's own dtype on devices without it."""
    return torch.float64 if checks.wide(t) else t.dtype


def dtype_for(rho: Tensor, like: Tensor) -> torch.dtype:
    """The dtype of ``like``, or float64 if some rho is so small that float32 would not give five digits.

    Reading rho costs one synchronisation. While ``torch.compile`` traces it cannot be read and may be small, so that is float64;
    so it is on a device that would have to be waited for, where values are trusted (:func:`pnpsr.checks.trusted`).
    """
    readable = not checks.tracing() and (checks.reading() or rho.device.type == "cpu")
    if like.dtype == torch.float64 or (readable and bool(checks.values(rho).amin() >= SAFE_IN_FLOAT32)):
        return like.dtype
    return double(like)
