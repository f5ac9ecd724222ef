"""The gradient of a fixed point is that of long unrolling, in the memory of one iteration."""

import pytest
import torch
from instances import INSTANCES, case, fresh
from synthetic import kernels, observed, pictures
from torch import Tensor, nn

from pnpsr import UnrolledSolver
from pnpsr.equilibrium import equilibrium
from pnpsr.starts import Gaussian, Upsample
from pnpsr.state import State
from pnpsr.steps import HQSEstimator, HQSRestorer, Schedule


class Shrink(nn.Module):
    """v ↦ w v ∗ f: a contraction with something to learn."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain, self.filter = (
            nn.Parameter(torch.tensor(gain)),
            nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False),
        )
        with torch.no_grad():
            self.filter.weight.copy_(torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.5, 0.2], [0.0, 0.1, 0.0]])[None, None])

    def forward(self, v: Tensor, strength: object = None) -> Tensor:
        return self.gain * self.filter(v.flatten(0, 1)[:, None]).reshape(v.shape)


def solver(blind: bool, order: tuple[str, ...] = ("estimator", "tuner", "restorer")) -> UnrolledSolver:
    estimator = HQSEstimator(Shrink(0.5), 8.0, relative=True, learn=True, domain="support", around="first") if blind else None
    return UnrolledSolver(
        estimator, HQSRestorer(Shrink(0.6)), 4, tuner=Schedule([0.9, 0.3]), k0=Gaussian(3), x0=Upsample(), order=order
    ).double()


def begun(net: UnrolledSolver) -> State:
    x, k = pictures(2, 3, 12, 10, 0), kernels(2, 3, 0)
    return net.start(observed(x, k, 2, 0.01, 0), 2, sigma=0.01)


def loss(s: State) -> Tensor:
    return (s.x - 0.3).square().sum() + (s.k[..., :2] - 0.2).square().sum()


@pytest.mark.parametrize("order", [("estimator", "tuner", "restorer"), ("restorer", "tuner", "estimator")])
@pytest.mark.parametrize("blind", [False, True])
def test_the_gradient_is_that_of_long_unrolling(blind: bool, order: tuple[str, ...]) -> None:
    net = solver(blind, order)
    if order[0] == "restorer":
        net.tuner, net.order = Schedule(0.3), ("tuner", *(slot for slot in order if slot != "tuner"))
    *_, far = net.iterate(begun(net), 120)
    unrolled = torch.autograd.grad(loss(far), list(net.parameters()))
    at = equilibrium(net, begun(net), 120, tolerance=1e-10, terms=200)
    assert at.t == 120 and torch.allclose(at.x, far.x, rtol=0, atol=1e-12)
    for implicit, long in zip(torch.autograd.grad(loss(at), list(net.parameters())), unrolled, strict=True):
        assert torch.allclose(implicit, long, rtol=1e-6, atol=1e-10)
    one = torch.autograd.grad(loss(equilibrium(net, begun(net), 120, terms=0)), list(net.parameters()))
    assert not all(torch.allclose(a, b, rtol=1e-2) for a, b in zip(one, unrolled, strict=True))  # the series has a part in it


def test_where_a_recipe_detaches_it_is_the_gradient_of_one_iteration() -> None:
    """DAN cuts x and k at every read: unrolling gives nothing else either."""
    net, c = fresh("dan"), case(INSTANCES["dan"])
    gradients = []
    for out in (equilibrium(net, net.start(c.y, 2), 3), net(c.y, 2, T=3)):
        gradients.append(torch.autograd.grad((out.x - c.x).square().sum() + (out.k - c.k).square().sum(), list(net.parameters())))
    assert all(torch.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(*gradients, strict=True))


def test_the_first_iteration_may_be_the_last() -> None:
    net = solver(True)
    a, b = equilibrium(net, begun(net), 1, terms=0), net.step(begun(net))
    for left, right in zip(*(torch.autograd.grad(loss(s), list(net.parameters())) for s in (a, b)), strict=True):
        assert torch.allclose(left, right)
    with torch.no_grad():
        assert not equilibrium(net, begun(net), 2).x.requires_grad


def test_what_has_no_fixed_point_is_refused() -> None:
    net, c = fresh("usrnet"), case(INSTANCES["usrnet"])
    with pytest.raises(ValueError, match=r"can do 2 iteration\(s\), no more: an implicit gradient needs one set"):
        equilibrium(net, net.start(c.y, 2, k=c.k, sigma=c.sigma))
    with pytest.raises(ValueError, match="T must be at least 1"):
        equilibrium(solver(False), begun(solver(False)), 0)


def stored(net: UnrolledSolver, T: int, how: str) -> int:
    """Bytes that the graph of T iterations keeps for the backward pass, each storage once; weights not counted."""
    kept: dict[int, int] = {}
    weights = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}

    def keep(t: Tensor) -> Tensor:
        if (where := t.untyped_storage().data_ptr()) not in weights:
            kept[where] = t.untyped_storage().nbytes()
            alive.append(t)  # so that no other takes its place
        return t

    alive: list[Tensor] = []
    net.checkpoint = how == "checkpoint"
    s = begun(net)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        s = equilibrium(net, s, T) if how == "implicit" else [*net.iterate(s, T)][-1]
    return sum(kept.values())


def test_memory_grows_with_T_only_where_it_must() -> None:
    little, much = stored(solver(True), 1, "unrolled"), stored(solver(True), 8, "unrolled")
    assert much > 6 * little
    assert stored(solver(True), 8, "implicit") == stored(solver(True), 3, "implicit") < much / 3


def test_a_series_without_a_sum_leaves_the_gradient_of_one_iteration() -> None:
    net = solver(False)
    with torch.no_grad():
        net.restorer.prior.gain.fill_(3.0)
    s = begun(net)
    diverging, one = (torch.autograd.grad(loss(equilibrium(net, s, 2, terms=n)), list(net.parameters())) for n in (60, 0))
    assert all(torch.equal(a, b) for a, b in zip(diverging, one, strict=True))
