"""First images sit on the grid of ↓s, first kernels sit at p // 2."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import SCALES, Pair, factor_pairs, noise, seeds, uniform

from pnpsr import State
from pnpsr.physics import Blur, Downsample
from pnpsr.starts import MODES, Dirac, Gaussian, Upsample, upsample

SIZES = (1, 2, 3, 4, 5, (4, 3), (1, 6))


def start(y: torch.Tensor, scale: int | Pair = 2) -> State:
    return State(y, scale)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
@given(seed=seeds, h=st.integers(1, 4), w=st.integers(1, 4), s1=st.integers(1, 4), s2=st.integers(1, 4), data=st.data())
def test_upsampling_keeps_every_pixel_on_its_grid(
    mode: str, seed: int, h: int, w: int, s1: int, s2: int, data: st.DataObject
) -> None:
    """Decimating returns y exactly, at any offset; constants stay constant; rows and columns are independent."""
    y, offset = noise(2, 3, h, w, seed=seed), (data.draw(st.integers(0, s1 - 1)), data.draw(st.integers(0, s2 - 1)))
    x = upsample(y, (s1, s2), mode, offset)
    assert x.shape == (2, 3, s1 * h, s2 * w) and x.dtype == y.dtype
    assert torch.allclose(Downsample((s1, s2), offset)(x), y, rtol=0, atol=1e-13)
    assert torch.allclose(upsample(0 * y + 3, (s1, s2), mode, offset), torch.full_like(x, 3), rtol=0, atol=1e-13)
    assert torch.allclose(upsample(y.mT, (s2, s1), mode, offset[::-1]), x.mT, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("mode", "degree"), [("nearest", 0), ("bilinear", 1), ("bicubic", 2)])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("offset", [0, 1])
def test_polynomials_are_reproduced_away_from_the_border(mode: str, degree: int, scale: int | Pair, offset: int) -> None:
    (s1, s2), (o1, o2) = factor_pairs(scale), (min(offset, s - 1) for s in factor_pairs(scale))
    rows, columns = torch.meshgrid(torch.arange(8.0 * s1).double(), torch.arange(9.0 * s2).double(), indexing="ij")

    def surface(power: int) -> torch.Tensor:
        return (
            1 + rows / 7 - columns / 5 + (rows * columns / 30 - columns**2 / 40 if power > 1 else 0) if power else 0 * rows + 1
        )[None, None]

    def error(power: int) -> float:
        x = surface(power)
        gap = (upsample(x[..., o1::s1, o2::s2], (s1, s2), mode, (o1, o2)) - x).abs()
        return float(gap[..., 3 * s1 : -3 * s1, 3 * s2 : -3 * s2].max())

    assert error(degree) < 1e-12
    if degree < 2 and scale != 1:
        assert error(degree + 1) > 1e-3


def test_mode_is_that_of_the_start_and_batches_are_loops() -> None:
    y = uniform(3, 2, 4, 5, seed=0)
    for mode in MODES:
        x = Upsample(mode)(start(y, 3))
        assert torch.equal(x, upsample(y, 3, mode))
        assert torch.equal(x[1:2], upsample(y[1:2], 3, mode))
    assert torch.equal(Upsample()(start(y, 1)), y)
    assert upsample(y.float(), 2).dtype == torch.float32


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [Dirac, lambda size: Gaussian(size, 0.8)])
def test_first_kernels_are_centred_kernels(make: Callable[[int | Pair], Dirac | Gaussian], size: int | Pair) -> None:
    """Their peak is at p // 2, also for even sizes, so that they do not move the image by half a pixel."""
    p, q = size if isinstance(size, tuple) else (size, size)
    for dtype in (torch.float32, torch.float64):
        k = make(size)(start(uniform(2, 3, 8, 8, seed=0, dtype=dtype)))
        assert k.shape == (2, 1, p, q) and k.dtype == dtype
        assert torch.allclose(k.sum((1, 2, 3)), torch.ones(2, dtype=dtype)) and k.min() >= 0
        assert torch.unravel_index(k[0, 0].argmax(), (p, q)) == (p // 2, q // 2)
    around = k[0, 0, 1 - p % 2 :, 1 - q % 2 :]  # even sizes have one more tap before the centre
    assert torch.allclose(around, around.flip(0, 1))


def test_a_dirac_is_no_blur_and_a_gaussian_has_its_width() -> None:
    x = uniform(2, 3, 8, 9, seed=0)
    for size in SIZES:
        assert torch.allclose(Blur(Dirac(size)(start(x)))(x), x, rtol=0, atol=1e-14)
    k = Gaussian(21, 1.7)(start(x))[0, 0]
    away = torch.arange(21.0).double() - 10
    assert abs(float((k.sum(1) * away**2).sum()) - 1.7**2) < 1e-4


def test_starts_are_values() -> None:
    assert Dirac(5) == Dirac(5) and hash(Gaussian(5, 1.0)) == hash(Gaussian(5, 1.0)) and Upsample() == Upsample("bicubic")


REFUSED = {
    "mode": (lambda: Upsample("lanczos"), ValueError, "mode must be one of"),
    "offset": (lambda: upsample(uniform(1, 1, 2, 2, seed=0), 2, offset=2), ValueError, "offset must lie in"),
    "scale": (lambda: upsample(uniform(1, 1, 2, 2, seed=0), 2.5), TypeError, "must be an integer"),  # type: ignore[arg-type]
    "size zero": (lambda: Dirac(0), ValueError, "size must be at least 1"),
    "size 2.5": (lambda: Gaussian(2.5), TypeError, "size must be an integer"),  # type: ignore[arg-type]
    "width zero": (lambda: Gaussian(5, 0.0), ValueError, r"use Dirac\(5\)"),
    "width infinite": (lambda: Gaussian(5, float("inf")), ValueError, "width must be a positive number"),
    "width a word": (lambda: Gaussian(5, "wide"), ValueError, "width must be a positive number"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
