"""What solvers say they need is what a call shows: every recipe is asked and then called."""

from dataclasses import replace

import pytest
import torch
from instances import INSTANCES, case, fresh, solver
from torch import Tensor, nn

from pnpsr import Hyper, PerIteration, State, UnrolledSolver
from pnpsr.needs import Needs, needs_of, together
from pnpsr.prox import identity
from pnpsr.starts import Dirac
from pnpsr.steps import HQSRestorer, HyperNet, Until, keep_kernel
from pnpsr.studies.solvers import Candidate

each = pytest.mark.parametrize("key", INSTANCES)


@each
def test_a_recipe_knows_what_its_calls_need(key: str) -> None:
    instance, needs = INSTANCES[key], needs_of(solver(key, 2, 5))
    assert needs.kernel == ("k" in instance.needs) and needs.longest == instance.limit
    assert needs.scales == ((2,) if instance.bound else None)
    assert needs.channels == (instance.channels if instance.learns and instance.steps else needs.channels)
    assert needs.kernel_size == (None if "k" in instance.needs else 5)
    assert needs.periodic != (instance.name in ("dan", "first_kernel") or key == "mixed from a dirac")


@each
def test_sigma_is_needed_where_a_call_without_it_is_refused(key: str) -> None:
    instance, net = INSTANCES[key], fresh(key)
    c, told = case(instance), {"k": case(instance).k} if "k" in instance.needs else {}
    arguments = {**told, "sigma": None} if instance.name == "ikrnet_released" else told
    if needs_of(net).sigma:
        with pytest.raises(ValueError, match="sigma is unknown"):
            net(c.y, c.scale, **arguments)
    else:
        with torch.no_grad():
            assert net(c.y, c.scale, **arguments).x.isfinite().all()


def test_parts_add_up() -> None:
    one, other = Needs(sigma=True, channels=3, scales=(2, 3), longest=4), Needs(kernel_size=7, scales=(3, 4), longest=9)
    both = Needs(sigma=True, channels=3, kernel_size=7, scales=(3,), longest=4)
    assert one & other == other & one == both and together([one, Needs(), None]) == Needs()
    assert together([lambda v: v, None]) == Needs()  # who says nothing needs nothing


def test_steps_of_ones_own_say_it_too() -> None:
    class Told:
        needs = Needs(sigma=True, channels=3)

        def __call__(self, state: State) -> Tensor:
            return state.known("x")

    told = UnrolledSolver(None, PerIteration([Told(), Told()]), k0=Dirac((3, 9)))
    assert told.needs == Needs(sigma=True, channels=3, kernel_size=9, longest=2)
    assert told.only("tuner").needs == replace(Needs(), kernel_size=9)  # a view that does not run it does not need it
    late = UnrolledSolver(None, HQSRestorer(identity), tuner=Until(3, HyperNet(hidden=4), HyperNet(per_iteration=2, hidden=4)))
    assert late.needs == Needs(sigma=True, kernel=True, periodic=True, longest=5)


def test_a_step_that_says_nothing_may_hold_a_closed_form() -> None:
    """Its y is extended where its border is another; networks and tuners say or do what needs no care."""

    def silent(state: State) -> Tensor:
        return state.known("x")

    for restorer in (silent, PerIteration([silent]), Until(1, keep_kernel, silent)):
        assert UnrolledSolver(None, restorer, k0=None).needs.periodic
    assert not UnrolledSolver(keep_kernel, None, tuner=lambda state: Hyper(), k0=None).needs.periodic
    assert Candidate("mine", nn.Identity()).periodic and not Candidate("none", UnrolledSolver(None, None, k0=None)).periodic


def test_what_is_no_needs_is_refused() -> None:
    class Wrong:
        needs = ("sigma",)

        def __call__(self, state: State) -> Tensor:
            return state.known("x")

    with pytest.raises(TypeError, match="needs of Wrong must be a Needs"):
        needs_of(UnrolledSolver(None, Wrong()))
