"""The half-steps of half-quadratic splitting are their closed form and then their prior, with the options in the right place."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from synthetic import kernels, observed, pictures

from pnpsr import Hyper, State
from pnpsr.nets import ResUNet
from pnpsr.prox import differences, gram_scale, identity, prox_image, prox_kernel, simplex, tv
from pnpsr.steps import DataStep, HQSEstimator, HQSRestorer

few = settings(max_examples=8)
draws = given(seed=seeds, scale=st.integers(1, 3), c=st.sampled_from([1, 3]), p=st.sampled_from([3, 4, 5]))


def state(seed: int = 0, scale: int = 2, c: int = 3, p: int = 5) -> State:
    x, k = pictures(2, c, 8 * scale, 6 * scale, seed), kernels(2, p, seed)
    strength = torch.tensor([0.01, 0.3], dtype=torch.float64).reshape(2, 1, 1, 1)
    guess = pictures(2, c, 8 * scale, 6 * scale, seed + 1)
    return State(observed(x, k, scale), scale, None, guess, kernels(2, p, seed + 1), Hyper(None, strength, strength / 2))


@few
@draws
def test_the_restorer_is_a_data_step_and_a_prior(seed: int, scale: int, c: int, p: int) -> None:
    s = state(seed, scale, c, p)
    z = prox_image(s.y, s.k, s.x, s.hyper.alpha, scale)
    assert torch.equal(HQSRestorer(identity)(s), z)
    assert torch.equal(HQSRestorer(tv)(s), tv(z, s.hyper.beta))
    net = ResUNet(c, strength=True, widths=(4, 4, 4, 4)).double()
    assert torch.equal(HQSRestorer(net)(s), net(z, s.hyper.beta))
    assert {name.split(".")[0] for name, _ in HQSRestorer(net).named_parameters()} == {"prior"}


@pytest.mark.parametrize("domain", ["grid", "support"])
@pytest.mark.parametrize("constraint", [None, "sum", "simplex"])
@few
@draws
def test_the_estimator_is_a_data_step_and_a_prior(
    domain: str, constraint: str | None, seed: int, scale: int, c: int, p: int
) -> None:
    s, options = state(seed, scale, c, p), {"domain": domain, "constraint": constraint}
    gamma = float(torch.tensor(0.7).log().exp())  # kept in float32

    def same(estimator: HQSEstimator, y: torch.Tensor, x: torch.Tensor, k0: torch.Tensor, weight: float | torch.Tensor) -> bool:
        return torch.allclose(estimator(s), prox_kernel(y, x, k0, weight, scale, **options), rtol=0, atol=1e-6)

    nothing, edges = torch.zeros_like(s.k), (differences(s.y, 1), differences(s.x, scale))
    assert same(HQSEstimator(identity, 0.7, **options), s.y, s.x, s.k, gamma)
    assert same(HQSEstimator(identity, 0.7, around="zero", **options), s.y, s.x, nothing, gamma)
    assert same(HQSEstimator(identity, 0.7, edges=True, **options), *edges, s.k, gamma)
    mean = [t.mean(1, keepdim=True) for t in (s.y, s.x)]
    assert same(HQSEstimator(identity, 0.7, gray=True, **options), *mean, s.k, gamma)
    assert same(HQSEstimator(identity, 0.7, relative=True, **options), s.y, s.x, s.k, gamma * gram_scale(s.x, scale))
    assert same(HQSEstimator(identity, 0.7, relative=True, edges=True, **options), *edges, s.k, gamma * gram_scale(edges[1], scale))
    assert torch.allclose(
        HQSEstimator(simplex, 0.7, **options)(s), simplex(prox_kernel(s.y, s.x, s.k, gamma, scale, **options)), atol=1e-6
    )


def test_the_data_step_after_a_restorer_is_the_closed_form_from_what_it_said() -> None:
    s = state()
    said = tv(s.x, 0.1)
    step = DataStep(lambda _: said, 0.3)
    alpha = float(torch.tensor(0.3).log().exp())
    assert torch.allclose(step(s), prox_image(s.y, s.k, said, alpha, 2), rtol=0, atol=1e-7)
    step(s).square().sum().backward()
    assert step.log_alpha.grad is not None and step.log_alpha.grad != 0
    with pytest.raises(ValueError, match="alpha must be a positive number"):
        DataStep(lambda _: said, 0.0)
    with pytest.raises(TypeError, match="restorer must be callable"):
        DataStep("dan")


@few
@draws
def test_every_iteration_has_its_gamma_and_later_ones_the_last(seed: int, scale: int, c: int, p: int) -> None:
    s, step = state(seed, scale, c, p), HQSEstimator(identity, 0.7, learn=True, per_iteration=3)
    with torch.no_grad():
        step.log_gamma.copy_(torch.tensor([0.1, 0.5, 2.0]).log())
    for t, gamma in enumerate([0.1, 0.5, 2.0, 2.0, 2.0]):
        due = prox_kernel(s.y, s.x, s.k, float(torch.tensor(gamma).log().exp()), scale)
        assert torch.allclose(step(replace(s, t=t)), due, rtol=0, atol=1e-6)


@few
@draws
def test_a_projected_kernel_lies_on_the_simplex(seed: int, scale: int, c: int, p: int) -> None:
    s = state(seed, scale, c, p)
    k = HQSEstimator(identity, 0.7, project=True)(s)
    assert torch.equal(k, simplex(HQSEstimator(identity, 0.7)(s)))
    assert k.min() >= 0 and torch.allclose(k.sum((1, 2, 3)), torch.ones(2, dtype=k.dtype))


def test_the_boundary_reaches_the_data_step() -> None:
    s = state(p=3)
    valid = HQSEstimator(identity, 0.7, domain="support", boundary="valid")(s)
    assert torch.allclose(valid, prox_kernel(s.y, s.x, s.k, 0.7, 2, domain="support", boundary="valid"), rtol=0, atol=1e-6)
    assert not torch.allclose(valid, HQSEstimator(identity, 0.7, domain="support")(s), rtol=0, atol=1e-4)


@few
@given(seed=seeds, contrast=st.floats(0.2, 4.0))
def test_a_relative_gamma_does_not_see_contrast(seed: int, contrast: float) -> None:
    s = state(seed)
    brighter = replace(s, y=contrast * s.y, x=contrast * s.x)
    relative, absolute = (HQSEstimator(identity, 0.3, relative=r, around="zero") for r in (True, False))
    assert torch.allclose(relative(s), relative(brighter), rtol=0, atol=1e-9)
    if abs(contrast - 1) > 0.1:
        assert not torch.allclose(absolute(s), absolute(brighter), rtol=0, atol=1e-9)


def test_edges_do_not_see_flat_colour() -> None:
    s = state()
    offset = replace(s, y=s.y + 0.3, x=s.x + 0.3)
    assert torch.allclose(HQSEstimator(identity, edges=True)(s), HQSEstimator(identity, edges=True)(offset), rtol=0, atol=1e-9)
    assert not torch.allclose(HQSEstimator(identity)(s), HQSEstimator(identity)(offset), rtol=0, atol=1e-4)


def test_gamma_is_trained_only_where_that_was_asked_for() -> None:
    fixed, learnt = HQSEstimator(identity, 0.7), HQSEstimator(identity, 0.7, learn=True)
    assert not list(fixed.parameters()) and [name for name, _ in learnt.named_parameters()] == ["log_gamma"]
    assert fixed.state_dict().keys() == learnt.state_dict().keys()  # in either case it travels with the weights
    s = state()
    learnt(s).square().sum().backward()
    step = 1e-4
    up, down = (HQSEstimator(identity, 0.7 * 2.718281828**d).double()(s).square().sum() for d in (step, -step))
    assert learnt.log_gamma.grad is not None
    assert float(learnt.log_gamma.grad) == pytest.approx(float(up - down) / (2 * step), rel=1e-2)
    with torch.no_grad():
        learnt.log_gamma.add_(-100.0)
    assert float(learnt.gamma(0, s.y).detach()) > 0
    assert "gamma=0.7" in repr(fixed) and "x gram" in repr(HQSEstimator(identity, relative=True))


REFUSED = {
    "around": (lambda: HQSEstimator(identity, around="start"), "around must be one of"),
    "domain": (lambda: HQSEstimator(identity, domain="fourier"), "domain must be one of"),
    "constraint": (lambda: HQSEstimator(identity, constraint="box"), "constraint must be one of"),
    "boundary": (lambda: HQSEstimator(identity, domain="support", boundary="zero"), "boundary on the support must be one of"),
    "valid on the grid": (lambda: HQSEstimator(identity, boundary="valid"), "boundary on the grid must be one of 'circular'"),
    "gamma zero": (lambda: HQSEstimator(identity, 0.0), "gamma must be a positive number"),
    "gamma infinite": (lambda: HQSEstimator(identity, float("inf")), "gamma must be a positive number"),
    "gamma a word": (lambda: HQSEstimator(identity, "auto"), "gamma must be a positive number"),  # type: ignore[arg-type]
    "no alpha": (lambda: HQSRestorer(identity)(replace(state(), hyper=Hyper())), "alpha is unknown: give the solver a tuner"),
    "restorer without x": (lambda: HQSRestorer(identity)(replace(state(), x=None)), "x is missing from the state"),
    "restorer without k": (lambda: HQSRestorer(identity)(replace(state(), k=None)), "k is missing from the state"),
    "estimator without x": (lambda: HQSEstimator(identity)(replace(state(), x=None)), "x is missing from the state"),
    "estimator without k": (lambda: HQSEstimator(identity)(replace(state(), k=None)), "k is missing from the state"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_options_and_empty_states_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("scale", [1, 2])
def test_edges_without_a_boundary_see_nothing_periodic(scale: int) -> None:
    """The true x of a picture whose border is reflected gives the true kernel: no difference that wraps around may take part."""
    x, k = torch.rand(1, 2, 24, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64), kernels(1, 5, seed=0)
    y = observed(x, k, scale, boundary="reflect")
    step = HQSEstimator(identity, 1e-9, around="zero", edges=True, domain="support", boundary="valid")
    found = step(State(y, scale, None, x, torch.zeros_like(k)))
    assert torch.allclose(found, k, atol=1e-6)
