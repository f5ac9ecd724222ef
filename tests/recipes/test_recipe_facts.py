"""What is particular to each recipe: its size, who reads whom, what is cut, and which arguments it refuses."""

import inspect
from collections.abc import Callable

import pytest
import torch
from instances import INSTANCES, TINY, case, fresh, run, solver
from synthetic import kernels, observed, pictures, psnr
from torch import Tensor, nn

from pnpsr import State, UnrolledSolver, blind_hqs, dan, ikrnet, two_step, usrnet
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, random_motion
from pnpsr.nets import KernelEncoder
from pnpsr.recipes import (
    RECIPES,
    FirstGuess,
    ImageStep,
    KernelStep,
    Tuning,
    bisrnet,
    ikrnet_released,
    recipe,
    tv_hqs,
)
from pnpsr.starts import upsample

COUNTS = {
    **{
        f"dan version 1 x{s}": (lambda s=s: dan(s, version=1), n)
        for s, n in zip((1, 2, 3, 4), (4071015, 4181799, 4366439, 4329511), strict=True)
    },
    **{
        f"dan version 2 x{s}": (lambda s=s: dan(s), n)
        for s, n in zip((1, 2, 3, 4), (4386940, 4540028, 4733116, 4707708), strict=True)
    },
    "usrnet": (usrnet, 17016016),  # "17.02 M"
    "usrnet tiny": (lambda: usrnet(T=6, widths=(16, 32, 64, 64), hidden=32), 590332),
}


def reached(net: nn.Module, part: str) -> bool:
    """Whether any gradient came to a part."""
    return any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.get_submodule(part).parameters())


@pytest.mark.parametrize(("build", "count"), COUNTS.values(), ids=COUNTS.keys())
def test_sizes_are_those_of_the_papers(build: Callable[[], nn.Module], count: int) -> None:
    assert sum(p.numel() for p in build().parameters()) == count


# --- DAN ---


@pytest.mark.parametrize("key", ["dan", "dan version 1"])
def test_dan_cuts_both_hand_overs(key: str) -> None:
    """The image loss never reaches the estimator, the kernel loss never the restorer, as in the released code."""
    for name, taught, untaught in (("x", "restorer", "estimator"), ("k", "estimator", "restorer")):
        net, c = fresh(key), case(INSTANCES[key])
        out = run(net, INSTANCES[key], c)
        (getattr(out, name) - getattr(c, name)).abs().mean().backward()
        assert reached(net, taught) and not reached(net, untaught)
        net, uncut = fresh(key), case(INSTANCES[key])
        net.detach = ()
        (getattr(run(net, INSTANCES[key], uncut), name) - getattr(uncut, name)).abs().mean().backward()
        assert reached(net, taught) and reached(net, untaught)  # the cut is what kept them apart


@pytest.mark.parametrize("key", ["dan", "dan version 1"])
def test_dan_restores_first_from_a_kernel_that_does_nothing(key: str) -> None:
    net, c = solver(key), case(INSTANCES[key])
    first = next(net.iterate(net.start(c.y)))
    dirac = torch.zeros_like(c.k)
    dirac[..., 2, 2] = 1
    x = net.restorer.net(c.y, net.restorer.basis.encode(dirac))
    assert torch.equal(first.x, x)
    k = net.estimator.net(c.y, x)
    assert torch.equal(first.k, net.estimator.basis.decode(k) if key.endswith("1") else k)
    assert torch.equal(net(c.y).x, net(c.y, x=torch.zeros_like(x)).x)  # the first image is never read


def test_dans_kernels_are_kernels_and_its_codes_are_codes() -> None:
    c = case(INSTANCES["dan"])
    k = solver("dan")(c.y).k
    assert k.min() >= 0 and torch.allclose(k.sum((1, 2, 3)), torch.ones(2).double())
    net = solver("dan version 1")
    assert net.restorer.basis is net.estimator.basis  # one basis, travelling once with each slot
    k = net(c.y).k
    assert torch.allclose(net.restorer.basis.decode(net.restorer.basis.encode(k)), k)


# --- IKR-Net and its kin ---


def test_ikrnets_image_loss_does_not_reach_the_kernel_prior_but_its_kernel_loss_reaches_the_image_prior() -> None:
    for name, parts in (
        ("x", {"estimator": False, "restorer": True, "tuner": True, "k0": False}),
        ("k", {"estimator": True, "restorer": True, "tuner": True}),
    ):
        net, c = fresh("ikrnet"), case(INSTANCES["ikrnet"])
        out = run(net, INSTANCES["ikrnet"], c)
        (getattr(out, name) - getattr(c, name)).abs().mean().backward()
        assert {part: reached(net, part) for part in parts} == parts


def test_first_images_are_those_of_the_papers() -> None:
    for key, mode in (("ikrnet", "bilinear"), ("bisrnet", "bilinear"), ("usrnet", "nearest"), ("tv_hqs", "bicubic")):
        c = case(INSTANCES[key])
        assert torch.equal(solver(key).start(c.y, 2, **c.given(INSTANCES[key])).x, upsample(c.y, 2, mode))


def test_ikrnet_estimates_the_noise_only_if_it_is_unknown() -> None:
    net, c = solver("ikrnet"), case(INSTANCES["ikrnet"])
    assert torch.equal(net(c.y, 2, sigma=c.sigma).hyper.sigma, c.sigma)
    estimated = net(c.y, 2).hyper.sigma
    assert estimated.shape == c.sigma.shape and not torch.allclose(estimated, c.sigma)
    net = fresh("ikrnet")
    (net(c.y, 2).hyper.sigma - c.sigma).square().sum().backward()
    assert reached(net, "tuner.noise")


def test_the_released_ikrnet_is_eight_steps_one_kernel_and_eight_afresh() -> None:
    net, c = solver("ikrnet released"), case(INSTANCES["ikrnet released"])
    k = net.first.k0.net(c.y)
    half = net.first(c.y, 2, sigma=c.sigma, k=k)
    assert half.t == 8 and torch.equal(half.k, k)
    w = net.kernel(half)
    whole = net.second(c.y, 2, sigma=c.sigma, k=w)
    out = net(c.y, 2, sigma=c.sigma)
    assert torch.equal(out.x, whole.x) and torch.equal(out.k, w) and out.t == 8
    assert net.kernel.around == "zero" and float(net.kernel.log_gamma.exp()) == pytest.approx(5.0)
    assert not set(map(id, net.first.parameters())) & set(map(id, net.second.parameters()))


def test_the_released_ikrnet_treats_all_samples_alike() -> None:
    """Not the first with another weight than the rest."""
    net, c = solver("ikrnet released"), case(INSTANCES["ikrnet released"], b=3)
    turned = net(c.y.flip(0), 2, sigma=c.sigma.flip(0))
    out = net(c.y, 2, sigma=c.sigma)
    assert torch.allclose(turned.k.flip(0), out.k, rtol=0, atol=1e-9) and torch.allclose(turned.x.flip(0), out.x, rtol=0, atol=1e-9)
    copies = net(c.y[:1].expand(3, -1, -1, -1), 2, sigma=0.02)
    assert torch.allclose(copies.k[2], copies.k[0], rtol=0, atol=1e-9)


def test_two_step_is_a_kernel_then_the_non_blind_solver() -> None:
    c = case(INSTANCES["two_step"])
    nonblind, net = usrnet(T=2, widths=TINY).double(), KernelEncoder(5).double()
    both = two_step(net, nonblind)
    k = net(c.y)
    assert torch.equal(both(c.y, 2, sigma=c.sigma).x, nonblind(c.y, 2, k=k, sigma=c.sigma).x)
    assert both.restorer is nonblind.restorer and both.tuner is nonblind.tuner and both.estimator is None
    (both(c.y, 2, sigma=c.sigma).x - c.x).abs().mean().backward()
    assert reached(both, "k0") and reached(both, "restorer")  # trained end to end


# --- untrained ---


@pytest.mark.parametrize("scale", [1, 2])
def test_total_variation_with_the_true_kernel_beats_interpolation(scale: int) -> None:
    x, k = pictures(1, 3, 48, 40, seed=3), kernels(1, 7, seed=3)
    y = observed(x, k, scale, 0.01)
    out = tv_hqs()(y, scale, k=k, sigma=0.01)
    assert psnr(out.x, x) > psnr(upsample(y, scale), x) + 2
    assert psnr(out.x, x) > psnr(tv_hqs(T=1)(y, scale, k=k, sigma=0.01).x, x)
    assert torch.equal(out.k, k)


BLURS = {
    "Gaussian": gaussian(9, 1.5),
    "slanted": gaussian(9, 1.8, width2=0.8, angle=0.5),
    "motion": random_motion(1, 9, generator=torch.Generator().manual_seed(0)),
}


@pytest.mark.parametrize("k", BLURS.values(), ids=BLURS.keys())
def test_the_untrained_blind_solver_finds_a_kernel_and_then_keeps_it(k: Tensor) -> None:
    x = sample_picture("astronaut")[..., :128, 160:288].mean(1, keepdim=True)
    y, net = observed(x, k, 1), blind_hqs(9)
    states = list(net.iterate(net.start(y, 1)))
    assert len(states) == net.T == 20
    assert all(torch.equal(s.k, states[11].k) for s in states[11:]) and not torch.equal(states[10].k, states[11].k)
    assert [float(s.hyper.alpha) for s in (states[12], states[19])] == pytest.approx([1e-3, 1.0])  # the second phase begins afresh
    for s in states:
        assert s.k.min() >= 0 and torch.allclose(s.k.sum(), torch.ones(()))
    assert (states[-1].k - k).square().sum() < 0.6 * (net.start(y, 1).k - k).square().sum()
    assert psnr(states[-1].x, x) > psnr(y, x) + 1.5


# --- arguments ---

REFUSED = {
    "dan scale": (lambda: dan(5), ValueError, "scale must be one of"),
    "dan scale 2.5": (lambda: dan(2.5), TypeError, "scale must be an integer"),
    "dan version": (lambda: dan(2, version=3), ValueError, "version must be one of 1, 2"),
    "dan skip": (lambda: dan(2, skip="long", size=5, code=4), ValueError, "skip must be one of"),
    "dan code": (lambda: dan(2, size=3, code=10), ValueError, "dim must be at most the 9 pixels"),
    "dan width": (lambda: dan(2, width=1, size=5, code=4), ValueError, "width must be at least 1"),
    "dan T": (lambda: dan(2, T=-1, width=8, groups=1, blocks=1), ValueError, "T must be at least 0"),
    "dan blocks": (lambda: dan(2, blocks=0, width=8), ValueError, "blocks must be at least 1"),
    "unknown keyword": (lambda: dan(2, kernel=21), TypeError, "kernel"),
    "ikrnet gamma": (lambda: ikrnet(5, widths=TINY, gamma=0.0), ValueError, "gamma must be a positive number"),
    "ikrnet domain": (lambda: ikrnet(5, widths=TINY, domain="fourier"), ValueError, "domain must be one of"),
    "ikrnet constraint": (lambda: ikrnet(5, widths=TINY, constraint="positive"), ValueError, "constraint must be one of"),
    "ikrnet widths": (lambda: ikrnet(5, widths=(4, 8)), ValueError, "widths must be 4"),
    "ikrnet size": (lambda: ikrnet(0, widths=TINY), ValueError, "size must be at least 1"),
    "ikrnet_released widths": (lambda: ikrnet_released(5, widths=(4, 8)), ValueError, "widths must be 4"),
    "bisrnet scale": (lambda: bisrnet(6, 5, widths=TINY), ValueError, "scale must be one of"),
    "usrnet T": (lambda: usrnet(T=0, widths=TINY), ValueError, "per_iteration must be at least 1"),
    "usrnet T 2.5": (lambda: usrnet(T=2.5, widths=TINY), TypeError, "per_iteration must be an integer"),
    "usrnet start": (lambda: usrnet(start="lanczos", widths=TINY), ValueError, "mode must be one of"),
    "usrnet channels": (lambda: usrnet(channels=0, widths=TINY), ValueError, "channels must be at least 1"),
    "two_step size": (lambda: two_step(size=0, widths=TINY), ValueError, "size must be at least 1"),
    "blind_hqs size": (lambda: blind_hqs(2.5), TypeError, "size must be an integer"),
    "blind_hqs width": (lambda: blind_hqs(5, width=0.0), ValueError, "width must be a positive number"),
    "blind_hqs T": (lambda: blind_hqs(5, T=-1), ValueError, "must be at least"),
    "blind_hqs finish half": (lambda: blind_hqs(5, finish=2.5), TypeError, "steps must be an integer"),
    "blind_hqs finish blind": (lambda: blind_hqs(5, finish=blind_hqs(5)), ValueError, "or a non-blind solver with a tuner"),
    "blind_hqs finish": (lambda: blind_hqs(5, finish=0), ValueError, "steps must be at least 1"),
    "tv_hqs T": (lambda: tv_hqs(T=0), ValueError, "steps must be at least 1"),
    "tv_hqs floor": (lambda: tv_hqs(floor=0.0), ValueError, "floor must be positive"),
}


@pytest.mark.parametrize(("build", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_arguments_are_refused(build: Callable[[], nn.Module], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


def test_a_record_is_the_whole_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults included, lists as tuples that nobody can change afterwards, solvers as their own records."""
    widths = list(TINY)
    inner = usrnet(T=2, widths=widths)
    widths[0] = 99
    assert inner.record.arguments == {"T": 2, "widths": TINY, "hidden": 64, "channels": 3, "start": "nearest"}
    outer = two_step(nonblind=inner, size=5)
    assert outer.record.arguments["nonblind"] == inner.record

    monkeypatch.setattr(RECIPES, "_things", dict(RECIPES))

    @recipe
    def mine(size: int = 3) -> UnrolledSolver:
        """My own."""
        return tv_hqs(T=size)

    assert mine().record.recipe == "mine" and mine().record.arguments == {"size": 3} and mine.__doc__ == "My own."
    assert isinstance(mine()(pictures(1, 1, 4, 4, seed=0), 1, k=kernels(1, 3, seed=0)), State)


# --- options ---


def test_options_are_said_together_or_one_by_one_and_remembered_one_by_one() -> None:
    step, image = KernelStep(gamma=1.0, widths=TINY, learn=True), ImageStep(widths=TINY, start="bicubic")
    together = ikrnet(5, T=1, kernel=step, image=image, k0=FirstGuess(code=4), tuner=Tuning(hidden=8))
    words = {"gamma": 1.0, "kernel_widths": TINY, "learn_gamma": True, "widths": TINY, "start": "bicubic", "code": 4, "hidden": 8}
    apart = ikrnet(5, T=1, **words)
    assert together.record == apart.record and words.items() <= together.record.arguments.items()
    assert ikrnet(5, T=1, kernel=step, image=image, gamma=2.0).record.arguments["gamma"] == 2.0
    assert together.state_dict().keys() == apart.state_dict().keys() and together.x0.mode == apart.x0.mode == "bicubic"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"kernel": 1.0}, "kernel must be a KernelStep, got float"), ({"gama": 1.0}, "unexpected keyword argument 'gama'")],
)
def test_wrong_options_are_refused(wrong: dict[str, object], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        ikrnet(5, **wrong)


def test_a_reader_can_hold_every_constructor() -> None:
    for name, build in RECIPES.items():
        assert len(inspect.signature(build).parameters) <= 12, name
