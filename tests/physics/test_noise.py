"""Noise has the level it was asked for, per sample; quantising is unbiased."""

import pytest
import torch
from strategies import uniform

from pnpsr.physics import Degradation, estimate_noise, gaussian_noise, quantise


def test_level_is_per_sample_also_where_the_batch_is_as_wide_as_the_image() -> None:
    x, sigma = torch.zeros(64, 1, 64, 64), torch.linspace(0, 1, 64)
    n = gaussian_noise(x, sigma, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(n.std((1, 2, 3)), sigma, rtol=0.06)
    assert n.mean().abs() < 5e-3
    assert not x.any()


def test_one_image_with_several_levels_gets_as_many_noises() -> None:
    """Not one noise in several strengths; and so does a degradation of one image."""
    x, sigma, k = torch.zeros(1, 1, 64, 64), torch.tensor([0.1, 0.1, 0.2]), torch.ones(1, 1, 1, 1)
    for n in (
        gaussian_noise(x, sigma, generator=torch.Generator().manual_seed(0)),
        Degradation(1)(x, k, sigma, generator=torch.Generator().manual_seed(0)),
    ):
        assert torch.allclose(n.std((1, 2, 3)), sigma, rtol=0.06)
        assert (n.flatten(1).corrcoef() - torch.eye(3)).abs().max() < 0.06


def test_same_generator_same_noise_and_the_global_one_is_left_alone() -> None:
    x, state = uniform(2, 3, 5, 4, seed=0), torch.get_rng_state()
    first, second = (gaussian_noise(x, 0.1, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second) and first.dtype == x.dtype
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(gaussian_noise(x, 0.1), first)
    assert torch.equal(gaussian_noise(x, 0), x)


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), torch.tensor([0.1, -0.1]), torch.ones(3), torch.ones(2, 1), 2.55])
def test_impossible_levels_are_refused(sigma: float | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="sigma"):
        gaussian_noise(torch.zeros(2, 1, 4, 4), sigma)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_quantising_rounds_and_never_truncates(bits: int) -> None:
    x, step = uniform(1, 1, 100, 100, seed=bits), 1 / (2**bits - 1)
    q = quantise(x, bits)
    assert (q - x).abs().max() <= step / 2 + 1e-12
    assert (q - x).mean().abs() < 0.02 * step  # truncation would be off by half a step
    assert torch.equal(quantise(q, bits), q)
    assert torch.allclose(q * (2**bits - 1), (q * (2**bits - 1)).round())


def test_quantising_clips_and_refuses_impossible_depths() -> None:
    assert quantise(torch.tensor([[[[-0.5, 1.5]]]])).tolist() == [[[[0, 1]]]]
    for bits in (0, 17, 8.0):
        with pytest.raises(ValueError, match=r"1 \.\. 16"):
            quantise(torch.zeros(1, 1, 1, 1), bits)  # type: ignore[arg-type]


def test_the_level_of_a_noisy_picture_is_found_per_sample() -> None:
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 80), indexing="ij")
    picture = (0.5 + 0.3 * torch.sin(7 * rows + 5 * columns**2) + 0.2 * (rows > columns)).expand(
        4, 3, -1, -1
    )  # smooth, with an edge
    sigma = torch.tensor([0.01, 0.03, 0.1, 0.3])
    found = estimate_noise(gaussian_noise(picture, sigma, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (4, 1, 1, 1)
    assert torch.allclose(found.flatten(), sigma, rtol=0.05)
    assert estimate_noise(picture).max() < 1e-3
    assert torch.equal(estimate_noise(picture[1:2]), estimate_noise(picture)[1:2])
    assert estimate_noise(uniform(2, 1, 2, 9, seed=0)).flatten().tolist() == [0, 0]
