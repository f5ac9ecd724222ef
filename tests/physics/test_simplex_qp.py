"""The simplex: projection and quadratic minimiser against a generic solver, or the optimality conditions where that is too slow."""

import dense
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, noise, seeds, uniform
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pnpsr.physics import Degradation
from pnpsr.physics.simplex_qp import project_simplex, simplex_minimiser
from pnpsr.prox import prox_kernel


def generic(H: Tensor, b: Tensor) -> Tensor:
    """min ½ kᵀH k - bᵀk over the simplex, by sequential quadratic programming."""
    from scipy import optimize

    matrix, vector = H.numpy(), b.numpy()
    n = len(vector)
    found = optimize.minimize(
        lambda k: 0.5 * k @ matrix @ k - vector @ k,
        [1 / n] * n,
        jac=lambda k: matrix @ k - vector,
        method="SLSQP",
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda k: k.sum() - 1, "jac": lambda k: [1.0] * n},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return torch.from_numpy(found.x)


@given(seed=seeds, n=st.integers(1, 6), spread=st.floats(-2, 2))
def test_projection_is_the_nearest_point(seed: int, n: int, spread: float) -> None:
    v = 10**spread * noise(3, n, seed=seed)
    k = project_simplex(v)
    assert k.min() >= 0 and (k.sum(1) - 1).abs().max() < 1e-12
    for row, found in zip(v, k, strict=True):
        assert dense.simplex_gap(torch.eye(n, dtype=v.dtype), row, found) < 1e-12
    assert torch.allclose(project_simplex(k), k, rtol=0, atol=1e-14)
    large = project_simplex(v + 1e9)  # what is common to all entries means nothing, and costs no more digits than v has lost
    assert torch.allclose(large, project_simplex((v + 1e9) - 1e9), rtol=0, atol=1e-12)


@given(seed=seeds, n=st.integers(1, 7), power=st.floats(-4, 1))
@examples(25)
def test_minimiser_equals_a_generic_solver(seed: int, n: int, power: float) -> None:
    """Also where the free directions of H are few: rank n / 2 plus a small multiple of the identity."""
    U = noise(2, max(1, n // 2), n, seed=seed)
    H, b = U.mT @ U + 10**power * torch.eye(n, dtype=U.dtype), noise(2, n, 1, seed=seed + 1)
    k = simplex_minimiser(H, b, noise(2, n, 1, seed=seed + 2))
    for i in range(2):
        value = [0.5 * v @ H[i] @ v - b[i, :, 0] @ v for v in (k[i, :, 0], generic(H[i], b[i, :, 0]))]
        assert value[0] <= value[1] + 1e-10 / min(1, 10**power)  # the sum is 1 to the digits that H leaves
        assert (k[i, :, 0] - generic(H[i], b[i, :, 0])).abs().max() < 1e-6 / min(1, 10**power) ** 0.5


@given(seed=seeds, n=st.integers(1, 7))
@examples(20)
def test_minimiser_does_not_depend_on_where_it_begins(seed: int, n: int) -> None:
    U = noise(1, n, n, seed=seed)
    H, b = U.mT @ U + 0.01 * torch.eye(n, dtype=U.dtype), noise(1, n, 1, seed=seed + 1)
    first, second = (simplex_minimiser(H, b, scale * noise(1, n, 1, seed=seed + 2)) for scale in (0.0, 100.0))
    assert torch.allclose(first, second, rtol=0, atol=1e-10)


def smooth(x: Tensor) -> Tensor:
    for _ in range(3):
        x = avg_pool2d(torch.nn.functional.pad(x, (2, 2, 2, 2), mode="circular"), 5, 1)
    return x


PICTURES = {
    "texture": lambda x: x,
    "blurred": smooth,
    "nearly flat": lambda x: 0.5 + 1e-4 * x,
    "flat": lambda x: 0 * x + 0.5,
    "black": lambda x: 0 * x,
    "half black": lambda x: torch.cat([x[..., :12], 0 * x[..., 12:]], -1),
    "stripes": lambda x: x[..., :1].expand_as(x),
    "one pixel": lambda x: torch.nn.functional.pad(x[..., 5:6, 5:6], (11, 12, 11, 12)),
}


@pytest.mark.parametrize("relative", [1e-1, 1e-4, 1e-8])
@pytest.mark.parametrize("boundary", ["circular", "valid"])
@pytest.mark.parametrize("name", PICTURES)
def test_conditions_of_optimality_hold_on_real_sizes_and_degenerate_pictures(name: str, boundary: str, relative: float) -> None:
    x, scale, taps = PICTURES[name](uniform(2, 2, 24, 24, seed=0)).contiguous(), 2, (9, 8)
    truth = torch.zeros(2, 1, *taps, dtype=x.dtype)
    truth[:, :, 4, 1:6] = 0.2
    y = Degradation(scale)(x, truth) + 0.02 * noise(2, 2, 12, 12, seed=1)
    gamma = relative * max(float(x.square().sum() / 8), 1e-3)
    k0 = uniform(2, 1, *taps, seed=2) / 72
    k = prox_kernel(y, x, k0, gamma, scale, domain="support", boundary=boundary, constraint="simplex")
    for i in range(2):
        U, data = (
            (dense.in_k(x[i], taps, (2, 2)), y[i].flatten())
            if boundary == "circular"
            else dense.inside_in_k(x[i], y[i], taps, (2, 2), (0, 0))
        )
        H, b = U.T @ U + gamma * torch.eye(72, dtype=x.dtype), U.T @ data + gamma * k0[i].flatten()
        assert dense.simplex_gap(H, b, k[i].flatten()) < 1e-9
        assert k[i].min() >= 0 and abs(float(k[i].sum()) - 1) < 1e-12


def test_ties_and_corners_are_no_trouble() -> None:
    ones, n = torch.ones(1, 5, 1, dtype=torch.float64), 5
    flat = simplex_minimiser(torch.eye(n, dtype=torch.float64)[None], 0 * ones, 0 * ones)
    assert torch.allclose(flat, ones / n)
    corner = simplex_minimiser(
        torch.eye(n, dtype=torch.float64)[None], torch.tensor([100.0, 0, 0, 0, 0]).double().reshape(1, 5, 1), ones
    )
    assert corner.flatten().tolist() == [1, 0, 0, 0, 0]
    touching = simplex_minimiser(
        torch.eye(n, dtype=torch.float64)[None], torch.tensor([1.0, 0, 0, 0, 0]).double().reshape(1, 5, 1), ones
    )
    assert torch.allclose(
        touching.flatten(), torch.tensor([1.0, 0, 0, 0, 0]).double(), atol=1e-12
    )  # multipliers zero: doubly degenerate
