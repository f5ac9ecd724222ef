"""The named settings are those of the papers: widths, sizes, shares and noise levels, measured on drawn kernels."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pnpsr.conventions import DAN, PNPSR
from pnpsr.data import SETTINGS, FromDataset, Setting, Stream, setting
from pnpsr.kernels import SETTING1_WIDTHS, gaussian, random_motion

N = 150


def drawn(one: Setting, scale: int, count: int = N) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(scale)
    pairs = [one.draw(scale, g) for _ in range(count)]
    return torch.cat([k for k, _ in pairs]).double(), torch.tensor([sigma for _, sigma in pairs], dtype=torch.float64)


def covariances(k: Tensor) -> Tensor:
    """(b 2 2) about the centre pixel, the plain sum as referee."""
    n = torch.arange(k.shape[-1], dtype=k.dtype) - k.shape[-1] // 2
    rows, columns = torch.meshgrid(n, n, indexing="ij")
    at = torch.stack((rows, columns)).flatten(1)
    return torch.einsum("bp,ip,jp->bij", k.flatten(1), at, at)


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name, one in SETTINGS.items() for scale in one.scales])
def test_kernels_sum_to_one_and_no_two_are_alike(name: str, scale: int) -> None:
    k, sigma = drawn(SETTINGS[name], scale)
    p = SETTINGS[name].kernel_size(scale)
    assert k.shape == (N, 1, p, p) and bool((k >= 0).all())
    assert torch.allclose(k.sum((1, 2, 3)), torch.ones(N, dtype=k.dtype), atol=1e-5)
    assert len(torch.unique(k.flatten(1), dim=0)) > 0.9 * N  # the narrowest are all Diracs
    low, high = SETTINGS[name].sigma
    assert bool(((sigma >= low) & (sigma <= high) | (sigma == 0)).all())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_dan_setting_1_is_isotropic_of_the_widths_of_its_scale(scale: int) -> None:
    k, sigma = drawn(SETTINGS["dan-setting1"], scale)
    low, high = SETTING1_WIDTHS[scale]
    assert (low, high) == (0.2, float(scale)) and k.shape[-1] == 21 and not sigma.any()
    spread = covariances(k)
    assert torch.allclose(spread[:, 0, 0], spread[:, 1, 1], atol=1e-4) and float(spread[:, 0, 1].abs().max()) < 1e-4
    widest, narrowest = (covariances(gaussian(21, w, dtype=torch.float64))[0, 0, 0] for w in (high, low))
    assert float(spread[:, 0, 0].min()) >= narrowest - 1e-6 and float(spread[:, 0, 0].max()) <= widest + 1e-6
    assert float(spread[:, 0, 0].max()) > 0.8 * widest and float(spread[:, 0, 0].min()) < 0.2


@pytest.mark.parametrize(("scale", "size"), [(2, 11), (4, 31)])
def test_dan_setting_2_is_anisotropic_of_11_and_31_pixels(scale: int, size: int) -> None:
    k, sigma = drawn(SETTINGS["dan-setting2"], scale)
    assert k.shape[-1] == size and not sigma.any()
    axes = torch.linalg.eigvalsh(covariances(k))
    assert float((axes[:, 1] / axes[:, 0]).median()) > 1.3
    with pytest.raises(ValueError, match="no kernel size for scale 3"):
        SETTINGS["dan-setting2"].kernel_size(3)


@pytest.mark.parametrize("name", ["dan-setting1", "dan-setting2"])
def test_dan_stores_eight_bits(name: str) -> None:
    assert SETTINGS[name].bits == 8 and SETTINGS[name].clean == 0


def gaussian_like(k: Tensor) -> Tensor:
    """(b,): point-symmetric about the centre, which no drawn motion of some length is."""
    return (k - k.flip(-2, -1)).abs().sum((1, 2, 3)) < 1e-3


def test_ikrnet_draws_gaussians_and_motion_half_and_half_with_up_to_three_percent_of_noise() -> None:
    one = SETTINGS["ikrnet"]
    k, sigma = drawn(one, 2, 300)
    share = float(gaussian_like(k).double().mean())
    assert abs(share - 0.5) < 0.1  # 3.5 standard deviations
    assert one.scales == (2, 4) and one.sigma == (0.0, 0.03) and one.bits is None
    assert 0 <= float(sigma.min()) < 0.002 and 0.028 < float(sigma.max()) <= 0.03
    assert abs(float(sigma.mean()) - 0.015) < 0.002
    assert abs(float(sigma[gaussian_like(k)].mean()) - 0.015) < 0.003  # whatever the kernel


def test_usrnet_knows_all_scales_and_a_quarter_without_noise() -> None:
    one = SETTINGS["usrnet"]
    _, sigma = drawn(one, 1, 300)
    assert one.scales == (1, 2, 3, 4) and abs(float((sigma == 0).double().mean()) - 0.25) < 0.09 and float(sigma.max()) > 0.045


def test_a_setting_is_what_is_replaced_in_it() -> None:
    one = setting("ikrnet", scales=(3,), sigma=(0.01, 0.02), clean=0.5, size=9, bits=8, convention=DAN)
    assert (one.scales, one.sigma, one.clean, one.size, one.bits, one.convention) == ((3,), (0.01, 0.02), 0.5, 9, 8, DAN)
    assert setting("ikrnet") == SETTINGS["ikrnet"]


Replaced = Sequence[tuple[dict[str, object], str]]
REFUSED: Replaced = [
    ({"scales": ()}, "at least one scale"),
    ({"scales": (0,)}, "scale"),
    ({"sigma": (0.1, 0.0)}, "sigma"),
    ({"sigma": (-0.1, 0.0)}, "sigma"),
    ({"sigma": (0.0, 2.55)}, r"sigma.* 255"),
    ({"clean": 1.5}, "clean must be a share"),
    ({"size": 0}, "size"),
    ({"convention": replace(PNPSR, boundary="valid")}, "border"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[str(values) for values, _ in REFUSED])
def test_impossible_settings_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        setting("ikrnet", **values)  # type: ignore[arg-type]


def test_unknown_settings_are_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"setting must be one of .*dan-setting1.*ikrnet.*got 'ours'"):
        setting("ours")


def test_own_kernels_are_functions() -> None:
    def shaken(_: int, size: int, generator: torch.Generator) -> Tensor:
        return random_motion(1, size, generator=generator)

    one = Setting("shaken", (1,), (shaken,), size=7)
    assert one.draw(1, torch.Generator().manual_seed(0))[0].shape == (1, 1, 7, 7)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: torch.full((1, 1, p, p), 1.0), ValueError, r"source 'make' of setting 'own' returned a kernel that sums to 25;"),
        (lambda p: torch.zeros(1, 1, p, p), ValueError, r"sums to 0; normalise it: k / k.sum\(\)"),
        (lambda p: torch.full((1, 1, p, p), -1 / p**2), ValueError, "sums to -1"),
        (lambda p: torch.full((1, 1, p, p), torch.nan), ValueError, "sums to nan"),
        (lambda p: torch.full((1, 1, p + 2, p + 2), 1 / (p + 2) ** 2), ValueError, r"one kernel \(1 1 5 5\), got \(1, 1, 7, 7\)"),
        (lambda p: torch.full((p, p), 1 / p**2), ValueError, r"one kernel \(1 1 5 5\), got \(5, 5\)"),
        (lambda p: None, TypeError, "must return a tensor of floats"),
    ],
    ids=["sums to 25", "zero", "negative", "NaN", "other size", "no axes", "nothing"],
)
def test_sources_that_are_no_kernels_are_refused_before_the_first_step(
    make: Callable[[int], object], error: type[Exception], message: str
) -> None:
    def source(scale: int, size: int, generator: torch.Generator) -> object:
        return make(size)

    source.__name__ = "make"
    one = Setting("own", (2,), (source,), size=5)  # type: ignore[arg-type]
    with pytest.raises(error, match=message):
        Stream(FromDataset([torch.zeros(3, 8, 8)]), one, batch=1, patch=8)
    with pytest.raises(error, match=message):
        one.draw(2, torch.Generator())


def test_values_in_another_form_are_refused() -> None:
    with pytest.raises(TypeError, match=r"scales must be a tuple such as \(2,\) or \(2, 4\), got 2"):
        setting("ikrnet", scales=2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sources must be a tuple"):
        Setting("own", (2,), random_motion)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"sources must be functions \(scale, size, generator\) -> kernel, got Tensor"):
        Setting("own", (2,), (torch.zeros(1, 1, 5, 5),))  # type: ignore[arg-type]
