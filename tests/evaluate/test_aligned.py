"""PSNR after the best shift: undoes one exactly, never loses, per sample."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import pictures

from pnpsr.evaluate import psnr, psnr_aligned


def moved(x: torch.Tensor, d: tuple[float, float]) -> torch.Tensor:
    f = [torch.fft.fftfreq(n, dtype=x.dtype) for n in x.shape[-2:]]
    turn = torch.exp(-2j * torch.pi * (f[0][:, None] * d[0] + f[1][None] * d[1]))
    return torch.fft.ifft2(torch.fft.fft2(x) * turn).real


@settings(max_examples=10)
@given(st.floats(-3, 3), st.floats(-3, 3), st.integers(0, 99))
def test_a_shift_is_undone(rows: float, columns: float, seed: int) -> None:
    whole = pictures(1, 3, 80, 90, seed)
    whole = torch.nn.functional.avg_pool2d(whole, 5, 1, 2)
    x = moved(whole, (rows, columns))[..., 16:-16, 16:-16]
    truth = whole[..., 16:-16, 16:-16]
    assert float(psnr_aligned(x, truth, border=6)) > min(42.0, float(psnr(x, truth, border=6)) + 1e-9)


@settings(max_examples=10)
@given(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(0, 99))
def test_never_below_the_plain_one_and_per_sample(b: int, c: int, seed: int) -> None:
    x, truth = pictures(b, c, 30, 26, seed), pictures(b, c, 30, 26, seed + 1)
    values = psnr_aligned(x, truth, border=2)
    assert (values >= psnr(x, truth, border=2)).all()
    apart = torch.cat([psnr_aligned(x[i : i + 1], truth[i : i + 1], border=2) for i in range(b)])
    assert torch.equal(values, apart)


def test_no_border_no_whole_shift_and_equal_images() -> None:
    x = pictures(1, 3, 20, 20, 0)
    assert psnr_aligned(x, x).isinf().all()
    assert 20 <= float(psnr_aligned(x, x + 0.1)) < 20.5


def test_bad_input_is_refused() -> None:
    x = pictures(1, 3, 20, 20, 0)
    with pytest.raises(ValueError, match="same shape"):
        psnr_aligned(x, x[..., :-1])
