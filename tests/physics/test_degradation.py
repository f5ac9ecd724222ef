"""(x ⊗ k)↓s against three referees that share nothing with it: scipy, deepinv, and the defining sum."""

import pytest
import torch
from hypothesis import given
from strategies import SCALES, Problem, factor_pairs, noise, problems, uniform
from torch import Tensor

from pnpsr.physics import Degradation

SCIPY = {"circular": "wrap", "reflect": "mirror", "replicate": "nearest", "zero": "constant"}


def degradation(p: Problem) -> Degradation:
    return Degradation(p.scale, offset=p.offset)


def near(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a - b).abs().max() < 1e-12 * (1 + b.abs().max()))


@given(p=problems())
def test_is_bilinear_and_either_argument_can_be_frozen(p: Problem) -> None:
    A, u, m = degradation(p), noise(*p.x.shape, seed=p.seed), noise(*p.k.shape, seed=p.seed + 1)
    assert near(A.freeze(k=p.k)(p.x), A.freeze(x=p.x, size=p.taps)(p.k))
    by, moved = A.freeze(k=p.k), A.freeze(k=m)
    assert near(A.freeze(k=p.k + 3 * m)(2 * p.x - u), 2 * by(p.x) + 6 * moved(p.x) - by(u) - 3 * moved(u))


@given(p=problems(taps=5))
def test_is_the_defining_sum(p: Problem) -> None:
    """y(n) = Σ_m k(m) x(s n + offset + p // 2 - m), indices modulo the image: even, rectangular and 1-tap kernels too."""
    y, (rows, columns) = torch.zeros_like(p.y), p.grid
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            for m in range(p.taps[0]):
                for n in range(p.taps[1]):
                    row = (p.scale[0] * i + p.offset[0] + p.taps[0] // 2 - m) % rows
                    column = (p.scale[1] * j + p.offset[1] + p.taps[1] // 2 - n) % columns
                    y[:, :, i, j] += p.k[:, :, m, n] * p.x[:, :, row, column]
    assert near(degradation(p)(p.x, p.k), y)


@pytest.mark.parametrize("boundary", SCIPY)
@pytest.mark.parametrize("scale", SCALES)
def test_equals_scipy_for_odd_kernels(boundary: str, scale: int | tuple[int, int]) -> None:
    from scipy import ndimage

    (s1, s2), (o1, o2) = factor_pairs(scale), (1 % factor_pairs(scale)[0], 0)
    for size in ((3, 3), (5, 1), (1, 1), (3, 7)):
        x, k = noise(1, 2, 3 * s1 + 3 * s1, 7 * s2, seed=s1), noise(1, 1, *size, seed=s2)
        if k.shape[-2] > x.shape[-2]:
            continue
        y = Degradation(scale, offset=(o1, o2), boundary=boundary).freeze(k=k)(x)
        for channel in range(2):
            full = ndimage.convolve(x[0, channel].numpy(), k[0, 0].numpy(), mode=SCIPY[boundary])
            assert near(y[0, channel], torch.from_numpy(full[o1::s1, o2::s2].copy()))


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_equals_deepinv(scale: int) -> None:
    import deepinv

    x, k = uniform(2, 3, 6 * scale, 4 * scale, seed=0), uniform(2, 1, 3, 4, seed=1)
    physics = deepinv.physics.Downsampling(img_size=tuple(x.shape[1:]), filter=k, factor=scale, padding="circular")
    assert near(Degradation(scale).freeze(k=k)(x), physics.A(x))


def test_one_kernel_serves_a_batch_and_offsets_shift_the_image() -> None:
    x, k = noise(3, 2, 6, 4, seed=0), torch.full((1, 1, 3, 2), 1 / 6).double()
    assert near(Degradation(2)(x, k), Degradation(2)(x, k.expand(3, -1, -1, -1)))
    assert near(Degradation(2, offset=(1, 0))(x, k), Degradation(2)(x.roll(-1, -2), k))


def test_noise_is_added_on_request_per_sample() -> None:
    x, k = uniform(3, 1, 64, 64, seed=0), torch.full((1, 1, 2, 2), 0.25).double()
    A, sigma = Degradation(2), torch.tensor([0.0, 0.05, 0.2])
    y = A(x, k, sigma, generator=torch.Generator().manual_seed(0))
    spread = (y - A(x, k)).std((1, 2, 3))
    assert spread[0] == 0
    assert torch.allclose(spread[1:], sigma[1:].double(), rtol=0.06)
    assert torch.equal(y, A(x, k, sigma.reshape(3, 1, 1, 1), generator=torch.Generator().manual_seed(0)))
    assert repr(A) == "Degradation(2 x 2, offset (0, 0), circular)"
