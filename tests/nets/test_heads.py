"""Hyper-parameters from noise level and scale; noise level from a residual."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.nets import HyperMLP, NoiseNet


@given(seed=st.integers(0, 999), scale=st.integers(1, 4), b=st.integers(1, 4))
def test_hyper_parameters_are_positive_and_per_sample(seed: int, scale: int, b: int) -> None:
    torch.manual_seed(seed)
    net, sigma = HyperMLP(3, hidden=8), torch.rand(b)
    out = net(sigma, scale)
    assert out.shape == (b, 3, 1, 1)
    assert (out >= 1e-6).all()
    torch.testing.assert_close(out, torch.cat([net(float(s), scale) for s in sigma]))
    torch.testing.assert_close(out, net(sigma.reshape(-1, 1, 1, 1), scale))


def test_hyper_parameters_are_the_formula_and_depend_on_both_inputs() -> None:
    torch.manual_seed(0)
    net = HyperMLP(2, hidden=5).double()
    v = torch.tensor([0.3, 4.0], dtype=torch.float64)
    for i in (0, 2, 4):
        v = net.mlp[i].weight[..., 0, 0] @ v + net.mlp[i].bias
        v = v.relu() if i < 4 else v.exp().log1p() + 1e-6
    torch.testing.assert_close(net(0.3, 4)[0, :, 0, 0], v)
    assert not torch.equal(net(0.3, 4), net(0.3, 2))
    assert not torch.equal(net(0.3, 4), net(0.1, 4))
    net(torch.tensor([0.3, 0.1]), 4).sum().backward()
    assert all(p.grad.any() for p in net.parameters())


def test_hyper_parameters_refuse_bad_input() -> None:
    net = HyperMLP(2)
    with pytest.raises(ValueError, match="sigma"):
        net(-0.1, 2)
    with pytest.raises(TypeError, match="scale"):
        net(0.1, "2")
    with pytest.raises(ValueError, match="outputs"):
        HyperMLP(0)


@given(seed=st.integers(0, 999), factor=st.floats(-9, 9))
def test_noise_level_scales_with_the_residual(seed: int, factor: float) -> None:
    torch.manual_seed(seed)
    net, residual = NoiseNet(1, 4).double(), torch.randn(2, 1, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(net(factor * residual), abs(factor) * net(residual))


def test_noise_level_is_never_negative() -> None:
    net = NoiseNet(1, 4)
    with torch.no_grad():
        net.last.weight.neg_()
    assert (net(torch.randn(3, 1, 8, 8)) > 0).all()
    assert (net(torch.zeros(1, 1, 8, 8)) == 0).all()


def test_untrained_noise_level_is_roughly_the_standard_deviation() -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        sigma = torch.tensor([0.0, 0.01, 0.03, 0.2]).reshape(-1, 1, 1, 1)
        found = NoiseNet()(sigma * torch.randn(4, 3, 32, 32))
        assert found.shape == sigma.shape
        assert ((found - sigma).abs() <= 0.4 * sigma).all()


def test_learns_to_see_noise_behind_structure() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)

    def batch(n: int) -> tuple[torch.Tensor, torch.Tensor]:
        sigma = 0.03 * torch.rand(n, 1, 1, 1, generator=generator)
        slope = 0.05 * torch.randn(n, 3, 1, 1, generator=generator) * torch.linspace(-1, 1, 16)
        return slope + sigma * torch.randn(n, 3, 16, 16, generator=generator), sigma

    net, (residual, truth) = NoiseNet(3, 8), batch(32)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)

    def error() -> float:
        return math.sqrt((net(residual) - truth).square().mean().item())

    before = error()
    for _ in range(100):
        r, sigma = batch(16)
        optimizer.zero_grad()
        (net(r) - sigma).square().mean().backward()
        optimizer.step()
    assert error() < 0.002 < 0.3 * before
