"""The first kernel from second-order statistics: brute force as referee, what the statistics ignore, what they see."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from pnpsr.kernels import gaussian, turned
from pnpsr.nets import KernelStatistics
from pnpsr.nets.statistics import FLOOR, LAGS, WINDOW, _mirrored, _views, statistics

SHAPES = 4 * (2 * LAGS + 1) * (LAGS + 1)  # numbers of the four autocorrelations; the four powers follow, then the spectrum
SPECTRUM = WINDOW * (WINDOW // 2 + 1)


def picture(h: int, w: int, seed: int = 0, b: int = 1) -> Tensor:
    return torch.rand(b, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blurred(h: int, w: int, k: Tensor, seed: int = 0) -> Tensor:
    """White noise under k, on the torus: its spectrum is |K|² and nothing else."""
    noise = torch.randn(1, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.fft.irfft2(torch.fft.rfft2(noise) * torch.fft.rfft2(k[0].double(), s=(h, w)), s=(h, w)) * 0.1 + 0.5


def local_mean(m: np.ndarray) -> np.ndarray:
    """The mean over 9 x 9, of what of it lies inside."""
    rows, columns = m.shape
    inside = [[m[max(0, i - 4) : i + 5, max(0, j - 4) : j + 5].mean() for j in range(columns)] for i in range(rows)]
    return np.array(inside)


def by_formula(y: np.ndarray) -> np.ndarray:
    """The statistics of one picture as the docstrings say them, with sums over pixels."""
    missing = [max(0, WINDOW + 2 - n) for n in y.shape]
    y = np.pad(y, [(0, missing[0]), (0, missing[1])], mode="edge")
    laplacian = 4 * y[1:-1, 1:-1] - y[:-2, 1:-1] - y[2:, 1:-1] - y[1:-1, :-2] - y[1:-1, 2:]
    maps = [np.diff(y, axis=1)[1:], np.diff(y, axis=0)[:, 1:], laplacian]
    maps.append(laplacian / np.sqrt(local_mean(laplacian**2) + 10 * FLOOR))
    shapes, powers = [], []
    for m in maps:
        rows, columns = m.shape
        lags = [(a, b) for a in range(-LAGS, LAGS + 1) for b in range(LAGS + 1)]
        pairs = [(m[max(0, a) : rows + min(0, a), b:], m[max(0, -a) : rows + min(0, -a), : columns - b]) for a, b in lags]
        power = (m**2).mean() + FLOOR / 100
        powers.append(math.log(power))
        shapes += [(one * other).sum() / m.size / power for one, other in pairs]
    step = WINDOW // 4 if min(y.shape) < 2 * WINDOW else WINDOW // 2
    hann, centred, logs = np.hanning(WINDOW), y - y.mean(), []
    for top in range(0, y.shape[0] - WINDOW + 1, step):
        for left in range(0, y.shape[1] - WINDOW + 1, step):
            window = centred[top : top + WINDOW, left : left + WINDOW] * np.outer(hann, hann)
            logs.append(np.log(np.abs(np.fft.fft2(window)[:, : WINDOW // 2 + 1]) ** 2 + FLOOR))
    spectrum = np.mean(logs, 0).ravel()
    return np.concatenate([shapes, np.array(powers) - np.mean(powers), (spectrum - spectrum.mean()) / 4])


@pytest.mark.parametrize("size", [(34, 34), (40, 47), (70, 66), (9, 50)])
def test_statistics_are_the_sums_they_are_said_to_be(size: tuple[int, int]) -> None:
    y = picture(*size, seed=size[0])
    np.testing.assert_allclose(statistics(y)[0].numpy(), by_formula(y[0].numpy()), rtol=1e-9, atol=1e-9)


@settings(max_examples=10)
@given(h=st.integers(1, 90), w=st.integers(1, 90), seed=st.integers(0, 99))
def test_every_size_gives_as_many_numbers_each_sample_its_own(h: int, w: int, seed: int) -> None:
    y = picture(h, w, seed, b=3)
    together = statistics(y)
    assert together.shape == (3, SHAPES + 4 + SPECTRUM)
    assert together.isfinite().all()
    torch.testing.assert_close(together, torch.cat([statistics(one[None]) for one in y]))


@given(offset=st.floats(-3, 3), seed=st.integers(0, 99))
def test_brightness_is_in_none_of_them(offset: float, seed: int) -> None:
    y = picture(40, 44, seed)
    torch.testing.assert_close(statistics(y + offset), statistics(y), rtol=1e-6, atol=1e-6)


@given(contrast=st.floats(0.3, 10), seed=st.integers(0, 99))
def test_contrast_is_not_in_the_shapes_nor_in_the_spectrum(contrast: float, seed: int) -> None:
    """It is in the four powers, each less their mean: the last of them is of a map that was divided by its strength before."""
    y = picture(40, 44, seed)  # white noise: powers far above the floor at every frequency
    change = (statistics(contrast * y) - statistics(y))[0]
    zero, rise = torch.zeros_like(change), math.log(contrast)
    torch.testing.assert_close(change[:SHAPES], zero[:SHAPES], rtol=0, atol=1e-3)
    torch.testing.assert_close(change[-SPECTRUM:], zero[-SPECTRUM:], rtol=0, atol=1e-2)
    powers = torch.tensor([rise / 2, rise / 2, rise / 2, -1.5 * rise], dtype=torch.float64)
    torch.testing.assert_close(change[SHAPES : SHAPES + 4], powers, rtol=0, atol=1e-3)


def test_contrast_below_the_floor_fades_out() -> None:
    """A grey level is 4e-3: what is far below that is not read as a spectrum."""
    y = picture(40, 44)
    faint, flat = statistics(1e-8 * y)[0], statistics(torch.full_like(y, 0.5))[0]
    assert (faint - statistics(y)[0]).abs().max() > 0.5
    torch.testing.assert_close(faint, flat, rtol=0, atol=2e-3)
    torch.testing.assert_close(flat, torch.zeros_like(flat), rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 12)])
def test_small_pictures_are_continued_by_their_border(size: tuple[int, int]) -> None:
    y = picture(*size)
    rows, columns = (torch.arange(max(n, WINDOW + 2)).clamp_max(n - 1) for n in size)
    torch.testing.assert_close(statistics(y), statistics(y[:, rows][:, :, columns]), rtol=0, atol=0)


@pytest.mark.parametrize("size", [(64, 80), (96, 64)])  # the windows of the turned picture are the turned windows
def test_a_picture_turned_by_180_degrees_has_the_same_statistics(size: tuple[int, int]) -> None:
    y = torch.full((1, *size), 0.5, dtype=torch.float64)  # an even frame: differences at the border vanish either way
    y[:, 1:-1, 1:-1] = blurred(size[0] - 2, size[1] - 2, gaussian(11, 2.5, width2=0.8, angle=0.6)[0])
    torch.testing.assert_close(statistics(y.flip(-2, -1)), statistics(y), rtol=1e-8, atol=1e-8)
    assert (statistics(y.flip(-1)) - statistics(y)).abs().max() > 0.2, "a mirrored blur is another one"


def test_without_a_frame_only_the_border_tells_it_from_the_turned_one() -> None:
    one, other = (blurred(144, 160, gaussian(11, 2.0, width2=0.8, angle=angle)[0]) for angle in (0.6, 1.0))
    turned = (statistics(one.flip(-2, -1)) - statistics(one)).abs().mean()
    assert 0 < turned < 0.1 * (statistics(other) - statistics(one)).abs().mean()


def test_a_blur_adds_its_log_spectrum() -> None:
    k, dirac = gaussian(9, 1.0, width2=0.7, angle=0.5)[0], torch.zeros(1, 9, 9)
    dirac[0, 4, 4] = 1
    added = (statistics(blurred(256, 256, k)) - statistics(blurred(256, 256, dirac)))[0, -SPECTRUM:]
    log = torch.fft.rfft2(k[0].double(), s=(WINDOW, WINDOW)).abs().square().log().flatten()
    expected = (log - log.mean()) / 4
    kept = log > -5  # where the noise's own windows do not leak over it
    assert kept.float().mean() > 0.5
    assert torch.corrcoef(torch.stack((added[kept], expected[kept])))[0, 1] > 0.99
    assert (added - expected)[kept].abs().mean() < 0.05 * expected.abs().max()


def test_flat_pictures_have_finite_gradients() -> None:
    torch.manual_seed(0)
    y = torch.full((2, 3, 20, 20), 0.5, requires_grad=True)
    k = KernelStatistics(5, width=8)(y)
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(2))
    k.square().sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()


def test_channels_count_by_their_mean() -> None:
    torch.manual_seed(0)
    net, y = KernelStatistics(5, width=8), torch.rand(2, 3, 40, 40)
    torch.testing.assert_close(net(y.mean(1, keepdim=True).expand(-1, 3, -1, -1)), net(y), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="channel"):
        net(y[:, :1])


def test_statistics_keep_their_precision_under_autocast() -> None:
    torch.manual_seed(0)
    net, y = KernelStatistics(5, width=8), torch.rand(2, 3, 40, 40)
    seen: list[Tensor] = []
    net.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.autocast("cpu", torch.bfloat16):
        net(y)
    torch.testing.assert_close(seen[0], statistics(y.mean(1)), rtol=0, atol=0)


VIEWS = (lambda v: v, lambda v: v.flip(-1), lambda v: v.mT, lambda v: v.flip(-1).mT)


@pytest.mark.parametrize("view", range(4))
def test_statistics_of_a_mirrored_or_transposed_picture_are_the_same_ones_elsewhere(view: int) -> None:
    """Up to a row at the border, that differences leave out on one side."""
    # windows of 32 pixels every 4 fill 128 exactly, so that mirroring gives the same windows
    y = F.avg_pool2d(picture(136, 132, b=2)[:, None], (9, 5), 1)[:, 0]
    seen, moved = statistics(y, True), statistics(VIEWS[view](y), True)
    assert (moved - seen[:, _views()[view]]).abs().max() < 0.02
    assert view == 0 or (moved - seen).abs().max() > 0.1


def test_thorough_is_the_mean_over_the_pictures_that_it_does_not_make() -> None:
    """Referee: mirror and transpose the picture, ask the layers, turn each answer back, and by 180 degrees if that is nearer."""
    torch.manual_seed(0)
    net = KernelStatistics(5, width=16, thorough=True).double()
    for layer in net.layers[::2]:
        torch.nn.init.orthogonal_(layer.weight, 3.0)  # a net that has its opinion
    y = blurred(128, 128, gaussian(5, 1.2, width2=0.4, angle=0.5))
    first, *others = (net.layers(statistics(view(y), True)).softmax(1).reshape(1, 1, 5, 5) for view in VIEWS)
    back = [others[0].flip(-1), others[1].mT, others[2].mT.flip(-1)]
    nearest = [min(k, turned(k), key=lambda one: float((one - first).detach().square().sum())) for k in back]
    found = net(y[:, None].expand(-1, 3, -1, -1))
    assert (found - (first + sum(nearest)) / 4).abs().max() < 0.02 * found.max()
    assert (found - first).abs().max() > 0.1 * found.max()
    with pytest.raises(ValueError, match="thorough needs a square kernel"):
        KernelStatistics((3, 4), width=6, thorough=True)


@pytest.mark.parametrize("p", [4, 5])
def test_mirrored_kernels_keep_their_centre(p: int) -> None:
    k = torch.rand(2, 1, p, p)
    assert torch.equal(_mirrored(k, -2, -1), turned(k))
    dirac = torch.zeros(1, 1, p, p).index_put_((*map(torch.tensor, (0, 0, p // 2, p // 2)),), torch.ones(()))
    assert torch.equal(_mirrored(dirac, -1), dirac)


def test_some_dozen_steps_tell_kernels_apart_on_textures_it_has_not_seen() -> None:
    torch.manual_seed(0)
    net = KernelStatistics(7, channels=1, width=64)
    k = torch.cat([gaussian(7, 1.8, width2=0.5, angle=angle) for angle in (0.0, 0.8, 1.6, 2.4)])
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)

    def batch(seed: int) -> Tensor:
        return torch.cat([blurred(48, 48, one, 4 * seed + i) for i, one in enumerate(k)])[:, None].float()

    for step in range(40):
        optimiser.zero_grad()
        (net(batch(step)) - k).square().sum((1, 2, 3)).mean().backward()
        optimiser.step()
    with torch.no_grad():
        error, spread = (net(batch(99)) - k).square().sum(), (k.mean(0) - k).square().sum()
    assert error < 0.2 * spread


def test_sizes_are_checked() -> None:
    assert KernelStatistics((3, 4), width=6)(torch.rand(2, 3, 40, 40)).shape == (2, 1, 3, 4)
    with pytest.raises(ValueError, match="width"):
        KernelStatistics(5, width=0)
    with pytest.raises(TypeError, match="size"):
        KernelStatistics(5.5)
