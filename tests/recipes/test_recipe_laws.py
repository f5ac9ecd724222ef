"""What every recipe keeps: shapes, samples apart, training, memory on disk, and as many iterations as it has weights for."""

import copy
from pathlib import Path

import pytest
import torch
from devices import agrees, in_every_dtype, keeps, on_every_device
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import INSTANCES, Case, case, fresh, run, solver
from strategies import seeds
from torch import Tensor, nn

from pnpsr import State, UnrolledSolver, expression, load, save
from pnpsr.recipes import RECIPES

each = pytest.mark.parametrize("key", INSTANCES)
trainable = pytest.mark.parametrize("key", [key for key, i in INSTANCES.items() if i.learns])
limited = pytest.mark.parametrize("key", [key for key, i in INSTANCES.items() if i.limit])
few = settings(max_examples=4)


def outputs(s: State) -> dict[str, Tensor]:
    named = {"x": s.x, "k": s.k, "sigma": s.hyper.sigma, "alpha": s.hyper.alpha, "beta": s.hyper.beta}
    return {name: value for name, value in named.items() if value is not None}


def same(a: State, b: State, tolerance: float = 0.0) -> bool:
    left, right = outputs(a), outputs(b)
    return left.keys() == right.keys() and all(torch.allclose(left[n], right[n], rtol=0, atol=tolerance) for n in left)


def loss(key: str, net: nn.Module) -> Tensor:
    instance = INSTANCES[key]
    truth = case(instance, seed=5)
    out = run(net, instance, truth)
    return sum((getattr(out, name) - getattr(truth, name)).abs().mean() for name in instance.learns)


def test_every_recipe_has_an_instance() -> None:
    assert {i.name for i in INSTANCES.values()} == RECIPES.keys()
    for key, i in INSTANCES.items():
        assert solver(key).record.recipe == i.name


@each
@few
@given(scale=st.integers(1, 4), size=st.integers(4, 6), b=st.integers(1, 2), h=st.integers(6, 9), w=st.integers(6, 8), seed=seeds)
def test_shapes_come_out_and_samples_are_apart(key: str, scale: int, size: int, b: int, h: int, w: int, seed: int) -> None:
    """For any batch, scale, kernel size (odd and even) and picture; a batch is a loop over its samples."""
    instance, net = INSTANCES[key], solver(key, scale if INSTANCES[key].bound else 2, size)
    c = case(instance, scale, size, b=b, h=h, w=w, seed=seed)
    with torch.no_grad():
        out = run(net, instance, c)
        assert out.x.shape == (b, instance.channels, scale * h, scale * w) and out.x.dtype == torch.float64
        assert out.k.shape == (b, 1, size, size)
        for i in range(b):
            alone = run(net, instance, c.sample(i))
            for name, value in outputs(out).items():
                assert torch.allclose(value[i : i + 1], outputs(alone)[name], rtol=0, atol=1e-8), name


@each
def test_runs_repeat_and_leave_their_inputs_and_weights_alone(key: str) -> None:
    instance, net = INSTANCES[key], fresh(key)
    c, weights = case(instance), copy.deepcopy(net.state_dict())
    before = copy.deepcopy(c)
    first = run(net, instance, c)
    assert same(first, run(net, instance, c))
    assert all(torch.equal(getattr(c, n), getattr(before, n)) for n in ("y", "x", "k", "sigma"))
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


@each
def test_vmap_over_a_solver_is_a_loop(key: str) -> None:
    instance, net = INSTANCES[key], solver(key)
    several = [case(instance, b=1, seed=seed) for seed in range(2)]

    def call(y: Tensor, k: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        out = run(net, instance, Case(y, y, k, sigma, 2))
        return out.x, out.k

    with torch.no_grad():
        mapped = torch.func.vmap(call)(*(torch.stack([getattr(c, name) for c in several]) for name in ("y", "k", "sigma")))
        for i, c in enumerate(several):
            alone = run(net, instance, c)
            assert torch.allclose(mapped[0][i], alone.x, rtol=0, atol=1e-8)
            assert torch.allclose(mapped[1][i], alone.k, rtol=0, atol=1e-8)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_black_picture_stays_black_and_is_no_trouble_to_the_others(key: str, dtype: torch.dtype) -> None:
    """With the kernel it started from; in training, too, where no gradient breaks."""
    instance, net = INSTANCES[key], fresh(key).to(dtype)
    c = case(instance, b=3).to(dtype)
    c.y[1] = 0
    out = run(net, instance, c)
    assert (out.x[1] == 0).all()
    start = (net if isinstance(net, UnrolledSolver) else net.first).start(c.y, 2, **c.given(instance))
    assert torch.equal(out.k[1], start.k[1]) or not isinstance(net, UnrolledSolver)  # the released one begins twice
    for i in (0, 2):
        alone = run(net, instance, c.sample(i))
        for name, value in outputs(out).items():
            assert torch.allclose(value[i : i + 1], outputs(alone)[name], rtol=0, atol=1e-8 if dtype == torch.float64 else 1e-3)
    if instance.learns:
        sum((getattr(out, name) - getattr(c, name)).abs().mean() for name in instance.learns).backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in net.parameters())


@trainable
def test_a_training_step_lowers_the_loss(key: str) -> None:
    net = fresh(key)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    before = loss(key, net)
    before.backward()
    optimiser.step()
    assert loss(key, net) < before


@trainable
def test_every_parameter_learns_but_those_that_cannot(key: str) -> None:
    net = fresh(key)
    loss(key, net).backward()
    idle = tuple(part if part.endswith("bias") else f"{part}." for part in INSTANCES[key].idle)
    for name, parameter in net.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert reached != name.startswith(idle), name
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


def test_the_untrained_have_nothing_to_train() -> None:
    for key, i in INSTANCES.items():
        assert bool(list(solver(key).parameters())) == bool(i.learns)


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_saved_comes_back(key: str, dtype: torch.dtype, tmp_path: Path) -> None:
    instance, net = INSTANCES[key], fresh(key).to(dtype)
    with torch.no_grad():
        for value in filter(torch.is_floating_point, (*net.parameters(), *net.buffers())):
            value.add_(0.01)  # as if trained: no recipe could rebuild these
    save(net, tmp_path / "a.safetensors")
    torch.set_default_dtype(torch.float64 if dtype == torch.float32 else torch.float32)
    try:
        again = load(tmp_path / "a.safetensors")
    finally:
        torch.set_default_dtype(torch.float32)
    assert again.record == net.record == expression(again) and not again.training
    weights = net.state_dict()
    assert again.state_dict().keys() == weights.keys()
    assert all(torch.equal(v, weights[n]) and v.dtype == weights[n].dtype for n, v in again.state_dict().items())
    c = case(instance).to(dtype)
    with torch.no_grad():
        assert same(run(net, instance, c), run(again, instance, c))


@each
def test_y_of_another_dtype_is_refused_in_the_callers_words_or_computed_in_its_own(key: str) -> None:
    instance = INSTANCES[key]
    for net, c in ((fresh(key).float(), case(instance)), (fresh(key), case(instance).to(torch.float32))):
        if instance.learns:
            with pytest.raises(TypeError, match=r"^y is torch.float\d\d, the networks of the solver are .*: convert y with .to"):
                run(net, instance, c)
        else:
            assert run(net, instance, c).x.dtype == c.y.dtype


@pytest.mark.parametrize("key", [key for key, i in INSTANCES.items() if i.anytime and i.steps])
def test_iterations_are_free_at_the_call_up_to_the_weights(key: str) -> None:
    instance, net = INSTANCES[key], solver(key)
    assert isinstance(net, UnrolledSolver)
    c = case(instance)
    with torch.no_grad():
        for T in (1, 2) if instance.limit else (1, 2, net.T + 2):
            assert run(net, instance, c, T=T).t == T
        assert run(net, instance, c).t == net.T
        assert not same(run(net, instance, c, T=1), run(net, instance, c, T=2))


@limited
def test_more_iterations_than_weights_are_refused(key: str) -> None:
    instance = INSTANCES[key]
    own = instance.limit - instance.before
    with pytest.raises(ValueError, match=f"values for {own} iterations; iteration {own + 1} asked for"):
        run(solver(key), instance, case(instance), T=instance.limit + 1)


@pytest.mark.parametrize(
    ("key", "missing"), [(key, name) for key, i in INSTANCES.items() for name in i.needs if i.name != "ikrnet"]
)
def test_what_a_call_needs_is_asked_for(key: str, missing: str) -> None:
    instance, net = INSTANCES[key], solver(key)
    c = case(instance)
    given = {name: None if name == missing else value for name, value in c.given(instance).items()}
    with pytest.raises(ValueError, match="sigma is unknown" if missing == "sigma" else "no k to start from"):
        net(c.y, c.scale, **given)


@pytest.mark.parametrize("key", [key for key, i in INSTANCES.items() if i.bound])
def test_a_scale_it_was_not_built_for_is_refused(key: str) -> None:
    instance, net = INSTANCES[key], solver(key, 2)
    c = case(instance, 3)
    with pytest.raises(ValueError, match="built for scale 2, got 3"):
        run(net, instance, c)
    assert net(c.y, **c.given(instance)).x.shape[-1] == 2 * c.y.shape[-1]  # and its own need not be said


@each
def test_the_wrong_number_of_channels_is_refused_by_the_networks(key: str) -> None:
    instance = INSTANCES[key]
    c = case(instance)
    y = c.y[:, :1].expand(-1, 3 if instance.channels == 1 else 1, -1, -1)
    if not instance.learns or not instance.steps:
        assert solver(key)(y, 2, **c.given(instance)).x.shape[1] == y.shape[1]  # hand-written priors take any
        return
    with pytest.raises(ValueError, match="channel"):
        solver(key)(y, 2, **c.given(instance))


@each
def test_under_autocast_the_state_keeps_its_precision(key: str) -> None:
    """Networks may compute in half precision; what a solver holds and returns stays in the dtype of y, and finite."""
    instance = INSTANCES[key]
    net, c = fresh(key).float(), case(instance).to(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out = run(net, instance, c)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in outputs(out).values())


@each
@on_every_device
@in_every_dtype
def test_a_solver_computes_where_and_how_it_was_put(key: str, device: str, dtype: torch.dtype) -> None:
    instance, net = INSTANCES[key], fresh(key)
    c = case(instance)
    with torch.no_grad():
        expected = outputs(run(net, instance, c))
        out = outputs(run(net.to(device, dtype), instance, c.to(dtype).to(device)))
    assert out.keys() == expected.keys()
    assert all(keeps(v, device, dtype) and agrees(v, expected[name]) for name, v in out.items())
