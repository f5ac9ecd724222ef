"""Faint pictures are stretched for solvers and brought back; what they are restored from and judged by stays theirs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds
from synthetic import psnr

from pnpsr.bordered import solve
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, random_motion
from pnpsr.photo import restore
from pnpsr.photo.contrast import FAINT, LOUD, Contrast
from pnpsr.photo.explain import explained_by
from pnpsr.photo.finish import finisher
from pnpsr.physics import Degradation, quantise
from pnpsr.released import open_solver


def seed(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)


ranges = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
sigmas = st.floats(0, 0.2)


@given(ends=ranges, sigma=sigmas, s=seeds)
def test_what_is_raised_is_lowered_again(ends: list[float], sigma: float, s: int) -> None:
    low, high = ends
    y = low + (high - low) * torch.rand(1, 3, 6, 7, generator=seed(s), dtype=torch.float64)
    y[..., 0, 0], y[..., 0, 1] = low, high
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


def faint(name: str, *place: slice, contrast: float = 0.2) -> torch.Tensor:
    return 0.4 + contrast * (sample_picture(name)[(..., *place)] - 0.5)


@pytest.mark.parametrize("tile", [None, 128])
def test_who_names_a_solver_gets_what_it_makes_of_the_picture_as_it_is(tile: int | None) -> None:
    y, k = faint("camera", slice(60, 220), slice(140, 300)), gaussian(9, 1.2)
    x = restore(y, 1, solver="usrnet", k=k, sigma=0.005, tile=tile).x
    as_it_is = solve(open_solver("usrnet"), y, 1, sigma=0.005, k=k).known("x")
    stretched = restore(y, 1, k=k, sigma=0.005, tile=tile).x  # by the same network
    inner = (..., slice(24, -24), slice(24, -24))
    assert float((x - as_it_is)[inner].abs().max()) < 1 / 255 < float((stretched - as_it_is)[inner].abs().max())


def test_a_faint_picture_is_stretched_as_a_whole_and_restored_better_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tiles are stretched alike, though one of them has less contrast than the others."""
    x, k = faint("coffee", slice(0, 240), slice(120, 360), contrast=0.1), gaussian(9, 1.2)
    x[..., :120] = 0.38 + 0.3 * (x[..., :120] - 0.38)
    y = Degradation(1, boundary="reflect")(x, k, 0.0005, generator=seed(0))
    gains, raised = list[float](), Contrast.raised
    monkeypatch.setattr(Contrast, "raised", lambda self, part: (gains.append(self.gain), raised(self, part))[1])
    whole, tiled = (restore(y, 1, k=k, sigma=0.0005, tile=tile).x for tile in (None, 128))
    assert len(gains) >= 5 and set(gains) == {Contrast.of(y, 0.0005).gain} and gains[0] > 2
    inner = (..., slice(24, -24), slice(24, -24))
    assert float((whole - tiled)[inner].abs().max()) < 0.5 / 255
    unaided = solve(finisher(1, known=True), y, 1, k=k, sigma=0.0005).known("x")
    assert psnr(tiled[inner], x[inner]) > psnr(unaided[inner], x[inner]) + 0.5


@pytest.mark.parametrize("dark", [False, True])
def test_lights_and_marks_that_blur_has_spread_keep_their_range(dark: bool) -> None:
    """y is faint, x is not: what the network makes of them is not cut off."""
    x = torch.full((1, 1, 128, 128), 0.02)
    for i, j in torch.randint(10, 116, (25, 2), generator=seed(0)).tolist():
        x[..., i : i + 2, j : j + 2] = 0.9
    x = 1 - x if dark else x
    k = random_motion(1, 15, generator=seed(1))
    y = quantise(Degradation(1, boundary="reflect")(x, k, 0.002, generator=seed(2)))
    low, high = (float(v) for v in torch.aminmax(y))
    assert high - low < 0.4
    made = explained_by(finisher(1, known=True), y, 1, k, 0.003)
    assert float(made.max() - made.min()) > 0.75 and psnr(made, x) > psnr(y, x) + 6
