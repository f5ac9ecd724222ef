"""pnpsr's operator as a deepinv LinearPhysics: their own test, dense matrices as the referee, and the traps of their operators."""

import subprocess
import sys

import deepinv
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pnpsr.interop.deepinv import to_deepinv
from pnpsr.physics import BOUNDARIES, Degradation, as_matrix

OTHERS = tuple(b for b in BOUNDARIES if b != "circular")


def draw(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernels(seed: int, b: int, p: int, q: int) -> Tensor:
    k = draw(seed, b, 1, p, q)
    return k / k.sum((-2, -1), keepdim=True)


def dense(degradation: Degradation, k: Tensor, grid: tuple[int, int]) -> Tensor:
    """(b, hw, HW): the matrix of every kernel on one channel."""
    return torch.stack([as_matrix(degradation.freeze(k=k[i : i + 1]), (1, *grid)) for i in range(len(k))])


def dense_prox(M: Tensor, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
    gram = M.mT @ M + torch.eye(M.shape[-1], dtype=M.dtype) / gamma.reshape(-1, 1, 1)
    right = y.flatten(2) @ M + z.flatten(2) / gamma.reshape(-1, 1, 1)
    return torch.linalg.solve(gram, right.mT).mT.reshape(z.shape)


def grid_for(boundary: str, s: int, h: int, w: int, p: int, q: int) -> tuple[int, int]:
    extra = (p - 1, q - 1) if boundary == "valid" else (0, 0)
    return s * h + extra[0], s * w + extra[1]


def test_importing_pnpsr_does_not_import_deepinv() -> None:
    subprocess.run([sys.executable, "-c", "import sys, pnpsr, pnpsr.interop; assert 'deepinv' not in sys.modules"], check=True)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@given(s=st.integers(1, 3), p=st.integers(1, 5), q=st.integers(1, 5), seed=st.integers(0, 99))
@settings(max_examples=8)
def test_adjoint_and_products_by_deepinvs_own_test(boundary: str, s: int, p: int, q: int, seed: int) -> None:
    grid = grid_for(boundary, s, 5, 6, p, q)
    physics = to_deepinv(Degradation(s, offset=s - 1, boundary=boundary), kernels(seed, 2, p, q), img_size=(3, *grid))
    assert physics.adjointness_test(num_samples=2, dtype=torch.float64) < 1e-12
    x, y = draw(seed, 2, 3, *grid), draw(seed + 1, 2, 3, 5, 6)
    torch.testing.assert_close(physics.A_adjoint_A(x), physics.A_adjoint(physics.A(x)))
    torch.testing.assert_close(physics.A_A_adjoint(y), physics.A(physics.A_adjoint(y)))
    torch.testing.assert_close(physics.A_vjp(x, y), physics.A_adjoint(y))


@given(s=st.integers(1, 3), p=st.integers(1, 6), q=st.integers(1, 6), seed=st.integers(0, 99), gamma=st.floats(1e-2, 1e8))
def test_prox_is_the_dense_solution(s: int, p: int, q: int, seed: int, gamma: float) -> None:
    k, z, y = kernels(seed, 2, p, q), draw(seed, 2, 2, 6, 6), draw(seed + 1, 2, 2, 6 // s, 6 // s)
    degradation = Degradation(s, offset=s // 2)
    steps = torch.tensor([gamma, 2 * gamma], dtype=torch.float64)
    want = dense_prox(dense(degradation, k, (6, 6)), z, y, steps)
    for form in (steps, steps.reshape(2, 1, 1, 1)):
        assert (to_deepinv(degradation, k).prox_l2(z, y, form) - want).abs().max() < 1e-7


@pytest.mark.parametrize("gamma", [3, torch.tensor(3.0), torch.tensor([3.0]), torch.full((2,), 3.0), torch.full((2, 1, 1, 1), 3.0)])
@pytest.mark.parametrize("z", [None, 0, 0.5, "tensor"])
@pytest.mark.parametrize("boundary", ["circular", "reflect"])
def test_prox_takes_every_form_of_gamma_and_z(gamma: object, z: object, boundary: str) -> None:
    degradation, k, y = Degradation(2, boundary=boundary), kernels(0, 2, 3, 3), draw(1, 2, 1, 3, 4)
    start = draw(2, 2, 1, 6, 8)
    full = start if z == "tensor" else torch.full_like(start, 0.0 if z is None else float(z))  # type: ignore[arg-type]
    want = dense_prox(dense(degradation, k, (6, 8)), full, y, torch.full((2,), 3.0, dtype=torch.float64))
    got = to_deepinv(degradation, k).prox_l2(start if z == "tensor" else z, y, gamma, solver="CG", verbose=False, use_fft=True)
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)


def test_one_gamma_per_sample_even_when_the_batch_equals_the_width() -> None:
    k, z, y, gamma = kernels(0, 1, 3, 3), draw(1, 6, 1, 5, 6), draw(2, 6, 1, 5, 6), 0.1 + draw(3, 6)
    physics = to_deepinv(Degradation(1), k)
    each = [physics.prox_l2(z[i : i + 1], y[i : i + 1], float(gamma[i])) for i in range(6)]
    torch.testing.assert_close(physics.prox_l2(z, y, gamma), torch.cat(each))


@pytest.mark.parametrize("s", [1, 2, 4])
def test_agrees_with_deepinvs_downsampling(s: int) -> None:
    k, x, z = kernels(s, 2, 5, 4), draw(1, 2, 3, 12, 16), draw(2, 2, 3, 12, 16)
    theirs = deepinv.physics.Downsampling(img_size=(3, 12, 16), filter=k, factor=s)
    ours = to_deepinv(Degradation(s), k)
    y = theirs.A(x)
    torch.testing.assert_close(ours.A(x), y)
    torch.testing.assert_close(ours.A_adjoint(y), theirs.A_adjoint(y))
    torch.testing.assert_close(ours.prox_l2(z, y, 7.0), theirs.prox_l2(z, y, 7.0))


def test_large_gamma_in_single_precision() -> None:
    k, z, y = kernels(0, 1, 5, 5), draw(1, 1, 1, 16, 16), draw(2, 1, 1, 8, 8)
    want = to_deepinv(Degradation(2), k).prox_l2(z, y, 1e6)
    got = to_deepinv(Degradation(2), k.float()).prox_l2(z.float(), y.float(), 1e6)
    theirs = deepinv.physics.Downsampling(img_size=(1, 16, 16), filter=k.float(), factor=2).prox_l2(z.float(), y.float(), 1e6)
    assert (got - want).abs().max() < 1e-4 < (theirs - want).abs().max()


@pytest.mark.parametrize("boundary", OTHERS)
@pytest.mark.parametrize("gamma", [0.7, 1e4])
def test_prox_of_other_boundaries(boundary: str, gamma: float) -> None:
    k, grid = kernels(0, 2, 3, 4), grid_for(boundary, 2, 4, 3, 3, 4)
    degradation, y, z = Degradation(2, boundary=boundary), draw(1, 2, 2, 4, 3), draw(2, 2, 2, *grid)
    physics = to_deepinv(degradation, k)
    want = dense_prox(dense(degradation, k, grid), z, y, torch.full((2,), gamma, dtype=torch.float64))
    torch.testing.assert_close(physics.prox_l2(z, y, gamma), want, atol=1e-4, rtol=0)
    torch.testing.assert_close(physics.prox_l2(z, y, gamma, tol=1e-12, max_iter=500), want, atol=1e-7, rtol=0)
    assert (physics.max_iter, physics.tol) == (200, 1e-6)  # a call leaves no trace
    assert (physics.prox_l2(z, y, 1e4, max_iter=1) - want).abs().max() > 1e-4


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("s", [1, 2])
def test_pseudo_inverse_and_norm_are_those_of_the_matrix(boundary: str, s: int) -> None:
    k, grid = kernels(3, 2, 3, 2) + torch.eye(3, 2, dtype=torch.float64), grid_for(boundary, s, 4, 5, 3, 2)
    degradation, y = Degradation(s, boundary=boundary), draw(1, 2, 1, 4, 5)
    M, physics = dense(degradation, k, grid), to_deepinv(degradation, k)
    want = (torch.linalg.pinv(M) @ y.flatten(2).mT).mT.reshape(2, 1, *grid)
    torch.testing.assert_close(physics.A_dagger(y, tol=1e-12), want, atol=1e-8, rtol=0)
    top = torch.linalg.matrix_norm(M, 2).amax()
    excess = physics.compute_sqnorm(draw(2, 1, *grid), verbose=False) / top**2 - 1
    assert abs(excess) < 1e-12 if boundary == "circular" else -1e-12 < excess < 2e-3
    torch.testing.assert_close(physics.compute_norm(draw(2, 1, 1, *grid), squared=False), top, rtol=1e-3, atol=0)


@pytest.mark.parametrize("excess", [0.0, 1e-8])
def test_pseudo_inverse_of_a_singular_blur(excess: float) -> None:
    k, y = torch.tensor([1.0, 1.0 + excess], dtype=torch.float64).reshape(1, 1, 1, 2), draw(0, 1, 1, 5, 6)
    M = dense(Degradation(1), k, (5, 6))[0]
    assert torch.linalg.svdvals(M)[-1] < 2e-8  # the highest frequency of the row is lost, or as good as
    want = (torch.linalg.pinv(M, rcond=1e-6) @ y.flatten()).reshape(y.shape)
    torch.testing.assert_close(to_deepinv(Degradation(1), k).A_dagger(y), want)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_gradients_reach_a_network_that_makes_the_kernel(boundary: str) -> None:
    logits, grid = draw(0, 1, 9).requires_grad_(), grid_for(boundary, 2, 3, 3, 3, 3)
    degradation, y, z = Degradation(2, boundary=boundary), draw(1, 1, 1, 3, 3), draw(2, 1, 1, *grid)

    def kernel() -> Tensor:
        return logits.softmax(1).reshape(1, 1, 3, 3)

    basis = torch.eye(9, dtype=torch.float64).reshape(9, 1, 3, 3)
    M = torch.einsum("n,nij->ij", kernel().flatten(), dense(degradation, basis, grid))  # A is linear in the kernel
    (want,) = torch.autograd.grad(dense_prox(M[None], z, y, torch.tensor([5.0]).double()).square().sum(), logits)
    physics = to_deepinv(degradation)
    assert not physics.implicit_backward_solver
    physics.update(kernel=kernel())
    for got in (physics.prox_l2(z, y, 5.0, tol=1e-12), physics.prox_l2(z, y, 5.0, tol=1e-12, filter=kernel())):
        (gradient,) = torch.autograd.grad(got.square().sum(), logits, retain_graph=True)
        torch.testing.assert_close(gradient, want, rtol=1e-5, atol=1e-8)
    for got in (physics.A(z), physics.A_adjoint(y), physics.A_A_adjoint(y), physics.A_dagger(y), physics.compute_sqnorm(z)):
        assert torch.autograd.grad(got.square().sum(), logits, retain_graph=True)[0].abs().sum() > 0


@pytest.mark.parametrize("name", ["kernel", "filter"])
def test_a_kernel_passed_to_a_call_is_not_stored(name: str) -> None:
    first, other, x = kernels(0, 1, 3, 3), kernels(1, 1, 5, 5), draw(2, 1, 1, 8, 8)
    physics, direct = to_deepinv(Degradation(2), first), to_deepinv(Degradation(2), other)
    y = physics.A(x)
    for call, arguments in (
        ("forward", (x,)),
        ("A", (x,)),
        ("A_adjoint", (y,)),
        ("A_adjoint_A", (x,)),
        ("A_A_adjoint", (y,)),
        ("prox_l2", (x, y, 2.0)),
        ("A_dagger", (y,)),
        ("compute_sqnorm", (x,)),
    ):
        torch.testing.assert_close(getattr(physics, call)(*arguments, **{name: other}), getattr(direct, call)(*arguments))
    assert physics.kernel is first and physics.filter is first
    bare = to_deepinv(Degradation(2))
    torch.testing.assert_close(bare.A(x, **{name: first}), y)
    with pytest.raises(ValueError, match="no kernel yet"):
        bare.A(x)


def test_update_keeps_dtype_and_graph_and_adopts_no_parameter() -> None:
    physics = to_deepinv(Degradation(2), kernels(0, 1, 3, 3).float())
    parameter = torch.nn.Parameter(kernels(1, 2, 5, 5))
    physics.update(filter=parameter)
    assert physics.kernel is parameter and physics.kernel.dtype == torch.float64
    assert list(physics.parameters()) == []
    physics.update(kernel=2 * parameter)
    assert physics.kernel.grad_fn is not None
    with pytest.raises(TypeError, match="different dtypes"):
        physics.A(draw(0, 2, 1, 8, 8).float())  # refused, never cast


@pytest.mark.parametrize("call", ["A", "A_adjoint", "A_dagger", "compute_sqnorm", "forward", "update", "prox_l2"])
def test_unknown_keywords_are_errors(call: str) -> None:
    physics, v = to_deepinv(Degradation(1), kernels(0, 1, 3, 3)), draw(0, 1, 1, 8, 8)
    arguments = () if call.startswith("update") else (v, v, 1.0) if call == "prox_l2" else (v,)
    with pytest.raises(TypeError, match="'kernal'"):
        getattr(physics, call)(*arguments, kernal=kernels(0, 1, 3, 3))
    with pytest.raises(TypeError, match="pass one"):
        getattr(physics, call)(*arguments, kernel=kernels(0, 1, 3, 3), filter=kernels(0, 1, 3, 3))


def test_conversions_lose_nothing() -> None:
    k, x, y = kernels(0, 1, 4, 3), draw(1, 1, 1, 9, 12), draw(2, 1, 1, 3, 4)
    want = to_deepinv(Degradation(3), k).prox_l2(x, y, 10.0)
    physics = to_deepinv(Degradation(3), k.float(), sigma=0.1).to(torch.float32).to(torch.float64)
    assert not any(t.is_complex() for t in (*physics.buffers(), *physics.state_dict().values()))
    torch.testing.assert_close(physics.prox_l2(x, y, 10.0), want, atol=1e-6, rtol=0)
    assert physics(x).dtype == torch.float64


def test_state_does_not_depend_on_the_image_size() -> None:
    small = to_deepinv(Degradation(2), kernels(0, 1, 3, 3), img_size=(1, 8, 8), sigma=0.1)
    small.prox_l2(None, draw(0, 1, 1, 4, 4), 1.0)
    large = to_deepinv(Degradation(2), kernels(1, 1, 3, 3), img_size=(1, 64, 64), sigma=0.2)
    large.load_state_dict(small.state_dict())
    x = draw(1, 1, 1, 64, 64)
    torch.testing.assert_close(large.A(x), small.A(x))
    assert set(large.state_dict()) == {"kernel", "noise_model.sigma"}


def test_noise_belongs_to_one_physics_and_to_one_call() -> None:
    k, x = kernels(0, 1, 3, 3), torch.zeros(2, 1, 64, 64)
    a, b = to_deepinv(Degradation(1), k.float()), to_deepinv(Degradation(1), k.float(), generator=torch.Generator().manual_seed(0))
    assert a.noise_model is not b.noise_model and torch.equal(a(x), x)
    levels = b(x, sigma=torch.tensor([0.1, 0.4])).std((1, 2, 3))
    torch.testing.assert_close(levels, torch.tensor([0.1, 0.4]), rtol=0.05, atol=0)
    assert torch.equal(b(x), x)  # a sigma passed to a call is not stored either
    b.update(sigma=torch.tensor([0.1, 0.4]).reshape(2, 1, 1, 1))
    torch.testing.assert_close(b(x).std((1, 2, 3)), levels, rtol=0.1, atol=0)
    assert torch.equal(a(x), x)
    b.noise_model.reset_rng()
    again = b(x)
    b.noise_model.reset_rng()
    assert torch.equal(b(x), again)


def test_clones_are_independent_and_without_graph() -> None:
    weight = kernels(0, 1, 3, 3).requires_grad_()
    physics = to_deepinv(Degradation(2), 2 * weight, sigma=0.1, generator=torch.Generator().manual_seed(0))
    twin = physics.clone()
    assert torch.equal(twin.kernel, physics.kernel) and not twin.kernel.requires_grad and physics.kernel.grad_fn is not None
    twin.update(kernel=kernels(1, 1, 5, 5), factor=3, sigma=0.5)
    assert (physics.factor, tuple(physics.kernel.shape), float(physics.noise_model.sigma)) == (2, (1, 1, 3, 3), pytest.approx(0.1))
    state = physics.noise_model.rng.get_state()
    twin(draw(0, 1, 1, 6, 6))
    assert torch.equal(physics.noise_model.rng.get_state(), state)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor:UserWarning")  # inside DownsamplingGenerator
def test_generators_drive_update_and_calls() -> None:
    from deepinv.physics.generator import DownsamplingGenerator, GaussianBlurGenerator, MotionBlurGenerator, SigmaGenerator

    physics, x = to_deepinv(Degradation(2)), torch.rand(2, 3, 16, 16)
    for blur in (GaussianBlurGenerator(psf_size=(7, 7)), MotionBlurGenerator(psf_size=(7, 7))):
        parameters = (blur + SigmaGenerator()).step(batch_size=2, seed=0)
        physics.update(**parameters)
        assert torch.equal(physics.filter, parameters["filter"]) and torch.equal(physics.noise_model.sigma, parameters["sigma"])
        assert physics(x, **parameters).shape == (2, 3, 8, 8)
    factor = {"filter": physics.filter, "factor": torch.tensor([4, 4])}
    assert physics.A(x, **factor).shape == (2, 3, 4, 4) and physics.factor == 2
    one = DownsamplingGenerator(filters="bicubic", factors=4).step(batch_size=1, seed=0)
    physics.update(**one)
    assert physics.factor == 4 and physics.A(x).shape == (2, 3, 4, 4)
    with pytest.raises(ValueError, match="whole batch"):
        physics.update(factor=torch.tensor([2, 4]))


def test_networks_under_autocast_may_hand_over_half_precision() -> None:
    physics, x = to_deepinv(Degradation(2), kernels(0, 1, 3, 3).float()), torch.rand(1, 1, 8, 8).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert physics.prox_l2(x, physics.A(x), 1.0).dtype == torch.float32
    with pytest.raises(TypeError, match="bfloat16"):
        physics.A(x)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: to_deepinv(2, kernels(0, 1, 3, 3)), TypeError, "Degradation"),
        (lambda: to_deepinv(Degradation(2), kernels(0, 1, 3, 3).expand(1, 3, 3, 3)), ValueError, "one kernel for all colours"),
        (lambda: to_deepinv(Degradation(2), kernels(0, 1, 9, 9), img_size=(1, 8, 8)), ValueError, "larger than the image"),
        (lambda: to_deepinv(Degradation(2), img_size=(8, 8)), ValueError, "channels, rows, columns"),
        (lambda: to_deepinv(Degradation(2), sigma=-0.1), ValueError, "sigma"),
        (lambda: to_deepinv(Degradation(2), kernels(0, 1, 9, 9)).A(draw(0, 1, 1, 8, 8)), ValueError, "larger than the image"),
        (
            lambda: to_deepinv(Degradation(2), kernels(0, 1, 9, 9)).A_A_adjoint(draw(0, 1, 1, 4, 4)),
            ValueError,
            "larger than the image",
        ),
        (lambda: to_deepinv(Degradation(2), kernels(0, 1, 3, 3)).A(draw(0, 1, 1, 7, 8)), ValueError, "not divisible"),
        (lambda: to_deepinv(Degradation(2), kernels(0, 1, 3, 3)).A(draw(0, 1, 1, 8, 8), factor=1.5), TypeError, "1.5"),
        (lambda: to_deepinv(Degradation(1), kernels(0, 1, 3, 3)).prox_l2(0, draw(0, 1, 1, 8, 8), 0.0), ValueError, "gamma"),
    ],
)
def test_bad_input_is_named(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]
