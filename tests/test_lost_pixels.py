"""Pixels that are stuck, missing or clipped: what is lost with them comes back once the solver is told which they are."""

import pytest
import torch
from torch import Tensor, nn

from pnpsr import Degradation, blind_hqs, load
from pnpsr.bordered import solve
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian
from pnpsr.physics import Clipped, gaussian_noise, unclipped
from pnpsr.recipes import tv_hqs
from pnpsr.weights import presets

SCALE, SIGMA = 2, 0.01
X, K = sample_picture("astronaut")[..., 16:112, 190:286], gaussian(9, 1.4, width2=0.9, angle=0.6)
CASES = {"tv_hqs": True, "usrnet": True, "blind_hqs": False, "ikrnet-x2": False}  # solver: it is given the true kernel


def solver(name: str) -> nn.Module:
    if name not in CASES or (name in ("usrnet", "ikrnet-x2") and name not in presets()):
        pytest.skip(f"the preset {name} is not installed")
    return {"tv_hqs": tv_hqs, "blind_hqs": lambda: blind_hqs(9)}.get(name, lambda: load(name))()


def stuck() -> tuple[Tensor, Tensor, Tensor]:
    """y as it should be, with 3 % of its pixels stuck at white, and which of them count."""
    g = torch.Generator().manual_seed(0)
    y = gaussian_noise(Degradation(SCALE)(X, K), SIGMA, generator=g)
    lost = torch.rand(1, 1, *y.shape[-2:], generator=g) < 0.03
    assert 0.02 < float(lost.float().mean()) < 0.04
    return y, torch.where(lost, 1.0, y), (~lost).float()


@pytest.mark.parametrize("name", CASES)
def test_three_percent_of_clipped_pixels_cost_little(name: str) -> None:
    """With the mask at least half of the way back to the result without clipping: most of it, in fact."""
    whole, clipped, mask = stuck()
    net, kernel = solver(name), {"k": K} if CASES[name] else {}

    def quality(y: Tensor, mask: Tensor | None = None) -> float:
        return float(psnr(solve(net, y, SCALE, sigma=SIGMA, mask=mask, boundary="circular", **kernel).x, X, border=SCALE))

    due, spoiled, told = quality(whole), quality(clipped), quality(clipped, mask)
    assert spoiled < due - 5 and told > spoiled + 0.8 * (due - spoiled)


def lamps() -> tuple[Tensor, Tensor]:
    """A scene with lamps twice as bright as white, and what a file shows of it."""
    rows, columns = torch.meshgrid(torch.arange(96), torch.arange(96), indexing="ij")
    x = 0.8 * X
    for r, c, radius in ((20, 25, 4), (60, 70, 5), (75, 20, 3)):
        x = torch.where((rows - r) ** 2 + (columns - c) ** 2 < radius**2, 2.0, x)
    return x, gaussian_noise(Degradation(SCALE)(x, K), SIGMA, generator=torch.Generator().manual_seed(1)).clamp(0, 1)


@pytest.mark.parametrize("name", ["tv_hqs", "usrnet"])
def test_a_lamp_is_at_least_white(name: str) -> None:
    """That its pixels are at least as bright as white is more than that they are unknown, and unlike what they seem, it is true."""
    x, y = lamps()
    net, mask = solver(name), unclipped(y, low=-1.0)
    assert 0.01 < 1 - float(mask.mean()) < 0.05
    plain, masked, clipped = (
        float(psnr(solve(net, y, physics, k=K, sigma=SIGMA, mask=m, boundary="circular").x, x.clamp(0, 1), border=SCALE))
        for physics, m in ((SCALE, None), (SCALE, mask), (Clipped(Degradation(SCALE)), None))
    )
    assert clipped > masked + 0.3 and clipped > plain + 0.5
