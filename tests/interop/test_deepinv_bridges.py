"""Denoisers, physics and solvers across the border between pnpsr and deepinv."""

import deepinv
import pytest
import torch
from deepinv.physics import Blur, BlurFFT, Downsampling, GaussianNoise, Inpainting, PoissonNoise
from deepinv.physics.generator import GaussianBlurGenerator, SigmaGenerator
from torch import Tensor, nn

from pnpsr import Hyper, State, UnrolledSolver
from pnpsr.interop.deepinv import (
    AsReconstructor,
    as_denoiser,
    as_physics,
    as_prior,
    degradation_from,
    sample_from,
    to_deepinv,
)
from pnpsr.nets.resunet import ResUNet
from pnpsr.physics import Degradation, Masked
from pnpsr.prox import prox_image
from pnpsr.starts import Dirac, upsample
from pnpsr.steps import HQSRestorer


def draw(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


class Probe(nn.Module):
    """Remembers what it is fed; subtracts sigma."""

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.shape, self.sigma = tuple(x.shape), sigma
        return x - sigma.reshape(-1, 1, 1, 1)


def test_a_weight_is_a_variance() -> None:
    probe, v = Probe(), draw(0, 2, 3, 8, 8)
    as_prior(probe, weight=True)(v, torch.tensor([0.01, 0.04]))
    torch.testing.assert_close(probe.sigma, torch.tensor([0.1, 0.2]))


LEVELS = (0.1, torch.tensor(0.1), torch.tensor([0.1, 0.2]), torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1))


@pytest.mark.parametrize("strength", LEVELS)
def test_strength_becomes_one_sigma_per_sample_and_sides_become_multiples(strength: object) -> None:
    probe, v = Probe(), draw(0, 2, 3, 13, 17)
    out = as_prior(probe, multiple=8)(v, strength)
    level = torch.as_tensor(strength).flatten().expand(2)
    assert torch.equal(probe.sigma, level) and probe.shape == (2, 3, 16, 24)
    torch.testing.assert_close(out, v - level.reshape(2, 1, 1, 1))


def test_gray_and_colour_meet_only_where_asked() -> None:
    probe, gray, colour, sigma = Probe(), draw(0, 2, 1, 8, 8), draw(1, 2, 3, 8, 8), torch.tensor([0.1, 0.2])
    torch.testing.assert_close(as_prior(probe, channels=3)(gray, sigma), gray - sigma.reshape(2, 1, 1, 1))
    assert probe.shape == (2, 3, 8, 8)
    torch.testing.assert_close(as_prior(probe, channels=1)(colour, sigma), colour - sigma.reshape(2, 1, 1, 1))
    assert probe.shape == (6, 1, 8, 8)
    for channels, v in ((3, gray), (1, colour)):
        with pytest.raises(ValueError, match=f"the denoiser reads {channels}"):
            as_prior(probe, channels=channels, gray="refuse")(v, sigma)
    with pytest.raises(ValueError, match="reads 3"):
        as_prior(probe, channels=3)(draw(0, 1, 2, 8, 8), 0.1)


def test_a_network_prior_trains_with_the_solver_and_keeps_the_dtype_under_autocast() -> None:
    net = deepinv.models.DRUNet(1, 1, nc=[4, 4, 4, 4], nb=1, pretrained=None)
    prior, v = as_prior(net, channels=1), draw(0, 2, 3, 33, 35).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        out = prior(v, torch.tensor([0.1, 0.2]))
    assert out.shape == v.shape and out.dtype == torch.float32
    out.square().sum().backward()
    assert all(p.grad is not None for p in prior.parameters()) and v.grad is not None
    assert {id(p) for p in prior.parameters()} == {id(p) for p in net.parameters()}


def test_denoisers_without_a_noise_level() -> None:
    v = draw(0, 1, 3, 16, 16)
    median = deepinv.models.MedianFilter(3)
    assert torch.equal(as_prior(median, multiple=1)(v), median(v))
    with pytest.raises(ValueError, match="needs a noise level"):
        as_prior(Probe())(v)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: as_prior(3), TypeError, "callable"),
        (lambda: as_prior(Probe(), gray="mix"), ValueError, "gray"),
        (lambda: as_prior(Probe(), multiple=0), ValueError, "multiple"),
        (lambda: as_prior(Probe())(draw(0, 2, 3, 8, 8), torch.ones(3)), ValueError, "strength has 3 values"),
        (lambda: as_prior(Probe())(draw(0, 1, 3, 8, 8), torch.ones(3)), ValueError, "strength has 3 values"),
        (lambda: as_prior(lambda x, sigma: x[:, :1])(draw(0, 1, 3, 8, 8), 0.1), ValueError, "returned"),
        (lambda: as_denoiser(3), TypeError, "callable"),
        (lambda: as_physics(nn.Identity()), TypeError, "LinearPhysics"),
        (lambda: AsReconstructor(3), TypeError, "callable"),
        (lambda: AsReconstructor(print, scale=1.5), TypeError, "1.5"),
    ],
)
def test_bad_input_is_named(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]


def test_a_prior_as_deepinv_denoiser() -> None:
    net, x = ResUNet(3, strength=True, widths=(4, 4, 4, 4)), draw(0, 2, 3, 13, 16)
    denoiser = as_denoiser(net)
    assert isinstance(denoiser, deepinv.models.Denoiser)
    for sigma in LEVELS:
        torch.testing.assert_close(denoiser(x, sigma), net(x, sigma))
    deepinv.optim.PnP(denoiser).prox(x, 0.1).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    bare = ResUNet(3, widths=(4, 4, 4, 4))
    assert torch.equal(as_denoiser(bare, uses_sigma=False)(x, 0.1), bare(x))
    torch.testing.assert_close(as_prior(denoiser)(x[..., :8, :], 0.1), net(x[..., :8, :], 0.1))  # there and back


def kernel(b: int = 1, p: int = 5) -> Tensor:
    k = draw(p, b, 1, p, p)
    return k / k.sum((-2, -1), keepdim=True)


@pytest.mark.parametrize(
    ("physics", "scale"),
    [
        (Blur(filter=kernel(2), padding="circular"), 1),
        (Blur(filter=kernel(1, 4), padding="reflect"), 1),
        (Blur(filter=kernel(), padding="constant"), 1),
        (BlurFFT(img_size=(3, 16, 24), filter=kernel()), 1),
        (Downsampling(img_size=(3, 16, 24), filter=kernel(), factor=2), 2),
        (Downsampling(img_size=(3, 16, 24), filter=kernel(2, 4), factor=4, padding="replicate"), 4),
        (Downsampling(img_size=(3, 16, 24), filter=None, factor=2), 2),
        (to_deepinv(Degradation(2, offset=1), kernel()), 2),
    ],
)
def test_physics_become_degradations_and_samples(physics: deepinv.physics.LinearPhysics, scale: int) -> None:
    x = draw(9, 2, 3, 16, 24)
    degradation, k = degradation_from(physics)
    torch.testing.assert_close(degradation(x, k), physics.A(x), atol=1e-5, rtol=0)
    sample = sample_from(physics, x)
    torch.testing.assert_close(sample.y, degradation(sample.x, sample.k), atol=1e-5, rtol=0)
    assert sample.scale == scale and sample.k.shape[:2] == (2, 1) and torch.equal(sample.sigma, torch.zeros(2, 1, 1, 1))


def test_samples_carry_the_truth_and_leave_the_physics_alone() -> None:
    physics = Downsampling(img_size=(1, 64, 64), filter=kernel(), factor=2, noise_model=GaussianNoise(0.1))
    parameters = GaussianBlurGenerator(psf_size=(7, 7)) + SigmaGenerator()
    x, before = draw(0, 2, 1, 64, 64), physics.filter.clone()
    a, b = (sample_from(physics, x, parameters=parameters, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("y", "k", "sigma"))
    assert torch.equal(physics.filter, before) and float(physics.noise_model.sigma) == pytest.approx(0.1)
    noise = a.y - Degradation(2)(a.x, a.k)
    torch.testing.assert_close(noise.std((1, 2, 3), keepdim=True), a.sigma, rtol=0.1, atol=0)
    assert a.k.shape == (2, 1, 7, 7) and not torch.equal(a.k[0], a.k[1])
    fixed = sample_from(physics, x, parameters={"filter": kernel(2, 3), "sigma": torch.tensor([0.0, 0.2])})
    assert torch.equal(fixed.k, kernel(2, 3)) and fixed.sigma.flatten().tolist() == [0.0, pytest.approx(0.2)]
    physics.noise_model = PoissonNoise(0.1)
    assert sample_from(physics, x).sigma is None


def test_physics_that_are_no_blur_are_refused() -> None:
    x = draw(0, 1, 3, 16, 16)
    for call in (lambda p: sample_from(p, x), degradation_from):
        with pytest.raises(TypeError, match="Inpainting"):
            call(Inpainting(img_size=(3, 16, 16), mask=0.5))
    with pytest.raises(TypeError, match="Upsampling"):  # inherits Downsampling, and is its adjoint
        degradation_from(deepinv.physics.Upsampling(img_size=(3, 32, 32), filter=kernel(), factor=2))
    with pytest.raises(ValueError, match="differs between channels"):
        degradation_from(Blur(filter=draw(0, 1, 3, 5, 5), padding="circular"))
    with pytest.raises(ValueError, match="no kernel yet"):
        degradation_from(to_deepinv(Degradation(2)))


def tuner(s: State) -> Hyper:
    level = s.y.new_tensor([0.1, 0.2]).reshape(2, 1, 1, 1)
    return Hyper(alpha=level, beta=level / 10)


@pytest.mark.parametrize("ours", [True, False])
def test_restorer_from_physics_is_the_closed_form_and_then_the_prior(ours: bool) -> None:
    theirs = Downsampling(img_size=(3, 16, 16), filter=kernel(), factor=2)
    physics = to_deepinv(Degradation(2), kernel()) if ours else theirs

    def shrink(v: Tensor, strength: Tensor) -> Tensor:
        return v / (1 + strength)

    y = physics.A(draw(0, 2, 3, 16, 16))

    def closed(s: State) -> Tensor:
        return shrink(prox_image(s.y, s.k, s.x, s.hyper.alpha, 2), s.hyper.beta)

    order, x0 = ("tuner", "restorer"), lambda s: upsample(y, 2)
    got = UnrolledSolver(None, HQSRestorer(shrink), T=3, tuner=tuner, order=order, k0=Dirac(1), x0=x0)(y, as_physics(physics))
    want = UnrolledSolver(None, closed, T=3, tuner=tuner, order=order)(y, 2, k=kernel())
    torch.testing.assert_close(got.x, want.x, atol=1e-5, rtol=0)


def test_restorer_for_a_physics_pnpsr_does_not_know() -> None:
    physics, x = Inpainting(img_size=(3, 16, 16), mask=0.7), torch.linspace(0, 1, 16).expand(2, 3, 16, 16)
    median = as_prior(deepinv.models.MedianFilter(3))
    solver = UnrolledSolver(None, HQSRestorer(median), tuner=tuner, k0=Dirac(1))
    out = solver(physics.A(x), as_physics(physics)).x
    assert (out - x).square().mean() < (physics.A(x) - x).square().mean() / 2


def test_a_physics_after_a_blur_has_a_kernel_step() -> None:
    """By the closed form of what it amounts to: inpainting is a mask."""
    mask = (draw(3, 1, 1, 16, 16) < 0.7).float()
    theirs = as_physics(Inpainting(img_size=(3, 16, 16), mask=mask), before=Degradation(1))
    ours, x = Masked(Degradation(1), mask), draw(0, 2, 3, 16, 16)
    y = ours(x, kernel())
    torch.testing.assert_close(theirs(x, kernel()), y)
    torch.testing.assert_close(
        theirs.prox_image(y, kernel(), x / 2, 0.1), ours.prox_image(y, kernel(), x / 2, 0.1), atol=1e-4, rtol=0
    )
    k0 = torch.full((1, 1, 5, 5), 0.04)
    torch.testing.assert_close(theirs.prox_kernel(y, x, k0, 1.0), ours.prox_kernel(y, x, k0, 1.0), atol=1e-4, rtol=0)


class Sealed(nn.Module):
    """A physics whose truth must not be looked at."""

    factor = 2

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a blind solver read physics.{name}")


def blind() -> UnrolledSolver:
    return UnrolledSolver(lambda s: s.k.flip(-1), lambda s: prox_image(s.y, s.k, s.x, 0.1, s.scale), T=2, k0=Dirac(5))


def test_a_blind_reconstructor_reads_the_factor_and_nothing_else() -> None:
    y, model = draw(0, 2, 3, 8, 8), AsReconstructor(blind())
    assert isinstance(model, deepinv.models.Reconstructor)
    outputs = [model(y, Downsampling(img_size=(3, 16, 16), filter=k, factor=2)) for k in (kernel(), kernel(2, 4))]
    assert torch.equal(outputs[0], outputs[1]) and outputs[0].shape == (2, 3, 16, 16)
    assert torch.equal(model(y, Sealed()), outputs[0])
    with pytest.raises(AssertionError, match="filter"):
        AsReconstructor(blind(), blind=False)(y, Sealed())
    assert model(y, Blur(filter=kernel())).shape == y.shape  # names no factor: 1
    assert AsReconstructor(blind(), scale=4)(y).shape == (2, 3, 32, 32)
    assert model.solve(y, Sealed()).k.shape == (2, 1, 5, 5)


def test_a_non_blind_reconstructor_gets_kernel_and_noise_level() -> None:
    seen: list[State] = []

    def restorer(s: State) -> Tensor:
        seen.append(s)
        return prox_image(s.y, s.k, s.x, 0.01, s.scale)

    model, x = AsReconstructor(UnrolledSolver(None, restorer, T=1, k0=None), blind=False), draw(0, 2, 3, 16, 16)
    physics = Downsampling(img_size=(3, 16, 16), filter=kernel(), factor=2, noise_model=GaussianNoise(torch.tensor([0.1, 0.2])))
    out = model.solve(physics.A(x), physics)
    assert torch.equal(out.k, kernel().expand(2, -1, -1, -1)) and out.sigma.flatten().tolist() == pytest.approx([0.1, 0.2])
    assert torch.equal(model(physics.A(x), physics), out.x) and len(seen) == 2
    with pytest.raises(ValueError, match="needs the physics"):
        model(physics.A(x))
