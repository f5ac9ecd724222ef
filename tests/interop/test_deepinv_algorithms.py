"""deepinv's optimisers, samplers, metrics and trainer on pnpsr's operator: the same results as on their own operator."""

from collections.abc import Callable

import deepinv
import pytest
import torch
from deepinv.optim import ADMM, DPIR, DRS, FISTA, GD, HQS, L2, PDCP, PGD, PnP, Tikhonov, TVPrior
from deepinv.physics.generator import GaussianBlurGenerator, SigmaGenerator
from torch import Tensor

from pnpsr import UnrolledSolver
from pnpsr.interop.deepinv import AsReconstructor, DegradationPhysics, to_deepinv
from pnpsr.physics import Degradation
from pnpsr.prox import prox_image

Pair = tuple[DegradationPhysics, deepinv.physics.Downsampling]


def picture(b: int = 1, n: int = 24) -> Tensor:
    i = torch.arange(n) / n
    x = 0.5 + 0.3 * torch.sin(8 * i)[:, None] * torch.cos(5 * i)[None] + 0.2 * (i[:, None] > i[None])
    return x.expand(b, 3, n, n).contiguous()


@pytest.fixture
def pair() -> Pair:
    """The same operator twice: ours and deepinv's."""
    k = GaussianBlurGenerator(psf_size=(7, 7)).step(1, seed=0)["filter"]
    theirs = deepinv.physics.Downsampling(img_size=(3, 24, 24), filter=k, factor=2, noise_model=deepinv.physics.GaussianNoise(0.02))
    return to_deepinv(Degradation(2), k, sigma=0.02), theirs


SMOOTH = {"prior": Tikhonov(), "stepsize": 1.0, "lambda_reg": 0.02}


@pytest.mark.parametrize(
    "build",
    [
        lambda p, **kw: HQS(
            prior=TVPrior(n_it_max=20), stepsize=2.0, lambda_reg=0.02, **kw
        ),  # a new prior each: they keep their last result
        lambda p, **kw: HQS(prior=PnP(deepinv.models.MedianFilter(3)), stepsize=[4.0, 1.0, 0.5, 0.2], g_param=0.05, **kw),
        lambda p, **kw: PGD(**SMOOTH, **kw),
        lambda p, **kw: FISTA(**SMOOTH, **kw),
        lambda p, **kw: ADMM(**SMOOTH, **kw),
        lambda p, **kw: DRS(**SMOOTH, **kw),
        lambda p, **kw: GD(**SMOOTH, **kw),
        lambda p, **kw: PDCP(**SMOOTH, custom_init=lambda y, p: (p.A_adjoint(y),) * 3, **kw),
    ],
    ids=["HQS-TV", "HQS-PnP", "PGD", "FISTA", "ADMM", "DRS", "GD", "PDCP"],
)
def test_every_optimiser_gives_what_it_gives_on_their_operator(pair: Pair, build: Callable[..., torch.nn.Module]) -> None:
    ours, theirs = pair
    y = theirs.A(picture())
    with torch.no_grad():
        got, want = (build(p, data_fidelity=L2(), max_iter=4, early_stop=False)(y, p) for p in pair)
    torch.testing.assert_close(got, want, atol=1e-4, rtol=0)
    assert (got - ours.A_adjoint(y)).abs().max() > 0.01  # it did something


def test_dpir_improves_on_the_adjoint(pair: Pair) -> None:
    ours, x = pair[0], picture()
    ours.noise_model.rng = torch.Generator().manual_seed(0)
    y, psnr = ours(x), deepinv.metric.PSNR()
    with torch.no_grad():
        restored = DPIR(sigma=0.02, denoiser=deepinv.models.TVDenoiser(n_it_max=30))(y, ours)
    assert psnr(restored, x) > psnr(ours.A_dagger(y), x) + 1 and psnr(restored, x) > 23


def test_samplers(pair: Pair) -> None:
    ours, theirs = pair
    y = theirs.A(picture())
    score = deepinv.optim.ScorePrior(deepinv.models.MedianFilter(3))
    for iterator, parameters in (
        ("ULA", {"step_size": 1e-3, "alpha": 1.0, "sigma": 0.05}),
        ("SKRock", {"step_size": 1e-3, "alpha": 1.0, "sigma": 0.05, "eta": 0.05, "inner_iter": 3}),
    ):
        sampler = deepinv.sampling.sampling_builder(
            iterator, L2(sigma=0.1), score, params_algo=parameters, max_iter=6, thinning=1, verbose=False
        )
        torch.testing.assert_close(sampler.sample(y, ours, seed=0), sampler.sample(y, theirs, seed=0), atol=1e-4, rtol=0)
    # a large lambda keeps their closed form out of the range where single precision fails it
    diffusion = deepinv.sampling.DiffPIR(deepinv.models.MedianFilter(3), L2(), max_iter=5, lambda_=1e4)
    torch.testing.assert_close(diffusion(y, ours, seed=1), diffusion(y, theirs, seed=1), atol=1e-3, rtol=0)


def test_metrics_and_losses(pair: Pair) -> None:
    ours, x = pair[0], picture(2)
    y = ours.A(x)
    assert deepinv.metric.PSNR()(ours.A_dagger(y), x).shape == (2,)
    assert deepinv.loss.MCLoss()(y, ours.A_dagger(y), ours).max() < 1e-8
    assert deepinv.models.ArtifactRemoval(deepinv.models.MedianFilter(3), mode="pinv")(y, ours).shape == x.shape


def test_trainer_draws_kernels_and_noise_and_trains_an_unrolled_solver() -> None:
    class Restorer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.log_alpha = torch.nn.Parameter(torch.zeros(1))

        def forward(self, s: object) -> Tensor:
            return prox_image(s.y, s.k, s.x, self.log_alpha.exp(), s.scale)  # type: ignore[attr-defined]

    model = AsReconstructor(UnrolledSolver(None, Restorer(), T=2, k0=None), blind=False)
    generator = GaussianBlurGenerator(psf_size=(5, 5), rng=torch.Generator().manual_seed(0)) + SigmaGenerator(sigma_max=0.05)
    physics = to_deepinv(Degradation(2), generator=torch.Generator().manual_seed(0))
    trainer = deepinv.Trainer(
        model=model,
        physics=physics,
        physics_generator=generator,
        online_measurements=True,
        optimizer=torch.optim.Adam(model.parameters(), lr=0.1),
        train_dataloader=torch.utils.data.DataLoader([{"x": x} for x in picture(4)], batch_size=2),
        epochs=2,
        device="cpu",
        save_path=None,
        verbose=False,
        show_progress_bar=False,
        non_blocking_transfers=False,
    )
    trainer.train()
    assert model.solver.restorer.log_alpha.item() != 0 and physics.kernel.shape == (2, 1, 5, 5)  # type: ignore[union-attr]
