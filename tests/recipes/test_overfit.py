"""Four synthetic pictures learnt by heart, from random weights: both papers' solvers can be trained, end to end."""

import pytest
import torch
from synthetic import kernels, observed, pictures, psnr
from torch import nn

from pnpsr import UnrolledSolver, dan, ikrnet
from pnpsr.starts import upsample

SCALE, SIZE = 2, 7
SOLVERS = {
    "dan": lambda: dan(SCALE, size=SIZE, code=6, T=2, width=32, groups=1, blocks=3),
    "ikrnet": lambda: ikrnet(SIZE, T=2, widths=(16, 24, 32, 32)),
}


def learn(net: UnrolledSolver, steps: int, rate: float) -> tuple[list[float], list[float]]:
    """PSNR of x and mean squared error of k, before each step; the kernel's networks learn at a third of the rate."""
    x, k = pictures(4, 3, 24, 24, seed=0, dtype=torch.float32), kernels(4, SIZE, seed=0, dtype=torch.float32)
    y = observed(x, k, SCALE, 0.01)
    parts = [
        list(nn.ModuleList(m for m in group if isinstance(m, nn.Module)).parameters())
        for group in ((net.restorer, net.tuner), (net.estimator, net.k0))
    ]
    optimiser = torch.optim.Adam([{"params": part} for part in parts], lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [rate, rate / 3], total_steps=steps, pct_start=0.2)
    quality, errors = [], []
    for _ in range(steps):
        first = last = net.start(y, SCALE)
        for last in net.iterate(first):  # noqa: B007
            pass
        # the first kernel has a loss of its own: IKR-Net cuts it before every step that reads it
        loss = (last.x - x).abs().mean() + 3 * (last.k - k).abs().mean() + 10 * (first.k - k).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        for part in parts:
            nn.utils.clip_grad_norm_(part, 0.3)
        optimiser.step()
        schedule.step()
        quality.append(psnr(last.x.detach(), x))
        errors.append(float((last.k.detach() - k).square().mean()))
    assert quality[0] < psnr(upsample(y, SCALE), x) < 20.5
    return quality, errors


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rate", "reached"), [("dan", 4e-3, 24.0), ("ikrnet", 6e-3, 22.5)])
def test_four_pictures_are_learnt_by_heart(name: str, rate: float, reached: float) -> None:
    """Interpolation has 20.3 dB; the mean of the four kernels has an error of 9e-5, so that below 3e-5 they are told apart."""
    torch.manual_seed(0)
    quality, errors = learn(SOLVERS[name](), 400, rate)
    assert quality[-1] > reached
    assert errors[-1] < 3e-5 < errors[0]
