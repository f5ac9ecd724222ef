"""Any physics in any solver: offsets, borders, masks and mosaics are inverted as they degraded, and a scale stays a scale."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from synthetic import kernels, pictures, psnr
from torch import Tensor

from pnpsr import Degradation, State, UnrolledSolver, blind_hqs
from pnpsr.bordered import solve
from pnpsr.conventions import NAMED
from pnpsr.physics import LinearOperator, Masked, Measured, Mosaic, Physics, estimate_noise, unclipped
from pnpsr.prox import identity, simplex
from pnpsr.recipes import tv_hqs
from pnpsr.starts import Dirac, Gaussian, Upsample
from pnpsr.state import as_physics
from pnpsr.steps import DataStep, HQSEstimator, HQSRestorer, HyperNet, Schedule, keep_kernel

X, K = pictures(1, 3, 48, 48, seed=0), kernels(1, 7, seed=0)
HOLES = (torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0)) < 0.75).double()


def solved(physics: Physics, **options: Any) -> float:
    return psnr(tv_hqs(T=8)(physics(X, K), physics, k=K, **options).x.clamp(0, 1), X)


def test_a_scale_is_a_degradation() -> None:
    y = Degradation(2)(X, K)
    a, b = (tv_hqs(T=2)(y, physics, k=K) for physics in (2, Degradation(2)))
    assert torch.equal(a.x, b.x) and a.scale == b.scale == 2 and isinstance(a.physics, Degradation)
    assert torch.equal(tv_hqs(T=2)(y, scale=2, k=K).x, a.x) and torch.equal(solve(tv_hqs(T=2), y, scale=2, k=K).k, K)
    with pytest.raises(TypeError, match="two words for one thing"):
        tv_hqs()(y, 2, scale=2, k=K)
    assert State(y, (2, 3)).scale == (2, 3) and as_physics(b.physics) is b.physics  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"offset": 1},
        {"offset": (0, 1)},
        {"boundary": "reflect"},
        {"centre": "(p-1)//2", "correlation": True},
        {"offset": 1, "boundary": "replicate", "correlation": True},
    ],
)
def test_every_degradation_is_inverted_as_well_as_the_plain_one(options: dict[str, Any]) -> None:
    assert solved(Degradation(2, **options)) > solved(Degradation(2)) - 0.7


def test_conventions_invert_what_they_degrade() -> None:
    plain = solved(Degradation(2))
    for name in ("IKRNET_TRAIN", "DEEPINV", "KAIR_CENTER", "DAN_PAPER"):
        assert solved(NAMED[name].at(2)) > plain - 0.7, name
    wrong = NAMED["KAIR_CENTER"].at(3)(X, K), NAMED["PNPSR"].at(3)
    assert psnr(tv_hqs(T=8)(wrong[0], wrong[1], k=K).x, X) < solved(NAMED["KAIR_CENTER"].at(3)) - 2  # which is what it is about


def test_missing_pixels_cost_little_where_they_are_known_and_much_where_they_are_not() -> None:
    y = Degradation(2)(X, K)
    spoiled = torch.where(HOLES > 0, y, 1.0)
    solver = tv_hqs(T=8)
    out = solver(spoiled, 2, k=K, mask=HOLES)
    assert psnr(out.x, X) > psnr(solver(y, 2, k=K).x, X) - 3 and psnr(solver(spoiled, 2, k=K).x, X) < 16
    assert torch.equal(out.x, solver(spoiled, Masked(Degradation(2), HOLES), k=K).x)
    assert torch.allclose(out.x, solver(y, 2, k=K, mask=HOLES.bool()).x, atol=1e-6)  # whatever the missing ones hold


def test_clipped_pixels_are_missing_ones() -> None:
    y = Degradation(1)(X, K)
    clipped = y.clamp(max=0.7)
    solver, mask = tv_hqs(T=8), unclipped(clipped, high=0.7)
    assert 0.5 < float(mask.mean()) < 0.95
    seen = mask.expand_as(X) > 0
    told, blind = solver(clipped, 1, k=K, mask=mask).x, solver(clipped, 1, k=K).x
    assert psnr(told[seen], X[seen]) > psnr(blind[seen], X[seen]) + 1.5


def test_a_mosaic_is_solved_for_colours_blind_or_not() -> None:
    physics = Mosaic(Degradation(1))
    y = physics(X, K)
    assert psnr(tv_hqs(T=8)(y, physics, k=K).x, X) > psnr(physics.complete(y), X) + 2
    out = blind_hqs(7, T=4, finish=4)(y, physics)
    assert out.x.shape == X.shape and psnr(out.x, X) > psnr(physics.complete(y), X)


@pytest.mark.parametrize("boundary", ["extend", "circular"])
def test_photographs_with_holes_and_mosaics_are_restored(boundary: str) -> None:
    y, mosaic = Degradation(2)(X, K), Mosaic(Degradation(1), "BGGR")
    a = solve(tv_hqs(T=2), torch.where(HOLES > 0, y, 0), 2, k=K, mask=HOLES, boundary=boundary)
    b = solve(tv_hqs(T=2), mosaic(X, K), mosaic, k=K, boundary=boundary)
    for out in (a, b):
        assert out.x.shape == X.shape and psnr(out.x, X) > 19 and out.y.shape[-2:] in ((24, 24), (48, 48))
    assert b.physics is mosaic and torch.equal(a.physics.weights, HOLES)  # type: ignore[attr-defined]


class Doubled(LinearOperator):
    """v ↦ 2 v."""

    def __call__(self, v: Tensor) -> Tensor:
        return 2 * v

    def adjoint(self, u: Tensor) -> Tensor:
        return 2 * u


def test_a_linear_operator_of_ones_own_is_a_physics() -> None:
    solver = UnrolledSolver(None, HQSRestorer(identity), 2, tuner=Schedule(1e-3), k0=Dirac(1))
    assert psnr(solver(2 * X, Measured(Doubled())).x, X) > 60
    assert solver(200 * X, Measured(Doubled())).x.mean() > 10  # what is measured need be no picture
    blurred = Measured(Doubled(), before=Degradation(2, offset=1))
    assert solved(blurred, sigma=0.0) == pytest.approx(solved(Degradation(2, offset=1)), abs=1.5)


# --- the state is enough ---


def test_first_kernel_and_image_stay_and_can_be_stayed_near() -> None:
    y = Degradation(2)(X, K)
    estimator = HQSEstimator(simplex, 1e9, around="first", domain="support")
    solver = UnrolledSolver(estimator, HQSRestorer(identity, around="first"), 3, tuner=Schedule(1e9), k0=Gaussian(7))
    out = solver(y, 2)
    assert torch.equal(out.x0, Upsample()(out)) and torch.equal(out.k0, Gaussian(7)(out))
    assert torch.allclose(out.k, out.k0, atol=1e-6) and torch.allclose(out.x, out.x0, atol=1e-6)
    told = solver(y, 2, k=K)
    assert torch.equal(told.k0, K) and torch.allclose(told.k, K, atol=1e-6)  # the caller's kernel is the first one
    s = solver.start(y, 2, k=K.clone().requires_grad_())
    assert s.k0.requires_grad and not s.detach(("k",)).k0.requires_grad
    with pytest.raises(ValueError, match="x0 is missing from the state"):
        HQSRestorer(identity, around="first")(replace(out, x0=None))


def test_a_tuner_sees_the_noise_of_the_photograph() -> None:
    y = Degradation(1)(X, K, 0.03, generator=torch.Generator().manual_seed(0))
    seen: list[State] = []
    solver = UnrolledSolver(None, lambda s: seen.append(s) or s.known("x"), 1, k0=Dirac(7))
    solve(solver, y, 1)
    solve(solver, y, 1, sigma=0.2)
    assert torch.equal(seen[0].believed(), estimate_noise(y)) and torch.equal(seen[0].given, y)
    assert seen[0].y.shape != y.shape and float(seen[1].believed()) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="cannot be read off this y"):
        State(y, Measured(Doubled())).believed()


def test_networks_read_what_was_completed() -> None:
    seen: list[Tensor] = []

    class Noise(torch.nn.Module):
        def forward(self, residual: Tensor) -> Tensor:
            seen.append(residual)
            return residual.abs().mean((1, 2, 3), keepdim=True)

    physics = Mosaic(Degradation(1))
    tuner = HyperNet(Noise(), hidden=4).double()
    tuner(State(physics(X, K), physics, x=X, k=K))
    assert seen[0].shape == X.shape and seen[0].abs().max() < 1e-9
    s = State(physics(X, K), physics, k=K)
    assert DataStep(lambda s: s.completed)(s).shape == X.shape


REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "a function": (lambda: tv_hqs()(X, lambda v: v, k=K), TypeError, "physics must be a Physics or a scale"),
    "an operator": (lambda: State(X, Doubled()), TypeError, "wrap a linear operator as Measured"),  # type: ignore[arg-type]
    "half a scale": (lambda: tv_hqs()(X, 2.5, k=K), TypeError, "scale must be an integer"),
    "a mask of another size": (lambda: tv_hqs()(X, 1, k=K, mask=HOLES), ValueError, "do not fit y"),
    "around": (lambda: HQSRestorer(identity, around="zero"), ValueError, "around must be one of 'previous', 'first'"),
    "no first kernel": (
        lambda: HQSEstimator(identity, around="first")(State(X, as_physics(1), x=X, k=K)),
        ValueError,
        "k0 is missing from the state",
    ),
    "no colour": (lambda: tv_hqs()(X, Mosaic(Degradation(1)), k=K), ValueError, "a mosaic has one channel"),
    "another scale": (
        lambda: UnrolledSolver(keep_kernel, None, k0=Dirac(3), scale=2)(X, Degradation(1)),
        ValueError,
        "built for scale 2, got 1",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
