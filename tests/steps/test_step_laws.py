"""Whatever sits in a slot: reads a state, returns one value of the right kind and shape, samples apart, never half precise."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import cache

import pytest
import torch
from devices import agrees, in_every_dtype, keeps, on_every_device
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from synthetic import kernels, observed, pictures
from torch import Tensor

from pnpsr import Hyper, State, nets, steps
from pnpsr.kernels import KernelBasis
from pnpsr.prox import simplex, tv
from pnpsr.starts import Upsample
from pnpsr.state import Step

TINY = (4, 6, 8, 8)


def basis(p: int) -> KernelBasis:
    return KernelBasis(p, 3)


def loud(net: nets.EdgeNet) -> nets.EdgeNet:
    """One that no longer says that all is right."""
    for layer in (net.tail, net.trust, net.words.gains):
        torch.nn.init.normal_(layer.weight, std=0.1)
    return net


# name: (field it writes, how to build it for c channels, scale s and kernels of p x p)
STEPS: dict[str, tuple[str, Callable[[int, int, int], Step]]] = {
    "HQSRestorer": ("x", lambda c, s, p: steps.HQSRestorer(tv)),
    "HQSRestorer of a net": ("x", lambda c, s, p: steps.HQSRestorer(nets.ResUNet(c, strength=True, widths=TINY))),
    "HQSEstimator": ("k", lambda c, s, p: steps.HQSEstimator(simplex, edges=True, relative=True)),
    "HQSEstimator of a net": (
        "k",
        lambda c, s, p: steps.HQSEstimator(nets.ResUNet(1, widths=TINY, bias=True), domain="support", learn=True),
    ),
    "HQSEstimator per iteration": (
        "k",
        lambda c, s, p: steps.HQSEstimator(
            nets.ResUNet(1, widths=TINY), 0.1, relative=True, learn=True, per_iteration=2, project=True
        ),
    ),
    "DataStep": ("x", lambda c, s, p: steps.DataStep(steps.HQSRestorer(tv), 0.3)),
    "SelfEnsemble": (
        "x",
        lambda c, s, p: steps.SelfEnsemble(steps.HQSRestorer(nets.ResUNet(c, strength=True, widths=TINY))),
    ),
    "LearnedRestorer": (
        "x",
        lambda c, s, p: steps.LearnedRestorer(nets.DPCRestorer(s, 3, width=4, groups=1, blocks=1, channels=c), basis(p).encode),
    ),
    "LearnedEstimator": ("k", lambda c, s, p: steps.LearnedEstimator(nets.DPCEstimator(s, p, width=4, blocks=1, channels=c))),
    "LearnedEstimator of codes": (
        "k",
        lambda c, s, p: steps.LearnedEstimator(nets.CRBEstimator(s, 3, width=4, blocks=1, channels=c), basis(p).decode),
    ),
    "LearnedCorrector": ("k", lambda c, s, p: steps.LearnedCorrector(nets.KernelCorrector(s, p, code=3, width=4, channels=c))),
    "LearnedKernelStart": ("k", lambda c, s, p: steps.LearnedKernelStart(nets.KernelEncoder(p, code=3, width=4, channels=c))),
    "ChooseTurn": ("k", lambda c, s, p: steps.ChooseTurn(steps.keep_kernel)),
    "Debiased": ("k", lambda c, s, p: steps.Debiased(steps.keep_kernel, steps.DataStep(Upsample()), rounds=1)),
    "Sharpened": ("k", lambda c, s, p: steps.Sharpened(steps.keep_kernel, loud(nets.EdgeNet(s, p, width=4)))),
    "Until": ("k", lambda c, s, p: steps.Until(1, steps.keep_kernel, steps.HQSEstimator(simplex))),
    "Until with a first image": ("x", lambda c, s, p: steps.Until(0, steps.HQSRestorer(tv), steps.HQSRestorer(tv), x0=Upsample())),
    "Believing": ("hyper", lambda c, s, p: steps.Believing(steps.HyperNet(hidden=4))),
    "keep_kernel": ("k", lambda c, s, p: steps.keep_kernel),
    "Schedule": ("hyper", lambda c, s, p: steps.Schedule([0.1, 0.2], 0.3)),
    "Continuation": ("hyper", lambda c, s, p: steps.Continuation((0.01, 1.0), 4)),
    "HyperNet": ("hyper", lambda c, s, p: steps.HyperNet(nets.NoiseNet(c, width=4), hidden=4)),
    "HyperNet proportional": (
        "hyper",
        lambda c, s, p: steps.HyperNet(nets.NoiseNet(c, width=4), hidden=4, percent=True, proportional=True),
    ),
    "HyperNet per iteration": ("hyper", lambda c, s, p: steps.HyperNet(nets.NoiseNet(c, width=4), per_iteration=3, hidden=4)),
}
each = pytest.mark.parametrize("name", STEPS)


@cache
def build(name: str, c: int, s: int, p: int) -> Step:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        step = STEPS[name][1](c, s, p)
    return step.double() if isinstance(step, torch.nn.Module) else step


def state(b: int, c: int, s: int, p: int, h: int, w: int, seed: int, sigma: bool, t: int) -> State:
    x, k = pictures(b, c, s * h, s * w, seed), kernels(b, p, seed)
    level = torch.full((b, 1, 1, 1), 0.02, dtype=torch.float64) * torch.arange(1, b + 1).reshape(b, 1, 1, 1)
    hyper = Hyper(level, 0.1 + level, 0.05 + level)
    return State(observed(x, k, s, level, seed), s, level if sigma else None, pictures(b, c, s * h, s * w, seed + 1), k, hyper, t)


def each_tensor(s: State, f: Callable[[Tensor], Tensor]) -> State:
    """The state with f applied to every tensor in it."""

    def one(value: object) -> object:
        if isinstance(value, Hyper):
            return Hyper(*(one(getattr(value, field.name)) for field in fields(value)))  # type: ignore[arg-type]
        return f(value) if isinstance(value, Tensor) else value

    return State(**{field.name: one(getattr(s, field.name)) for field in fields(s)})  # type: ignore[arg-type]


def values(out: Tensor | Hyper) -> list[Tensor]:
    return [out] if isinstance(out, Tensor) else [v for v in (out.sigma, out.alpha, out.beta) if v is not None]


def test_every_step_of_the_library_is_here() -> None:
    public = {name for name, thing in vars(steps).items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert public == {name.split()[0] for name in STEPS}


@each
@settings(max_examples=6)
@given(
    c=st.sampled_from([1, 3]), s=st.integers(1, 3), p=st.sampled_from([3, 4, 5]), b=st.integers(1, 3), h=st.integers(5, 7),
    w=st.integers(5, 8), seed=seeds, sigma=st.booleans(), t=st.integers(0, 2),
)  # fmt: skip
def test_a_step_reads_a_state_and_returns_its_value(
    name: str, c: int, s: int, p: int, b: int, h: int, w: int, seed: int, sigma: bool, t: int
) -> None:
    given_state, step, field = state(b, c, s, p, h, w, seed, sigma, t), build(name, c, s, p), STEPS[name][0]
    before = copy.deepcopy(given_state)
    with torch.no_grad():
        out = step(given_state)
        written = given_state.write(field, out)  # of the right kind and shape, or it would be refused
        for value in values(out):
            assert value.dtype == torch.float64 and value.isfinite().all()
            assert value.shape[0] == b and (field != "hyper" or value.shape == (b, 1, 1, 1))
        if field == "hyper":
            assert (out.alpha > 0).all() and (not sigma or torch.equal(out.sigma, given_state.sigma))
        for i in range(b):
            alone = values(step(each_tensor(given_state, lambda v, i=i: v[i : i + 1])))
            assert all(torch.allclose(one, v[i : i + 1], rtol=0, atol=1e-9) for one, v in zip(alone, values(out), strict=True))
    assert all(torch.equal(getattr(before, n), getattr(given_state, n)) for n in ("y", "x", "k"))  # the state is as it was
    assert written.t == t


@each
@pytest.mark.parametrize("value", [0.0, 1e-30, 0.5])
def test_a_picture_of_one_value_breaks_no_step(name: str, value: float) -> None:
    """Black, so dark that its energy has no digits, or gray: all finite, and the other samples as they are alone."""
    step, given_state = build(name, 3, 2, 4), each_tensor(state(2, 3, 2, 4, 6, 7, 0, False, 0), lambda v: v.float())
    step = copy.deepcopy(step).float() if isinstance(step, torch.nn.Module) else step
    for t in (given_state.y, given_state.x):
        t[0] = value
    with torch.no_grad():
        out, alone = values(step(given_state)), values(step(each_tensor(given_state, lambda v: v[1:])))
    assert all(v.isfinite().all() for v in out)
    assert all(torch.allclose(v[1:], one, rtol=1e-4, atol=1e-4) for v, one in zip(out, alone, strict=True))
    if name.split()[0] == "HQSEstimator" and value < 1e-20:
        assert torch.equal(out[0][0], given_state.k[0])


@each
def test_vmap_over_a_step_is_a_loop(name: str) -> None:
    step, scale, size = build(name, 3, 2, 4), 2, 4
    several = [state(2, 3, scale, size, 6, 7, seed, True, 0) for seed in range(3)]
    rows = ([s.y, s.sigma, s.x, s.k, s.hyper.alpha, s.hyper.beta] for s in several)
    columns = [torch.stack(column) for column in zip(*rows, strict=True)]

    def call(y: Tensor, sigma: Tensor, x: Tensor, k: Tensor, alpha: Tensor, beta: Tensor) -> tuple[Tensor, ...]:
        return tuple(values(step(State(y, scale, sigma, x, k, Hyper(sigma, alpha, beta)))))

    with torch.no_grad():
        mapped, loop = torch.func.vmap(call)(*columns), [values(step(s)) for s in several]
    for together, alone in zip(mapped, zip(*loop, strict=True), strict=True):
        assert torch.allclose(together, torch.stack(alone), rtol=0, atol=1e-9)


@each
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_under_autocast_the_state_stays_in_float32(name: str, half: torch.dtype) -> None:
    given_state = each_tensor(state(2, 3, 2, 4, 6, 7, 0, False, 0), lambda v: v.float())
    step = copy.deepcopy(build(name, 3, 2, 4))
    step = step.float() if isinstance(step, torch.nn.Module) else step
    with torch.no_grad():
        plain = values(step(given_state))
        with torch.autocast("cpu", dtype=half):
            out = values(step(given_state))
    for a, b in zip(plain, out, strict=True):
        assert b.dtype == torch.float32 and torch.allclose(a, b, rtol=0.05, atol=0.05)


@each
@on_every_device
@in_every_dtype
def test_a_step_computes_where_and_how_its_state_is(name: str, device: str, dtype: torch.dtype) -> None:
    here, step = state(2, 3, 2, 4, 6, 7, 0, False, 0), copy.deepcopy(build(name, 3, 2, 4))
    with torch.no_grad():
        expected = values(step(here))
        step = step.to(device, dtype) if isinstance(step, torch.nn.Module) else step
        out = values(step(each_tensor(here, lambda v: v.to(device, dtype))))
    assert all(keeps(v, device, dtype) and agrees(v, e) for v, e in zip(out, expected, strict=True))
