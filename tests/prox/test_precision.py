"""float32 in, five right digits out, however small the weight and whatever the kernel."""

import pytest
import torch
from strategies import uniform
from torch import Tensor

from pnpsr.physics import Degradation
from pnpsr.precision import SAFE_IN_FLOAT32, double, dtype_for, exact
from pnpsr.prox import prox_image, prox_kernel


def gaussian(width: float, size: int = 15) -> Tensor:
    row = torch.exp(-((torch.arange(size, dtype=torch.float64) - size // 2) ** 2) / (2 * width**2))
    return torch.outer(row, row)


def motion(size: int = 15) -> Tensor:
    """A broken line: zeros in its transfer function."""
    k = torch.zeros(size, size, dtype=torch.float64)
    k[3, 2:11] = 1
    k[3:9, 10] = 2
    return k


KERNELS = {
    "narrow": gaussian(0.5),
    "Gaussian": gaussian(2),
    "wide": gaussian(4),
    "motion": motion(),
    "line": torch.ones(1, 9, dtype=torch.float64),
}


@pytest.mark.parametrize("weight", [1.0, 1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("name", KERNELS)
def test_float32_is_float64_to_five_digits(name: str, scale: int, weight: float) -> None:
    k = (KERNELS[name] / KERNELS[name].sum())[None, None].float()
    x, x0 = uniform(1, 3, 48, 36, seed=0).float(), uniform(1, 3, 48, 36, seed=1).float()
    y = Degradation(scale)(x, k, 0.01, generator=torch.Generator().manual_seed(2))
    for step, last in (
        (prox_image, (y, k, x0, weight, scale)),
        (lambda *given: prox_kernel(*given, domain="grid"), (y, x, k.flip(-1), weight * 1e3, scale)),
        (lambda *given: prox_kernel(*given, domain="support", constraint="sum"), (y, x, k.flip(-1), weight * 1e3, scale)),
    ):
        single = step(*last)
        exact = step(*(t.double() if isinstance(t, Tensor) else t for t in last))
        assert single.dtype == torch.float32
        assert (single - exact).abs().max() < 1e-5 * exact.abs().max().clamp_min(1)


def test_the_wide_type_is_taken_where_any_sample_needs_it() -> None:
    like = torch.zeros(2, 1, 1, 1)
    assert dtype_for(torch.tensor([1.0, SAFE_IN_FLOAT32]), like) == torch.float32
    assert dtype_for(torch.tensor([1.0, SAFE_IN_FLOAT32 / 2]), like) == torch.float64
    assert dtype_for(torch.tensor([1.0]), like.double()) == torch.float64
    assert double(like) == torch.float64


def test_autocast_is_off_where_it_matters() -> None:
    a = uniform(8, 8, seed=0).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with exact(a):
            assert (a @ a).dtype == torch.float32
