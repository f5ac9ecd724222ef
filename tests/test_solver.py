"""The loop, tested with probe steps: it alternates, it carries, it cuts where it was told to, and it refuses nonsense."""

import copy
import gc
import weakref
from collections.abc import Callable, Collection
from dataclasses import FrozenInstanceError
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, seeds, uniform
from torch import Tensor, nn

from pnpsr import Hyper, PerIteration, State, UnrolledSolver
from pnpsr.kernels.grid import unit
from pnpsr.prox import prox_image, prox_kernel
from pnpsr.solver import train_only
from pnpsr.starts import Dirac, Gaussian, Upsample

ORDERS = [
    ("estimator", "tuner", "restorer"),
    ("restorer", "estimator", "tuner"),
    ("tuner", "restorer", "estimator"),
    ("restorer", "tuner"),
]


def mean(t: Tensor) -> Tensor:
    return t.mean((1, 2, 3), keepdim=True)


class Estimate(nn.Module):
    """k ← w k + mean x + mean α."""

    def __init__(self, w: float = 0.5) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def forward(self, s: State) -> Tensor:
        return torch.sin(self.w * s.k) + mean(s.x) + (0 if s.hyper.alpha is None else s.hyper.alpha)


class Tune(Estimate):
    """α ← w mean y + mean x mean k."""

    def forward(self, s: State) -> Hyper:
        return Hyper(alpha=self.w * mean(s.y) + mean(s.x) * mean(s.k))


class Restore(Estimate):
    """x ← w x + mean k + mean α."""

    def forward(self, s: State) -> Tensor:
        return torch.cos(self.w * s.x) + mean(s.k) + (0 if s.hyper.alpha is None else s.hyper.alpha)


def probe(T: int = 3, **options: Any) -> UnrolledSolver:
    return UnrolledSolver(Estimate(0.5), Restore(0.7), T, tuner=Tune(0.3), k0=Gaussian(3), **options)


def picture(b: int = 2, seed: int = 0) -> Tensor:
    return uniform(b, 3, 4, 5, seed=seed)


def closed_form(**options: Any) -> UnrolledSolver:
    """Half-quadratic splitting without priors, as plain functions."""
    return UnrolledSolver(
        lambda s: prox_kernel(s.y, s.x, s.k, 0.1, s.scale),
        lambda s: prox_image(s.y, s.k, s.x, s.hyper.alpha, s.scale),
        tuner=lambda s: Hyper(alpha=0.01 + 0 * mean(s.y)),
        k0=Gaussian(3),
        **options,
    )


def equal(a: State, b: State) -> bool:
    return all(map(torch.equal, (a.x, a.k, a.hyper.alpha), (b.x, b.k, b.hyper.alpha))) and a.t == b.t


# --- the loop ---


@pytest.mark.parametrize("order", ORDERS)
def test_slots_take_turns_in_their_order_and_read_what_was_written_before(order: tuple[str, ...]) -> None:
    seen = []

    def step(name: str, value: Callable[[State], Any]) -> Callable[[State], Any]:
        def run(s: State) -> Any:
            seen.append(
                (name, s.t, float(s.x.mean()), float(s.k.mean()), None if s.hyper.alpha is None else float(s.hyper.alpha.mean()))
            )
            return value(s)

        return run

    solver = UnrolledSolver(
        step("estimator", lambda s: s.k + 1),
        step("restorer", lambda s: s.x + 1),
        3,
        tuner=step("tuner", lambda s: Hyper(alpha=s.y.new_full((2, 1, 1, 1), len(seen)))),
        order=order,
    )
    x, k = torch.zeros(2, 3, 8, 10).double(), torch.ones(2, 1, 1, 1).double()
    out = solver(picture(), 2, x=x, k=k)
    assert [(name, t) for name, t, *_ in seen] == [(name, t) for t in range(3) for name in order]
    assert float(out.x.mean()) == 3 and float(out.k.mean()) == (4 if "estimator" in order else 1)
    for i, (name, t, mean_x, mean_k, alpha) in enumerate(seen):
        turn = order.index
        assert mean_x == t + (turn("restorer") < turn(name))
        assert mean_k == (1 + t + (turn("estimator") < turn(name)) if "estimator" in order else 1)
        tuned = [j + 1 for j, past in enumerate(seen[:i]) if past[0] == "tuner"]
        assert alpha == (tuned[-1] if tuned else None)


@given(T=st.integers(0, 5))
def test_there_are_T_states_numbered_from_one(T: int) -> None:
    solver = probe(T)
    states = list(solver.iterate(solver.start(picture(), 2)))
    assert [s.t for s in states] == list(range(1, T + 1))
    assert len(list(solver.iterate(solver.start(picture(), 2), T + 2))) == T + 2  # T at a call is free
    assert solver(picture(), 2).t == T and solver(picture(), 2, T=1).t == 1
    if T:
        assert equal(solver(picture(), 2), states[-1])


@given(first=st.integers(0, 3), then=st.integers(0, 3))
def test_resuming_is_running_on(first: int, then: int) -> None:
    solver = probe()
    middle = solver(picture(), 2, T=first)
    *_, resumed = [middle, *solver.iterate(middle, then)]
    whole = solver(picture(), 2, T=first + then)
    assert resumed.t == whole.t and torch.equal(resumed.x, whole.x) and torch.equal(resumed.k, whole.k)


def test_solvers_chain_by_values() -> None:
    a, b = probe(2), UnrolledSolver(None, Restore(0.7), 3, k0=None)
    s = a(picture(), 2)
    k = unit(s.k)  # what a step wrote need not sum to 1, what a caller gives must
    out = b(picture(), 2, k=k, sigma=0.1, x=s.x)
    assert out.k is not None and torch.equal(out.k, k) and out.t == 3
    assert torch.equal(b(picture(), 2, k=k).x, b(picture(), 2, k=k, sigma=0.5).x)  # a restorer that ignores sigma


def test_no_step_changes_the_state_it_reads() -> None:
    def mutate(s: State) -> Tensor:
        s.x = s.x + 1  # type: ignore[misc]
        return s.k

    with pytest.raises(FrozenInstanceError):
        UnrolledSolver(mutate, None, 1, k0=Dirac(3))(picture(), 2)
    y, x, k = picture(), uniform(2, 3, 8, 10, seed=1), unit(uniform(2, 1, 3, 3, seed=2))
    before = [t.clone() for t in (y, x, k)]
    start = probe().start(y, 2, x=x, k=k)
    probe().step(start)
    assert all(map(torch.equal, (y, x, k), before)) and start.t == 0 and start.x is x


@given(seed=seeds)
@examples(5)
def test_a_batch_is_a_loop_over_samples(seed: int) -> None:
    y, sigma = picture(3, seed), torch.tensor([0.01, 0.02, 0.03])
    for solver in (probe(), closed_form(T=2)):
        out = solver(y, 2, sigma=sigma)
        for i in range(3):
            one = solver(y[i : i + 1], 2, sigma=float(sigma[i]))
            assert torch.allclose(out.x[i : i + 1], one.x, rtol=0, atol=1e-10) and torch.allclose(
                out.k[i : i + 1], one.k, rtol=0, atol=1e-10
            )
            assert torch.allclose(out.sigma[i : i + 1].double(), one.sigma)


def test_empty_slots_are_skipped_and_steps_may_be_any_callable() -> None:
    nothing = UnrolledSolver(None, None, 2, k0=Dirac(21))
    out = nothing(uniform(1, 3, 12, 12, seed=0), 2)
    assert out.t == 2 and torch.equal(out.x, Upsample()(out)) and torch.equal(out.k, Dirac(21)(out))
    assert not list(nothing.parameters())


# --- gradients ---


def by_hand(solver: UnrolledSolver, y: Tensor, x: Tensor, k: Tensor, T: int, cut: Collection[str]) -> dict[str, Tensor]:
    """The same iterations written out, with the cuts made where values are read."""
    alpha = None
    for _ in range(T):
        for slot in solver.order:
            s = State(y, 2, None, *(v.detach() if n in cut else v for n, v in (("x", x), ("k", k))))
            if alpha is not None:
                s = s.write("hyper", Hyper(alpha=alpha.detach() if "hyper" in cut else alpha))
            value = getattr(solver, slot)(s)
            x, k, alpha = (
                (value, k, alpha) if slot == "restorer" else (x, value, alpha) if slot == "estimator" else (x, k, value.alpha)
            )
    return {"x": x, "k": k, "alpha": alpha}


@pytest.mark.parametrize("cut", [c for n in range(4) for c in combinations(("x", "k", "hyper"), n)])
@pytest.mark.parametrize("order", ORDERS[:3])
def test_detach_cuts_exactly_the_named_edges(cut: tuple[str, ...], order: tuple[str, ...]) -> None:
    solver = probe(detach=cut, order=order)
    leaves = {"y": picture(), "x": uniform(2, 3, 8, 10, seed=1), "k": unit(uniform(2, 1, 3, 3, seed=2))}
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()} | dict(solver.named_parameters())
    out = solver(leaves["y"], 2, x=leaves["x"], k=leaves["k"])
    expected = by_hand(solver, leaves["y"], leaves["x"], leaves["k"], 3, cut)
    for name, value in (("x", out.x), ("k", out.k), ("alpha", out.hyper.alpha)):
        got, due = (
            torch.autograd.grad(v.sum(), list(leaves.values()), allow_unused=True, retain_graph=True)
            for v in (value, expected[name])
        )
        for leaf, a, b in zip(leaves, got, due, strict=True):
            assert (a is None) == (b is None), f"{name} by {leaf}"
            assert a is None or torch.allclose(a, b, rtol=1e-10, atol=1e-12)


def test_with_everything_cut_only_the_last_iteration_trains() -> None:
    """DAN's hand-over: the image loss never reaches the estimator, yet every iterate is trainable."""
    solver = probe(detach=("x", "k", "hyper"))
    out = solver(picture(), 2)
    gradients = torch.autograd.grad(out.x.sum(), [solver.estimator.w, solver.restorer.w, solver.tuner.w], allow_unused=True)
    assert [g is None for g in gradients] == [True, False, True]
    assert torch.autograd.grad(out.k.sum(), solver.estimator.w)[0] != 0


@pytest.mark.parametrize("cut", [(), ("x", "k")])
def test_checkpointing_changes_no_value_and_no_gradient(cut: tuple[str, ...]) -> None:
    solver = probe(detach=cut)
    gradients = []
    for solver.checkpoint in (False, True):
        out = solver(picture(), 2)
        loss = out.x.sum() + out.k.square().sum() + out.hyper.alpha.sum()
        gradients.append((loss, *torch.autograd.grad(loss, list(solver.parameters()))))
    assert all(map(torch.equal, *gradients))


def saved(solver: UnrolledSolver, T: int) -> tuple[int, int]:
    """How many tensors autograd holds for the backward pass: once forward is done, and at most before."""

    class Box:
        def __init__(self, t: Tensor) -> None:
            self.t = t.detach()  # the tensor itself would be part of a cycle and fake a leak

    boxes: list[weakref.ref[Box]] = []
    alive: list[int] = []

    def pack(t: Tensor) -> Box:
        box = Box(t)
        boxes.append(weakref.ref(box))
        alive.append(sum(box() is not None for box in boxes))
        return box

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.t):
        out = solver(picture(), 2, T=T)
    gc.collect()
    assert out.x.requires_grad
    return sum(box() is not None for box in boxes), max(alive, default=0)


@pytest.mark.parametrize("name", UnrolledSolver.SLOTS)
def test_a_slot_takes_any_callable_in_place_of_any_other(name: str) -> None:
    s = UnrolledSolver(None, None, k0=Dirac(3))
    net, function = torch.nn.Identity(), lambda state: state.k
    for value in (net, function, net, None, function, Dirac(3), net):
        setattr(s, name, value)
        assert getattr(s, name) is value and (value in s.children()) == (value is net)
    with pytest.raises(TypeError, match=rf"{name} must be callable, state -> value, or None; got 3"):
        setattr(s, name, 3)
    assert getattr(s, name) is net


def test_detached_solvers_hold_the_tensors_of_one_iteration() -> None:
    everything = ("x", "k", "hyper")
    (few, _), (many, most) = (saved(probe(detach=everything), T) for T in (1, 6))
    assert few == many > 0 and most <= 2 * many
    assert saved(probe(), 6)[0] > 3 * many
    assert saved(probe(checkpoint=True), 6)[0] < saved(probe(), 6)[0] / 2


# --- weights ---


def test_untied_weights_are_used_in_turn_and_are_limited() -> None:
    seen: list[int] = []
    steps = PerIteration([Restore(0.1), Restore(0.2), lambda s: seen.append(s.t) or s.x])
    solver = UnrolledSolver(None, steps, 3, k0=Dirac(3))
    y = picture()
    tied = UnrolledSolver(None, Restore(0.1), 1, k0=Dirac(3))(y, 2)
    assert torch.equal(solver(y, 2, T=1).x, tied.x)
    assert torch.equal(solver(y, 2).x, solver(y, 2, T=2).x) and seen == [2]
    assert [name for name, _ in solver.named_parameters()] == ["restorer.0.w", "restorer.1.w"]
    with pytest.raises(ValueError, match="has weights for 3 iterations; iteration 4 asked for"):
        solver(y, 2, T=4)
    with pytest.raises(TypeError, match="item 1 is 3"):
        PerIteration([Restore(), 3])  # type: ignore[list-item]


def test_copies_and_state_dicts_of_untied_weights_are_independent() -> None:
    solver = UnrolledSolver(None, PerIteration([Restore(0.1), Restore(0.2)]), 2, k0=Dirac(3))
    twin = copy.deepcopy(solver)
    twin.load_state_dict({name: value + 1 for name, value in solver.state_dict().items()})
    assert not torch.equal(twin(picture(), 2).x, solver(picture(), 2).x)
    twin.load_state_dict(solver.state_dict())
    assert torch.equal(twin(picture(), 2).x, solver(picture(), 2).x)


def test_train_only_lets_gradients_reach_the_named_parts() -> None:
    solver = probe()
    assert train_only(solver, "restorer", "tuner", "restorer") == [solver.restorer.w, solver.tuner.w]
    assert [p.requires_grad for p in (solver.estimator.w, solver.tuner.w, solver.restorer.w)] == [False, True, True]
    solver(picture(), 2).x.sum().backward()
    assert solver.estimator.w.grad is None and solver.restorer.w.grad is not None
    assert train_only(solver) == [] and not any(p.requires_grad for p in solver.parameters())
    for name in ("restorers", "k0", "order"):
        with pytest.raises(ValueError, match=f"'{name}' is no part with parameters; the solver has estimator, tuner, restorer"):
            train_only(solver, name)
    shared = Restore()
    solver = UnrolledSolver(shared, shared, k0=Dirac(3))
    assert train_only(solver, "restorer") == [shared.w]  # one net in two slots answers to both names
    untied = UnrolledSolver(None, PerIteration([Restore(), Restore()]))
    assert train_only(untied, "restorer.1") == [untied.restorer[1].w]


def test_only_is_a_view_that_shares_every_module() -> None:
    solver = probe(detach=("k",))
    view = solver.only("tuner", "restorer")
    assert view.order == ("tuner", "restorer") and solver.order == ORDERS[0]
    assert view.restorer is solver.restorer and list(view.parameters()) == list(solver.parameters())
    assert torch.equal(view(picture(), 2).k, Gaussian(3)(solver.start(picture(), 2)))
    assert solver.only().order == () and solver.only("restorer", "estimator").order == ("estimator", "restorer")  # the order stays
    view.T, view.checkpoint = 7, True
    assert solver.T == 3 and not solver.checkpoint
    with pytest.raises(ValueError, match="slots must be one of"):
        solver.only("prior")


def test_printing_shows_the_data_flow() -> None:
    assert "T=3, restorer → estimator → tuner, detach=(x, k)" in repr(probe(order=ORDERS[1], detach=("x", "k")))
    assert "T=4, restorer, detach=(), scale=2" in repr(UnrolledSolver(None, Restore(), scale=2))


@pytest.mark.filterwarnings("default")  # what the compiler itself warns of is not ours
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_one_iteration_compiles_without_a_graph_break(backend: str) -> None:
    solver = closed_form(T=1)
    start = solver.start(picture().float(), 2)
    step = torch.compile(solver.step, fullgraph=True, backend=backend)
    assert torch.allclose(step(start).x, solver.step(start).x, atol=1e-5)
    assert torch.allclose(step(start).k, solver.step(start).k, atol=1e-5)


# --- starting ---


def test_what_the_caller_knows_is_taken_and_the_rest_is_begun() -> None:
    y, x, k = picture(), uniform(2, 3, 8, 10, seed=1), unit(uniform(1, 1, 3, 3, seed=2))
    s = probe().start(y, 2, x=x, k=k, sigma=0.02)
    assert s.x is x and torch.equal(s.k, k.expand(2, -1, -1, -1)) and s.sigma.flatten().tolist() == [0.02, 0.02]
    assert s.scale == 2 and s.t == 0 and s.hyper == Hyper()
    bare = probe().start(y, (2, 2))
    assert torch.equal(bare.x, Upsample()(bare)) and torch.equal(bare.k, Gaussian(3)(bare)) and bare.sigma is None
    assert bare.scale == 2  # equal factors are one number
    assert probe().start(y, (1, 2)).x.shape == (2, 3, 4, 10)
    for sigma in (torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1), torch.tensor(0.1), torch.tensor([0.1])):
        assert probe().start(y, 2, sigma=sigma).sigma.shape == (2, 1, 1, 1)
    seen = []
    UnrolledSolver(None, None, x0=lambda s: seen.append(s.k) or Upsample()(s), k0=Dirac(3)).start(y, 2)
    assert seen[0] is not None  # x0 may read k0


def test_a_solver_for_one_scale_knows_it() -> None:
    solver = probe(scale=2)
    assert equal(solver(picture()), solver(picture(), 2)) and solver(picture(), (2, 2)).scale == 2
    with pytest.raises(ValueError, match="built for scale 2, got 3"):
        solver(picture(), 3)
    with pytest.raises(ValueError, match="scale is missing"):
        probe()(picture())


Y, X, K = picture(), uniform(2, 3, 8, 10, seed=1), unit(uniform(2, 1, 3, 3, seed=2))
BAD_STARTS: dict[str, tuple[tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "no tensor": ((Y.numpy(), 2), {}, TypeError, "y must be a torch tensor"),
    "three axes": ((Y[0], 2), {}, ValueError, r"y must have shape \(b c h w\)"),
    "five axes": ((Y[None], 2), {}, ValueError, r"y must have shape \(b c h w\)"),
    "empty": ((Y[:0], 2), {}, ValueError, "empty axis"),
    "8-bit": (((Y * 255).byte(), 2), {}, TypeError, "255"),
    "8-bit values as floats": ((Y * 255, 2), {}, ValueError, "divide 8-bit values by 255"),
    "half precision": ((Y.half(), 2), {}, TypeError, "float32 or float64"),
    "complex": ((Y + 0j, 2), {}, TypeError, "floats"),
    "NaN": ((Y * float("nan"), 2), {}, ValueError, "NaN or infinity"),
    "infinity": ((Y / 0, 2), {}, ValueError, "NaN or infinity"),
    "scale 0": ((Y, 0), {}, ValueError, "at least 1"),
    "scale negative": ((Y, -2), {}, ValueError, "at least 1"),
    "scale 2.5": ((Y, 2.5), {}, TypeError, "scale must be an integer"),
    "scale 2.0": ((Y, 2.0), {}, TypeError, "scale must be an integer"),
    "scale True": ((Y, True), {}, TypeError, "scale must be an integer"),
    "scale of three": ((Y, (2, 2, 2)), {}, TypeError, "scale must be an integer"),
    "sigma negative": ((Y, 2), {"sigma": -0.1}, ValueError, "sigma must be zero or positive"),
    "sigma NaN": ((Y, 2), {"sigma": float("nan")}, ValueError, "sigma must be finite"),
    "sigma of another batch": ((Y, 2), {"sigma": torch.ones(3)}, ValueError, "3 values for a batch of 2"),
    "sigma of a batch, one image": ((Y[:1], 2), {"sigma": torch.ones(2)}, ValueError, "2 values for a batch of 1"),
    "sigma a word": ((Y, 2), {"sigma": "low"}, TypeError, "sigma must be a number"),
    "x of another scale": ((Y, 2), {"x": X[..., :9]}, ValueError, r"x must have shape \(2, 3, 8, 10\)"),
    "x of other channels": ((Y, 2), {"x": X[:, :1]}, ValueError, r"x must have shape \(2, 3, 8, 10\)"),
    "x of another dtype": ((Y, 2), {"x": X.float()}, TypeError, "different dtypes"),
    "x of one sample": ((Y, 2), {"x": X[:1]}, ValueError, r"x must have shape \(2, 3, 8, 10\)"),
    "k of another batch": ((Y, 2), {"k": K.repeat(2, 1, 1, 1)}, ValueError, "batch sizes"),
    "k of a batch, one image": ((Y[:1], 2), {"k": K}, ValueError, "pass one kernel, or one per sample"),
    "k per channel": ((Y, 2), {"k": K.expand(-1, 3, -1, -1)}, ValueError, "one kernel for all colours"),
    "k of two axes": ((Y, 2), {"k": K[0, 0]}, ValueError, r"k must have shape \(b 1 p p\)"),
    "k larger than the image": (
        (Y, 1),
        {"k": uniform(2, 1, 5, 5, seed=0)},
        ValueError,
        "k of 5 x 5 is larger than the image of 4 x 5",
    ),
    "k of another dtype": ((Y, 2), {"k": K.float()}, TypeError, "different dtypes"),
    "k with NaN": ((Y, 2), {"k": K * float("nan")}, ValueError, "k holds NaN"),
    "a typo": ((Y, 2), {"sigam": 0.1}, TypeError, "unexpected keyword"),
    "T negative": ((Y, 2), {"T": -1}, ValueError, "T must be at least 0"),
    "T 2.5": ((Y, 2), {"T": 2.5}, TypeError, "T must be an integer"),
}


@pytest.mark.parametrize(("given_", "named", "kind", "message"), BAD_STARTS.values(), ids=BAD_STARTS.keys())
def test_bad_input_is_refused(given_: tuple[Any, ...], named: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        probe()(*given_, **named)


BAD_SOLVERS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "order": ({"order": ("estimator", "prior")}, ValueError, "order must be one of"),
    "order twice": ({"order": ("restorer", "restorer")}, ValueError, "each slot at most once"),
    "order a word": ({"order": "restorer"}, ValueError, "order must be one of"),
    "detach": ({"detach": ("y",)}, ValueError, "detach must be one of"),
    "T": ({"T": -1}, ValueError, "T must be at least 0"),
    "T 2.5": ({"T": 2.5}, TypeError, "T must be an integer"),
    "scale": ({"scale": 2.5}, TypeError, "scale must be an integer"),
    "tuner": ({"tuner": 3}, TypeError, "tuner must be callable"),
    "a class": ({"tuner": torch.nn.Linear}, TypeError, "tuner must be callable, .* got the class Linear: make one of it"),
    "k0": ({"k0": torch.zeros(1, 1, 3, 3)}, TypeError, "k0 must be callable"),
    "a typo": ({"detatch": ("x",)}, TypeError, "unexpected keyword"),
}


@pytest.mark.parametrize(("options", "kind", "message"), BAD_SOLVERS.values(), ids=BAD_SOLVERS.keys())
def test_bad_solvers_are_refused(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        UnrolledSolver(None, None, **options)


def test_something_to_start_from_is_needed() -> None:
    for name in ("k", "x"):
        with pytest.raises(ValueError, match=f"no {name} to start from: pass {name}=..."):
            UnrolledSolver(None, None, **{"k0": Dirac(3), f"{name}0": None})(uniform(1, 3, 12, 12, seed=0), 2)


def test_no_blur_is_no_estimate_unless_somebody_says_so() -> None:
    with pytest.raises(ValueError, match="no k to start from: pass k="):
        UnrolledSolver(None, Restore())(picture(), 2)
    assert UnrolledSolver(None, Restore()).needs.kernel and not UnrolledSolver(Estimate(), Restore()).needs.kernel
    assert UnrolledSolver(None, Restore(), k0=Dirac(3))(picture(), 2).t == 4


def test_scales_that_the_weights_are_not_for_are_refused() -> None:
    solver = probe(1, scales=(2, 3))
    assert solver(picture(), 2).t == solver(picture(), 3).t == 1
    for scale in (4, (2, 3)):
        with pytest.raises(ValueError, match=r"this solver is for scale 2 or 3, got"):
            solver(picture(), scale)
    solver.scales = None
    assert solver(picture(), 1).t == 1


def test_wrong_results_of_steps_stop_at_the_write() -> None:
    for options, kind, message in (
        (
            {"estimator": lambda s: s.k[..., 1:], "restorer": None},
            ValueError,
            r"k was \(2, 1, 3, 3\), a step returned \(2, 1, 3, 2\)",
        ),
        ({"estimator": None, "restorer": lambda s: s.y}, ValueError, r"x was \(2, 3, 8, 10\), a step returned \(2, 3, 4, 5\)"),
        ({"estimator": None, "restorer": None, "tuner": lambda s: s.y}, TypeError, "must return a Hyper"),
        ({"estimator": None, "restorer": lambda s: None}, TypeError, "writes x must return a Tensor, got NoneType"),
    ):
        with pytest.raises(kind, match=message):
            UnrolledSolver(T=1, k0=Dirac(3), **options)(picture(), 2)
    with pytest.raises(ValueError, match=r"x must have shape"):
        UnrolledSolver(None, None, k0=Dirac(3), x0=lambda s: s.y)(picture(), 2)
