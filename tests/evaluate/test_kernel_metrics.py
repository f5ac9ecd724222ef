"""Kernel errors, plain and after the best shift: against brute force, and under shifts that are known."""

import math

import pytest
import torch
from devices import agrees, in_every_dtype, keeps, on_every_device
from hypothesis import given
from hypothesis import strategies as st
from synthetic import kernels

from pnpsr.evaluate import kernel_l1, psnr, psnr_aligned, ssim
from pnpsr.evaluate.kernels import best_shift, kernel_mse, kernel_psnr
from pnpsr.kernels.shift import resize_support


def blob(p: int, q: int, shift: tuple[float, float] = (0.0, 0.0), seed: int = 0) -> torch.Tensor:
    """A smooth kernel of no symmetry, sampled off its centre by any fraction of a pixel: (1 1 p q) of sum 1."""
    g = torch.Generator().manual_seed(seed)
    rows, columns = (torch.arange(n, dtype=torch.float64) - n // 2 for n in (p, q))
    k = torch.zeros(p, q, dtype=torch.float64)
    for _ in range(3):
        u, v = (4 * torch.rand(2, generator=g, dtype=torch.float64) - 2).tolist()
        weight = float(torch.rand(1, generator=g)) + 0.2
        k += weight * torch.outer(torch.exp(-((rows - u - shift[0]) ** 2) / 2.2), torch.exp(-((columns - v - shift[1]) ** 2) / 2.9))
    return (k / k.sum())[None, None]


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_plain_error_aligns_centres_of_any_two_sizes(b: int, p: int, q: int, m: int, n: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    k, truth = (torch.rand(b, 1, *size, generator=g, dtype=torch.float64) for size in ((p, q), (m, n)))
    rows, columns = max(p, m), max(q, n)
    for i, value in enumerate(kernel_mse(k, truth)):
        total = 0.0
        for r in range(-rows, rows):
            for c in range(-columns, columns):
                one, two = (
                    float(t[i, 0, r + h // 2, c + w // 2]) if 0 <= r + h // 2 < h and 0 <= c + w // 2 < w else 0.0
                    for t, h, w in ((k, p, q), (truth, m, n))
                )
                total += (one - two) ** 2
        assert math.isclose(value, total / (rows * columns), rel_tol=1e-9)


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(2, 7), st.integers(2, 7), st.integers(0, 99))
def test_whole_shifts_are_found_exactly(down: int, right: int, p: int, q: int, seed: int) -> None:
    k = torch.rand(2, 1, p, q, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    wide = resize_support(k, (p + 12, q + 12))
    truth = wide.roll((down, right), (-2, -1))
    assert torch.equal(best_shift(k, truth), torch.tensor([[down, right]] * 2, dtype=torch.float64))
    assert kernel_mse(k, truth, align=True).max() < 1e-30
    assert (down, right) == (0, 0) or kernel_mse(k, truth).min() > 1e-6


def test_shifts_from_corner_to_corner_do_not_wrap_around() -> None:
    k, truth = torch.zeros(2, 1, 1, 6, 7)
    k[..., 0, 6] = truth[..., 5, 0] = 1
    assert torch.equal(best_shift(k, truth), torch.tensor([[5.0, -6.0]]))
    assert kernel_mse(k, truth, align=True) < 1e-12


@pytest.mark.parametrize("shift", [(0.3, -1.7), (-2.25, 0.5), (0.0, 0.04), (3.9, 4.1)])
@pytest.mark.parametrize("sizes", [((25, 25), (25, 25)), ((24, 27), (25, 22))])
def test_fractions_of_a_pixel_are_found(shift: tuple[float, float], sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    k, truth = blob(*sizes[0]), blob(*sizes[1], shift=shift)
    assert (best_shift(k, truth) - torch.tensor([shift], dtype=torch.float64)).abs().max() <= 0.011
    assert (best_shift(truth, k) + torch.tensor([shift], dtype=torch.float64)).abs().max() <= 0.011
    assert kernel_mse(k, truth, align=True) < 2e-9 < 1e-2 * kernel_mse(blob(25, 25, shift=(0.3, -1.7)), blob(25, 25))


def test_equal_kernels_have_no_error_at_all() -> None:
    k = torch.cat([blob(21, 19), blob(21, 19, (0.3, 1.2), seed=1)]).float()
    for align in (False, True):
        assert torch.equal(kernel_mse(k, k, align=align), torch.zeros(2))
        assert torch.equal(kernel_mse(k, resize_support(k, (23, 24)), align=align), torch.zeros(2))
        assert torch.equal(kernel_psnr(k, k, align=align), torch.full((2,), math.inf))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_moving_never_makes_it_worse(p: int, q: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    k, truth = (torch.randn(3, 1, p, q, generator=g, dtype=torch.float64) for _ in range(2))
    assert (kernel_mse(k, truth, align=True) <= kernel_mse(k, truth)).all()


def test_a_different_shape_is_still_an_error_after_moving() -> None:
    k, truth = blob(21, 21, seed=1), blob(21, 21, seed=2)
    grid = [(d / 4, r / 4) for d in range(-16, 17) for r in range(-16, 17)]
    least = min(float((blob(41, 41, shift, seed=1) - resize_support(truth, 41)).square().sum()) / 441 for shift in grid)
    assert 0.9 * least < kernel_mse(k, truth, align=True) <= least < kernel_mse(k, truth)


def test_each_sample_for_itself_and_inputs_untouched() -> None:
    k = torch.cat([blob(15, 15, (0.5, 1.0)), blob(15, 15, (-1.0, 0.0))])
    kept, truth = k.clone(), blob(15, 15)
    together = kernel_mse(k, truth, align=True)
    assert together.shape == (2,) and best_shift(k, truth).shape == (2, 2)
    torch.testing.assert_close(together, torch.cat([kernel_mse(one, truth, align=True) for one in k[:, None]]), atol=0, rtol=1e-6)
    assert torch.equal(k, kept)


def test_published_peak_is_one() -> None:
    k = torch.zeros(1, 1, 4, 4)
    k[..., 0, 0] = 0.04  # mse 1e-4
    assert math.isclose(float(kernel_psnr(k, torch.zeros(1, 1, 4, 4))), 40, rel_tol=1e-6)


def test_empty_estimates_are_plain_errors() -> None:
    k, truth = torch.zeros(1, 1, 5, 5), blob(5, 5).float()
    assert torch.equal(best_shift(k, truth), torch.zeros(1, 2))
    assert torch.equal(kernel_mse(k, truth, align=True), kernel_mse(k, truth)) and kernel_mse(k, truth) > 0


def test_gradients_reach_the_estimate() -> None:
    k = blob(9, 9, (0.4, 0.3)).requires_grad_()
    for align in (False, True):
        (gradient,) = torch.autograd.grad(kernel_mse(k, blob(9, 9, seed=3), align=align).sum(), k)
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0


@pytest.mark.parametrize("metric", [kernel_mse, kernel_psnr, best_shift])
def test_bad_input_is_refused(metric) -> None:
    k = torch.rand(2, 1, 5, 5)
    for wrong, error, reason in (
        (torch.rand(3, 1, 5, 5), ValueError, "batch sizes"),
        (torch.rand(2, 3, 5, 5), ValueError, "one kernel for all colours"),
        (torch.rand(5, 5), ValueError, "shape"),
        (k * torch.nan, ValueError, "NaN"),
        (k.double(), TypeError, "dtypes"),
        (k.long(), TypeError, "int64"),
    ):
        with pytest.raises(error, match=reason):
            metric(k, wrong)


@on_every_device
@in_every_dtype
def test_metrics_compute_where_and_how_their_arguments_are(device: str, dtype: torch.dtype) -> None:
    k, truth = kernels(2, 7, 0), kernels(2, 7, 1)
    x, y = (torch.rand(2, 3, 16, 18, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(2))
    pairs = [(metric, k, truth) for metric in (kernel_mse, kernel_psnr, kernel_l1, best_shift)]
    for metric, a, b in (*pairs, (psnr, x, y), (ssim, x, y), (psnr_aligned, x, y)):
        out = metric(a.to(device, dtype), b.to(device, dtype))
        assert keeps(out, device, dtype) and agrees(out, metric(a, b))
