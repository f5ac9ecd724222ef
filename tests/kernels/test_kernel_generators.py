"""Laws of every kernel generator: shape, mass, centre, dtype, seed; then each formula against a referee."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.kernels import (
    centroid,
    dan_setting1,
    dan_setting2,
    dirac,
    disk,
    gaussian,
    gaussian8,
    line,
    random_gaussian,
    random_motion,
)
from pnpsr.kernels.gaussian import GAUSSIAN8_WIDTHS, SETTING1_WIDTHS


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def room(size):
    return (min(size) - 1) // 2


# name -> (kernels(size, generator, dtype), how far the centroid may be from p // 2 in pixels; noise moves it)
GENERATORS = {
    "dirac": (lambda size, g, dtype: dirac(size, 3, dtype=dtype), 0),
    "disk": (lambda size, g, dtype: disk(size, room(size) + 0.3, dtype=dtype), 1e-5),
    "line": (lambda size, g, dtype: line(size, 2 * room(size), 0.4, dtype=dtype), 1e-5),
    "gaussian": (lambda size, g, dtype: gaussian(size, 1.7, width2=4.0, angle=0.6, dtype=dtype), 1e-5),
    "gaussian8": (lambda size, g, dtype: gaussian8(4, size, dtype=dtype), 1e-5),
    "random_gaussian": (lambda size, g, dtype: random_gaussian(3, size, anisotropic=True, generator=g, dtype=dtype), 1e-5),
    "dan_setting1": (lambda size, g, dtype: dan_setting1(3, 2, size, generator=g, dtype=dtype), 1e-5),
    "dan_setting2": (lambda size, g, dtype: dan_setting2(3, size, generator=g, dtype=dtype), 0.6),
    "random_motion": (lambda size, g, dtype: random_motion(3, size, nonlinearity=1.0, generator=g, dtype=dtype), 1e-5),
    "off_centre_motion": (
        lambda size, g, dtype: random_motion(3, size, nonlinearity=1.0, centre="path", generator=g, dtype=dtype),
        21,
    ),
    "long_motion": (lambda size, g, dtype: random_motion(3, size, length=(0, 60), generator=g, dtype=dtype), 1e-5),
}
SEEDED = ["random_gaussian", "dan_setting1", "dan_setting2", "random_motion", "off_centre_motion", "long_motion"]
each = pytest.mark.parametrize("name", GENERATORS)


@each
@given(p=st.integers(1, 14), q=st.integers(1, 14), seed=st.integers(0, 99), double=st.booleans())
def test_non_negative_of_sum_one_centred(name, p, q, seed, double):
    make, off = GENERATORS[name]
    k = make((p, q), rng(seed), torch.float64 if double else torch.float32)
    assert k.shape[1:] == (1, p, q) and k.dtype == (torch.float64 if double else torch.float32)
    assert k.min() >= 0 and torch.isfinite(k).all()
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(len(k), dtype=k.dtype), atol=1e-6, rtol=0)
    assert centroid(k).abs().max() <= off


@pytest.mark.parametrize("name", SEEDED)
def test_the_seed_decides(name):
    make = GENERATORS[name][0]
    a, b = make((9, 9), rng(1), torch.float32), make((9, 9), rng(1), torch.float32)
    assert torch.equal(a, b)
    assert not torch.allclose(a, make((9, 9), rng(2), torch.float32))
    torch.testing.assert_close(a.double(), make((9, 9), rng(1), torch.float64), atol=1e-5, rtol=0)
    assert not torch.allclose(a[0], a[1])


@pytest.mark.parametrize("name", SEEDED)
def test_global_seed_serves_without_a_generator(name):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        a = GENERATORS[name][0]((7, 7), None, torch.float32)
        torch.manual_seed(3)
        assert torch.equal(a, GENERATORS[name][0]((7, 7), None, torch.float32))


@given(seed=st.integers(0, 99), p=st.integers(2, 12), q=st.integers(2, 12))
def test_parameters_are_per_sample(seed, p, q):
    w, w2, a = torch.rand(3, 3, generator=rng(seed), dtype=torch.float64) + 0.3
    r = 0.5 + room((p, q)) * w / w.max()
    for batch, single in (
        (gaussian((p, q), w, width2=w2, angle=a), [gaussian((p, q), w[i], width2=float(w2[i]), angle=a[i]) for i in range(3)]),
        (gaussian((p, q), w.reshape(3, 1, 1, 1), width2=0.8), [gaussian((p, q), w[i], width2=0.8) for i in range(3)]),
        (disk((p, q), r), [disk((p, q), float(r[i])) for i in range(3)]),
        (line((p, q), r - 0.5, a), [line((p, q), r[i] - 0.5, a[i]) for i in range(3)]),
    ):
        torch.testing.assert_close(batch, torch.cat(single), atol=1e-6, rtol=0)


def test_gaussian_is_the_formula_with_its_rotation():
    p, q, w1, w2, angle = 9, 6, 2.0, 0.7, 0.5
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    inverse = torch.linalg.inv(turn @ torch.diag(torch.tensor([w1**2, w2**2], dtype=torch.float64)) @ turn.T)
    brute = torch.zeros(p, q, dtype=torch.float64)
    for i in range(p):
        for j in range(1, q):  # q is even: column 0 has no mirror image
            d = torch.tensor([i - p // 2, j - q // 2], dtype=torch.float64)
            brute[i, j] = torch.exp(-0.5 * d @ inverse @ d)
    k = gaussian((p, q), w1, width2=w2, angle=angle, dtype=torch.float64)
    torch.testing.assert_close(k[0, 0], brute / brute.sum())


def test_gaussian_angle_zero_blurs_down_and_a_quarter_turn_sideways():
    down, right = gaussian(15, 2.0, width2=0.5)[0, 0], gaussian(15, 2.0, width2=0.5, angle=math.pi / 2)[0, 0]
    assert down[7 + 3, 7] > 100 * down[7, 7 + 3]
    torch.testing.assert_close(down.T, right)


def test_tiny_width_is_a_dirac_and_even_wide_ones_stay_centred():
    assert torch.equal(gaussian((5, 8), 0.01), dirac((5, 8)))
    assert torch.equal(gaussian(7, 1e-30, angle=0.3), dirac(7))
    torch.testing.assert_close(disk(7, torch.tensor([0.01, 0.5])), dirac(7, 2))
    assert centroid(gaussian((8, 6), 50.0, dtype=torch.float64)).abs().max() < 1e-12


def test_gaussian_passes_gradients():
    w, w2, a = (torch.tensor([v, v + 0.3], dtype=torch.float64, requires_grad=True) for v in (1.0, 0.6, 0.2))
    assert torch.autograd.gradcheck(lambda *t: gaussian((5, 4), t[0], width2=t[1], angle=t[2], dtype=torch.float64), (w, w2, a))
    radius = torch.tensor([0.9, 2.2], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: disk(7, r, dtype=torch.float64), (radius,))


@pytest.mark.parametrize("scale", SETTING1_WIDTHS)
def test_setting1_is_isotropic_within_its_range(scale):
    k = dan_setting1(400, scale, 41, generator=rng(0), dtype=torch.float64)[:, 0]
    width = (-0.5 / (k[:, 20, 21] / k[:, 20, 20]).log()).sqrt()  # k(1) / k(0) = exp(-1 / 2 w²)
    low, high = SETTING1_WIDTHS[scale]
    assert low <= width.min() < low + 0.1 and high - 0.1 < width.max() <= high
    assert abs(width.mean() - (low + high) / 2) < 0.15
    torch.testing.assert_close(k, k.mT)


def test_setting2_noise_is_one_sided_and_bounded():
    clean = random_gaussian(8, 11, widths=(0.6, 5.0), anisotropic=True, generator=rng(4), dtype=torch.float64)
    ratio = dan_setting2(8, 11, generator=rng(4), dtype=torch.float64) / clean
    spread = ratio.amax((1, 2, 3)) / ratio.amin((1, 2, 3))
    assert (spread <= 1.25).all() and (spread > 1.2).all()
    assert not torch.allclose(clean, clean.mT)


def test_gaussian8_widths():
    for scale, (low, high) in GAUSSIAN8_WIDTHS.items():
        expected = torch.cat([gaussian(21, low + i * (high - low) / 7) for i in range(8)])
        torch.testing.assert_close(gaussian8(scale), expected)
    with pytest.raises(ValueError, match="scale must be one of 2, 3, 4, got 5"):
        gaussian8(5)
    with pytest.raises(ValueError, match="scale must be one of"):
        dan_setting1(2, 1)


@pytest.mark.parametrize(("size", "radius"), [((9, 9), 3.3), ((8, 11), 2.0), ((7, 7), 0.2), ((5, 5), 2.5)])
def test_disk_is_the_covered_area(size, radius):
    fine = 200
    rows, columns = ((torch.arange(n * fine, dtype=torch.float64) + 0.5) / fine - 0.5 - n // 2 for n in size)
    area = (rows[:, None] ** 2 + columns**2 <= radius**2).double().reshape(size[0], fine, size[1], fine).mean((1, 3))
    torch.testing.assert_close(disk(size, radius, dtype=torch.float64)[0, 0], area / area.sum(), atol=1e-4, rtol=0)


def test_line_lies_on_its_direction():
    down = line(9, 4.0)[0, 0]
    torch.testing.assert_close(down[:, 4].sum(), torch.tensor(1.0))
    torch.testing.assert_close(down[2:7, 4], torch.tensor([0.125, 0.25, 0.25, 0.25, 0.125]), atol=2e-3, rtol=0)
    torch.testing.assert_close(line(9, 4.0, math.pi / 2)[0, 0], down.T, atol=1e-5, rtol=0)
    slanted = line(9, 6.0, math.pi / 4)[0, 0]
    assert slanted.diag().sum() > 0.6 and slanted[6, 6] > slanted[6, 2]  # down and to the right


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gaussian(9.5, 1.0), TypeError, "size must be an integer"),
        (lambda: gaussian(9, 0.0), ValueError, "width must be positive"),
        (lambda: gaussian(9, torch.tensor([1.0, -1.0])), ValueError, "width must be positive"),
        (lambda: gaussian(9, 1.0, angle=float("nan")), ValueError, "angle must be finite"),
        (lambda: gaussian(9, torch.ones(2), width2=torch.ones(3)), ValueError, "width has 2 values for a batch of 3"),
        (lambda: gaussian(9, 1.0, dtype=torch.float16), TypeError, "float32 or torch.float64"),
        (lambda: random_gaussian(0), ValueError, "count must be at least 1"),
        (lambda: random_gaussian(2, widths=(0.0, 1.0)), ValueError, "widths must be positive"),
        (lambda: random_gaussian(2, widths=(2.0, 1.0)), ValueError, "low <= high"),
        (lambda: random_gaussian(2, widths=3.0), TypeError, "pair"),
        (lambda: random_gaussian(2, multiplicative=-0.1), ValueError, "multiplicative must be zero or positive"),
        (lambda: disk(7, 3.6), ValueError, "does not fit a kernel of 7 x 7: at most 3.5"),
        (lambda: line(9, 9.0), ValueError, "does not fit"),
        (lambda: random_motion(2, nonlinearity=1.5), ValueError, "between 0 and 1"),
        (lambda: random_motion(2, length=(-1.0, 3.0)), ValueError, "length"),
        (lambda: random_motion(2, centre="middle"), ValueError, "centre"),
        (lambda: dirac(0), ValueError, "size must be at least 1"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
