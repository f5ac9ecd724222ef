"""Every door to the library asks for the same units: pictures in [0, 1], noise as a fraction of white, kernels of sum 1."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from synthetic import kernels, observed, pictures
from torch import Tensor

from pnpsr import blind_hqs, dan, ikrnet, restore
from pnpsr.bordered import solve
from pnpsr.conventions import PNPSR
from pnpsr.data import Setting
from pnpsr.evaluate import Protocol, psnr, ssim
from pnpsr.physics import Degradation, gaussian_noise
from pnpsr.recipes import tv_hqs
from pnpsr.solver import UnrolledSolver

X = pictures(2, 3, 24, 24, 0)
K = kernels(2, 5, 0)
Y = observed(X, K, 2, 0.01)


def protocol(k: Tensor = K, sigma: float = 0.01) -> Protocol:
    return Protocol("small", ((2, sigma),), k, PNPSR)


def drawn(k: Tensor = K, sigma: float = 0.01) -> tuple[Tensor, float]:
    source = lambda scale, size, generator: k[:1]  # noqa: E731
    return Setting("own", (2,), (source,), size=5, sigma=(0.0, sigma)).draw(2, torch.Generator())


def plain() -> UnrolledSolver:
    return tv_hqs(T=2)


NOISE: dict[str, Callable[[Any], object]] = {
    "gaussian_noise": lambda sigma: gaussian_noise(X, sigma),
    "Degradation": lambda sigma: Degradation(2)(X, K, sigma),
    "a solver": lambda sigma: plain()(Y, 2, k=K, sigma=sigma),
    "restore": lambda sigma: solve(plain(), Y, 2, k=K, sigma=sigma),
    "Protocol": lambda sigma: protocol(sigma=float(sigma)),
    "Setting": lambda sigma: drawn(sigma=float(sigma)),
    "replace of a Setting": lambda sigma: replace(Setting("own", (2,), (lambda *_: K,)), sigma=(0.0, float(sigma))),
}
KERNELS: dict[str, Callable[[Tensor], object]] = {
    "Degradation": lambda k: Degradation(2)(X, k),
    "a solver": lambda k: plain()(Y, 2, k=k),
    "a solver that begins with it": lambda k: blind_hqs(5, T=1, finish=1)(Y, 2, k=k),
    "restore": lambda k: solve(plain(), Y, 2, k=k),
    "Protocol": lambda k: protocol(k),
    "a training source": lambda k: drawn(k),
}
PICTURES: dict[str, Callable[[Tensor], object]] = {
    "a solver": lambda y: plain()(y, 2, k=K),
    "dan": lambda y: dan(2, size=5, code=4, width=8, groups=1, blocks=1)(y.float()),
    "ikrnet": lambda y: ikrnet(5, T=1, widths=(4, 6, 8, 8))(y.float(), 2),
    "psnr": lambda y: psnr(y, y),
    "psnr of the truth": lambda y: psnr(Y, y),
    "ssim": lambda y: ssim(y, y),
}


@pytest.mark.parametrize("door", NOISE)
def test_noise_is_a_fraction_of_white(door: str) -> None:
    NOISE[door](0.03)
    for wrong in (2.55, 25.0, torch.tensor(2.55)):
        with pytest.raises(ValueError, match=r"sigma.* 255"):
            NOISE[door](wrong)


@pytest.mark.parametrize("door", KERNELS)
def test_a_kernel_sums_to_one(door: str) -> None:
    KERNELS[door](K * 1.005)  # what rounding and cropping cost
    one_of_two = torch.cat([81 * K[:1], K[1:]])
    for wrong, found in ((81 * K, "81"), (0 * K, "0"), (-K, "-1"), (one_of_two, "81"), (K - 0.03, "0.25")):
        with pytest.raises(ValueError, match=rf"(sum of|sums to) {found}.*; .*\.sum\("):
            KERNELS[door](wrong)


def test_a_blur_with_gain_has_a_way_of_its_own() -> None:
    """The frozen operator takes any kernel, and a solver the picture without the gain."""
    y = Degradation(2).freeze(k=3 * K)(X)
    assert torch.allclose(y, 3 * Degradation(2)(X, K))
    assert torch.allclose(plain()(y / 3, 2, k=K).x, plain()(Degradation(2)(X, K), 2, k=K).x)


def test_a_source_draws_what_its_setting_says() -> None:
    with pytest.raises(ValueError, match=r"of setting 'own' must .* 5\), got \(1, 1, 7, 7\)"):
        drawn(kernels(1, 7, 0))


@pytest.mark.parametrize("door", PICTURES)
def test_pictures_are_in_zero_to_one(door: str) -> None:
    """Noise may leave that range; 8-bit values and high dynamic range are refused by one rule, before anything is clipped."""
    for right in (Y, Y + 0.9, Y - 0.9):
        PICTURES[door](right)
    for wrong in (255 * Y, 10 * Y, 4 - Y, -Y - 1):
        with pytest.raises(ValueError, match=r"\[0, 1\], got -?\d.* \.\. "):
            PICTURES[door](wrong)


@pytest.mark.parametrize("door", ["solve", "restore"])
def test_what_would_be_cut_off_is_refused_where_results_are_cut_to_zero_to_one(door: str) -> None:
    """A solver keeps the range of y; what works on photographs cuts it, and takes noise beyond it, but no highlights."""
    y, strong = 0.5 + 0.25 * (Y - 0.5), gaussian_noise(torch.full_like(Y, 0.95), 0.3, generator=torch.Generator().manual_seed(0))
    call = {"solve": lambda y: solve(plain(), y, 2, k=K), "restore": lambda y: restore(y[:1].float(), 2, size=5, T=1)}[door]
    assert strong.amax() > 1.5 and call(strong).x.amax() <= 1
    for wrong in (10 * Y, 255 * Y, y + 0.9, -Y - 1, 1.9 * (0.5 + y / 2)):
        with pytest.raises(ValueError, match=r"\[0, 1\], got -?\d.* \.\. .*high dynamic range"):
            call(wrong)
    bright = torch.cat([2.5 * y[:1], y[1:]])
    assert plain()(bright, 2, k=K).x.amax() > 1.2


def test_high_dynamic_range_goes_through_by_the_way_that_the_message_names() -> None:
    bright = 10 * Y
    white = bright.amax((1, 2, 3), keepdim=True)
    x = white * solve(plain(), bright / white, 2, k=K).x
    assert x.amax() > 2 and torch.allclose(x / white, solve(plain(), bright / white, 2, k=K).x)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_metrics_of_other_ranges_say_so(metric: Callable[..., Tensor]) -> None:
    noisy = Y + 0.02
    assert torch.allclose(metric(255 * noisy, 255 * Y, data_range=255), metric(noisy, Y))
    for wrong in (0, -1, float("nan"), "8-bit"):
        with pytest.raises(ValueError, match="data_range must be the value of white"):
            metric(noisy, Y, data_range=wrong)
