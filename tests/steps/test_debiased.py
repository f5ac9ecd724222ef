"""A debiased kernel: nearer to the truth where the first one is wrong, at rest where it is right, whatever the physics."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from synthetic import observed, pictures
from torch import Tensor

from pnpsr import Degradation, State, checks, load, save
from pnpsr.debiased import Solved, debiased, unsharpened
from pnpsr.evaluate import kernel_mse
from pnpsr.fast import fast
from pnpsr.images import sample_picture
from pnpsr.kernels import centroid, dirac, gaussian, random_motion
from pnpsr.physics import Clipped, Downsample, Masked, Measured, Mosaic, Weighted
from pnpsr.recipes import dan, ikrnet, tv_hqs
from pnpsr.starts import Upsample, upsample
from pnpsr.state import Step
from pnpsr.steps import DataStep, Debiased, keep_kernel
from pnpsr.steps.debiased import expected


def motion(b: int, seed: int, size: int = 15) -> Tensor:
    return random_motion(b, size, nonlinearity=0.8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def error(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2, 3))


def said(k: Tensor) -> Step:
    return lambda state: k


@pytest.mark.parametrize("seed", [3, 4])
def test_the_kernel_of_a_preset_comes_nearer_to_the_truth_and_so_does_the_image(seed: int) -> None:
    """By a tenth at least of its squared error, on a path that moves it, where no other step has fitted it."""
    x = sample_picture("astronaut")[..., 40:296, 60:316]
    k = random_motion(1, 21, nonlinearity=0.8, generator=torch.Generator().manual_seed(seed))
    solver = unsharpened(load("ikrnet-x1"))
    y = Degradation(1)(x, k)
    with torch.no_grad():
        before, after = solver(y, 1), debiased(solver)(y, 1)
    assert float(kernel_mse(after.k, k, align=True)) < 0.9 * float(kernel_mse(before.k, k, align=True))
    assert float((after.x - x).square().mean()) < float((before.x - x).square().mean())


@settings(max_examples=8)
@given(seed=seeds, scale=st.sampled_from([1, 2]), sigma=st.sampled_from([0.0, 0.02]), channels=st.sampled_from([1, 3]))
def test_what_it_returns_is_a_kernel_where_the_first_one_was(seed: int, scale: int, sigma: float, channels: int) -> None:
    """Not negative, of sum 1, and what is no longer negative moves the centroid by little; no farther than is expected."""
    k0 = motion(2, seed)
    y = observed(pictures(2, channels, 48 * scale, 48 * scale, seed), k0, scale, sigma, seed)
    k = Debiased(said(k0), DataStep(Upsample()))(State(y, scale))
    assert k.shape == k0.shape and k.min() >= 0 and torch.allclose(k.sum((1, 2, 3)), torch.ones(2, dtype=k.dtype))
    assert (centroid(k) - centroid(k0)).abs().max() < 0.3
    assert (error(k, k0) <= expected(k0).flatten()).all() and (error(k, k0) > 0).all()


def test_a_gaussian_stays_what_it_is() -> None:
    """What is expected of it is next to nothing, wide or narrow, and of a path it is not."""
    gaussians = torch.cat([gaussian(21, 1.0, width2=0.6, angle=0.4), gaussian(21, 2.5), gaussian(21, 3.0, width2=1.2)]).double()
    paths = motion(3, 0, 21)
    doubt = torch.cat([expected(gaussians), expected(paths)]).flatten() / torch.cat([gaussians, paths]).square().sum((1, 2, 3))
    assert doubt[:3].max() < 1e-3 < 0.02 < doubt[3:].min()
    y = observed(pictures(3, 3, 64, 64, 0), gaussians, 2, 0.01, 0)
    assert (error(Debiased(said(gaussians), DataStep(Upsample()))(State(y, 2)), gaussians) < 1e-4).all()


def test_pixels_that_do_not_count_say_nothing() -> None:
    k0, mask = motion(1, 2), torch.ones(1, 1, 40, 40, dtype=torch.float64)
    mask[..., 10:16, 20:30] = 0
    y = observed(pictures(1, 3, 40, 40, 2), motion(1, 7), 1, 0.01, 2)
    start = Debiased(said(k0), lambda s: s.completed, rounds=1)
    physics = Masked(Degradation(1), mask)
    seen, other = (start(State(t * mask, physics)) for t in (y, torch.where(mask > 0, y, 0.9)))
    assert torch.equal(seen, other) and not torch.equal(seen, start(State(y, 1)))
    white = torch.where(mask > 0, 0.9 * y.clamp(0, 1), 1.0)
    clipped = Debiased(said(k0), lambda s: upsample(s.y, 1) * 0.9, rounds=1)(State(white, Clipped(Degradation(1))))
    assert not torch.equal(clipped, Debiased(said(k0), lambda s: upsample(s.y, 1) * 0.9, rounds=1)(State(white, 1)))


def test_a_step_trusts_what_it_sees_by_the_pixels_that_count(monkeypatch: pytest.MonkeyPatch) -> None:
    k0, y = motion(1, 2), observed(pictures(1, 3, 64, 64, 2), motion(1, 7), 1, 0.01, 2)
    mask = torch.zeros(1, 1, 64, 64, dtype=y.dtype)
    mask[..., 20:44, 20:44] = 1
    physics, masked = Degradation(1), Masked(Degradation(1), mask)
    assert [float(p.count(y)) for p in (physics, masked, Weighted(physics, 1 + mask))] == [4096, 576, 576 + 3520 / 2]
    assert float(Mosaic(physics).masked(mask).count(y[:, :1])) == 576 and float(Clipped(physics).count(0 * y + 1)) == 0
    start = Debiased(said(k0), DataStep(Upsample()), rounds=1)
    known = start(State(y * mask, masked))
    monkeypatch.setattr(Masked, "count", lambda self, y: torch.full_like(y[:, :1, :1, :1], 9))
    assert error(start(State(y * mask, masked)), k0) < error(known, k0)


def test_a_faint_and_noisy_picture_of_four_channels_has_a_kernel() -> None:
    """The noise that is simulated is beside the contrast of y, and stays what a picture may have."""
    k0 = motion(1, 2)
    y = 0.5 + 0.02 * (observed(pictures(1, 4, 40, 40, 2), k0, 1, 0.0, 2) - 0.5)
    for sigma in (None, 0.1, 0.5):
        level = None if sigma is None else torch.full((1, 1, 1, 1), sigma, dtype=y.dtype)
        simulated = Debiased(said(k0), keep_kernel)._simulated(State(y, 1, level), k0)
        checks.image(simulated.y, "y")
        assert simulated.y.min() >= -1 and simulated.y.max() <= 2
        assert Debiased(said(k0), DataStep(Upsample()))(State(y, 1, level)).isfinite().all()


def test_it_is_a_start_of_a_solver_and_shares_its_weights() -> None:
    solver = ikrnet(5, T=2, widths=(2, 2, 2, 2), kernel_step=False, first="statistics", first_width=8).eval()
    view = debiased(solver, rounds=1)
    assert {id(p) for p in view.parameters()} == {id(p) for p in solver.parameters()} and type(view) is type(solver)
    y = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out, plain = view(y, 2), solver(y, 2)
        again = solver(y, 2, k=out.k)
    assert torch.allclose(out.x, again.x, atol=1e-5) and not torch.equal(out.k, plain.k)
    assert view.needs.kernel_size == 5 and not view.needs.kernel and view.needs.longest is None
    assert type(solver.k0).__name__ != "Debiased"  # as it was


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_copy_for_inference_finds_the_same(precision: str) -> None:
    """The network that the start shares with the restorer is made fast once."""
    solver = debiased(load("ikrnet-x1"), rounds=1)
    y = Degradation(1)(
        sample_picture("coffee")[..., 96:192, 200:296], random_motion(1, 21, generator=torch.Generator().manual_seed(3))
    )
    with torch.no_grad():
        plain, quick = solver(y, 1), fast(solver, precision)(y, 1)
    off = (plain.x - quick.x).square().mean().sqrt()
    assert off < (1e-4 if precision == "float32" else 1 / 256)
    assert error(plain.k, quick.k) < 0.05 * error(plain.k, solver.k0.start(State(y, 1)))


def test_it_is_saved_and_comes_back_with_what_it_shares(tmp_path: Path) -> None:
    solver = debiased(
        ikrnet(5, T=1, widths=(2, 2, 2, 2), kernel_step=False, first="statistics", first_width=8, thorough=True).eval()
    )
    save(solver, tmp_path / "again.safetensors")
    back, y = load(tmp_path / "again.safetensors"), torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    assert back.k0.restoring.solver.restorer is back.restorer
    with torch.no_grad():
        assert torch.equal(back(y, 2).k, solver(y, 2).k)


@pytest.mark.parametrize("scale", [5, (2, 3)])
def test_any_scale_and_any_shape_will_do(scale: int | tuple[int, int]) -> None:
    """Also one that does not divide the side of the simulated pictures; and a kernel of one pixel is sure."""
    y = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for k0 in (motion(1, 0)[..., 1:], dirac(7, dtype=torch.float64)):
        k = Debiased(said(k0 / k0.sum()), DataStep(Upsample()))(State(y, scale))
        assert k.shape == k0.shape and abs(float(k.sum()) - 1) < 1e-9
    assert torch.allclose(k, k0, atol=1e-6)


def test_the_first_kernel_keeps_its_gradient_and_the_look_has_none() -> None:
    k0 = motion(1, 1).requires_grad_()
    s = State(observed(pictures(1, 3, 32, 32, 1), k0.detach(), 1, 0.0, 1), 1)
    (2 * Debiased(said(k0), DataStep(Upsample()), rounds=1)(s)).sum().backward()
    assert torch.equal(k0.grad, torch.full_like(k0, 2))


def test_more_noise_is_less_trust() -> None:
    """What simulated pictures say varies more."""
    k0 = motion(2, 4)
    y = observed(pictures(2, 1, 48, 48, 4), k0, 1, 0.0, 4)
    start, sigma = Debiased(said(k0), DataStep(Upsample())), torch.tensor([0.0, 0.1], dtype=y.dtype).reshape(2, 1, 1, 1)
    with torch.no_grad():
        alike, noisy = (start._look(start._simulated(State(y, 1, level), k0)).variance(k0) for level in (0 * sigma, sigma))
    assert torch.allclose(alike[0], noisy[0]) and noisy[1] > 1.5 * alike[1]


K = motion(1, 0)
ONE_SIZE, SIGMA = Measured(Downsample(1), before=Degradation(1)), torch.full((1, 1, 1, 1), 0.01, dtype=K.dtype)


def upsampled(s: State) -> Tensor:
    return upsample(s.y, s.scale)


BLACK = State(torch.zeros(1, 1, 16, 16, dtype=K.dtype), 1)
REFUSED = {
    "no start": (lambda: Debiased(K, keep_kernel), TypeError, "start must be callable"),
    "no restoring": (lambda: Debiased(keep_kernel, 0.5), TypeError, "restoring must be callable"),
    "no kernel": (lambda: Debiased(lambda s: None, keep_kernel)(BLACK), TypeError, "start must return a kernel"),
    "no image": (lambda: Debiased(said(K), lambda s: None)(BLACK), TypeError, "restoring must return an image"),
    "no rounds": (lambda: Debiased(said(K), keep_kernel, rounds=0), ValueError, "rounds must be at least 1"),
    "a large scale": (
        lambda: Debiased(said(K), upsampled)(State(BLACK.y, 145)),
        ValueError,
        "simulates pictures of 144",
    ),
    "a physics of one size": (lambda: Debiased(said(K), upsampled)(State(BLACK.y, ONE_SIZE, SIGMA)), ValueError, "is of one size"),
    "a kernel that is always the same": (lambda: debiased(dan(2)), ValueError, "whatever the picture shows"),
    "no solver": (lambda: debiased(torch.nn.Identity()), TypeError, "UnrolledSolver"),
    "no first kernel": (lambda: debiased(tv_hqs()), ValueError, "must be given the kernel"),
    "a solver that writes k": (lambda: Solved(ikrnet(5, T=1, widths=(2, 2, 2, 2))), ValueError, "writes k"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_picture_without_edges_keeps_its_kernel() -> None:
    for y in (BLACK.y, torch.full_like(BLACK.y, 0.5)):
        assert torch.allclose(Debiased(said(K), DataStep(Upsample()))(State(y, 1)), K, atol=1e-6)


def test_the_whole_of_a_physics_is_what_it_would_be_without_gaps() -> None:
    base, y = Degradation(2), torch.rand(1, 3, 6, 8)
    mask = torch.ones(1, 1, 6, 8)
    mask[..., 2:4, 3] = 0
    assert (
        base.whole is base
        and Masked(base, mask).padded((2, 2), y).whole is base
        and Weighted(Masked(base, mask), mask).whole is base
    )
    clipped = Clipped(Masked(base, mask), 0.8).whole
    assert isinstance(clipped, Clipped) and clipped.base is base and clipped.high == 0.8
    mosaic = Mosaic(Masked(base, mask), "GRBG").masked(mask).whole
    assert isinstance(mosaic, Mosaic) and mosaic.base is base and mosaic.sensor.pattern == "GRBG" and mosaic.sensor.mask is None
