"""Hand-written priors: projections project, proximal maps beat their neighbours, and all fit the one socket."""

import inspect
from collections.abc import Callable

import pytest
import torch
from devices import agrees, in_every_dtype, keeps, on_every_device
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, noise, seeds, uniform
from torch import Tensor

from pnpsr.kernels import centroid
from pnpsr.prox import Centred, box, edge_scale, identity, kernel_priors, l0_gradient, priors, simplex, sparse_simplex, tv

PRIORS = {f.__name__: f for f in (box, identity, l0_gradient, simplex, sparse_simplex, tv)}
BETA = (tv, l0_gradient)  # those that need a strength
each = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
projections = pytest.mark.parametrize("prior", [box, identity, simplex])
few = examples(10)


def variation(u: Tensor) -> Tensor:
    """Σ |∇u| with all channels in one norm and a replicated border, (b)."""
    down = torch.cat([u.diff(dim=-2), torch.zeros_like(u[..., :1, :])], -2)
    right = torch.cat([u.diff(dim=-1), torch.zeros_like(u[..., :1])], -1)
    return (down.square() + right.square()).sum(1).sqrt().sum((1, 2))


def edges(u: Tensor) -> Tensor:
    """How many pixels have a gradient, on the circle, (b)."""
    size = (u.roll(-1, -2) - u).square() + (u.roll(-1, -1) - u).square()
    return (size.mean(1) > 1e-6).sum((1, 2))


def test_every_prior_of_the_library_is_here() -> None:
    public = {
        name
        for room in (priors, kernel_priors)
        for name, f in vars(room).items()
        if inspect.isfunction(f) and f.__module__ == room.__name__ and name[0] != "_"
    }
    assert public - {"edge_scale", "sparsity"} == PRIORS.keys()  # a unit and a cost, no priors


@each
@few
@given(seed=seeds, h=st.integers(1, 5), w=st.integers(1, 5), strength=st.sampled_from([None, 0.0, 0.01, 0.3]))
def test_all_fit_the_socket(prior: Callable[..., Tensor], seed: int, h: int, w: int, strength: float | None) -> None:
    """Shape, dtype and inputs are kept; strengths are per sample; autocast changes nothing."""
    strength = 0.02 if strength is None and prior in BETA else strength
    for dtype in (torch.float32, torch.float64):
        v = noise(3, 1, h, w, seed=seed, dtype=dtype)
        before, u = v.clone(), prior(v, strength)
        assert u.shape == v.shape and u.dtype == dtype and u.isfinite().all()
        assert torch.equal(v, before)
        assert torch.equal(prior(v, strength), u)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(prior(v, strength), u)
    if strength:
        strengths = strength * torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
        loop = torch.cat([prior(v[i : i + 1], float(strengths[i])) for i in range(3)])
        assert torch.allclose(prior(v, strengths), loop, rtol=0, atol=1e-12)
        assert torch.allclose(prior(v, strengths.reshape(3, 1, 1, 1)), loop, rtol=0, atol=1e-12)


@projections
@given(seed=seeds, h=st.integers(1, 5), w=st.integers(1, 5))
def test_projections_are_idempotent_and_nonexpansive(prior: Callable[..., Tensor], seed: int, h: int, w: int) -> None:
    v, other = 2 * noise(2, 2, h, w, seed=seed), 2 * noise(2, 2, h, w, seed=seed + 1)
    u = prior(v)
    assert torch.allclose(prior(u), u, rtol=0, atol=1e-13)
    assert ((u - prior(other)) * (v - other)).sum() >= (u - prior(other)).square().sum() - 1e-12


@given(seed=seeds, h=st.integers(1, 5), w=st.integers(1, 5))
def test_results_lie_in_their_sets_and_are_the_nearest_there(seed: int, h: int, w: int) -> None:
    v = 2 * noise(2, 2, h, w, seed=seed)
    assert torch.equal(identity(v), v)
    assert torch.equal(box(v), v.minimum(torch.ones(())).maximum(torch.zeros(())).double())
    for k in (simplex(v), sparse_simplex(v[:, :1], 0.3)):
        assert k.min() >= 0 and torch.allclose(k.sum((-2, -1)), torch.ones((), dtype=k.dtype))
    for i in range(20):
        feasible = torch.softmax(3 * noise(2, 2, h * w, seed=seed + i), -1).reshape(v.shape)
        assert ((simplex(v) - v).square().sum((-2, -1)) <= (feasible - v).square().sum((-2, -1)) + 1e-12).all()


@given(seed=seeds, level=st.floats(0, 1))
@few
def test_sparse_simplex_keeps_what_is_large(seed: int, level: float) -> None:
    v = noise(2, 1, 4, 3, seed=seed)
    k, top = sparse_simplex(v, level), v.clamp_min(0).amax((-2, -1), keepdim=True)
    kept = torch.where((v >= level * top) & (v > 0), v, 0)
    assert torch.allclose(k, kept / kept.sum((-2, -1), keepdim=True), rtol=0, atol=1e-12)
    assert torch.allclose(sparse_simplex(-v.abs()), torch.full_like(v, 1 / 12))  # nothing positive to keep: no preference


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strength", [0.01, 0.1, 1.0])
@given(seed=seeds, h=st.integers(1, 5), w=st.integers(1, 5))
@examples(4)
def test_tv_is_the_minimum_of_its_objective(channels: int, strength: float, seed: int, h: int, w: int) -> None:
    v = noise(2, channels, h, w, seed=seed)
    u = tv(v, strength, iterations=1000)

    def objective(u: Tensor) -> Tensor:
        return 0.5 * (u - v).square().sum((1, 2, 3)) + strength * variation(u)

    least = objective(u)
    flat = v.mean((-2, -1), keepdim=True).expand_as(v)
    directions = [noise(*v.shape, seed=seed + i) for i in range(200)] + [v - u, flat - u, u - u.mean((-2, -1), keepdim=True)]
    for i, direction in enumerate(directions):
        for step in (1.0, 10 ** (-(i % 4) - 1.0)):
            assert (objective(u + step * direction) >= least - 1e-6 * (1 + least)).all()


@given(width=st.integers(2, 6), gap=st.floats(0.5, 2), share=st.floats(0.01, 0.2))
@few
def test_tv_of_a_step_is_known(width: int, gap: float, share: float) -> None:
    """Each half of a vertical step moves by strength · edge / area = strength / width; a flat picture stays."""
    v = torch.cat([torch.zeros(1, 1, 5, width), gap * torch.ones(1, 1, 5, width)], -1).double()
    move = share * gap
    expected = torch.cat([torch.full((1, 1, 5, width), move), torch.full((1, 1, 5, width), gap - move)], -1).double()
    assert torch.allclose(tv(v, move * width, iterations=1000), expected, rtol=0, atol=1e-3)
    assert torch.allclose(tv(0 * v + gap, 10.0), 0 * v + gap)


@given(seed=seeds)
@few
def test_l0_keeps_edges_and_flattens_the_rest(seed: int) -> None:
    colours = torch.tensor([[0.2, 0.6], [0.7, 0.3]], dtype=torch.float64) + torch.tensor([0.0, 0.1, -0.1]).reshape(3, 1, 1)
    blocks = colours[None].repeat_interleave(6, -1).repeat_interleave(6, -2)
    rough = blocks + 0.01 * noise(*blocks.shape, seed=seed)
    strength = 1e-3
    u, flat = l0_gradient(rough, strength), rough.mean((-2, -1), keepdim=True).expand_as(rough)
    cost = [float(0.5 * (v - rough).square().sum() + strength * 3 * edges(v)) for v in (u, rough, flat)]
    assert cost[0] < 0.7 * min(cost[1:])
    assert (u - blocks).square().mean() < 0.5 * (rough - blocks).square().mean()
    assert edges(l0_gradient(rough, 10.0)) == 0  # too dear: one flat colour
    assert torch.allclose(l0_gradient(rough, 10.0), flat, atol=1e-2)
    gray = rough[:, :1]
    assert torch.allclose(l0_gradient(gray.expand(-1, 3, -1, -1), strength)[:, :1], l0_gradient(gray, strength))


@pytest.mark.parametrize("prior", [tv, l0_gradient, sparse_simplex])
def test_no_strength_is_no_prior_and_nonsense_is_refused(prior: Callable[..., Tensor]) -> None:
    v = uniform(2, 1, 4, 5, seed=0)
    if prior in BETA:
        assert torch.equal(prior(v, 0.0), v)
        for nothing in ((v,), (v, None)):
            with pytest.raises(ValueError, match=f"{prior.__name__} needs a strength: give the solver a tuner"):
                prior(*nothing)
        mixed = prior(v, torch.tensor([0.0, 0.1]))
        assert torch.equal(mixed[0], v[0]) and not torch.equal(mixed[1], v[1])
    for strength in (-0.1, float("nan"), torch.ones(3)):
        with pytest.raises(ValueError, match="strength"):
            prior(v, strength)
    with pytest.raises(ValueError, match="NaN"):
        prior(v * float("nan"), 0.1)
    with pytest.raises(ValueError, match="growth must be larger than 1"):
        l0_gradient(v, 0.1, growth=1.0)


@each
@pytest.mark.parametrize("picture", ["texture", "step", "black"])
def test_gradients_are_finite_also_where_the_picture_is_flat(prior: Callable[..., Tensor], picture: str) -> None:
    v = uniform(2, 1, 4, 6, seed=0)
    v = {"texture": v, "step": (v * 0 + torch.arange(6) // 3), "black": 0 * v}[picture].requires_grad_()
    strength = torch.tensor([0.1, 0.0], dtype=torch.float64, requires_grad=True)
    found = torch.autograd.grad((prior(v, strength) * noise(*v.shape, seed=1)).sum(), (v, strength), allow_unused=True)
    assert found[0] is not None and all(g is None or g.isfinite().all() for g in found)


def test_gradients_of_tv_are_right() -> None:
    v, strength = noise(2, 2, 3, 4, seed=0).requires_grad_(), torch.tensor([0.2, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v, s: tv(v, s, iterations=8), (v, strength))


@few
@given(seed=seeds, p=st.integers(5, 9), q=st.integers(5, 9))
def test_centred_kernels_have_their_mass_in_the_middle(seed: int, p: int, q: int) -> None:
    """A lump anywhere inside ends with its centre of mass at p // 2, on the simplex."""
    v = torch.zeros(2, 1, p, q, dtype=torch.float64)
    v[0, 0, 1:3, 1:4], v[1, 0, 2:4, 2:3] = uniform(2, 3, seed=seed) + 0.1, 1.0
    k = Centred(sparse_simplex)(v)
    assert (centroid(k).abs() < 1e-9).all()
    assert (k >= 0).all() and torch.allclose(k.sum((1, 2, 3)), torch.ones(2, dtype=torch.float64))


def test_the_unit_of_edge_prices_follows_contrast_and_not_the_scale() -> None:
    """A step of height a has the squared gradient a²; contrast enters squared, per sample; ↓2 sees the same ramp twice as steep."""
    step = torch.zeros(1, 1, 40, 40)
    step[..., 20:] = 0.3
    assert float(edge_scale(step)) == pytest.approx(0.09)
    assert torch.allclose(edge_scale(torch.cat([step, 2 * step])), torch.tensor([0.09, 0.36]).reshape(2, 1, 1, 1))
    ramp = torch.linspace(0, 1, 64).reshape(1, 1, 1, 64).expand(1, 3, 64, 64)
    assert torch.allclose(edge_scale(ramp), edge_scale(ramp[..., ::2, ::2], 2), rtol=1e-4)


@each
@on_every_device
@in_every_dtype
def test_a_prior_computes_where_and_how_its_argument_is(prior: Callable[..., Tensor], device: str, dtype: torch.dtype) -> None:
    v, strength = uniform(2, 1, 5, 6, seed=0), torch.tensor([0.02, 0.1], dtype=torch.float64)
    out = prior(v.to(device, dtype), strength.to(device, dtype))
    assert keeps(out, device, dtype) and agrees(out, prior(v, strength))
