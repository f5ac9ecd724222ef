"""The one thing that moves: frozen, written field by field, detached by name."""

from dataclasses import FrozenInstanceError

import pytest
import torch
from strategies import uniform

from pnpsr import Hyper, State


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


def test_write_refuses_another_shape_and_another_kind() -> None:
    s = state()
    with pytest.raises(ValueError, match=r"k was \(2, 1, 3, 3\), a step returned \(2, 1, 5, 5\)"):
        s.write("k", torch.zeros(2, 1, 5, 5))
    with pytest.raises(TypeError, match="writes hyper must return a Hyper, got Tensor"):
        s.write("hyper", s.x)
    with pytest.raises(TypeError, match="writes x must return a Tensor, got Hyper"):
        s.write("x", Hyper())
