"""k or its turn by 180 degrees: the true one of two is found, sample by sample, and asking again changes nothing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from strategies import seeds
from synthetic import kernels, observed, pictures
from torch import Tensor

from pnpsr import State, UnrolledSolver
from pnpsr.kernels import random_motion, turned
from pnpsr.physics import Masked, Mosaic
from pnpsr.prox import identity, sparsity
from pnpsr.starts import Dirac
from pnpsr.state import Step, as_physics
from pnpsr.steps import ChooseTurn, HQSRestorer, keep_kernel


def motion(b: int, seed: int) -> Tensor:
    return random_motion(b, 15, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seen(b: int, seed: int, scale: int = 1, sigma: float = 0.01) -> tuple[State, Tensor]:
    k = motion(b, seed)
    return State(observed(pictures(b, 3, 96, 96, seed), k, scale, sigma, seed), as_physics(scale)), k


def said(k: Tensor) -> Step:
    return lambda s: k


@pytest.mark.parametrize(("scale", "sigma"), [(1, 0.0), (1, 0.03), (2, 0.0)])
def test_the_true_kernel_is_chosen_from_either_side(scale: int, sigma: float) -> None:
    s, k = seen(16, 0, scale, sigma)
    for candidates in (k, turned(k), torch.where(torch.arange(16).reshape(-1, 1, 1, 1) % 2 == 0, k, turned(k))):
        right = (ChooseTurn(said(candidates))(s) == k).flatten(1).all(1)
        assert int(right.sum()) >= (15 if scale == 1 else 14)


def test_samples_are_apart_and_their_order_does_not_matter() -> None:
    s, k = seen(4, 1)
    candidates, order = torch.cat([k[:2], turned(k[2:])]), torch.tensor([2, 0, 3, 1])
    chosen = ChooseTurn(said(candidates))(s)
    assert torch.equal(ChooseTurn(said(candidates[order]))(replace(s, y=s.y[order])), chosen[order])
    for i in range(4):
        assert torch.equal(ChooseTurn(said(candidates[i : i + 1]))(replace(s, y=s.y[i : i + 1])), chosen[i : i + 1])


@settings(max_examples=6)
@given(seed=seeds)
def test_choosing_again_changes_nothing(seed: int) -> None:
    s, k = seen(2, seed % 1000)
    once = ChooseTurn(said(k))(s)
    assert torch.equal(ChooseTurn(said(once))(s), once) and torch.equal(ChooseTurn(ChooseTurn(said(turned(k))))(s), once)


@pytest.mark.parametrize("size", [(5, 5), (4, 5), (4, 6)])
def test_a_turn_keeps_the_centre_and_undoes_itself(size: tuple[int, int]) -> None:
    dirac = Dirac(size)(State(torch.zeros(1, 1, 8, 8), as_physics(1)))
    k = torch.rand(2, 1, *size)
    assert torch.equal(turned(dirac), dirac) and torch.equal(turned(turned(k)), k)


def test_gradients_go_through_the_choice() -> None:
    s, k = seen(2, 2)
    k = turned(k).requires_grad_()
    ChooseTurn(said(k))(s).square().sum().backward()
    assert torch.allclose(k.grad, 2 * k)


@pytest.mark.parametrize("masked", [False, True])
def test_other_physics_choose_too(masked: bool) -> None:
    x, k = pictures(4, 3, 96, 96, 3), motion(4, 3)
    holes = (torch.rand(1, 1, 96, 96, generator=torch.Generator().manual_seed(0)) < 0.8).double()
    physics = Masked(as_physics(1), holes) if masked else Mosaic(as_physics(1))
    s = State(physics(x, k), physics)
    assert torch.equal(ChooseTurn(said(turned(k)))(s), k)


def test_it_wraps_the_start_of_a_solver() -> None:
    s, k = seen(2, 4)
    solver = UnrolledSolver(keep_kernel, HQSRestorer(identity), tuner=None, order=("estimator",), k0=ChooseTurn(said(turned(k))))
    assert torch.equal(solver(s.y, 1).k, k) and solver.needs.periodic
    assert ChooseTurn(Dirac(7)).needs.kernel_size == 7


K = kernels(1, 5, 0)
REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no start": (lambda: ChooseTurn(K), TypeError, "start must be callable"),
    "no cost": (lambda: ChooseTurn(keep_kernel, cost=0.8), TypeError, "cost must be callable"),
    "no kernel": (lambda: ChooseTurn(lambda s: None)(State(K, as_physics(1))), TypeError, "start must return a kernel"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_arguments_are_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_sparsity_prices_echoes() -> None:
    x = pictures(2, 1, 40, 40, 0)
    assert (sparsity(x) < sparsity((x + x.roll(7, -1)) / 2)).all()
