"""The one thing that moves: frozen, written field by field, detached by name."""

from collections import Counter
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import torch
from strategies import uniform
from torch import Tensor

from pnpsr import Hyper, State, physics
from pnpsr.recipes import RECIPES
from pnpsr.steps import tune
from pnpsr.values import entry_of


def state(requires_grad: bool = True) -> State:
    y, x, k = (uniform(*shape, seed=0).requires_grad_(requires_grad) for shape in ((2, 3, 4, 5), (2, 3, 8, 10), (2, 1, 3, 3)))
    return State(y, 2, None, x * 1, k * 1, Hyper(alpha=x.mean((1, 2, 3), keepdim=True), sigma=None))


def test_nothing_can_be_assigned() -> None:
    s = state()
    for name in ("y", "x", "k", "hyper", "scale", "t"):
        with pytest.raises(FrozenInstanceError):
            setattr(s, name, None)
    with pytest.raises(FrozenInstanceError):
        s.hyper.alpha = None  # type: ignore[misc]


@pytest.mark.parametrize("names", [(), ("x",), ("k",), ("hyper",), ("x", "k", "hyper")])
def test_detach_cuts_the_named_fields_and_keeps_their_values(names: tuple[str, ...]) -> None:
    s = state()
    d = s.detach(names)
    for name, before, after in (("x", s.x, d.x), ("k", s.k, d.k), ("hyper", s.hyper.alpha, d.hyper.alpha)):
        assert torch.equal(before, after)
        assert after.requires_grad == (name not in names)
    assert s.x.requires_grad and s.k.requires_grad and s.hyper.alpha.requires_grad  # the original is untouched
    assert d.y is s.y and d.hyper.sigma is None


def test_detaching_what_is_not_there_yet_is_no_error() -> None:
    assert State(uniform(1, 1, 2, 2, seed=0), 2).detach(("x", "k", "hyper")).x is None


def test_write_returns_a_new_state_with_one_field_changed() -> None:
    s = state()
    new = torch.zeros_like(s.k)
    w = s.write("k", new)
    assert w.k is new and s.k is not new
    assert (w.y, w.x, w.hyper, w.t, w.scale) == (s.y, s.x, s.hyper, s.t, s.scale)
    assert s.write("hyper", Hyper(beta=new)).hyper.beta is new
    assert State(s.y, 2).write("x", s.x).x is s.x  # the first image may have any shape


def test_what_depends_on_y_alone_is_computed_once_for_a_solve() -> None:
    s, calls = state(requires_grad=False), []

    def mean(s: State) -> Tensor:
        calls.append(s)
        return s.y.mean()

    later = replace(s.write("x", s.x + 1).detach(("k",)), t=3, sigma=s.hyper.alpha)
    assert s.once(mean) is later.once(mean) is s.once(mean) and len(calls) == 1
    assert s.completed is later.completed and "_known" not in repr(s)
    other = replace(s, y=s.y + 1)
    assert float(other.once(mean)) == pytest.approx(float(s.y.mean()) + 1) and float(s.once(mean)) == pytest.approx(
        float(s.y.mean())
    )
    mask = torch.ones(1, 1, 4, 5).double()
    mask[..., 1, 2] = 0
    assert not torch.equal(replace(s, physics=s.physics.masked(mask)).completed, s.completed)
    alive = state()
    assert alive.once(mean) is not alive.once(mean)  # each iteration has a graph of its own
    with torch.inference_mode():
        assert s.once(mean).is_inference()
    assert not s.once(mean).is_inference()


@pytest.mark.parametrize("recipe", ["blind_hqs", "tv_hqs", "ikrnet", "dan", "usrnet"])
def test_a_solve_reads_noise_edges_and_gaps_of_y_once(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, y = Counter[str](), uniform(1, 3, 24, 24, seed=0).float()
    for module, name in ((physics.physics, "estimate_noise"), (tune, "edge_scale"), (physics.Degradation, "complete")):
        run = getattr(module, name)

        def counted(*given: object, run: Any = run, name: str = name) -> object:
            calls[name] += any(isinstance(one, Tensor) and one.data_ptr() == y.data_ptr() for one in given)  # of y, no residual
            return run(*given)

        monkeypatch.setattr(module, name, counted)
    solver = RECIPES[recipe](**dict(entry_of(recipe).tiny, T=3)).eval()
    with torch.no_grad():
        solver(y, 2, k=torch.full((1, 1, 5, 5), 0.04) if solver.needs.kernel else None, sigma=0.01 if solver.needs.sigma else None)
    assert set(calls.values()) <= {1} and (calls["edge_scale"] == 1) == (recipe == "blind_hqs")


def test_write_refuses_another_shape_and_another_kind() -> None:
    s = state()
    with pytest.raises(ValueError, match=r"k was \(2, 1, 3, 3\), a step returned \(2, 1, 5, 5\)"):
        s.write("k", torch.zeros(2, 1, 5, 5))
    with pytest.raises(TypeError, match="writes hyper must return a Hyper, got Tensor"):
        s.write("hyper", s.x)
    with pytest.raises(TypeError, match="writes x must return a Tensor, got Hyper"):
        s.write("x", Hyper())
