"""The blur that is there is found, none where there is none, and both without knowing the truth."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import psnr

from pnpsr import blind_hqs, load
from pnpsr.bordered import solve as apply
from pnpsr.fast import native_bfloat16
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian, line, random_motion
from pnpsr.photo import fixed, restore
from pnpsr.photo.alternate import differences, edge_image, fitted_kernel
from pnpsr.photo.blocks import compression, detail_in_blocks, softness
from pnpsr.photo.candidates import guesses, straight
from pnpsr.photo.clipped import Brisk, counting
from pnpsr.photo.clipped import seen as seen_under
from pnpsr.photo.detail import detail
from pnpsr.photo.explain import agreement, explained_by, residual, sparsity
from pnpsr.photo.facts import LINE, NONE, TRAINED, Tried, untouched
from pnpsr.photo.field import Field, field_of
from pnpsr.photo.find import _more
from pnpsr.photo.finish import finisher, second, trained_for, unblurred, with_kernel_given
from pnpsr.photo.kept import Kept
from pnpsr.photo.plan import duration, plan
from pnpsr.photo.pyramid import coarse_to_fine, on_grid_of
from pnpsr.photo.ranking import WEIGHTS, justified, ranked
from pnpsr.photo.spectrum import Spectrum
from pnpsr.photo.windows import fine_noise, flat_noise, informative, noise
from pnpsr.photo.words import describe, extent, shape_of
from pnpsr.physics import Degradation, quantise
from pnpsr.starts import upsample


def seed(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)


def blurred(name: str, k: torch.Tensor, scale: int = 1, side: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    x = sample_picture(name)[..., 60 : 60 + side * scale, 160 : 160 + side * scale]
    return x, quantise(Degradation(scale, boundary="reflect")(x, k, 0.004, generator=seed(0)))


def test_blur_is_found_and_said() -> None:
    x, y = blurred("astronaut", gaussian(15, 1.6))
    r = restore(y, 1)
    assert r.blurred and r.found is not None and r.words.startswith("blur of about")
    assert abs(shape_of(r.k).along - 1.6) < 1.3  # 2.2 and 2.8: two candidates of equal merit, both wide
    assert psnr(r.x[..., 8:-8, 8:-8], x[..., 8:-8, 8:-8]) > psnr(y[..., 8:-8, 8:-8], x[..., 8:-8, 8:-8]) + 1
    scores = [c.score for c in r.found.candidates]
    tried = {NONE, LINE, "coarse to fine 13", "coarse to fine 27", *(f"{TRAINED} {name}" for name in trained_for(1))}
    assert scores == sorted(scores) and {c.name for c in r.found.candidates} == tried


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_a_picture_without_blur_comes_back_as_it_is(name: str) -> None:
    x = sample_picture(name)[..., 60:156, 160:256]
    r = restore(x, 1)
    assert not r.blurred and "nothing to remove" in r.words
    assert torch.equal(r.x, x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_whole_sample_pictures_are_left_alone_and_never_enlarged_worse_than_bicubic(name: str) -> None:
    x = sample_picture(name)
    x = x[..., : x.shape[-2] // 2 * 2, : x.shape[-1] // 2 * 2]
    assert torch.equal(restore(x, 1).x, x)
    y = quantise(x[..., ::2, ::2])
    better, bicubic = (psnr(z[..., 8:-8, 8:-8], x[..., 8:-8, 8:-8]) for z in (restore(y, 2).x, upsample(y, 2).clamp(0, 1)))
    assert better > bicubic - 0.1


def test_a_sharp_picture_is_enlarged_by_the_solver_and_a_quarter_of_interpolation() -> None:
    x = sample_picture("astronaut")[..., 20:276, 120:376]
    y = quantise(x[..., ::2, ::2])
    r, plain = restore(y, 2), upsample(y, 2).clamp(0, 1)
    assert not r.blurred and r.touched and r.found is not None and r.words == "no blur was found; enlarged as a sharp picture"
    alone = explained_by(finisher(2, known=False), y, 2, dirac(1), r.sigma)
    inner = (..., slice(8, -8), slice(8, -8))
    assert psnr(r.x[inner], x[inner]) > max(psnr(plain[inner], x[inner]) + 0.3, psnr(alone[inner], x[inner]))
    assert torch.allclose(r.x, (plain + 3 * alone) / 4, atol=0.02)


def test_the_most_informative_window_has_edges_in_every_direction() -> None:
    y = torch.full((1, 1, 320, 320), 0.5)
    y[..., 0:128, 0:128] = (torch.arange(128) // 8 % 2).float() * 0.8 + 0.1  # strong stripes, one direction only
    checks = ((torch.arange(128)[:, None] // 16 + torch.arange(128)[None] // 16) % 2).float()
    y[..., 192:320, 192:320] = 0.3 + 0.3 * checks
    best = informative(y, side=128)[0]
    assert (best.top, best.left) == (192, 192) and best.score > 0
    y[..., 192:320, 192:320] = checks  # black and white: clipped, so nothing is left to see
    assert (informative(y, side=128)[0].top, informative(y, side=128)[0].left) != (192, 192)
    assert informative(torch.zeros(1, 1, 9, 700))[0].inside == (slice(0, 9), slice(0, 700))


def test_noise_is_not_taken_for_edges() -> None:
    y = 0.5 + 0.05 * torch.randn(1, 1, 256, 256, generator=seed(0))
    assert -0.1 * 0.05**2 < informative(y, side=256)[0].score < 0
    assert noise(y) == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_does_not_hide_edges(channels: int) -> None:
    """Of weak edges under noise as strong as they are the score is what it is without the noise, in gray and in colour."""
    x = sample_picture("astronaut")[:, :, :256, :256].mean(1, keepdim=True).expand(-1, channels, -1, -1)
    y = Degradation(1, boundary="reflect")(0.4 + 0.5 * (x - 0.4), gaussian(15, 1.5))
    true, seen = (informative(t, side=256)[0].score for t in (y, y + 0.01 * torch.randn(y.shape, generator=seed(0))))
    assert 0.5 * true < seen < 1.2 * true


def test_words_say_what_a_kernel_is() -> None:
    assert describe(dirac(5)) == "no blur"
    assert describe(gaussian(21, 2.0)) == "blur of about 4.7 pixels"
    for angle in (0.0, 30.0, 90.0, 150.0):  # the rows' axis points down, so a line of angle a rises to the right
        told = describe(line(31, length=15.0, angle=math.radians(90 - angle)))
        assert told.startswith("motion of about 1") and (f"at {angle:.0f}°" in told or f"at {180 - angle:.0f}°" in told)
    assert extent(dirac(9)) == 1 and extent(gaussian(21, 1.0)) == 7


def test_the_score_prefers_the_sharp_picture_and_contrast_does_not_matter() -> None:
    x = sample_picture("coffee")[..., 100:196, 150:246]
    soft = Degradation(1, boundary="reflect")(x, gaussian(9, 1.5))
    assert sparsity(x, 4) < sparsity(soft, 4) and sparsity(0.3 * x, 4) == pytest.approx(sparsity(x, 4), abs=1e-3)
    assert sparsity(torch.zeros(1, 1, 9, 9), 2) == 1 and residual(soft, dirac(3), soft, 1) < 1e-6
    assert residual(x[..., :5, :5], gaussian(9, 1.0), x[..., :5, :5], 1) == 0  # smaller than its kernel


def test_coarse_to_fine_finds_a_motion_and_has_the_size_that_is_asked_for() -> None:
    true = random_motion(1, 15, generator=seed(1))
    _, y = blurred("astronaut", true, side=104)
    k = coarse_to_fine(y, 21)
    assert k.shape == (1, 1, 21, 21) and float(k.sum()) == pytest.approx(1, abs=1e-4) and k.min() >= 0
    assert agreement(k, true) > 0.8 > agreement(dirac(21), true)
    assert [name for name, _ in guesses(y[..., :40, :40], 1, 0.0, {})] == ["coarse to fine 13"]
    assert [name for name, _ in guesses(y[..., :60, :60], 2, 0.0, {"ikrnet-x2": load("ikrnet-x2")})] == [
        f"{TRAINED} ikrnet-x2",
        "coarse to fine 17",
        "coarse to fine 33",
        "coarse to fine 53",
        LINE,
    ]
    for wrong in (20, 53):
        with pytest.raises(ValueError, match="odd and at most half"):
            coarse_to_fine(y, wrong)
    assert torch.equal(coarse_to_fine(torch.zeros(1, 1, 64, 64), 13).sum(), torch.tensor(1.0))  # nothing to see: still a kernel


def test_a_kernel_is_looked_for_in_more_of_the_picture_than_is_judged() -> None:
    true = random_motion(1, 21, generator=seed(5))
    _, y = blurred("coffee", true, side=208)
    part = y[..., :96, :96]
    kernels = {name: make for name, make in guesses(part, 1, 0.004, {}, more=y) if "fine 27" in name or "more" in name}
    assert list(kernels) == ["coarse to fine 27", "coarse to fine 35, from more of it"]
    small, large = (agreement(make(), true) for make in kernels.values())
    assert large > 0.8 and large > small
    finer = dict(guesses(part, 2, 0.004, {}, more=y))["coarse to fine 69, from more of it"]()
    assert finer.shape == (1, 1, 69, 69) and agreement(finer, on_grid_of(true, 2)) > 0.8
    assert not any("more" in name for name, _ in guesses(part, 1, 0.004, {}, more=y[..., :69, :]))
    assert _more(y, informative(y, side=208)[0]) is None
    found = _more(y, informative(y, side=96)[0])
    assert found is not None and found.shape == y.shape


def test_windows_begin_with_a_block() -> None:
    y = torch.rand(1, 1, 301, 405, generator=seed(0))
    assert all(n % 8 == 0 for w in informative(y, side=256) for n in (w.top, w.left))


def test_a_narrow_kernel_is_no_reason_for_a_wider_one(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = {"narrow": gaussian(13, 1.0), "wide": gaussian(21, 2.2)}
    _, y = blurred("astronaut", kernels["narrow"])
    tried = [
        untouched(y, 1),
        *(Tried(name, k, explained_by(finisher(1, known=False), y, 1, k, 0.005)) for name, k in kernels.items()),
    ]
    doubted, w = {c.name: c.score for c in ranked(tried, y, 1)}, WEIGHTS[1]
    monkeypatch.setitem(WEIGHTS, 1, replace(w, F=0.0))
    plain = {c.name: c.score for c in ranked(tried, y, 1)}
    short = {name: 2.5 - shape_of(k).along for name, k in kernels.items()}
    assert plain["narrow"] < plain["wide"] and doubted[NONE] == plain[NONE] == 1
    for name in kernels:  # half for its own length, half for that of the best
        assert math.log(doubted[name] / plain[name]) == pytest.approx(w.F / 2 * (short[name] + short["narrow"]), rel=1e-4)


def test_a_kernel_of_y_lies_on_the_finer_grid() -> None:
    k = on_grid_of(gaussian(9, 1.0), 2)
    assert k.shape == (1, 1, 17, 17) and shape_of(k).along == pytest.approx(2.0, abs=0.25)
    assert torch.equal(on_grid_of(k, 1), k) and float(k.sum()) == pytest.approx(1, abs=1e-5)


def test_the_kernel_half_step_is_the_minimiser_on_the_pixels_that_count() -> None:
    dx, k, counts = (
        torch.randn(2, 14, 15, generator=seed(0)).double(),
        torch.rand(3, 5, generator=seed(1)).double(),
        torch.ones(2, 14, 15),
    )
    counts[:, 4:7, 2:9] = 0
    columns = []
    for n in range(15):  # the dense referee: every column by rolling
        columns.append(torch.roll(dx, (n // 5 - 1, n % 5 - 2), (-2, -1)).flatten())
    U, w = torch.stack(columns, 1), counts.double().flatten()[:, None]
    dy = (U @ k.flatten()).reshape(dx.shape) + 0.1 * torch.randn(2, 14, 15, generator=seed(2)).double()
    ridge = 0.01 * float(dx.square().sum())
    dense = torch.linalg.solve(U.T @ (w * U) + ridge * torch.eye(15).double(), U.T @ (w[:, 0] * dy.flatten()))
    torch.testing.assert_close(
        fitted_kernel(dy, dx, counts.double(), torch.zeros_like(k), 0.01).flatten(), dense, rtol=1e-4, atol=1e-5
    )


def test_an_image_of_few_edges_costs_less_than_y_itself() -> None:
    _, y = blurred("astronaut", gaussian(9, 1.5), side=64)
    g, k, price = y.mean(1)[0], gaussian(9, 1.5)[0, 0], 2e-3

    def cost(u: torch.Tensor) -> float:
        r = g - Degradation(1)(u[None, None], k[None, None])[0, 0]
        return float(r.square().sum()) + price * int((differences(u).square().sum(0) > 1e-6).sum())

    u = edge_image(g, k, price)
    edges = differences(u).square().sum(0)
    assert cost(torch.where(edges.amax() > 0, u, g)) < cost(g)
    assert int((edges > 1e-4).sum()) < int((differences(g).square().sum(0) > 1e-4).sum())


def test_kernels_that_agree_are_believed_sooner() -> None:
    k, other = gaussian(13, 2.0), line(13, length=11.0, angle=0.3)
    assert agreement(k, torch.roll(k, (2, 1), (-2, -1))) == pytest.approx(1, abs=0.02) and agreement(k, other) < 0.9
    x, y = blurred("astronaut", k)
    found = {c.name: c for c in ranked([Tried(n, c, x) for n, c in ((NONE, dirac(3)), ("a", k), ("b", k), ("c", other))], y, 1)}
    assert found[NONE].score == 1 and found["a"].score == found["b"].score < 1 and found["a"].explained > found["c"].explained
    without = {c.name: c for c in ranked([Tried(n, c, x) for n, c in ((NONE, dirac(3)), ("a", k), ("c", other))], y, 1)}
    assert without["a"].score > found["a"].score and list(found)[-1] == "c"


@pytest.mark.parametrize(("scale", "angle", "length"), [(1, 0.5, 19.0), (1, 2.2, 25.0), (2, 1.3, 22.0)])
def test_a_straight_line_shows_in_the_power_spectrum(scale: int, angle: float, length: float) -> None:
    true = line(35, length=length, angle=angle)
    _, y = blurred("astronaut", true, scale, side=160)
    said = Spectrum(y, scale)
    found = said.straight()
    assert abs(found[0] - angle) < 0.06 and found[1] == pytest.approx(length, rel=0.06)
    assert agreement(straight(y, scale), true) > 0.95
    assert said.evidence(true) > 0.1 > said.evidence(dirac(3)) and said.evidence(true) > said.evidence(true.mT)


def through_jpeg(y: torch.Tensor, quality: int) -> torch.Tensor:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((y[0] * 255).round().byte().permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    with Image.open(file) as back:
        return torch.from_numpy(np.asarray(back).copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_what_compression_took_shows_in_its_blocks(quality: int) -> None:
    for sigma in (0.0, 0.02):
        x = sample_picture("astronaut")[..., 60:252, 160:352]
        y = quantise(Degradation(1, boundary="reflect")(x, gaussian(9, 1.0), sigma, generator=seed(0)))
        z = through_jpeg(y, quality)
        true = float((z - y).mean(1).square().mean().sqrt())
        assert compression(z) == pytest.approx(true, rel=0.5) and compression(y) == 0
    assert compression(z.mean(1, keepdim=True)) < 0.02 and compression(z[..., :7, :]) == 0


@pytest.mark.parametrize("scale", [1, 2])
def test_jumps_between_blocks_are_no_detail(scale: int) -> None:
    for name in ("astronaut", "coffee", "chelsea"):
        x = sample_picture(name)[..., 20 : 20 + 160 * scale, 60 : 60 + 160 * scale]
        y = quantise(Degradation(scale, boundary="reflect")(x, gaussian(15, 1.6), 0.005, generator=seed(0)))
        soft, bare = through_jpeg(y, 50), through_jpeg(quantise(x[..., ::scale, ::scale]), 50)
        assert detail_in_blocks(soft) < 1.1 * detail_in_blocks(y) < 0.6 * detail_in_blocks(bare)
        assert softness(soft, scale) == 1 > 0.6 > softness(bare, scale)
    assert detail_in_blocks(x[..., :7, :]) == 1.0 and detail_in_blocks(torch.full((1, 1, 16, 16), 0.5)) < 0.1


def test_no_guess_is_preferred_because_it_explains_the_blocks() -> None:
    x, k = sample_picture("astronaut")[..., 60:252, 160:352], gaussian(15, 1.6)
    y = through_jpeg(quantise(Degradation(2, boundary="reflect")(x, k, 0.005, generator=seed(0))), 50)
    r = restore(y, 2)
    assert r.found is not None and agreement(r.k, k) > 0.9
    inner = (..., slice(8, -8), slice(8, -8))
    assert psnr(r.x[inner], x[inner]) > psnr(upsample(y, 2).clamp(0, 1)[inner], x[inner]) + 1
    tried = [Tried(c.name, c.k, c.x) for c in r.found.candidates]
    closest, chosen = max(r.found.candidates, key=lambda c: c.explained if c.name != NONE else 0), r.found.candidates[0]
    without = {c.name: c.score for c in ranked(tried, y, 2)}
    with_it = {c.name: c.score for c in ranked(tried, y, 2, lost=compression(y))}
    assert with_it[closest.name] / with_it[chosen.name] > 1.5 * without[closest.name] / without[chosen.name]


def test_under_a_wide_kernel_nothing_beyond_the_border_has_to_be_explained() -> None:
    k = line(27, 25, 0.6)
    x, y = blurred("astronaut", k, side=120)
    finish, inner = finisher(1, known=False), (..., slice(12, -12), slice(12, -12))
    assert seen_under(y, gaussian(9, 1.0), 1) is None and bool((seen_under(y, k, 1) == 1).all())
    continued, free = (
        apply(finish, y, s, k=k, sigma=0.005, mask=m).x for s, m in ((1, None), (Brisk(1), torch.ones_like(y[:, :1])))
    )
    assert torch.equal(explained_by(finish, y, 1, k, 0.005), free)
    assert psnr(free[inner], x[inner]) > psnr(continued[inner], x[inner]) + 3
    short = coarse_to_fine(y, 13)  # which has no need of the border, and explained y better while the line had
    tried = [Tried(n, c, explained_by(finish, y, 1, c, 0.005)) for n, c in ((LINE, straight(y, 1)), ("short", short))]
    best = ranked([untouched(y, 1), *tried], y, 1)[0]
    assert best.name == LINE and psnr(best.x[inner], x[inner]) > (psnr(y[inner], x[inner]) + psnr(free[inner], x[inner])) / 2


def test_what_is_clean_has_no_line_to_speak_of() -> None:
    x = sample_picture("astronaut")[..., 60:220, 160:320]
    said = Spectrum(x, 1)
    assert said.evidence(line(35, length=31.0, angle=0.5)) < 0


def test_blur_takes_the_detail() -> None:
    x = sample_picture("astronaut")[..., 60:188, 160:288]
    for k in (gaussian(15, 1.6), line(15, length=11.0, angle=0.4)):
        assert detail(Degradation(1, boundary="reflect")(x, k)) < 0.6 * detail(x)
    assert detail(x[..., :20, :]) == 1.0


def test_noise_of_flat_places_is_whole_where_neighbours_share_it() -> None:
    white = 0.5 + 0.04 * torch.randn(1, 3, 128, 128, generator=seed(0))
    soft = 0.5 + torch.nn.functional.avg_pool2d(white - 0.5, 2, stride=1)
    assert flat_noise(white) == pytest.approx(0.04, rel=0.15) and fine_noise(white) == pytest.approx(0.04, rel=0.05)
    assert fine_noise(soft) < 0.7 * noise(soft) and noise(soft) == pytest.approx(float(soft.std()), rel=0.3)
    assert flat_noise(torch.zeros(1, 1, 64, 64)) == 0 and flat_noise(white[..., :7, :]) == 0


def test_clipped_pixels_do_not_count_but_the_inside_of_white_areas_does() -> None:
    y = torch.full((1, 3, 40, 40), 0.5)
    y[..., 5:7, 5:7] = 1.0
    y[..., 15:35, 15:35] = 1.0
    counts = counting(y)
    assert counts is not None and float((1 - counts).sum()) == 4 + 400
    near = counting(y, gaussian(7, 1.0), 1)
    assert near is not None and near[0, 0, 25, 25] == 1 and near[0, 0, 16, 25] == 0 and near[0, 0, 5, 5] == 0
    assert counting(torch.full((1, 3, 9, 9), 0.5)) is None and counting(torch.ones(1, 3, 9, 9)) is None


def test_a_lamp_does_not_ring() -> None:
    x, k = sample_picture("coffee")[..., 100:196, 200:296].clone(), random_motion(1, 11, generator=seed(1))
    x[..., 40:43, 50:53] = 8.0
    y = quantise(Degradation(1, boundary="reflect").freeze(k=k)(x))
    inner = (..., slice(10, -10), slice(10, -10))
    finish = finisher(1, known=False)
    plain = apply(finish, y, 1, k=k, sigma=0.005).known("x")
    masked = restore(y, 1, k=k, sigma=0.005, solver=finish).x
    truth = x.clamp(0, 1)
    assert psnr(masked[inner], truth[inner]) > psnr(plain[inner], truth[inner]) + 1


def test_the_noise_level_that_is_named_is_removed() -> None:
    x = sample_picture("coffee")[..., 100:356, 150:406]
    y = x + 0.03 * torch.randn(x.shape, generator=seed(0))
    told = restore(y.clamp(0, 1), 1, sigma=0.03)
    assert not told.blurred and told.touched and "removed" in told.words
    assert psnr(told.x, x) > psnr(y, x) + 3


@pytest.mark.parametrize("photo", [np.zeros((8, 8, 3)), None, [1.0]], ids=["array", "None", "list"])
def test_what_is_no_picture_is_refused(photo: object) -> None:
    with pytest.raises(TypeError, match="photo must be a file, a Picture, or a tensor"):
        restore(photo, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("sigma", [None, 0.0, 0.02, 0.5])
def test_one_colour_stays_it_whatever_noise_is_named(sigma: float | None) -> None:
    y = torch.full((1, 3, 64, 64), 0.3)
    r = restore(y, 1, sigma=sigma)
    assert torch.equal(r.x, y) and not r.touched and "enlarged as it is" in r.words


def test_a_solver_of_the_callers_is_not_believed_either_where_nothing_is_blurred() -> None:
    x = sample_picture("astronaut")[..., 60:156, 160:256]
    r = restore(x, 1, size=13)
    assert not r.touched and torch.equal(r.x, x) and "nothing to remove" in r.words
    _, y = blurred("astronaut", random_motion(1, 11, generator=seed(1)))
    assert restore(y, 1, size=13).touched
    assert not justified(gaussian(13, 2.0), x, x, 1, second(blind_hqs(13), x, 1))


def test_nor_is_it_above_scale_1_where_the_trained_one_finds_y_sharp() -> None:
    x = sample_picture("astronaut")[..., 20:212, 120:312]
    r = restore(x[..., ::2, ::2], 2, size=13)
    assert not r.touched and "nothing to remove" in r.words
    detailed = sample_picture("coffee")[..., 72:328, 172:428]
    z = quantise(detailed[..., ::2, ::2])
    k, sharp = second(blind_hqs(21), z, 2), unblurred(blind_hqs(21), z, 2, 0.005)
    assert (
        sharp is not None
        and k is not None
        and not justified(k, explained_by(finisher(2, known=False), z, 2, k, 0.005), z, 2, k, sharp)
    )
    y = quantise(Degradation(2, boundary="reflect")(x, gaussian(21, 1.6), 0.005, generator=seed(0)))
    soft, inner = restore(y, 2, size=13), (..., slice(8, -8), slice(8, -8))
    assert soft.touched and psnr(soft.x[inner], x[inner]) > psnr(upsample(y, 2)[inner], x[inner]) + 1
    assert unblurred(load("ikrnet-x2"), y, 2, 0.005) is None and unblurred(blind_hqs(13), y, 1, 0.005) is None


def test_image_steps_of_blind_solvers_take_a_kernel() -> None:
    y, k = torch.rand(1, 3, 20, 22, generator=seed(0)), gaussian(5, 1.0)
    for solver in (blind_hqs(5, T=2, finish=2), load("ikrnet-x2"), load("dan-x2")):
        view = with_kernel_given(solver)
        out = apply(view, y, 2, k=gaussian(21, 1.0) if solver.scale == 2 else k, sigma=0.01)
        assert out.x.shape == (1, 3, 40, 44) and view.estimator is None
    assert with_kernel_given(blind_hqs(5, T=2, finish=3)).T == 3 and with_kernel_given(load("dan-x2")).T == 1
    assert (
        not trained_for(5)
        and trained_for(4)
        and second(load("dan-x2"), y, 2) is None
        and finisher(3, known=False).T == finisher(3, known=True).T
    )


@pytest.mark.skipif(not native_bfloat16(), reason="needs a processor that multiplies bfloat16")
def test_reduced_precision_is_used_only_where_nobody_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    k = random_motion(1, 11, generator=seed(1))
    _, y = blurred("astronaut", k)
    auto, exact, reduced = (restore(y, 1, k=k, precision=p).x for p in ("auto", "float32", "bfloat16"))
    assert float((auto - exact).square().mean().sqrt()) <= 1 / 512 and float((auto - exact).abs().max()) <= 1 / 64
    for name, small, all_or_nothing in (("SAME", 0.0, exact), ("FAR", 0.0, exact), ("FAR", 1.0, reduced)):
        with monkeypatch.context() as changed:
            changed.setattr(fixed, name, small)
            assert torch.equal(restore(y, 1, k=k).x, all_or_nothing)
    assert not torch.equal(reduced, exact)


def test_kernels_of_a_field_are_mixed_between_cells() -> None:
    field = Field(torch.stack([dirac(3)[0, 0], gaussian(3, 1.0)[0, 0]])[None], (100.0, 50.0))
    assert torch.equal(field.at(50, 0), dirac(3)) and torch.allclose(field.at(10, 99), gaussian(3, 1.0))
    assert torch.allclose(field.at(50, 50), (dirac(3) + gaussian(3, 1.0)) / 2)
    y = torch.rand(1, 1, 300, 600, generator=seed(0))
    seen: list[tuple[int, ...]] = []

    def find(part: torch.Tensor) -> torch.Tensor | None:
        seen.append(tuple(part.shape[-2:]))
        return gaussian(7, 1.0) if len(seen) == 2 else None

    found = field_of(y, 300, dirac(1), find, Kept(None, {}), None)
    assert seen == [(300, 300), (300, 300)] and found.k.shape == (1, 2, 7, 7)
    assert torch.equal(found.k[0, 0], dirac(7)[0, 0])


@pytest.mark.slow
def test_blur_that_differs_over_the_picture_is_found_cell_by_cell() -> None:
    x = torch.cat([sample_picture("astronaut")[..., :256, :256], sample_picture("astronaut")[..., :256, 256:]], -1)
    parts = [Degradation(1, boundary="reflect")(x[..., i * 256 : (i + 1) * 256], gaussian(15, w)) for i, w in enumerate((0.8, 2.2))]
    r = restore(quantise(torch.cat(parts, -1)), 1, kernels_per=256)
    assert r.field is not None and r.field.shape[:2] == (1, 2)
    widths = [shape_of(k[None, None]).along for k in r.field[0]]
    assert widths[1] > widths[0] + 0.6


def test_plans_fit_the_memory_and_say_what_they_need() -> None:
    roomy, tight = plan(2000, 3000, 3, 2, memory=8), plan(2000, 3000, 3, 2, memory=2.5)
    assert roomy.bytes < 4 * 2**30 and tight.bytes <= 2.5 * 2**30 and len(tight.tiles) > len(roomy.tiles)
    assert plan(4000, 6000, 3, 2, memory=16).bytes < 6 * 2**30
    assert "tiles; needs about" in tight.words() and plan(20, 20, 3, 2).words(3.0).endswith("and about 3 s")
    assert [duration(s) for s in (0.2, 60, 300, 7200)] == ["1 s", "60 s", "5 min", "2.0 h"]
    with pytest.raises(ValueError, match="need about .* GiB of memory, 1.0 may be used"):
        plan(4000, 6000, 3, 2, memory=1)
