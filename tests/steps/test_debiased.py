"""A debiased kernel: nearer to the truth where the first one is wrong, at rest where it is right, whatever the physics."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from synthetic import observed, pictures
from torch import Tensor

from pnpsr import Degradation, State, load
from pnpsr.debiased import Solved, debiased
from pnpsr.images import sample_picture
from pnpsr.kernels import centroid, gaussian, random_motion
from pnpsr.physics import Masked
from pnpsr.recipes import ikrnet, tv_hqs
from pnpsr.starts import Upsample, upsample
from pnpsr.state import Step
from pnpsr.steps import DataStep, Debiased, keep_kernel
from pnpsr.steps.debiased import contrast, expected


def motion(b: int, seed: int, size: int = 15) -> Tensor:
    return random_motion(b, size, nonlinearity=0.8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wrong(k: Tensor, share: float = 0.3) -> Tensor:
    """k, spread out in part, with the same sum and centroid."""
    spread = torch.nn.functional.conv2d(k, gaussian(5, 1.0, dtype=k.dtype), padding=2)
    return (1 - share) * k + share * spread / spread.sum((-2, -1), keepdim=True)


def error(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().sum((1, 2, 3))


def said(k: Tensor) -> Step:
    return lambda state: k


def test_a_wrong_motion_kernel_comes_nearer_to_the_truth_and_so_does_the_image() -> None:
    x = sample_picture("astronaut")[..., 40:296, 60:316]
    k = random_motion(1, 21, nonlinearity=0.8, generator=torch.Generator().manual_seed(3))
    solver = load("ikrnet-x1")
    s = State(Degradation(1)(x, k), 1)
    k0 = wrong(k, 0.5)
    better = Debiased(said(k0), Solved(solver.only("tuner", "restorer")))(s)
    assert float(error(better, k)) < 0.8 * float(error(k0, k))
    with torch.no_grad():
        far, near = (float((solver(s.y, 1, k=one).x - x).square().mean()) for one in (k0, better))
    assert near < 0.9 * far


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


def test_without_the_subtraction_a_true_kernel_would_be_spoilt() -> None:
    """The bias is real, and most of it is subtracted: from the truth, one look moves less than half as far as it would."""
    x = sample_picture("coffee")[..., 100:292, 200:392].double()
    k = motion(1, 5, 21)
    s = State(Degradation(1)(x, k), 1, k=k)
    step = Debiased(said(k), DataStep(Upsample(), 0.02).double())
    own, usual = step._look(s), step._look(step._simulated(s, k))
    gamma, due = torch.full((1, 1, 1), 1e-3, dtype=k.dtype), expected(k)[:, 0]
    moved, spoilt = (float(found.step(k, gamma, due).square().sum()) for found in (own.less(usual), own))
    assert moved < 0.25 * spoilt


def test_pixels_that_do_not_count_say_nothing() -> None:
    k0, mask = motion(1, 2), torch.ones(1, 1, 40, 40, dtype=torch.float64)
    mask[..., 10:16, 20:30] = 0
    y = observed(pictures(1, 3, 40, 40, 2), motion(1, 7), 1, 0.01, 2)
    start = Debiased(said(k0), lambda s: s.completed, rounds=1)
    physics = Masked(Degradation(1), mask)
    seen, other = (start(State(t * mask, physics)) for t in (y, torch.where(mask > 0, y, 0.9)))
    assert torch.equal(seen, other) and not torch.equal(seen, start(State(y, 1)))


def test_it_is_a_start_of_a_solver_and_shares_its_weights() -> None:
    solver = ikrnet(5, T=2, widths=(2, 2, 2, 2), kernel_step=False, first="statistics", first_width=8).eval()
    view = debiased(solver, rounds=1)
    assert {id(p) for p in view.parameters()} == {id(p) for p in solver.parameters()} and type(view) is type(solver)
    y = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        out, plain = view(y, 2), solver(y, 2)
        again = solver(y, 2, k=out.k)
    assert torch.allclose(out.x, again.x, atol=1e-5) and not torch.equal(out.k, plain.k)
    assert view.needs.kernel_size == 5 and not view.needs.kernel
    assert type(solver.k0).__name__ != "Debiased"  # as it was


def test_the_first_kernel_keeps_its_gradient_and_the_look_has_none() -> None:
    k0 = motion(1, 1).requires_grad_()
    s = State(observed(pictures(1, 3, 32, 32, 1), k0.detach(), 1, 0.0, 1), 1)
    (2 * Debiased(said(k0), DataStep(Upsample()), rounds=1)(s)).sum().backward()
    assert torch.equal(k0.grad, torch.full_like(k0, 2))


def test_more_of_the_noise_is_less_of_a_step() -> None:
    k0, y = motion(1, 4), observed(pictures(1, 3, 48, 48, 4), motion(1, 9), 1, 0.0, 4)
    start = Debiased(said(k0), lambda s: upsample(s.y, s.scale), rounds=1)
    moves = [float(error(start(State(y, 1, torch.full((1, 1, 1, 1), sigma, dtype=y.dtype))), k0)) for sigma in (0.0, 0.2, 1.0)]
    assert moves[0] >= moves[1] > moves[2]


K = motion(1, 0)
BLACK = State(torch.zeros(1, 1, 16, 16, dtype=K.dtype), 1)
REFUSED = {
    "no start": (lambda: Debiased(K, keep_kernel), TypeError, "start must be callable"),
    "no restoring": (lambda: Debiased(keep_kernel, 0.5), TypeError, "restoring must be callable"),
    "no kernel": (lambda: Debiased(lambda s: None, keep_kernel)(BLACK), TypeError, "start must return a kernel"),
    "no image": (lambda: Debiased(said(K), lambda s: None)(BLACK), TypeError, "restoring must return an image"),
    "no rounds": (lambda: Debiased(said(K), keep_kernel, rounds=0), ValueError, "rounds must be at least 1"),
    "no first kernel": (lambda: debiased(tv_hqs()), ValueError, "must be given the kernel"),
    "a solver that writes k": (lambda: Solved(ikrnet(5, T=1, widths=(2, 2, 2, 2))), ValueError, "writes k"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_a_black_picture_keeps_its_kernel() -> None:
    k = Debiased(said(K), DataStep(Upsample()))(BLACK)
    assert torch.allclose(k, K, atol=1e-6) and contrast(BLACK.y) > 0
    assert replace(BLACK, k=k).k is k
