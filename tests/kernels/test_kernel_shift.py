"""Centroid, shift, centring and change of support: mass kept, centre kept, nothing lost silently, differentiable per sample."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.kernels import centre_kernel, centroid, dirac, gaussian, random_gaussian, random_motion, resize_support, shift_kernel


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(p, q, b=2, seed=0):
    """Rough random kernels which leave a margin of 3 pixels free."""
    k = torch.zeros(b, 1, p, q, dtype=torch.float64)
    k[..., 3 : p - 3, 3 : q - 3] = torch.rand(b, 1, p - 6, q - 6, generator=rng(seed), dtype=torch.float64)
    return k / k.sum((-2, -1), keepdim=True)


sides = st.integers(7, 12)
pixels = st.floats(-3, 3)


@given(p=sides, q=sides, seed=st.integers(0, 99), r=pixels, c=pixels)
def test_linear_shift_moves_the_centroid_and_keeps_the_mass(p, q, seed, r, c):
    k = blobs(p, q, seed=seed)
    shift = torch.tensor([[r, c], [c / 2, -r]], dtype=torch.float64)
    moved = shift_kernel(k, shift)
    assert moved.min() >= 0
    torch.testing.assert_close(moved.sum((1, 2, 3)), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(centroid(moved), centroid(k) + shift, atol=1e-12, rtol=0)
    torch.testing.assert_close(moved[1:], shift_kernel(k[1:], shift[1]))


@pytest.mark.parametrize("method", ["linear", "fourier"])
@given(p=sides, q=sides, r=st.integers(-3, 3), c=st.integers(-3, 3))
def test_whole_pixels_are_rolled(method, p, q, r, c):
    k = blobs(p, q)
    torch.testing.assert_close(shift_kernel(k, (r, c), method=method), k.roll((r, c), (-2, -1)), atol=1e-12, rtol=0)


def test_fourier_shift_is_invertible_and_does_not_widen():
    k = gaussian(21, 1.5, dtype=torch.float64)
    moved = shift_kernel(k, (0.4, -1.3), method="fourier")
    torch.testing.assert_close(shift_kernel(moved, (-0.4, 1.3), method="fourier"), k, atol=1e-12, rtol=0)
    rows, columns = (torch.arange(21, dtype=torch.float64) - 10 - s for s in (0.4, -1.3))
    exact = torch.exp(-(rows[:, None] ** 2 + columns**2) / (2 * 1.5**2))
    torch.testing.assert_close(moved[0, 0], exact / exact.sum(), atol=1e-5, rtol=0)
    assert (shift_kernel(k, (0.4, -1.3))[0, 0] - exact / exact.sum()).abs().max() > 1e-3  # bilinear: wider
    assert shift_kernel(dirac(9), (0.5, 0.5), method="fourier").min() < -0.01  # rings, as documented


@pytest.mark.parametrize("method", ["linear", "fourier"])
def test_mass_does_not_leave_silently(method):
    k = gaussian(9, 1.0, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"shifting would lose 30\.1% of the mass"):
        shift_kernel(k, (4.0, 0.0), method=method)
    wide = shift_kernel(k, (4.0, 0.0), method=method, pad=True)
    assert wide.shape[-2:] == (17, 17)
    torch.testing.assert_close(centroid(wide), torch.tensor([[4.0, 0.0]], dtype=torch.float64), atol=1e-9, rtol=0)
    some = shift_kernel(k, (2.0, 0.0), method="linear", tolerance=0.05)  # the rest is scaled up
    torch.testing.assert_close(some.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_one_kernel_many_shifts_and_signed_kernels():
    shifts = torch.tensor([[0.0, 0.0], [1.0, 0.5]])
    torch.testing.assert_close(centroid(shift_kernel(dirac(5), shifts)), shifts)
    slope = torch.tensor([[0.0, 0.0, -1.0, 1.0, 0.0, 0.0]])[None, None]  # sum 0: nothing to normalise by
    torch.testing.assert_close(shift_kernel(slope, (0, 1.0)), slope.roll(1, -1))


@given(p=st.integers(3, 16), q=st.integers(3, 17), seed=st.integers(0, 99))
def test_centring_puts_the_centroid_on_the_centre(p, q, seed):
    k = shift_kernel(random_motion(2, (p, q), generator=rng(seed), dtype=torch.float64), (0.7, -1.2), pad=True)
    torch.testing.assert_close(centroid(centre_kernel(k)), torch.zeros(2, 2, dtype=torch.float64), atol=1e-12, rtol=0)


@given(sizes=st.tuples(*[st.integers(1, 12)] * 4), seed=st.integers(0, 99))
def test_support_keeps_the_centre_index(sizes, seed):
    p, q, p2, q2 = sizes
    k = torch.rand(2, 1, p, q, generator=rng(seed), dtype=torch.float64)
    out = resize_support(k, (p2, q2), tolerance=1.0)
    assert out.shape == (2, 1, p2, q2)
    torch.testing.assert_close(out.sum((1, 2, 3)), k.sum((1, 2, 3)))
    scale = out[..., p2 // 2, q2 // 2] / k[..., p // 2, q // 2]
    assert (scale >= 1 - 1e-12).all()
    for i in range(p2):
        for j in range(q2):
            a, b = i - p2 // 2 + p // 2, j - q2 // 2 + q // 2
            inside = 0 <= a < p and 0 <= b < q
            expected = k[:, 0, a, b] * scale[:, 0] if inside else torch.zeros(2, dtype=torch.float64)
            torch.testing.assert_close(out[:, 0, i, j], expected)


def test_padding_and_cropping_back_is_the_identity_and_crops_are_guarded():
    k = random_gaussian(3, (6, 9), generator=rng(0))
    torch.testing.assert_close(resize_support(resize_support(k, (11, 12)), (6, 9)), k, atol=1e-7, rtol=0)
    with pytest.raises(ValueError, match="cropping to 3 would lose"):
        resize_support(gaussian(9, 3.0), 3)
    with pytest.raises(ValueError, match="never all"):
        resize_support(shift_kernel(dirac(9), (3, 0)), 3, tolerance=1.0)


def test_gradients_reach_kernel_and_shift():
    k = (blobs(8, 9) + 0.01).requires_grad_()
    shift = torch.tensor([[0.3, -0.6], [1.4, 0.2]], dtype=torch.float64, requires_grad=True)
    for method in ("linear", "fourier"):
        assert torch.autograd.gradcheck(
            lambda k, s, m=method: shift_kernel(k, s, method=m, tolerance=1.0), (k, shift), fast_mode=True
        )
    assert torch.autograd.gradcheck(lambda k: centre_kernel(k, tolerance=1.0), (k,), fast_mode=True)
    assert torch.autograd.gradcheck(lambda k: resize_support(k, (5, 10), tolerance=1.0), (k,), fast_mode=True)
    still = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)  # on the kink of the linear weights
    centroid(shift_kernel(blobs(8, 9, 1), still)).sum().backward()
    centroid(shift_kernel(dirac(5, dtype=torch.float64), still)).sum().backward()
    torch.testing.assert_close(still.grad, torch.full((1, 2), 2.0, dtype=torch.float64))
    spike = dirac(5, dtype=torch.float64).requires_grad_()  # at zeros the slope is that towards non-negative kernels
    shift_kernel(spike, (1.0, 0.0))[0, 0, 3, 2].backward()
    assert spike.grad[0, 0, 2, 2] == 1 and spike.grad[0, 0, 4, 2] == 1  # what row 4 loses, the rest gains


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: shift_kernel(k, (1.0, 2.0, 3.0)), "shift must be"),
        (lambda k: shift_kernel(k, torch.zeros(3, 2)), "shift must be"),
        (lambda k: shift_kernel(k, (float("nan"), 0.0)), "NaN"),
        (lambda k: shift_kernel(k, (0.0, 0.0), method="cubic"), "'linear', 'fourier'"),
        (lambda k: shift_kernel(k, (0.0, 0.0), tolerance=5), "tolerance must be a fraction"),
        (lambda k: shift_kernel(k * 0, (0.0, 0.0)), "of the mass"),
        (lambda k: centroid(-k), "positive sum"),
        (lambda k: centroid(k.repeat(1, 3, 1, 1)), "one kernel for all colours"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(blobs(8, 8))


def test_inputs_stay_as_they_are_and_autocast_does_not_round():
    k = blobs(9, 9).float()
    before = k.clone()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = shift_kernel(k, (0.5, 0.25))
    assert moved.dtype == torch.float32 and torch.equal(k, before)
    torch.testing.assert_close(moved, shift_kernel(k, (0.5, 0.25)))
