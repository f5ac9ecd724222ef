"""The nearest Gaussian is the least-squares one, wherever it lies; what is nearly a Gaussian becomes one, and nothing else does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from pnpsr import Degradation, State
from pnpsr.kernels import dirac, disk, gaussian, line, nearest_gaussian, random_motion, settled, shift_kernel, turned
from pnpsr.steps import LearnedKernelStart


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def error(a, b):
    return (a - b).square().sum((1, 2, 3))


def rough(k, much: float = 1e-4, seed: int = 0):
    """With errors that have no structure, as a network makes them."""
    k = k + much * k.amax() * torch.rand(k.shape, generator=rng(seed), dtype=torch.float64).to(k)
    return k / k.sum((2, 3), keepdim=True)


@given(width=st.floats(0.5, 4.0), ratio=st.floats(0.4, 1.0), angle=st.floats(-3.0, 3.0), p=st.integers(8, 12), q=st.integers(8, 12))
def test_a_gaussian_is_its_own(width, ratio, angle, p, q):
    k = gaussian((2 * p + 1, 2 * q + 1), width, width2=max(0.5, ratio * width), angle=angle, dtype=torch.float64)
    assert error(nearest_gaussian(k), k) < 1e-4 * k.square().sum()


def model(t, shape):
    """exp(-½ |L (d - m)|²) of sum 1, from L's three numbers and the mean."""
    rows, columns = np.meshgrid(*(np.arange(n) - n // 2 for n in shape), indexing="ij")
    u, v = rows - t[3], columns - t[4]
    g = np.exp(-((t[0] * u + t[1] * v) ** 2 + (t[2] * v) ** 2) / 2)
    return g / g.sum()


SHAPES = {
    "shaken": random_motion(1, (17, 21), generator=rng(3), dtype=torch.float64),
    "short": random_motion(1, 21, length=(5.0, 5.0), centre="path", generator=rng(1), dtype=torch.float64),
    "disc": disk(15, 3.0, dtype=torch.float64),
    "rough and aside": rough(shift_kernel(gaussian(19, 1.3, width2=2.2, angle=0.4, dtype=torch.float64), (1.0, -2.0))),
}


@pytest.mark.parametrize("name", SHAPES)
def test_no_other_gaussian_is_nearer(name):
    """The referee is a trust region of scipy from several beginnings, on another set of unknowns."""
    k = SHAPES[name]
    k = k / k.sum()
    dense, shape = k[0, 0].numpy(), k.shape[-2:]
    fits = [
        least_squares(lambda t: (model(t, shape) - dense).ravel(), [1 / width, shear, 1 / width, 0, 0], xtol=1e-12).fun
        for width in (1.0, 2.0, 4.0)
        for shear in (-0.3, 0.3)
    ]
    assert float(error(nearest_gaussian(k), k)) <= (1 + 1e-3) * min((f**2).sum() for f in fits)


def test_samples_are_apart_and_a_turned_kernel_has_the_turned_gaussian():
    k = torch.cat([SHAPES["short"], gaussian(21, 1.5, dtype=torch.float64), dirac(21).double()])
    together = nearest_gaussian(k)
    torch.testing.assert_close(together, torch.cat([nearest_gaussian(one[None]) for one in k]), atol=1e-12, rtol=0)
    torch.testing.assert_close(nearest_gaussian(turned(k)), turned(together), atol=1e-9, rtol=0)
    torch.testing.assert_close(together.sum((1, 2, 3)), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(together[2:], k[2:], atol=1e-9, rtol=0)


@given(width=st.floats(0.8, 3.5), ratio=st.floats(0.5, 1.0), seed=st.integers(0, 99))
def test_a_rough_gaussian_is_smooth_again(width, ratio, seed):
    k = gaussian(21, width, width2=max(0.8, ratio * width), angle=0.1 * seed)
    seen = rough(k, 1e-3, seed)
    smooth = settled(seen)
    assert error(smooth, nearest_gaussian(seen)) < 1e-4 * error(seen, nearest_gaussian(seen))
    assert (error(smooth, k) < error(seen, k)).all() and abs(float(smooth.sum()) - 1) < 1e-5


@pytest.mark.parametrize(
    "k", [line(21, 7.0), disk(21, 3.0), random_motion(1, 21, generator=rng(2))], ids=["line", "disc", "motion"]
)
def test_other_kernels_stay(k):
    seen = rough(k, 1e-3)
    assert error(settled(seen), seen) < 1e-4 * error(seen, nearest_gaussian(seen))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, of forward mode
def test_gradients_pass_as_if_nothing_had_been_done():
    """Forward and backward: a network whose kernels are settled goes on learning Gaussians."""
    k, v = (rough(gaussian(9, 1.2, dtype=torch.float64), seed=seed) for seed in (0, 1))
    assert torch.equal(torch.func.jvp(settled, (k,), (v,))[1], v)
    assert torch.equal(torch.func.vjp(settled, k)[1](v)[0], v)
    assert not nearest_gaussian(k.requires_grad_()).requires_grad


@pytest.mark.parametrize(("side", "width", "share"), [(101, 0.5, 0.1), (201, 0.5, 0.03), (201, 0.8, 0.1), (21, 2.0, 0.3)])
def test_mass_far_out_does_not_carry_the_fit_away(side, width, share):
    true = gaussian(side, width, dtype=torch.float64)
    k = (1 - share) * true + share / side**2
    assert error(nearest_gaussian(k), k) <= error(true, k)


def test_negative_taps_are_errors_like_others():
    true = gaussian(21, 1.5, dtype=torch.float64)
    k = true + 0.05 * true.max() * torch.randn(true.shape, generator=rng(4), dtype=torch.float64)
    k = k / k.sum()
    assert k.min() < 0 and 0 < error(nearest_gaussian(k), k) <= error(true, k)


def test_a_first_kernel_can_be_settled():
    k, y = rough(gaussian(9, 1.2)), torch.rand(1, 3, 12, 12, generator=rng())

    class Said(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return k

    state = State(y, Degradation(2))
    assert torch.equal(LearnedKernelStart(Said())(state), k)
    assert torch.equal(LearnedKernelStart(Said(), settle=True)(state), settled(k))


@pytest.mark.parametrize("k", [gaussian(9, 1.0)[0], 3 * gaussian(9, 1.0), gaussian(9, 1.0).expand(1, 3, 9, 9), "k"])
def test_what_is_no_kernel_is_refused(k):
    for act in (nearest_gaussian, settled):
        with pytest.raises((TypeError, ValueError), match="k must"):
            act(k)
