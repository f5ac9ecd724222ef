"""Both data steps in all their forms keep the laws of a proximal step, and equal the dense solve."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import dense
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import SCALES, Pair, Problem, examples, factor_pairs, noise, problems
from torch import Tensor

from pnpsr.physics import Degradation
from pnpsr.physics.simplex_qp import project_simplex
from pnpsr.prox import prox_image, prox_kernel

Solve = Callable[[Problem, Tensor, "float | Tensor"], Tensor]


@dataclass(frozen=True)
class Form:
    """One way to call a data step; the same by brute force, for a batch of one; the nearest feasible point."""

    solve: Solve
    exact: Solve | None
    start: Callable[[Problem], Tensor]
    nearest: Callable[[Tensor], Tensor]
    firm: bool = True  # a minimiser is firmly nonexpansive in v0; a projection after a crop is only nonexpansive

    def usable(self, p: Problem) -> bool:
        """Whether the problem suits: ``valid`` needs a window inside the image."""
        return self.solve.keywords.get("boundary") != "valid" or len(inside(p)[0]) > 0  # type: ignore[attr-defined]


def inside(p: Problem) -> tuple[Tensor, Tensor]:
    return dense.inside_in_k(p.x[0], p.y[0], p.taps, p.scale, p.offset)


def by_image(p: Problem, v0: Tensor, rho: float | Tensor) -> Tensor:
    return prox_image(p.y, p.k, v0, rho, p.scale, offset=p.offset)


def by_kernel(p: Problem, v0: Tensor, rho: float | Tensor, **options: str | None) -> Tensor:
    return prox_kernel(p.y, p.x, v0, rho, p.scale, offset=p.offset, **options)  # type: ignore[arg-type]


def dense_image(p: Problem, v0: Tensor, rho: float | Tensor) -> Tensor:
    M = dense.in_x(p.k[0, 0], p.grid, p.scale, p.offset, channels=p.x.shape[1])
    return dense.ridge(M, p.y, rho, v0)


def dense_support(p: Problem, v0: Tensor, rho: float | Tensor, total: float | None, boundary: str) -> Tensor:
    M, y = inside(p) if boundary == "valid" else (dense.in_k(p.x[0], p.taps, p.scale, p.offset), p.y)
    return dense.ridge(M, y, rho, v0, total)


def dense_grid(p: Problem, v0: Tensor, rho: float | Tensor, total: float | None) -> Tensor:
    """A kernel as large as the image, cropped; then the constant that makes its sum the wanted one."""
    window = tuple(slice(n // 2 - size // 2, n // 2 - size // 2 + size) for n, size in zip(p.grid, p.taps, strict=True))
    full = p.x.new_zeros(p.grid)
    full[window] = v0[0, 0]
    k = dense.ridge(dense.in_k(p.x[0], p.grid, p.scale, p.offset), p.y, rho, full).reshape(p.grid)[window].flatten()
    return k if total is None else k + (total - k.sum()) / k.numel()


def onto_sum(k: Tensor) -> Tensor:
    return k + (1 - k.sum((-2, -1), keepdim=True)) / (k.shape[-2] * k.shape[-1])


def onto_simplex(k: Tensor) -> Tensor:
    return project_simplex(k.flatten(1)).reshape(k.shape)


def kernel_start(p: Problem) -> Tensor:
    return noise(*p.k.shape, seed=p.seed)


NEAREST = {None: lambda k: k, "sum": onto_sum, "simplex": onto_simplex}
FORMS = {"image": Form(partial(by_image), dense_image, lambda p: noise(*p.x.shape, seed=p.seed), lambda x: x)}
for constraint, total in ((None, None), ("sum", 1.0), ("simplex", None)):
    for boundary in ("circular", "valid"):
        FORMS[f"kernel, support, {boundary}, {constraint}"] = Form(
            partial(by_kernel, domain="support", boundary=boundary, constraint=constraint),
            None if constraint == "simplex" else partial(dense_support, total=total, boundary=boundary),
            kernel_start,
            NEAREST[constraint],
        )
    FORMS[f"kernel, grid, {constraint}"] = Form(
        partial(by_kernel, domain="grid", constraint=constraint),
        None if constraint == "simplex" else partial(dense_grid, total=total),
        kernel_start,
        NEAREST[constraint],
        firm=constraint is None,
    )

each = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
solved = pytest.mark.parametrize("form", [f for f in FORMS.values() if f.exact], ids=[n for n, f in FORMS.items() if f.exact])
few = examples(8)
powers = st.floats(-3, 2).map(lambda power: 10.0**power)


@solved
@pytest.mark.parametrize("scale", SCALES)
@examples(5)
@given(data=st.data(), rho=powers)
def test_equals_the_dense_solve(form: Form, scale: int | Pair, data: st.DataObject, rho: float) -> None:
    p = data.draw(problems(scale=scale, taps=5))
    assume(all(form.usable(p.sample(i)) for i in range(len(p.y))))
    v0 = form.start(p)
    rhos = rho * torch.arange(1.0, len(v0) + 1, dtype=torch.float64)
    v = form.solve(p, v0, rhos)
    for i in range(len(v)):
        exact = form.exact(p.sample(i), v0[i : i + 1], rhos[i]).reshape(v[i].shape)
        assert (v[i] - exact).abs().max() < 1e-9 * (1 + exact.abs().max())


@each
@few
@given(p=problems(batch=3), rho=powers)
def test_batch_is_a_loop_and_rho_is_per_sample(form: Form, p: Problem, rho: float) -> None:
    assume(form.usable(p))
    v0, rhos = form.start(p), rho * torch.arange(1.0, len(p.y) + 1, dtype=torch.float64)
    loop = torch.cat([form.solve(p.sample(i), v0[i : i + 1], float(rhos[i])) for i in range(len(v0))])
    for shape in ((-1,), (-1, 1, 1, 1)):
        assert torch.allclose(form.solve(p, v0, rhos.reshape(shape)), loop, rtol=0, atol=1e-9 * float(1 + loop.abs().max()))
    same = torch.full((len(v0),), rho, dtype=torch.float64)
    for one in (rho, same[0], same[:1]):
        assert torch.equal(form.solve(p, v0, one), form.solve(p, v0, same))


@each
def test_rho_per_sample_is_not_taken_for_a_row_where_batch_and_width_agree(form: Form) -> None:
    n = 4
    p = Problem(
        noise(n, 1, n, n, seed=0),
        noise(n, 1, n, n, seed=1),
        noise(n, 1, 2, 2, seed=2),
        noise(n, 1, 5, 5, seed=3),
        (1, 1),
        (0, 0),
        4,
    )
    v0, rhos = form.start(p), torch.tensor([0.01, 0.1, 1.0, 10.0], dtype=torch.float64)
    loop = torch.cat([form.solve(p.sample(i), v0[i : i + 1], float(rhos[i])) for i in range(n)])
    assert torch.allclose(form.solve(p, v0, rhos), loop, rtol=0, atol=1e-9)


@each
@few
@given(p=problems(batch=1), rho=powers)
def test_a_batch_of_one_goes_with_any(form: Form, p: Problem, rho: float) -> None:
    """One observation, several starts or several weights."""
    assume(form.usable(p))
    v0, rhos = form.start(p), torch.tensor([rho, 2 * rho], dtype=torch.float64)
    loop = torch.cat([form.solve(p, v0, float(r)) for r in rhos])
    assert torch.allclose(form.solve(p, v0, rhos), loop, rtol=0, atol=1e-9 * float(1 + loop.abs().max()))
    if form is not FORMS["image"]:
        starts = torch.cat([v0, -v0, 2 * v0])
        loop = torch.cat([form.solve(p, v, rho) for v in starts.split(1)])
        assert torch.allclose(form.solve(p, starts, rho), loop, rtol=0, atol=1e-9 * float(1 + loop.abs().max()))


@each
@few
@given(p=problems(), rho=powers)
def test_is_nonexpansive_in_the_start(form: Form, p: Problem, rho: float) -> None:
    assume(form.usable(p))
    a, b = form.start(p), 3 * noise(*form.start(p).shape, seed=p.seed + 1)
    moved, apart = form.solve(p, a, rho) - form.solve(p, b, rho), a - b
    bound = (moved * apart).sum() if form.firm else moved.norm() * apart.norm()
    assert moved.square().sum() <= bound + 1e-9 * apart.square().sum()


@each
@few
@given(p=problems())
def test_a_large_rho_returns_the_nearest_feasible_point(form: Form, p: Problem) -> None:
    assume(form.usable(p))
    v0 = form.start(p)
    assert torch.allclose(form.solve(p, v0, 1e12), form.nearest(v0), rtol=0, atol=1e-7)


@each
@few
@given(p=problems(), rho=powers)
def test_inputs_stay_and_autocast_changes_nothing(form: Form, p: Problem, rho: float) -> None:
    assume(form.usable(p))
    for q in (p, p.to(torch.float32)):
        v0 = form.start(q).to(q.y.dtype)
        rhos = torch.full((len(v0),), rho, dtype=q.y.dtype)
        before = [t.clone() for t in (q.y, q.x, q.k, v0, rhos)]
        v = form.solve(q, v0, rhos)
        assert all(map(torch.equal, (q.y, q.x, q.k, v0, rhos), before))
        assert v.dtype == q.y.dtype and v.shape == v0.shape
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(form.solve(q, v0, rhos), v)


@pytest.mark.parametrize("scale", SCALES)
@given(data=st.data(), rho=powers)
@few
def test_gradient_of_the_objective_is_zero(scale: int | Pair, data: st.DataObject, rho: float) -> None:
    p = data.draw(problems(scale=scale))
    A = Degradation(p.scale, offset=p.offset)
    for v0, solution, image in (
        (FORMS["image"].start(p), by_image, A.freeze(k=p.k)),
        (kernel_start(p), partial(by_kernel, domain="support"), A.freeze(x=p.x, size=p.taps)),
    ):
        v = solution(p, v0, rho).requires_grad_()
        misfit, proximity = (p.y - image(v)).square().sum(), rho * (v - v0).square().sum()
        (gradient,) = torch.autograd.grad(misfit + proximity, v)
        assert gradient.abs().max() < 1e-9 * float(1 + (misfit + proximity).detach())


@given(p=problems(channels=1, full=True), rho=powers)
def test_image_and_kernel_change_places(p: Problem, rho: float) -> None:
    """x ⊗ k = k ⊗ x (IKR-Net's own argument for Eq. 10): with one channel and full support both steps are one function."""
    expected = prox_image(p.y, p.x, p.k, rho, p.scale, offset=p.offset)
    for domain in ("grid", "support"):
        k = prox_kernel(p.y, p.x, p.k, rho, p.scale, domain=domain, offset=p.offset)
        assert torch.allclose(k, expected, rtol=0, atol=1e-9 * float(1 + expected.abs().max()))


@pytest.mark.parametrize("scale", SCALES)
def test_a_small_rho_fits_the_data(scale: int | Pair) -> None:
    s1, s2 = factor_pairs(scale)
    x, k = noise(2, 3, 9 * s1, 8 * s2, seed=0), 0.05 * noise(2, 1, 3, 4, seed=1)
    k[:, :, 1, 2] += 1  # a transfer function without zeros
    y = noise(2, 3, 9, 8, seed=2)
    assert (Degradation(scale).freeze(k=k)(prox_image(y, k, x, 1e-12, scale)) - y).abs().max() < 1e-9
    y = Degradation(scale).freeze(k=k)(x)
    for boundary in ("circular", "valid"):
        found = prox_kernel(y, x, torch.zeros_like(k), 1e-10, scale, domain="support", boundary=boundary)
        assert torch.allclose(found, k, rtol=0, atol=1e-9)


GRADIENTS = {name: form for name, form in FORMS.items() if "valid, sum" not in name}


@pytest.mark.parametrize("form", GRADIENTS.values(), ids=GRADIENTS.keys())
@pytest.mark.parametrize("scale", [1, 2, (1, 3)])
def test_gradients_reach_every_argument(form: Form, scale: int | Pair) -> None:
    s1, s2 = factor_pairs(scale)
    p = Problem(
        noise(2, 2, 3, 3, seed=5),
        noise(2, 2, 3 * s1, 3 * s2, seed=6),
        noise(2, 1, 3, 2, seed=7),
        torch.empty(0),
        (s1, s2),
        (0, 0),
        8,
    )
    other = "k" if form is FORMS["image"] else "x"
    v0 = 3 * form.start(p)
    if form.nearest is onto_simplex:
        assert 0 < (form.solve(p, v0, 0.7) == 0).sum() < p.k.numel() - 2  # some coordinates rest on the border, some do not

    def solve(y: Tensor, fixed: Tensor, v0: Tensor, rho: Tensor) -> Tensor:
        return form.solve(Problem(**{**vars(p), "y": y, other: fixed}), v0, rho)

    inputs = (p.y, getattr(p, other), v0, torch.tensor([0.7, 2.0], dtype=torch.float64))
    assert torch.autograd.gradcheck(solve, tuple(t.clone().requires_grad_() for t in inputs))
