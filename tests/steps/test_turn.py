"""k or its turn: right on pictures with their own kernel, per sample, and never another kernel than these two."""

from dataclasses import replace

import pytest
import torch
from synthetic import observed, pictures

from pnpsr import State
from pnpsr.kernels import random_motion, turned
from pnpsr.nets import ImageJudge
from pnpsr.prox import sparsity
from pnpsr.steps import ChooseTurn

COUNT = 8
X = pictures(COUNT, 3, 96, 96, seed=3)
K = random_motion(COUNT, 15, nonlinearity=0.9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def state(scale: int, sigma: float = 0.0) -> State:
    return State(observed(X, K, scale, sigma), scale, torch.full((COUNT, 1, 1, 1), sigma, dtype=torch.float64))


def cost(k: torch.Tensor) -> torch.Tensor:
    return (k - K).abs().sum((1, 2, 3))


@pytest.mark.parametrize(("scale", "sigma"), [(1, 0.0), (2, 0.0), (2, 0.01)])
def test_true_kernels_come_back_from_their_turn(scale: int, sigma: float) -> None:
    s = state(scale, sigma)
    kept, back = ChooseTurn(lambda _: K)(s), ChooseTurn(lambda _: turned(K))(s)
    assert torch.equal(kept, back)  # where it starts from does not matter
    mistake = cost(turned(K))
    assert float(cost(kept).sum()) <= 0.15 * float(mistake.sum())


def test_every_sample_on_its_own_and_idempotent() -> None:
    s = state(2)
    choose = ChooseTurn(lambda s: turned(K)[: len(s.y)])
    together = choose(s)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(0))
    again = ChooseTurn(lambda _: turned(K)[order])(replace(s, y=s.y[order], sigma=s.sigma[order]))
    assert torch.equal(again, together[order])
    assert torch.equal(ChooseTurn(lambda _: together)(s), together)


def test_sparsity_prices_echoes() -> None:
    x = pictures(2, 1, 40, 40, 0)
    assert (sparsity(x) < sparsity((x + x.roll(7, -1)) / 2)).all()


def test_a_judge_reads_any_contrast_alike() -> None:
    torch.manual_seed(0)
    judge, x = ImageJudge(4).double(), pictures(2, 1, 40, 33, 0)
    torch.testing.assert_close(judge(x), judge(0.5 * x + 0.2), rtol=0.05, atol=0.01)
