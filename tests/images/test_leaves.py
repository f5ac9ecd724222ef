"""Drawn pictures have what photographs have: edges at every size."""

import pytest
import torch

from pnpsr.images import dead_leaves


def leaves(count: int, side: int, seed: int = 0) -> torch.Tensor:
    return dead_leaves(count, side, generator=torch.Generator().manual_seed(seed))


def test_they_are_pictures_and_a_seed_is_a_picture() -> None:
    x = leaves(3, 64)
    assert x.shape == (3, 3, 64, 64) and x.min() >= 0.25 and x.max() <= 0.75
    assert torch.equal(x, leaves(3, 64)) and not torch.equal(x, leaves(3, 64, 1)) and not torch.equal(x[0], x[1])
    assert float(x.std((1, 2, 3)).min()) > 0.05


def test_the_power_falls_as_one_over_the_square_of_the_frequency() -> None:
    """From one wave per picture to half of all, within a third of the exponent; as on a torus, without a seam."""
    x = leaves(12, 128).mean(1)
    power = torch.fft.fft2(x - x.mean((1, 2), keepdim=True)).abs().square().mean(0)
    along = torch.fft.fftfreq(128) * 128
    radius = (along[:, None].square() + along.square()).sqrt()
    rings = torch.tensor([2.0, 4, 8, 16, 32])
    means = torch.stack([power[(radius >= r / 1.3) & (radius < r * 1.3)].mean() for r in rings])
    centred = rings.log() - rings.log().mean()
    slope = float((centred * means.log()).sum() / centred.square().sum())
    assert -2.9 < slope < -1.6
    seam, inside = (x[:, 0] - x[:, -1]).square().mean(), (x[:, 1:] - x[:, :-1]).square().mean()
    assert float(seam) < 2 * float(inside)


@pytest.mark.parametrize(("count", "side"), [(0, 16), (1, 3), (1, 16.5)])
def test_bad_numbers_are_refused(count: int, side: float) -> None:
    with pytest.raises((TypeError, ValueError), match="count|side"):
        dead_leaves(count, side)  # type: ignore[arg-type]
