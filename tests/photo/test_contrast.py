"""Faint pictures are stretched for solvers and brought back; what they are restored from and judged by stays theirs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds
from synthetic import psnr

from pnpsr.bordered import solve
from pnpsr.images import sample_picture
from pnpsr.kernels import random_motion
from pnpsr.photo import restore
from pnpsr.photo.contrast import FAINT, LOUD, Contrast
from pnpsr.photo.explain import explained_by
from pnpsr.photo.finish import finisher
from pnpsr.physics import Degradation
from pnpsr.released import open_solver


def seed(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)


ranges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
sigmas = st.floats(0, 0.2)


@given(ends=ranges, sigma=sigmas, s=seeds)
def test_what_is_raised_is_lowered_again(ends: list[float], sigma: float, s: int) -> None:
    low, high = ends
    y = low + (high - low) * torch.rand(1, 3, 6, 7, generator=seed(s), dtype=torch.float64)
    contrast = Contrast.of(y, sigma)
    z = contrast.raised(y)
    assert contrast.gain >= 1 and 0 <= float(z.min()) and float(z.max()) <= 1
    torch.testing.assert_close(contrast.lowered(z), y, rtol=0, atol=1e-9)
    if contrast.gain > 1:
        assert float(z.max() - z.min()) <= FAINT + 1e-9 and contrast.noise(sigma) <= LOUD + 1e-9


@given(ends=ranges, gain=st.floats(1, 4), s=seeds)
def test_the_stretch_does_not_depend_on_what_was_lost(ends: list[float], gain: float, s: int) -> None:
    """A picture with white and a fainter copy of it, white for white, look the same to a solver, if both are faint."""
    low = 1 - 0.5 * (1 - ends[0])
    y = low + (1 - low) * torch.rand(1, 1, 6, 7, generator=seed(s), dtype=torch.float64)
    y[..., 0, 0] = 1.0
    faint = 1 + (y - 1) / gain
    if float(faint.max() - faint.min()) > 2e-3:
        a, b = (Contrast.of(t, 0.0) for t in (y, faint))
        torch.testing.assert_close(a.raised(y), b.raised(faint), rtol=0, atol=1e-6)


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.0, 0.5), (0.3, 0.8), (0.5, 1.0)])
def test_what_has_contrast_is_left_alone(values: tuple[float, float]) -> None:
    y = torch.tensor(values)[None, None, None]
    contrast = Contrast.of(y, 0.0)
    assert contrast.gain == 1 and contrast.raised(y) is y and contrast.lowered(y) is y


def test_white_stays_white_and_black_black() -> None:
    white, black = torch.tensor([0.9, 1.0])[None, None, None], torch.tensor([0.0, 0.1])[None, None, None]
    torch.testing.assert_close(Contrast.of(white, 0.0).raised(white), torch.tensor([0.5, 1.0])[None, None, None])
    torch.testing.assert_close(Contrast.of(black, 0.0).raised(black), torch.tensor([0.0, 0.5])[None, None, None])


def test_a_solver_makes_as_much_of_a_faint_picture() -> None:
    """Image steps that know the kernel gain at a tenth of the contrast what they gain at half of it, a noise in proportion."""
    x, k = sample_picture("chelsea")[..., 72:200, 172:300], random_motion(1, 15, generator=seed(1))
    finish, gained, unaided = finisher(1, known=False), [], 0.0
    for c in (0.5, 0.1):
        faint, sigma = 0.5 + c * (x - 0.5), 0.002 * c
        y = Degradation(1, boundary="reflect")(faint, k, sigma, generator=seed(0)).clamp(0, 1)
        gained.append(psnr(explained_by(finish, y, 1, k, sigma), faint) - psnr(y, faint))
        unaided = psnr(solve(finish, y, 1, k=k, sigma=sigma).known("x"), faint) - psnr(y, faint)
    assert gained[1] > gained[0] - 0.3 and gained[1] > unaided + 2


def test_a_faint_blurred_picture_is_restored() -> None:
    x, k = 0.5 + 0.2 * (sample_picture("coffee")[..., 72:328, 172:428] - 0.5), random_motion(1, 15, generator=seed(4))
    y = Degradation(1, boundary="reflect")(x, k, 0.001, generator=seed(1)).clamp(0, 1)
    r = restore(y, 1)
    assert r.blurred and psnr(r.x, x) > psnr(y, x) + 2


def test_who_names_a_solver_gets_what_it_makes_of_the_picture_as_it_is() -> None:
    y = 0.4 + 0.1 * sample_picture("camera")[..., 60:108, 140:188]
    x = restore(y, 1, solver="usrnet", k=random_motion(1, 9, generator=seed(0)), sigma=0.01).x
    alone = solve(open_solver("usrnet"), y, 1, sigma=0.01, k=random_motion(1, 9, generator=seed(0))).known("x")
    torch.testing.assert_close(x, alone, rtol=0, atol=1e-3)
