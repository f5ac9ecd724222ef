"""Tuners and phases: which numbers come at which iteration, and what is believed of the noise."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import uniform
from synthetic import kernels, observed, pictures
from torch import Tensor, nn

from pnpsr import Hyper, State, UnrolledSolver
from pnpsr.checks import NotFinite
from pnpsr.nets import NoiseNet
from pnpsr.physics import Degradation, estimate_noise
from pnpsr.prox import edge_scale, prox_image, tv
from pnpsr.starts import Dirac
from pnpsr.steps import Believing, Continuation, HQSRestorer, HyperNet, Schedule, Until, keep_kernel

SIGMA = torch.tensor([0.01, 0.05], dtype=torch.float64).reshape(2, 1, 1, 1)


def state(t: int = 0, sigma: Tensor | None = SIGMA, scale: int = 2) -> State:
    x, k = pictures(2, 3, 16, 12, seed=0), kernels(2, 5, seed=0)
    return State(observed(x, k, scale, SIGMA), scale, sigma, x, k, t=t)


# --- Schedule ---


@given(
    alphas=st.lists(st.floats(1e-6, 10), min_size=1, max_size=4),
    betas=st.lists(st.floats(0, 10), min_size=1, max_size=4),
    t=st.integers(0, 6),
)
def test_a_schedule_is_two_lists_whose_last_values_stay(alphas: list[float], betas: list[float], t: int) -> None:
    due = [row[min(t, len(row) - 1)] for row in (alphas, betas)]
    for given_alphas, given_betas in ((alphas, betas), (torch.tensor(alphas, dtype=torch.float64), tuple(betas))):
        hyper = Schedule(given_alphas, given_betas)(state(t))
        assert hyper.alpha.shape == hyper.beta.shape == (2, 1, 1, 1) and hyper.sigma is SIGMA
        assert [hyper.alpha.unique().item(), hyper.beta.unique().item()] == pytest.approx(due, rel=1e-12)


def test_a_relative_schedule_follows_the_contrast_of_y() -> None:
    y = uniform(2, 3, 12, 12, seed=0)
    s = State(torch.cat([y, y / 2]), 1)
    beta = Schedule(0.1, [2.0], relative=True)(s).beta
    assert torch.allclose(beta, 2 * edge_scale(s.y)) and torch.allclose(beta[2:], beta[:2] / 4)


def test_a_schedule_of_numbers() -> None:
    hyper = Schedule(0.1)(replace(state(7), y=state().y.float()))
    assert hyper.beta is None and hyper.alpha.dtype == torch.float32
    assert torch.equal(hyper.alpha, torch.full((2, 1, 1, 1), 0.1))
    assert "2 alphas from 0.1 to 0.2" in repr(Schedule([0.1, 0.2], 1))


# --- Continuation ---


@given(first=st.floats(1e-4, 0.1), growth=st.floats(1, 100), steps=st.integers(1, 6), t=st.integers(0, 12))
def test_continuation_grows_geometrically_at_a_constant_weight(first: float, growth: float, steps: int, t: int) -> None:
    hyper = Continuation((first, first * growth), steps, floor=0.002, gain=7.0)(state(t))
    done = min(t, max(steps - 1, 1))
    assert torch.allclose(hyper.alpha, torch.full_like(SIGMA, first * growth ** (done / max(steps - 1, 1))), rtol=1e-9)
    assert torch.allclose(2 * hyper.alpha * hyper.beta, 0.002 + 7 * SIGMA**2)  # λ, per sample
    assert hyper.sigma is SIGMA


def test_continuation_estimates_the_noise_that_it_is_not_told() -> None:
    s = state(sigma=None)
    hyper = Continuation((0.01, 1.0), 3)(s)
    assert torch.equal(hyper.sigma, estimate_noise(s.y))
    assert torch.allclose(2 * hyper.alpha * hyper.beta, 1e-3 + 20 * hyper.sigma**2)
    assert "alpha 0.01 to 1 in 3, lambda = 0.001 + 20 sigma²" in repr(Continuation((0.01, 1.0), 3))


@pytest.mark.parametrize("weight", [0.01, 0.3])
def test_continuation_ends_at_the_minimiser_it_promises(weight: float) -> None:
    """For Φ = ½ |x|² that is the ridge solution, known in closed form."""

    def shrink(v: Tensor, strength: Tensor | float | None = None) -> Tensor:
        return v / (1 + strength)

    s = state()
    tuner = Continuation((1e-3, 30.0), 300, floor=weight, gain=0.0)
    x = UnrolledSolver(None, HQSRestorer(shrink), 300, tuner=tuner, k0=None)(s.y, 2, k=s.k).x
    ridge = prox_image(s.y, s.k, torch.zeros_like(x), weight / 2, 2)
    assert (x - ridge).abs().max() < 0.02 * ridge.abs().max()


# --- HyperNet ---


@settings(max_examples=6)
@given(t=st.integers(0, 2), scale=st.sampled_from([1, 2]))
def test_a_hypernet_of_many_iterations_has_a_pair_for_each(t: int, scale: int) -> None:
    net = HyperNet(per_iteration=3, hidden=4).double()
    hyper, values = net(state(t, scale=scale)), net.mlp(SIGMA, scale)
    assert hyper.sigma is SIGMA and values.shape == (2, 6, 1, 1)
    assert torch.equal(hyper.alpha, values[:, t : t + 1]) and torch.equal(hyper.beta, values[:, 3 + t : 4 + t])
    torch.manual_seed(0)
    shared = HyperNet(hidden=16).double()
    assert torch.equal(shared(state(0)).alpha, shared(state(100)).alpha)
    assert not torch.equal(shared(state()).alpha, shared(state(scale=1)).alpha)  # the scale is read


@given(t=st.integers(0, 2), percent=st.booleans())
def test_a_proportional_hypernet_follows_sigma(t: int, percent: bool) -> None:
    """α and β over σ in percent + 0.1 are what the MLP says."""
    net = HyperNet(per_iteration=3, hidden=4, percent=percent, proportional=True).double()
    hyper, values = net(state(t)), net.mlp(100 * SIGMA if percent else SIGMA, 2)
    assert torch.equal(hyper.alpha, values[:, t : t + 1] * (100 * SIGMA + 0.1))
    assert torch.equal(hyper.beta, values[:, 3 + t : 4 + t] * (100 * SIGMA + 0.1))


def test_a_hypernet_estimates_the_noise_from_the_residual() -> None:
    noise = NoiseNet(3, width=4).double()
    net, s = HyperNet(noise, hidden=4).double(), state(sigma=None)
    hyper = net(s)
    assert torch.allclose(hyper.sigma, noise(s.y - Degradation(2)(s.x, s.k)), rtol=0, atol=1e-12)
    assert torch.equal(net(replace(s, sigma=hyper.sigma)).alpha, hyper.alpha)
    assert torch.equal(net(state()).sigma, SIGMA)  # what the caller knows wins


# --- phases ---


@given(turn=st.integers(0, 3), T=st.integers(0, 5))
def test_until_changes_hands_once(turn: int, T: int) -> None:
    def write(value: float) -> Callable[[State], Tensor]:
        return lambda s: torch.full_like(s.x, value)

    y = uniform(1, 1, 3, 4, seed=0)
    solver = UnrolledSolver(None, Until(turn, write(1.0), write(2.0)), k0=Dirac(1))
    assert [float(s.x.mean()) for s in solver.iterate(solver.start(y, 1), T)] == [1.0] * min(turn, T) + [2.0] * max(T - turn, 0)


def test_divergence_in_a_later_phase_stays_divergence() -> None:
    """A training tells it from misuse by its kind; both say which phase they were in."""

    def diverge(s: State) -> Tensor:
        return tv(s.x / 0)

    y = uniform(1, 1, 3, 4, seed=0)
    with pytest.raises(NotFinite, match=r"in the phase after the first 1\)"):
        UnrolledSolver(None, Until(1, lambda s: s.x, diverge), 2, k0=Dirac(1))(y, 1)
    with pytest.raises(ValueError, match=r"sigma is unknown.*in the phase after the first 1\)") as caught:
        UnrolledSolver(None, lambda s: s.x, 2, tuner=Until(1, Schedule(0.1), HyperNet().double()), k0=Dirac(1))(y, 1)
    assert not isinstance(caught.value, NotFinite)


@given(turn=st.integers(0, 3), T=st.integers(1, 6))
def test_each_phase_counts_its_own_iterations(turn: int, T: int) -> None:
    def count(s: State) -> Tensor:
        return torch.full_like(s.x, s.t)

    solver = UnrolledSolver(None, Until(turn, count, count), k0=Dirac(1))
    seen = [float(s.x.mean()) for s in solver.iterate(solver.start(uniform(1, 1, 3, 4, seed=0), 1), T)]
    assert seen == [*range(min(turn, T)), *range(max(T - turn, 0))]


def test_a_phase_begins_afresh_and_then_goes_on() -> None:
    solver = UnrolledSolver(
        None, Until(2, lambda s: s.x + 1, lambda s: 2 * s.x, x0=lambda s: torch.full_like(s.x, 5.0)), k0=Dirac(1)
    )
    y = uniform(1, 1, 3, 4, seed=0)
    assert [float(s.x[0, 0, 0, 0]) for s in solver.iterate(solver.start(y, 1), 4)][2:] == [10.0, 20.0]


def test_weights_of_a_phase_that_was_wrapped_are_read() -> None:
    """As files of earlier versions have them: the later step below ``then.step``."""
    old, new = ({f"{at}weight": torch.ones(1, 1)} for at in ("restorer.then.step.", "restorer.then."))
    for weights in (old, new):
        solver = UnrolledSolver(None, Until(1, keep_kernel, torch.nn.Linear(1, 1, bias=False)), k0=Dirac(1))
        solver.load_state_dict(weights)
        assert solver.restorer.then.weight.item() == 1


def test_a_tuner_believes_the_caller_before_the_picture() -> None:
    blind, told = state(sigma=None), state()
    tuner = Believing(lambda s: Hyper(s.sigma))
    assert torch.equal(tuner(blind).sigma, estimate_noise(blind.y)) and tuner(told).sigma is told.sigma
    for alpha, bound in ((0.2, 0.2), (0.05, 0.1)):
        assert float(Believing(Schedule(alpha, 1.0), 0.1)(told).alpha[0]) == pytest.approx(bound)


def test_until_holds_the_parameters_of_both_and_says_when() -> None:
    both = Until(2, nn.Linear(1, 1), nn.Linear(1, 1))
    assert {name.split(".")[0] for name, _ in both.named_parameters()} == {"first", "then"} and "t=2" in repr(both)
    s = state()
    assert keep_kernel(s) is s.k


REFUSED = {
    "no values": (lambda: Schedule([]), ValueError, "alpha must have at least one value"),
    "alpha zero": (lambda: Schedule([0.1, 0.0]), ValueError, "alpha must be positive"),
    "beta negative": (lambda: Schedule(0.1, [-1.0]), ValueError, "beta must be zero or positive"),
    "alpha NaN": (lambda: Schedule(float("nan")), ValueError, "alpha must be finite"),
    "range zero": (lambda: Continuation((0.0, 1.0), 3), ValueError, "alpha and floor must be positive"),
    "range falling": (lambda: Continuation((1.0, 0.1), 3), ValueError, "low <= high"),
    "floor zero": (lambda: Continuation((0.1, 1.0), 3, floor=0.0), ValueError, "alpha and floor must be positive"),
    "gain negative": (lambda: Continuation((0.1, 1.0), 3, gain=-1.0), ValueError, "gain zero or more"),
    "no steps": (lambda: Continuation((0.1, 1.0), 0), ValueError, "steps must be at least 1"),
    "per_iteration zero": (lambda: HyperNet(per_iteration=0), ValueError, "per_iteration must be at least 1"),
    "per_iteration 2.5": (lambda: HyperNet(per_iteration=2.5), TypeError, "per_iteration must be an integer"),  # type: ignore[arg-type]
    "hidden": (lambda: HyperNet(hidden=0), ValueError, "hidden must be at least 1"),
    "iteration 4 of 3": (
        lambda: HyperNet(per_iteration=3).double()(state(3)),
        ValueError,
        "values for 3 iterations; iteration 4 asked for",
    ),
    "unknown noise": (
        lambda: HyperNet().double()(state(sigma=None)),
        ValueError,
        r"sigma is unknown: pass sigma=..., or build HyperNet\(noise",
    ),
    "two scales": (lambda: HyperNet().double()(replace(state(), physics=(2, 3))), TypeError, "scale must be a number"),  # type: ignore[arg-type]
    "least": (lambda: Believing(keep_kernel, -0.1), ValueError, "least must be zero or more"),
    "until": (lambda: Until(-1, keep_kernel, keep_kernel), ValueError, "t must be at least 0"),
    "until a word": (lambda: Until(1, keep_kernel, "then"), TypeError, "then must be callable, state -> value; got 'then'"),  # type: ignore[arg-type]
    "until 1.5": (lambda: Until(1.5, keep_kernel, keep_kernel), TypeError, "t must be an integer"),  # type: ignore[arg-type]
    "kernel of nothing": (lambda: keep_kernel(replace(state(), k=None)), ValueError, "k is missing from the state"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_arguments_are_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
