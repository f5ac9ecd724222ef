"""Which arithmetic the exact steps use: never half precision, and float64 where float32 would lose the answer."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from pnpsr import checks

# The data steps amplify rounding errors by up to 1 / (2 sqrt(rho)): below this rho float32 transforms cost more than five digits.
SAFE_IN_FLOAT32 = 1e-4


def safe_for(tolerance: float) -> float:
    """The rho from which on float32 loses at most a tenth of a relative ``tolerance``."""
    return (5 * torch.finfo(torch.float32).eps / tolerance) ** 2


def exact(t: Tensor) -> AbstractContextManager[None]:
    """A context without autocast: transforms and normal matrices are never taken in half precision."""
    return torch.autocast(t.device.type, enabled=False)


def double(t: Tensor) -> torch.dtype:
    """float64, or the tensor's own dtype on devices without it."""
    return torch.float64 if checks.wide(t) else t.dtype


def dtype_for(rho: Tensor, like: Tensor, safe: float = SAFE_IN_FLOAT32) -> torch.dtype:
    """The dtype of ``like``, or float64 if some rho is below ``safe``: so small that float32 would not give five digits.

    Where rho must not be read (:func:`pnpsr.checks.readable`: a trace cannot, and a GPU would be waited for) it may be small, so
    that is float64.
    """
    if like.dtype == torch.float64 or (checks.readable(rho) and bool(checks.values(rho).amin() >= safe)):
        return like.dtype
    return double(like)
