"""Every physics keeps every law of a physics: bilinear, right adjoints, both steps the dense minimisers, samples apart."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import dense
import pytest
import torch
from devices import agrees, in_every_dtype, keeps, on_every_device
from strategies import noise, uniform
from torch import Tensor

from pnpsr import physics
from pnpsr.physics import (
    Blur,
    Clipped,
    Degradation,
    LinearOperator,
    Masked,
    Measured,
    Mosaic,
    Physics,
    Weighted,
    adjoint_error,
    as_matrix,
    cg,
    noise_weights,
    unclipped,
)
from pnpsr.physics.edges import differences

LOW = (4, 6)  # rows and columns of y


@dataclass(frozen=True)
class Case:
    """One physics with data that fit it; y is not the image of x, so that residuals are never zero."""

    physics: Physics
    y: Tensor
    x: Tensor
    k: Tensor
    weights: Tensor  # of the pixels of y, as large as y

    def sample(self, i: int) -> "Case":
        return replace(self, y=self.y[i : i + 1], x=self.x[i : i + 1], k=self.k[i : i + 1], weights=self.weights[i : i + 1])


def holes(c: int = 1, seed: int = 0) -> Tensor:
    return (uniform(1, c, *LOW, seed=seed) < 0.7).double()


def levels() -> Tensor:
    return noise_weights(0.5 + uniform(1, 1, *LOW, seed=3))


# name: (physics at a scale, channels of x, weights of y)
PHYSICS: dict[str, tuple[Callable[[int], Physics], int, Tensor | None]] = {
    "circular": (lambda s: Degradation(s), 2, None),
    "offset": (lambda s: Degradation(s, offset=(s - 1, s // 2)), 2, None),
    "correlation": (lambda s: Degradation(s, correlation=True, centre="(p-1)//2", offset="(s-1)//2"), 1, None),
    "other centre": (lambda s: Degradation(s, centre="(p-1)//2"), 1, None),
    **{
        b: (lambda s, b=b: Degradation(s, boundary=b, offset=s - 1), 2, None) for b in ("reflect", "symmetric", "replicate", "zero")
    },
    "reflected correlation": (lambda s: Degradation(s, boundary="reflect", correlation=True), 1, None),
    "bicubic": (lambda s: Degradation(s, boundary="reflect", correlation=True, decimation="bicubic"), 1, None),
    "masked": (lambda s: Masked(Degradation(s, offset=s - 1), holes()), 2, holes()),
    "masked by channel": (lambda s: Masked(Degradation(s), holes(2)), 2, holes(2)),
    "masked twice": (lambda s: Masked(Degradation(s), holes()).masked(holes(1, 1)), 1, holes() * holes(1, 1)),
    "masked and reflected": (lambda s: Masked(Degradation(s, boundary="reflect"), holes()), 1, holes()),
    "masked bicubic": (lambda s: Masked(Degradation(s, boundary="reflect", decimation="bicubic"), holes()), 1, holes()),
    "weighted": (lambda s: Weighted(Degradation(s), levels()), 2, levels()),
    "mosaic": (lambda s: Mosaic(Degradation(s), "GRBG"), 3, None),
    "mosaic with dead pixels": (lambda s: Mosaic(Degradation(s, offset=s - 1), mask=holes()), 3, holes()),
    "masked mosaic": (lambda s: Mosaic(Degradation(s)).masked(holes()), 3, holes()),
    "mosaic masked by hand": (lambda s: Masked(Mosaic(Degradation(s)), holes()), 3, holes()),
    "mosaic with dead pixels, masked": (
        lambda s: Masked(Mosaic(Degradation(s), mask=holes()), holes(1, 1)),
        3,
        holes() * holes(1, 1),
    ),
    "masked measured": (lambda s: Masked(Measured(Blur(noise(1, 1, 2, 3, seed=1)), before=Degradation(s)), holes()), 1, holes()),
    "clipped, above all values": (lambda s: Clipped(Degradation(s, offset=s - 1), high=99.0), 2, None),
    "clipped, above all values, and masked": (lambda s: Clipped(Masked(Degradation(s), holes()), high=99.0), 1, holes()),
    "measured": (lambda s: Measured(Blur(noise(1, 1, 2, 3, seed=1)), before=Degradation(s)), 1, None),
}
each = pytest.mark.parametrize("name", PHYSICS)
scales = pytest.mark.parametrize("scale", [1, 2])


def case(name: str, scale: int, seed: int, b: int = 2, taps: tuple[int, int] = (3, 4)) -> Case:
    build, c, weights = PHYSICS[name]
    it = build(scale)
    it.tolerance = 1e-12
    x, k = noise(b, c, scale * LOW[0], scale * LOW[1], seed=seed), noise(b, 1, *taps, seed=seed + 1)
    k = k + (1 - k.sum((2, 3), keepdim=True)) / (taps[0] * taps[1])  # any values, of sum 1
    y = noise(*it(x, k).shape, seed=seed + 2)
    return Case(it, y, x, k, (torch.ones_like(y) if weights is None else weights.to(y)).expand_as(y))


def near(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * (1 + b.abs().max()))


def test_every_physics_of_the_library_is_here() -> None:
    kinds, found = {type(build(1)) for build, *_ in PHYSICS.values()}, [Physics]
    for kind in found:
        found += [one for one in kind.__subclasses__() if one.__module__.startswith("pnpsr.physics")]
    assert kinds == set(found) - {Physics}


@each
@scales
@pytest.mark.parametrize("seed", [0, 1])
def test_it_is_bilinear_with_right_adjoints(name: str, scale: int, seed: int) -> None:
    c = case(name, scale, seed)
    A, B = c.physics.freeze(k=c.k), c.physics.freeze(x=c.x, size=(3, 4))
    y = c.physics(c.x, c.k)
    assert near(A(c.x), y, 1e-12) and near(B(c.k), y, 1e-12)
    assert near(A(2 * c.x), 2 * y, 1e-12) and near(B(3 * c.k), 3 * y, 1e-12)
    assert tuple(c.x.shape) == c.physics.image_shape(y) and c.physics.scale == (scale, scale)
    for operator, shape in ((A, c.x.shape), (B, c.k.shape)):
        assert adjoint_error(operator, tuple(shape), generator=torch.Generator().manual_seed(seed)) < 1e-12


@each
@scales
def test_rows_and_columns_may_be_exchanged(name: str, scale: int) -> None:
    """P(x, k)ᵀ = P.transposed(xᵀ, kᵀ), and so with its steps; twice is the physics itself; who cannot says so."""
    c = case(name, scale, 3)
    if "measured" in name:
        with pytest.raises(ValueError, match="property transposed"):
            _ = c.physics.transposed
        return
    other, once = c.physics.transposed, c.physics(c.x, c.k)
    other.tolerance = c.physics.tolerance
    assert near(other(c.x.mT, c.k.mT).mT, once, 1e-12) and near(other.transposed(c.x, c.k), once, 1e-12)
    assert near(other.prox_image(c.y.mT, c.k.mT, c.x.mT, 0.1).mT, c.physics.prox_image(c.y, c.k, c.x, 0.1), 1e-8)
    assert near(other.prox_kernel(c.y.mT, c.x.mT, c.k.mT, 0.3).mT, c.physics.prox_kernel(c.y, c.x, c.k, 0.3), 1e-8)


def test_factors_and_offsets_change_places_with_the_axes() -> None:
    other = Degradation((2, 3), offset=(1, 2), boundary="zero", centre="(p-1)//2", correlation=True).transposed
    assert repr(other) == "Degradation(3 x 2, offset (2, 1), zero, centre (p-1)//2, correlation)"


def minimiser(M: Tensor, y: Tensor, w: Tensor, rho: float, v0: Tensor) -> Tensor:
    root = w.flatten().sqrt()
    return dense.ridge(root[:, None] * M, root * y.flatten(), rho, v0.flatten()).reshape(v0.shape)


def dense_image(c: Case, alpha: float) -> Tensor:
    M = as_matrix(c.physics.freeze(k=c.k), tuple(c.x.shape[1:]))
    return minimiser(M, c.y, c.weights, alpha, c.x)


@each
@scales
@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.02), (1, 1.0)])
def test_the_image_step_is_the_dense_minimiser(name: str, scale: int, seed: int, alpha: float) -> None:
    c = case(name, scale, seed)
    x = c.physics.prox_image(c.y, c.k, c.x, torch.tensor([alpha, 2 * alpha], dtype=torch.float64))
    for i in range(2):
        one = c.sample(i)
        assert near(x[i : i + 1], dense_image(one, (i + 1) * alpha), 1e-8)
        assert near(c.physics.prox_image(one.y, one.k, one.x, (i + 1) * alpha), x[i : i + 1], 1e-8)


@each
@scales
@pytest.mark.parametrize(("seed", "relative", "constraint"), [(0, False, None), (1, False, "sum"), (2, True, "simplex")])
def test_the_kernel_step_is_the_dense_minimiser(name: str, scale: int, seed: int, relative: bool, constraint: str | None) -> None:
    c, gamma = case(name, scale, seed), torch.tensor([0.3, 0.7], dtype=torch.float64)
    options = {"domain": "support", "constraint": constraint, "relative": relative}
    k = c.physics.prox_kernel(c.y, c.x, c.k, gamma, **options)
    for i in range(2):
        one, weight = c.sample(i), float(gamma[i])
        assert near(c.physics.prox_kernel(one.y, one.x, one.k, weight, **options), k[i : i + 1], 1e-10)
        if constraint != "simplex" and not relative:
            M = as_matrix(c.physics.freeze(x=one.x, size=(3, 4)), tuple(one.k.shape[1:]))
            root = one.weights.flatten().sqrt()
            due = dense.ridge(root[:, None] * M, root * one.y.flatten(), weight, one.k, 1.0 if constraint else None)
            assert near(k[i : i + 1], due.reshape(one.k.shape), 1e-8)
    if constraint is not None:
        assert torch.allclose(k.sum((1, 2, 3)), torch.ones(2, dtype=k.dtype))


@each
@scales
def test_a_kernel_step_on_edges_fits_differences(name: str, scale: int) -> None:
    """By brute force: differences of the columns, each weighed by the pair of pixels it comes from."""
    c = case(name, scale, 0, b=1)
    stride, circular = (2 if "mosaic" in name else 1), "closed" in c.physics.kernel_solver
    columns = torch.stack([c.physics(c.x, e.reshape(1, 1, 3, 4)) for e in torch.eye(12, dtype=torch.float64)])
    rows, y = (differences(t.squeeze(1) if t.ndim == 5 else t, stride) for t in (columns, c.y))
    pair = torch.cat([c.weights.roll(-stride, axis) for axis in (-2, -1)], 1)
    own = torch.cat([c.weights, c.weights], 1)
    w = 2 * own * pair / (own + pair).clamp_min(1e-300)
    inner = c.physics
    while hasattr(inner, "base"):
        inner = inner.base
    if not circular and not (isinstance(inner, Degradation) and inner.boundary == "circular"):
        rows, y, w = (t[..., :-stride, :-stride] for t in (rows, y, w))
    k = c.physics.prox_kernel(c.y, c.x, c.k, 0.3, edges=True)
    assert near(k, minimiser(rows.flatten(1).T, y, w, 0.3, c.k), 1e-8)


ON_THE_GRID = [name for name in PHYSICS if PHYSICS[name][2] is not None]


@pytest.mark.parametrize(
    "name", [n for n in ON_THE_GRID if not any(word in n for word in ("reflected", "bicubic", "measured", "mosaic"))]
)
@scales
@pytest.mark.parametrize(("edges", "gray"), [(False, False), (True, False), (False, True)])
def test_on_the_grid_it_is_the_dense_minimiser_cropped(name: str, scale: int, edges: bool, gray: bool) -> None:
    """By brute force: k as large as x, its centre where the small one has it, weights and all; then the window of the small one."""
    c = case(name, scale, 0, b=1)
    size, stride = (scale * LOW[0], scale * LOW[1]), 1
    top, left = size[0] // 2 - 3 // 2, size[1] // 2 - 4 // 2
    inner = c.physics
    while hasattr(inner, "base"):
        inner = inner.base
    if inner.centre != "p//2":
        pytest.skip("the centre of a kernel of another size is elsewhere")
    start = torch.zeros(1, 1, *size, dtype=torch.float64)
    start[..., top : top + 3, left : left + 4] = c.k
    A = inner.freeze(x=c.x, size=size)
    units = torch.eye(size[0] * size[1], dtype=torch.float64).reshape(-1, 1, *size)
    columns, y, w = torch.cat([A(e[None]) for e in units]), c.y, c.weights
    if "mosaic" in name:
        seen = Mosaic(Degradation(1), "GRBG" if name == "mosaic" else "RGGB").sensor.seen(c.y)
        y, w = c.y * seen, w * seen
    if (gray and w.shape[1] == 1) or (gray and "channel" not in name and "mosaic" not in name):
        columns, y, w = columns.mean(1, keepdim=True), y.mean(1, keepdim=True), w[:, :1]
    if edges:
        pair = torch.cat([w.roll(-stride, axis) for axis in (-2, -1)], 1)
        own = torch.cat([w, w], 1)
        columns, y, w = differences(columns, stride), differences(y, stride), 2 * own * pair / (own + pair).clamp_min(1e-300)
    due = minimiser(columns.flatten(1).T, y, w, 0.3, start)[..., top : top + 3, left : left + 4]
    found = c.physics.prox_kernel(c.y, c.x, c.k, 0.3, domain="grid", edges=edges, gray=gray)
    assert near(found, due, 1e-7)
    assert not near(found, c.physics.prox_kernel(c.y, c.x, c.k, 0.3, domain="support", edges=edges, gray=gray), 1e-3)


def test_gradients_on_the_grid() -> None:
    c = case("masked by channel", 2, 1, b=1, taps=(2, 3))
    leaves = [t.clone().requires_grad_() for t in (c.y, c.x, c.k)]
    gamma = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)

    def run(y: Tensor, x: Tensor, k: Tensor, gamma: Tensor) -> Tensor:
        return c.physics.prox_kernel(y, x, k, gamma, domain="grid", relative=True)

    assert torch.autograd.gradcheck(run, (*leaves, gamma), atol=1e-5, rtol=1e-4, fast_mode=True)


@scales
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_clipped_pixel_counts_as_far_as_the_model_falls_short_of_it(scale: int, seed: int) -> None:
    """The gradient of the objective is zero; samples apart; and the derivative is that of the minimiser."""
    c = case("offset", scale, seed)
    it = Clipped(c.physics, high=0.7)
    y = it.observed(c.y)
    clipped, alpha = y >= 0.7, torch.tensor([0.05, 0.3], dtype=torch.float64)
    x = it.prox_image(y, c.k, c.x, alpha)
    residual = y - c.physics.freeze(k=c.k)(x)
    residual = torch.where(clipped, residual.clamp(min=0), residual)
    gradient = -c.physics.freeze(k=c.k).adjoint(residual) + alpha.reshape(2, 1, 1, 1) * (x - c.x)
    assert clipped.any() and (residual[clipped] > 0).any() and (residual[clipped] == 0).any()
    assert float(gradient.abs().max()) < 1e-9
    for i in range(2):
        assert near(it.prox_image(y[i : i + 1], c.k[i : i + 1], c.x[i : i + 1], float(alpha[i])), x[i : i + 1], 1e-9)
    leaves = [t.clone().requires_grad_() for t in (torch.where(clipped, y + 0.1, y), c.k, c.x)]
    high = Clipped(c.physics, high=0.75)
    assert torch.autograd.gradcheck(lambda *v: high.prox_image(*v, 0.4), leaves, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_what_is_cut_off_is_no_evidence() -> None:
    """y is cut off, kernels are fitted without it, noise is seen beside it; where nothing is cut off it is the base."""
    c = case("offset", 2, 4)
    it = Clipped(c.physics, high=0.5)
    y = it(c.x, c.k)
    assert float(y.max()) == 0.5 and torch.equal(y, c.physics(c.x, c.k).clamp(max=0.5)) and torch.equal(it.complete(y), y)
    below = (y < 0.5).all(1, keepdim=True).double()
    assert near(it.prox_kernel(y, c.x, c.k, 0.3), c.physics.masked(below).prox_kernel(y, c.x, c.k, 0.3), 1e-12)
    whole = torch.full_like(y, 0.5)
    assert it.prox_image(whole, c.k, c.x, 0.1).shape == c.x.shape and it.prox_kernel(whole, c.x, c.k, 0.1).shape == c.k.shape
    wide = 0.5 + noise(1, 1, 64, 64, seed=0) * 0.03
    wide[..., 20:40, :] = 0.9
    assert float(Clipped(Degradation(1), 0.9).noise_level(wide)) == pytest.approx(0.03, rel=0.1)
    assert near(Clipped(c.physics, 99.0).prox_image(c.y, c.k, c.x, 0.1), c.physics.prox_image(c.y, c.k, c.x, 0.1), 1e-12)


@each
def test_gradients_of_both_steps(name: str) -> None:
    c = case(name, 2 if "bicubic" in name else 1, 1, b=1, taps=(2, 3))
    leaves = [t.clone().requires_grad_() for t in (c.y, c.k, c.x)]
    rho = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    options = {"atol": 1e-5, "rtol": 1e-4, "fast_mode": True}
    y, k, x = leaves
    assert torch.autograd.gradcheck(c.physics.prox_image, (y, k, x, rho), **options)
    assert torch.autograd.gradcheck(c.physics.prox_kernel, (y, x, k, rho), **options)


@pytest.mark.parametrize(
    "name", sorted(PHYSICS.keys() - {"measured", "masked measured"})
)  # whose operator has a precision of its own
def test_single_precision_goes_in_and_comes_out(name: str) -> None:
    c = case(name, 2, 2)
    c.physics.tolerance = type(c.physics).tolerance
    x, k = c.physics.prox_image(c.y, c.k, c.x, 0.1), c.physics.prox_kernel(c.y, c.x, c.k, 0.1)
    y32, x32, k32 = c.y.float(), c.x.float(), c.k.float()
    assert near(c.physics.prox_image(y32, k32, x32, 0.1).double(), x, 1e-4)
    found = c.physics.prox_kernel(y32, x32, k32, 0.1)
    assert found.dtype == torch.float32 and near(found.double(), k, 1e-4)


@pytest.mark.parametrize("alpha", [1e-6, 1e-4, 1e-2])
def test_a_loose_tolerance_is_kept_in_single_precision(alpha: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where float32 is precise enough for what is asked, nothing runs in float64, and the answer is as near as was asked."""
    c, ran = case("masked", 2, 0), list[torch.dtype]()

    def watched(S: cg.Map, r: Tensor, guess: cg.Map | None, *, tolerance: float) -> Tensor:
        ran.append(r.dtype)
        return cg.solve_by_cg(S, r, guess, tolerance=tolerance)

    monkeypatch.setattr("pnpsr.physics.physics.solve_by_cg", watched)
    exact = c.physics.prox_image(c.y, c.k, c.x, alpha)
    c.physics.tolerance = 1e-3
    x = c.physics.prox_image(c.y.float(), c.k.float(), c.x.float(), alpha)
    assert ran == [torch.float64, torch.float32]
    assert torch.linalg.vector_norm(x - exact) <= 1e-2 * torch.linalg.vector_norm(exact - c.x)


MASKED = [name for name in PHYSICS if "mask" in name or "dead" in name]


@pytest.mark.parametrize("name", MASKED)
def test_what_is_masked_does_not_count(name: str) -> None:
    c = case(name, 2, 3)
    other = torch.where(c.weights > 0, c.y, 7.0)
    assert torch.equal(c.physics.complete(c.y), c.physics.complete(other))
    assert near(c.physics.prox_image(c.y, c.k, c.x, 0.1), c.physics.prox_image(other, c.k, c.x, 0.1), 1e-8)
    for o in ({}, {"edges": True}, {"gray": True}):
        assert near(*(c.physics.prox_kernel(y, c.x, c.k, 0.1, **o) for y in (c.y, other)), 1e-12)
    seen = [c.physics.noise_level(y) for y in (c.y, other)]
    assert seen[0] is None or torch.equal(*seen) or not (c.weights[..., :3, :3] > 0).all()
    assert near(c.physics(c.x, c.k) * (c.weights == 0), torch.zeros_like(c.y))


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("edges", [False, True])
@pytest.mark.parametrize(("domain", "relative"), [("support", False), ("grid", False), ("grid", True)])
@pytest.mark.parametrize("name", ["offset", "correlation"])
def test_a_mask_of_ones_is_none(name: str, gray: bool, edges: bool, domain: str, relative: bool) -> None:
    plain = case(name, 2, 4)
    masked = plain.physics.masked(torch.ones(1, 1, *LOW))
    options = {"gray": gray, "edges": edges, "domain": domain, "relative": relative}
    for run in (
        lambda p: p.prox_image(plain.y, plain.k, plain.x, 0.1),
        lambda p: p.prox_kernel(plain.y, plain.x, plain.k, 0.1, **options),
        lambda p: p.complete(plain.y),
        lambda p: p.noise_level(plain.y),
    ):
        assert near(run(masked), run(plain.physics), 1e-6)


def test_a_mosaic_of_one_colour_interpolates_bilinearly_and_pads_in_phase() -> None:
    x = torch.full((1, 3, 8, 10), 0.3) + torch.tensor([0.1, 0.2, 0.4]).reshape(1, 3, 1, 1)
    it = Mosaic(Degradation(1), "GBRG")
    y = it(x, torch.ones(1, 1, 1, 1))
    assert torch.allclose(it.complete(y), x)
    for margin in ((1, 2), (3, 1)):
        wide = it.padded(margin, y)
        seen = wide.sensor.seen(torch.zeros(1, 1, 8 + 2 * margin[0], 10 + 2 * margin[1]))
        inner = seen[..., margin[0] : -margin[0], margin[1] : -margin[1]]
        assert torch.equal(inner, it.sensor.seen(y)) and seen.sum() == inner.sum()


def test_a_mosaic_masked_by_hand_is_one_with_dead_pixels() -> None:
    y, mask = uniform(2, 1, 16, 20, seed=0), (uniform(1, 1, 16, 20, seed=1) < 0.95).double()
    asked, built = Mosaic(Degradation(1)).masked(mask), Masked(Mosaic(Degradation(1)), mask)
    assert torch.equal(built.complete(y * mask), asked.complete(y))
    assert torch.equal(built.noise_level(y), asked.noise_level(y))
    assert Masked(Measured(Mine()), mask).noise_level(y) is None


def test_noise_is_seen_where_pixels_are() -> None:
    y = 0.5 + noise(2, 3, 64, 64, seed=0) * torch.tensor([0.02, 0.05]).reshape(2, 1, 1, 1)
    mask = torch.ones(1, 1, 64, 64)
    mask[..., 10:30, :] = 0
    spoiled = torch.where(mask > 0, y, torch.rand(2, 3, 64, 64).double())
    for it, seen in ((Masked(Degradation(1), mask), spoiled), (Mosaic(Degradation(1)), y[:, :1])):
        assert torch.allclose(it.noise_level(seen).flatten(), torch.tensor([0.02, 0.05]).double(), rtol=0.1)


def test_how_a_step_is_solved_can_be_asked() -> None:
    assert (Degradation(2).image_solver, Degradation(2).kernel_solver) == ("closed form", "closed form")
    reflect = Degradation(2, boundary="reflect")
    assert (reflect.image_solver, reflect.kernel_solver) == ("conjugate gradients", "normal equations")
    assert "around the closed form" in Masked(Degradation(2), torch.ones(1, 1, 4, 4)).image_solver


def test_clipped_pixels_and_noise_maps() -> None:
    y = torch.tensor([[0.0, 0.5, 1.0], [0.2, 1.0, 0.9]]).reshape(1, 1, 2, 3).expand(1, 3, -1, -1).clone()
    y[0, 1, 1, 2] = 1.2
    assert unclipped(y).flatten().tolist() == [0, 1, 0, 1, 0, 0]
    w = noise_weights(torch.tensor([0.1, 0.2]).reshape(1, 1, 1, 2))
    assert w.mean() == pytest.approx(1) and float(w[..., 0] / w[..., 1]) == pytest.approx(4)


class Mine(LinearOperator):
    def __call__(self, v: Tensor) -> Tensor:
        return v

    def adjoint(self, u: Tensor) -> Tensor:
        return u


Y, K = uniform(2, 1, 4, 6, seed=0), uniform(1, 1, 3, 3, seed=1)
ONES = torch.ones(1, 1, 4, 6)
REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "negative weights": (lambda: Weighted(Degradation(1), -ONES), ValueError, "weights must be zero or positive"),
    "nothing left": (lambda: Masked(Degradation(1), 0 * ONES), ValueError, "some of them positive"),
    "half a mask": (lambda: Masked(Degradation(1), 0.5 * ONES), ValueError, "zeros and ones"),
    "a mask of another size": (lambda: Masked(Degradation(1), ONES[..., 1:]).prox_image(Y, K, Y, 1.0), ValueError, "do not fit y"),
    "a pattern": (lambda: Mosaic(Degradation(1), "RGBG"), ValueError, "pattern must be one of"),
    "an odd mosaic": (lambda: Mosaic(Degradation(1)).image_shape(Y[..., 1:]), ValueError, "even sides"),
    "a mosaic of colours": (lambda: Mosaic(Degradation(1)).image_shape(Y.expand(-1, 3, -1, -1)), ValueError, "one channel"),
    "a function": (lambda: Measured(lambda v: v), TypeError, "operator must be a LinearOperator"),
    "no kernel there": (lambda: Measured(Mine()).freeze(x=Y, size=3), ValueError, "has no kernel"),
    "valid": (lambda: Degradation(1, boundary="valid").prox_image(Y, K, Y, 1.0), ValueError, "cannot be solved for"),
    "alpha": (lambda: Masked(Degradation(1), ONES).prox_image(Y, K, Y, 0.0), ValueError, "alpha must be positive"),
    "gamma": (lambda: Masked(Degradation(1), ONES).prox_kernel(Y, Y, K, 0.0), ValueError, "gamma must be positive"),
    "x of another size": (lambda: Masked(Degradation(2), ONES).prox_image(Y, K, Y, 1.0), ValueError, "does not fit"),
    "between pixels": (lambda: Degradation(2, offset="(s-1)/2").freeze(k=K), ValueError, "half a pixel off"),
    "inside a bicubic": (
        lambda: Degradation(1, boundary="reflect", decimation="bicubic").prox_kernel(Y, Y, K, 1.0, inside=True),
        ValueError,
        "cannot tell which pixels",
    ),
    "noise without noise": (lambda: noise_weights(0 * ONES), ValueError, "sigma must be positive"),
    "cut off at nothing": (lambda: Clipped(Degradation(1), 0.0), ValueError, "high must be positive"),
    "clipping": (lambda: unclipped(Y, low=1.0), ValueError, "low must be below high"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_does_not_converge_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(physics.cg, "ITERATIONS", 2)
    c = case("measured", 1, 0)
    with pytest.raises(ArithmeticError, match="did not come within"):
        c.physics.prox_image(c.y, c.k, c.x, 1e-6)


@each
@on_every_device
@in_every_dtype
def test_a_physics_computes_where_and_how_its_arguments_are(name: str, device: str, dtype: torch.dtype) -> None:
    if "measured" in name and (device, dtype) != ("cpu", torch.float64):
        pytest.skip("its operator is the caller's, in the caller's dtype and place")
    c = case(name, 2, seed=0)
    y, x, k = (t.to(device, dtype) for t in (c.y, c.x, c.k))
    rho = torch.tensor([0.5, 1.0], dtype=torch.float64)
    for step, plain in (
        (c.physics(x, k), c.physics(c.x, c.k)),
        (c.physics.prox_image(y, k, x, rho.to(device, dtype)), c.physics.prox_image(c.y, c.k, c.x, rho)),
        (c.physics.prox_kernel(y, x, k, rho.to(device, dtype)), c.physics.prox_kernel(c.y, c.x, c.k, rho)),
    ):
        assert keeps(step, device, dtype) and agrees(step, plain, 1e-5)
