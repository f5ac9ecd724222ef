"""PSNR and SSIM against scikit-image, against brute force, and against the papers' conventions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import unfold

from pnpsr.evaluate.metrics import luma, luminance, psnr, ssim


def pair(b: int, c: int, h: int, w: int, seed: int, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    truth = torch.rand(b, c, h, w, generator=g, dtype=torch.float64)
    return (truth + noise * torch.randn(b, c, h, w, generator=g, dtype=torch.float64)).clamp(0, 1), truth


def ssim_of_all_windows(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Every 11 x 11 window written out (Wang et al. 2004, Eq. 13-16)."""
    profile = torch.exp(-(torch.arange(-5, 6, dtype=torch.float64) ** 2) / (2 * 1.5**2))
    window = torch.outer(profile, profile)
    window = (window / window.sum()).reshape(1, -1, 1)
    x, y = (unfold(t.reshape(-1, 1, *t.shape[-2:]), 11) for t in (x, y))
    mx, my = ((window * t).sum(1, keepdim=True) for t in (x, y))
    vx, vy, cxy = ((window * s * t).sum(1, keepdim=True) for s, t in ((x - mx, x - mx), (y - my, y - my), (x - mx, y - my)))
    return ((2 * mx * my + 0.01**2) * (2 * cxy + 0.03**2) / ((mx**2 + my**2 + 0.01**2) * (vx + vy + 0.03**2))).mean((1, 2))


@given(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(12, 20), st.integers(12, 20), st.integers(0, 2), st.integers(0, 99))
def test_psnr_is_that_of_skimage_sample_by_sample(b: int, c: int, h: int, w: int, border: int, seed: int) -> None:
    from skimage.metrics import peak_signal_noise_ratio

    x, truth = pair(b, c, h, w, seed)
    values = psnr(x, truth, border=(border, 1))
    assert values.shape == (b,)
    for value, ours, theirs in zip(values, x, truth, strict=True):
        cut = (slice(None), slice(border, h - border), slice(1, w - 1))
        assert math.isclose(value, peak_signal_noise_ratio(theirs[cut].numpy(), ours[cut].numpy(), data_range=1), rel_tol=1e-9)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(11, 17), st.integers(11, 17), st.integers(0, 99))
def test_ssim_is_the_mean_over_all_windows(b: int, c: int, h: int, w: int, seed: int) -> None:
    x, truth = pair(b, c, h, w, seed)
    referee = ssim_of_all_windows(x, truth).reshape(b, c).mean(1)
    torch.testing.assert_close(ssim(x, truth), referee, rtol=0, atol=1e-9)


def test_ssim_agrees_with_skimage_up_to_the_boundary() -> None:
    from skimage.metrics import structural_similarity

    x, truth = pair(1, 1, 160, 200, 0)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    assert abs(float(ssim(x, truth)) - structural_similarity(truth[0, 0].numpy(), x[0, 0].numpy(), **settings)) < 2e-3


@pytest.mark.parametrize("metric", [psnr, ssim])
@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_border_is_cut_after_nothing_else(metric, colour: str) -> None:
    x, truth = pair(2, 3, 24, 30, 3)
    spoiled = x.clone()
    spoiled[..., :4, :] = 0
    spoiled[..., :, -4:] = 1
    kept = spoiled.clone()
    assert torch.equal(metric(spoiled, truth, border=4, colour=colour), metric(x, truth, border=4, colour=colour))
    assert torch.equal(metric(x, truth, border=4, colour=colour), metric(x[..., 4:-4, 4:-4], truth[..., 4:-4, 4:-4], colour=colour))
    assert not torch.equal(metric(spoiled, truth, border=3, colour=colour), metric(x, truth, border=3, colour=colour))
    assert torch.equal(spoiled, kept)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_colour_y_compares_luminances(metric) -> None:
    x, truth = pair(2, 3, 20, 22, 4)
    assert torch.equal(metric(x, truth, colour="y"), metric(luminance(x), luminance(truth)))


def test_luminance_has_studio_range_and_agrees_with_skimage() -> None:
    from skimage.color import rgb2ycbcr

    x = pair(2, 3, 5, 6, 5)[0]
    theirs = rgb2ycbcr(x.permute(0, 2, 3, 1).numpy())[..., 0] / 255
    np.testing.assert_allclose(luminance(x)[:, 0].numpy(), theirs, atol=1e-12)
    ends = luminance(torch.tensor([0.0, 1.0], dtype=torch.float64).reshape(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten() * 255
    torch.testing.assert_close(ends, torch.tensor([16.0, 235.0], dtype=torch.float64))


def test_the_full_range_costs_a_known_number_of_decibels() -> None:
    x, truth = pair(2, 3, 20, 22, 7)
    difference = psnr(x, truth, colour="y") - psnr(x, truth, colour="y_full")
    torch.testing.assert_close(difference, torch.full_like(difference, 20 * math.log10(255 / 219)), atol=1e-4, rtol=0)
    gray = luma(torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64).reshape(3, 1, 1, 1).expand(-1, 3, 2, 2))
    torch.testing.assert_close(gray[:, 0, 0, 0], torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64))


def test_known_values() -> None:
    truth = torch.full((1, 3, 16, 16), 0.5)
    assert float(psnr(truth, truth)) == math.inf and float(ssim(truth, truth)) == 1
    assert math.isclose(float(psnr(truth + 0.1, truth)), 20, abs_tol=1e-4)
    assert math.isclose(float(psnr(truth + 0.1, truth, colour="y")), 20 + 20 * math.log10(255 / 219), abs_tol=1e-4)


def test_single_precision_and_a_shared_truth() -> None:
    x, truth = pair(3, 3, 30, 30, 6, noise=0.001)
    for metric in (psnr, ssim):
        values = metric(x.float(), truth[:1].float())
        assert values.shape == (3,)
        torch.testing.assert_close(values, metric(x, truth[:1].expand(3, -1, -1, -1)), rtol=1e-5, atol=1e-5, check_dtype=False)


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"x": torch.zeros(2, 3, 20, 21)}, ValueError, "same shape"),
        ({"x": torch.zeros(3, 3, 20, 20)}, ValueError, "batch sizes"),
        ({"x": torch.zeros(2, 3, 20, 20, dtype=torch.float64)}, TypeError, "dtypes"),
        ({"x": torch.zeros(2, 3, 20, 20, dtype=torch.uint8)}, TypeError, "uint8"),
        ({"x": torch.full((2, 3, 20, 20), torch.nan)}, ValueError, "NaN"),
        ({"x": torch.zeros(2, 1, 20, 20), "truth": torch.zeros(2, 1, 20, 20), "colour": "y"}, ValueError, "gray"),
        ({"colour": "ycbcr"}, ValueError, "colour must be one of"),
        ({"border": 10}, ValueError, "leaves nothing"),
        ({"border": -1}, ValueError, "at least 0"),
        ({"border": 0.5}, TypeError, "integer"),
    ],
)
@pytest.mark.parametrize("metric", [psnr, ssim])
def test_bad_input_is_refused(metric, change: dict, error: type, reason: str) -> None:
    good = {"x": torch.zeros(2, 3, 20, 20), "truth": torch.zeros(2, 3, 20, 20)}
    with pytest.raises(error, match=reason):
        metric(**(good | change))


def test_ssim_needs_room_for_its_window() -> None:
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim(torch.zeros(1, 1, 14, 14), torch.zeros(1, 1, 14, 14), border=2)


@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_ssim_is_that_of_torchmetrics_where_its_windows_are_whole(colour: str) -> None:
    """deepinv's SSIM is torchmetrics'; that one also averages windows which reach over the border, as the papers do not."""
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    x, truth = pair(1, 3, 71, 64, 8, noise=0.05)
    a, b = (luminance(t) if colour == "y" else t for t in (x, truth))
    everywhere = theirs(a, b, sigma=1.5, kernel_size=11, data_range=1.0, return_full_image=True)[1]
    assert abs(float(ssim(x, truth, colour=colour)) - float(everywhere[..., 5:-5, 5:-5].mean())) < 1e-4


def test_ssim_is_that_of_the_papers_code_on_bytes() -> None:
    """OpenCV's window and filter, levels 0 .. 255, five pixels cut, as the released evaluations of DAN and its kin do it."""
    import cv2

    x, truth = ((t * 255).round() for t in pair(1, 3, 40, 57, 9, noise=0.1))
    profile = cv2.getGaussianKernel(11, 1.5)
    window = profile @ profile.T

    def blur(image: np.ndarray) -> np.ndarray:
        return cv2.filter2D(image, -1, window)[5:-5, 5:-5]

    values = []
    for a, b in zip(x[0].numpy(), truth[0].numpy(), strict=True):
        ma, mb = blur(a), blur(b)
        va, vb, cab = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        values.append(((2 * ma * mb + c1) * (2 * cab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())
    assert abs(float(ssim(x / 255, truth / 255)) - np.mean(values)) < 1e-4
