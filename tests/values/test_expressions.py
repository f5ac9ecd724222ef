"""A solver is a value: equal where it is built and set alike, another one wherever anything differs, the same from disk."""

import copy
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import outside
import pytest
import torch
from instances import INSTANCES, case, fresh, run
from torch import nn

from pnpsr import UnrolledSolver, blind_hqs, expression, load, save, two_step, usrnet
from pnpsr.prox import Centred, l0_gradient, simplex, tv
from pnpsr.recipes import RECIPES, entry_of
from pnpsr.starts import Dirac, Gaussian
from pnpsr.steps import HQSRestorer, Schedule, keep_kernel
from pnpsr.values import identity, imports, use
from pnpsr.values.structure import INTERNAL

each = pytest.mark.parametrize("name", sorted(RECIPES))


def tiny(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return RECIPES[name](**entry_of(name).tiny)


@pytest.fixture
def outsiders(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is brought in here is forgotten afterwards."""
    monkeypatch.setattr(imports, "_used", {})
    use("outside")
    yield


def attributes(net: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Every attribute in the solver that holds a plain value, with another value for it; of torch's own modules one each."""
    seen = set()
    for module in net.modules():
        for name, value in list(module.__dict__.items()):
            kind = (type(module), name)
            if name in INTERNAL or (kind in seen and type(module).__module__.startswith("torch.")):
                continue
            seen.add(kind)
            if isinstance(value, bool):
                yield module, name, not value
            elif isinstance(value, int | float):
                yield module, name, value + 1
            elif isinstance(value, str):
                yield module, name, value + "!"
            elif isinstance(value, tuple):
                yield module, name, (*value, 1)
            elif value is None:
                yield module, name, 7


@each
def test_the_call_alone_describes_what_a_recipe_built(name: str) -> None:
    a, b = tiny(name), tiny(name)
    assert not expression(a).changes and expression(a) == expression(b) == a.record == expression(copy.deepcopy(a))
    assert repr(expression(a)).startswith(f"{name}(") and identity(a)[0] == identity(b)[0] != ""


@each
def test_each_single_attribute_counts_in_the_description_and_the_identity(name: str) -> None:
    net = tiny(name)
    before, digest, count = expression(net), identity(net)[0], 0
    for module, attribute, value in attributes(net):
        old = module.__dict__[attribute]
        module.__dict__[attribute] = value
        assert expression(net) != before, (type(module), attribute)
        assert count % 7 or identity(net)[0] not in ("", digest), (type(module), attribute)
        module.__dict__[attribute] = old
        count += 1
    assert count and expression(net) == before and identity(net)[0] == digest


@each
def test_each_changed_attribute_comes_back_from_disk(name: str, tmp_path: Path) -> None:
    net = tiny(name)
    for number, (module, attribute, value) in enumerate(attributes(net)):
        if number % 5 == 0:  # a file each would take minutes
            module.__dict__[attribute] = value
    save(net, tmp_path / "a")
    again = load(tmp_path / "a")
    assert expression(again) == expression(net) != net.record and identity(again)[0] == identity(net)[0]


def test_weights_are_part_of_the_identity_and_not_of_the_expression() -> None:
    a, b = tiny("usrnet"), tiny("usrnet")
    with torch.no_grad():
        next(b.parameters()).mul_(1.001)
    assert expression(a) == expression(b) and identity(a) != identity(b)


def schedule(s: UnrolledSolver) -> None:
    s.tuner.first = Schedule([0.1, 0.2], 0.3)


CHANGES: dict[str, Any] = {
    "T": lambda s: setattr(s, "T", 2),
    "order": lambda s: setattr(s, "order", ("tuner", "estimator", "restorer")),
    "detach": lambda s: setattr(s, "detach", ("k",)),
    "start": lambda s: setattr(s, "k0", Dirac(5)),
    "width of the start": lambda s: setattr(s, "k0", Gaussian(5, 2.0)),
    "around": lambda s: setattr(s.estimator.first, "around", "previous"),
    "edges": lambda s: setattr(s.estimator.first, "edges", True),
    "gamma": lambda s: s.estimator.first.log_gamma.add_(0.5),
    "image prior": lambda s: setattr(s.restorer.first, "prior", tv),
    "its argument": lambda s: setattr(s.restorer.first, "prior", functools.partial(l0_gradient, growth=8.0)),
    "kernel prior": lambda s: setattr(s.estimator.first, "prior", Centred(simplex)),
    "schedule": schedule,
    "a slot": lambda s: setattr(s, "estimator", None) or setattr(s, "estimator", HQSRestorer(tv)),
    "an own prior": lambda s: setattr(s.restorer.first, "prior", outside.median),
    "an own net": lambda s: setattr(s.restorer.first, "prior", outside.Blend(0.25)),
    "an own step": lambda s: setattr(s.restorer, "then", outside.doubled),
}
NOT_RUN = {"a slot"}  # an image step where a kernel is due: a value all the same


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_set_after_building_counts_and_is_kept(change: str, tmp_path: Path, outsiders: None) -> None:
    net, c = blind_hqs(5, T=3, finish=2), case(INSTANCES["blind_hqs"]).to(torch.float32)
    plain = identity(net)[0]
    net.restorer.first.prior = functools.partial(l0_gradient, growth=4.0)  # equal to the recipe's own
    assert identity(net)[0] == plain
    if change in ("an own net", "an own step"):
        net.restorer.first.__dict__.pop("prior", None) if change == "an own net" else net.restorer._modules.pop("then")
    CHANGES[change](net)
    save(net, tmp_path / "a")
    again = load(tmp_path / "a")
    assert expression(again) == expression(net) and identity(again)[0] == identity(net)[0]
    assert identity(net)[0] not in ("", plain)
    if change not in NOT_RUN:
        with torch.no_grad():
            assert torch.equal(net(c.y, 2).x, again(c.y, 2).x)


@pytest.mark.parametrize("key", INSTANCES)
def test_a_changed_solver_from_disk_computes_the_same(key: str, tmp_path: Path) -> None:
    instance, net = INSTANCES[key], fresh(key)
    if isinstance(net, UnrolledSolver):
        net.T, net.detach = 1, ("x", "hyper")
        net.order = tuple(sorted(net.order, key=lambda name: name != "tuner"))
    else:
        net.kernel.around = "previous"
    save(net, tmp_path / "a")
    again, c = load(tmp_path / "a"), case(instance)
    assert expression(again) == expression(net) != net.record
    with torch.no_grad():
        assert torch.equal(run(net, instance, c).x, run(again, instance, c).x)


def test_solvers_inside_solvers_keep_their_changes(tmp_path: Path) -> None:
    inner = usrnet(**entry_of("usrnet").tiny)
    inner.T = 1
    net = two_step(nonblind=inner, size=5)
    assert net.T == 1 and net.record.arguments["nonblind"] == expression(inner)
    save(net, tmp_path / "a")
    assert expression(load(tmp_path / "a")) == expression(net)


def test_a_network_of_ones_own_as_an_argument_is_written_down(tmp_path: Path) -> None:
    from pnpsr.nets import KernelEncoder

    net = two_step(KernelEncoder(5, width=4), usrnet(**entry_of("usrnet").tiny))
    save(net, tmp_path / "a")
    again, y = load(tmp_path / "a"), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(y, 2, sigma=0.01).x, net(y, 2, sigma=0.01).x)
    assert expression(again) == expression(net)


def test_a_net_in_two_places_stays_one(tmp_path: Path) -> None:
    net = blind_hqs(5, T=1, finish=usrnet(**entry_of("usrnet").tiny))
    first = HQSRestorer(net.restorer.then.prior)
    net.restorer.first = first
    save(net, tmp_path / "a")
    again = load(tmp_path / "a")
    assert again.restorer.first.prior is again.restorer.then.prior and expression(again) == expression(net)


class Local(nn.Module):
    pass


def closure() -> Any:
    def prior(v: torch.Tensor, strength: object = None) -> torch.Tensor:
        return v

    return prior


NAMELESS: dict[str, tuple[Any, str]] = {
    "a lambda": (lambda v, s=None: v, "restorer.first.prior cannot be written down: a lambda"),
    "a closure": (closure(), "restorer.first.prior cannot be written down: .*inside a function"),
    "a lambda inside": (Centred(lambda v, s=None: v), "restorer.first.prior.*prior cannot be written down: a lambda"),
    "a generator": (functools.partial(tv, iterations=torch.Generator()), "restorer.first.prior.*iterations.*: a Generator"),
}


@pytest.mark.parametrize("kind", NAMELESS)
def test_what_has_no_description_is_refused_and_identifies_nothing(kind: str, tmp_path: Path) -> None:
    prior, message = NAMELESS[kind]
    net = blind_hqs(5, T=2, finish=1)
    net.restorer.first.prior = prior
    with pytest.raises(ValueError, match=message):
        save(net, tmp_path / "a")
    digest, why = identity(net)
    assert digest == "" and "restorer.first.prior" in why and not list(tmp_path.iterdir())
    assert expression(net) != net.record and expression(net) == expression(net)


def test_a_function_of_the_program_that_runs_is_known_by_its_code_but_not_saved(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import sys
from pnpsr import blind_hqs, save
from pnpsr.values import identity

def prior(v, strength=None):
    return v * GAIN

GAIN = float(sys.argv[1])
net = blind_hqs(5, T=2, finish=1)
net.restorer.first.prior = prior
print(*identity(net))
try:
    save(net, "a")
except ValueError as error:
    print(error)
"""
    )
    told = [subprocess.run([sys.executable, program, gain], capture_output=True, text=True, check=True) for gain in ("1", "1", "2")]
    first, again, other = (done.stdout.splitlines() for done in told)
    assert first == again and first[0].strip() and first[0] != other[0]
    assert first[1].startswith("restorer.first.prior cannot be written down: prior is defined in the program that runs")


def test_hooks_count() -> None:
    net = tiny("usrnet")
    handle = net.restorer.register_forward_hook(lambda m, a, out: out * 2)
    assert expression(net).changes and identity(net)[0] == ""
    handle.remove()
    assert not expression(net).changes


def test_code_from_outside_is_only_run_when_it_was_brought_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "_used", {})
    net = blind_hqs(5, T=2, finish=1)
    net.restorer.first.prior = outside.median
    save(net, tmp_path / "a")
    with pytest.raises(ValueError, match=r"a: outside:median is code from outside; .*--use outside"):
        load(tmp_path / "a")
    use(Path(outside.__file__))
    assert load(tmp_path / "a").restorer.first.prior is outside.median


@pytest.mark.parametrize(
    "path", ["os:system", "builtins:eval", "pnpsr.kernels:save_kernels", "pnpsr.files:replace_file", "torch:load"]
)
def test_a_file_cannot_ask_for_code_that_acts(path: str) -> None:
    with pytest.raises(ValueError, match="is code"):
        imports.fetch(path)


def test_a_view_has_slots_of_its_own() -> None:
    net = tiny("ikrnet")
    view, restorer, before = net.only("restorer"), net.restorer, expression(net)
    assert identity(view)[0] != identity(net)[0]
    view.restorer = HQSRestorer(tv)
    view.T = 9
    assert net.restorer is restorer and net.T == 2 and expression(net) == before


def test_the_code_of_a_function_its_constants_and_helpers_belong_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    net = UnrolledSolver(keep_kernel, HQSRestorer(outside.median), T=1, tuner=Schedule(0.1))
    first = identity(net)
    assert first[0] and identity(net) == first
    monkeypatch.setattr(outside, "GAIN", 0.5)
    second = identity(net)
    assert second[0] not in ("", first[0])
    namespace = {"__name__": "outside", "nn": nn, "GAIN": 0.5}
    exec("def median(v, strength=None):\n    return v * 0\n", namespace)
    monkeypatch.setattr(outside, "median", namespace["median"])
    net.restorer.prior = outside.median
    assert identity(net)[0] not in ("", first[0], second[0])
