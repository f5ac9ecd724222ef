"""Conventions: each against code that is not ours (numpy, scipy, torch, deepinv), conversions exact, wrong triples told apart."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.conventions import (
    DAN,
    DAN_PAPER,
    DEEPINV,
    FKP,
    IKRNET,
    IKRNET_TRAIN,
    KAIR_CENTER,
    KERNELGAN,
    KERNELGAN_UNSHIFTED,
    NAMED,
    PHYSICS,
    PNPSR,
    USRNET,
    USRNET_UNSHIFTED,
    Convention,
    Report,
    convert_kernel,
    degrade,
    identify,
    named_physics,
    register_physics,
    reproduces,
)
from pnpsr.physics import Degradation, Mosaic, bicubic

ndimage = pytest.importorskip("scipy.ndimage")

SIZES = [(5, 5), (4, 4), (3, 6), (4, 3)]  # odd, even, rectangular
PADS = {
    "circular": "wrap",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "zero": "constant",
    "valid": "valid",
}
INTEGER_CENTRES = ("p//2", "(p-1)//2")

conventions = st.builds(
    Convention,
    name=st.just("drawn"),
    centre=st.sampled_from(INTEGER_CENTRES),
    offset=st.one_of(st.just("(s-1)//2"), st.just(0)),
    correlation=st.booleans(),
    boundary=st.sampled_from(sorted(PADS)),
)
sizes = st.tuples(st.integers(1, 5), st.integers(1, 5))
scales = st.tuples(st.integers(1, 4), st.integers(1, 4))
seeds = st.integers(0, 2**20)


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def kernel(seed: int, *size: int, batch: int = 1) -> torch.Tensor:
    k = draw(seed, batch, 1, *size)
    return k / k.sum((-2, -1), keepdim=True)


def picture(seed: int, *shape: int) -> torch.Tensor:
    """An image of 256 levels."""
    return (draw(seed, *shape) * 255).round() / 255


def close(a: torch.Tensor, b: torch.Tensor | np.ndarray, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(a, torch.as_tensor(b), rtol=0, atol=tolerance)


def by_definition(x: np.ndarray, k: np.ndarray, convention: Convention, scale: tuple[int, int]) -> np.ndarray:
    """Loops over one image (h w): y(n) = Σ_m k(m) x(n + c - m), or Σ_m k(m) x(n + m - c), then [o::s]."""
    p, q = k.shape
    c = [{"p//2": n // 2, "(p-1)//2": (n - 1) // 2}[convention.centre] for n in k.shape]
    o = [(s - 1) // 2 if convention.offset == "(s-1)//2" else 0 for s in scale]
    rows, columns = x.shape
    if convention.boundary == "valid":
        origin, rows, columns = (0, 0), rows - p + 1, columns - q + 1
        reach = [0 if convention.correlation else n - 1 for n in k.shape]
    else:
        x, origin = np.pad(x, ((p, p), (q, q)), mode=PADS[convention.boundary]), (p, q)
        reach = [-n if convention.correlation else n for n in c]
    sign = 1 if convention.correlation else -1
    y = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for m in range(p):
                for n in range(q):
                    y[i, j] += k[m, n] * x[origin[0] + i + reach[0] + sign * m, origin[1] + j + reach[1] + sign * n]
    return y[o[0] :: scale[0], o[1] :: scale[1]]


@given(conventions, sizes, scales, seeds)
def test_degrade_is_the_definition(convention: Convention, size: tuple[int, int], scale: tuple[int, int], seed: int) -> None:
    x, k = draw(seed, 1, 1, 6 * scale[0], 6 * scale[1]), draw(seed + 1, 1, 1, *size)
    close(degrade(x, k, scale, convention)[0, 0], by_definition(x[0, 0].numpy(), k[0, 0].numpy(), convention, scale))


@given(conventions, conventions, sizes, scales, seeds)
def test_conversion_is_exact_and_goes_back(
    a: Convention, b: Convention, size: tuple[int, int], scale: tuple[int, int], seed: int
) -> None:
    b = replace(b, boundary=a.boundary)
    x, k = draw(seed, 2, 3, 6 * scale[0], 6 * scale[1]), draw(seed + 1, 2, 1, *size)
    if a.boundary == "valid" and any(m > n for m, n in zip(b.offsets(scale), a.offsets(scale), strict=True)):
        with pytest.raises(ValueError, match="no pixels before"):
            convert_kernel(k, a, b, scale)
        return
    there = convert_kernel(k, a, b, scale)
    x = torch.cat([x] * 3, -2)
    x = torch.cat([x] * 3, -1)  # room for kernels that grew
    close(degrade(x, there, scale, b), degrade(x, k, scale, a))
    assert all(n == m or n % 2 == 1 or a.boundary == "valid" for n, m in zip(there.shape[-2:], size, strict=True))
    if a.boundary != "valid":
        close(degrade(x, convert_kernel(there, b, a, scale), scale, a), degrade(x, k, scale, a))


# --- the named ones, against code that is not ours -------------------------------------------------------


def scipy_image(x: torch.Tensor, k: torch.Tensor, filtering: str, mode: str) -> torch.Tensor:
    planes = [[getattr(ndimage, filtering)(c, k[0, 0].numpy(), mode=mode) for c in image] for image in x.numpy()]
    return torch.from_numpy(np.array(planes))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "filtering", "mode"),
    [
        *((name, "convolve", "wrap") for name in ("PNPSR", "USRNET", "IKRNET", "DEEPINV", "KAIR_CENTER")),
        ("DAN_PAPER", "convolve", "mirror"),
        *((name, "correlate", "wrap") for name in ("IKRNET_TRAIN", "FKP")),
        ("KERNELGAN", "correlate", "reflect"),  # what scipy calls reflect repeats the edge
    ],
)
def test_against_scipy(name: str, filtering: str, mode: str, size: tuple[int, int], scale: int) -> None:
    x, k = draw(0, 1, 2, 12, 24), kernel(1, *size)
    o = (scale - 1) // 2 if name == "KAIR_CENTER" else 0
    close(degrade(x, k, scale, NAMED[name]), scipy_image(x, k, filtering, mode)[..., o::scale, o::scale])


@pytest.mark.parametrize("size", SIZES)
def test_own_convention_is_that_of_the_operators(size: tuple[int, int]) -> None:
    x, k = draw(0, 2, 3, 12, 24), kernel(1, *size, batch=2)
    close(degrade(x, k, 3), Degradation(3)(x, k), 1e-14)
    moved = replace(PNPSR, offset=(1, 2), boundary="replicate")
    close(degrade(x, k, 3, moved), Degradation(3, offset=(1, 2), boundary="replicate")(x, k), 1e-14)


def torch_pad(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What BatchBlur pads, as torch's pad takes it: p // 2 before, one less after for even p."""
    (p, q) = size
    return q // 2, (q - 1) // 2, p // 2, (p - 1) // 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("convention", "mode"), [(IKRNET_TRAIN, "circular"), (FKP, "circular"), (replace(DAN, decimation="pick"), "reflect")]
)
def test_against_torch(convention: Convention, mode: str, size: tuple[int, int]) -> None:
    x, k = draw(0, 1, 1, 12, 24), kernel(1, *size)
    blurred = torch.nn.functional.conv2d(torch.nn.functional.pad(x, torch_pad(size), mode=mode), k)
    close(degrade(x, k, 2, convention), blurred[..., ::2, ::2])


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(5, 5), (4, 4), (3, 6), (8, 8), (7, 3)])
@pytest.mark.parametrize("padding", ["circular", "reflect", "replicate", "constant", "valid"])
def test_against_deepinv(padding: str, size: tuple[int, int], scale: int) -> None:
    from deepinv.physics import Downsampling

    x, k = draw(0, 2, 3, 24, 36), kernel(1, *size, batch=2)
    physics = Downsampling(img_size=(3, 24, 36), filter=k, factor=scale, padding=padding)
    convention = replace(DEEPINV, boundary="zero" if padding == "constant" else padding)
    close(degrade(x, k, scale, convention), physics.A(x))


def matlab_weights(n: int, s: int) -> np.ndarray:
    """imresize(n -> n / s) as a matrix, pixel by pixel in MATLAB's 1-based coordinates, symmetric border."""
    weights = np.zeros((n // s, n))
    for i in range(1, n // s + 1):
        u = i * s + 0.5 * (1 - s)
        left = int(np.floor(u - 2 * s))
        row = dict.fromkeys(range(left, left + 4 * s + 2), 0.0)
        for j in row:
            t = abs(u - j) / s
            row[j] = (1.5 * t**3 - 2.5 * t**2 + 1) if t <= 1 else (-0.5 * t**3 + 2.5 * t**2 - 4 * t + 2) if t <= 2 else 0.0
        for j, w in row.items():
            mirrored = (j - 1) % (2 * n)
            weights[i - 1, min(mirrored, 2 * n - 1 - mirrored)] += w / sum(row.values())
    return weights


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_dan_is_reflect_correlation_then_imresize(size: tuple[int, int], scale: int) -> None:
    from deepinv.physics.functional import imresize_matlab

    x, k = draw(0, 1, 1, 24, 36), kernel(1, *size)
    blurred = torch.nn.functional.conv2d(torch.nn.functional.pad(x, torch_pad(size), mode="reflect"), k)
    y = degrade(x, k, scale, DAN)
    close(y[0, 0], matlab_weights(24, scale) @ blurred[0, 0].numpy() @ matlab_weights(36, scale).T)
    if scale > 1:
        close(y, imresize_matlab(blurred.clone(), scale=1 / scale, antialiasing=True), 1e-10)


@pytest.mark.parametrize("mode", ["convolve", "correlate"])
def test_truncation_is_scipy_on_uint8_to_the_last_level(mode: str) -> None:
    x, k = picture(0, 1, 2, 24, 24), kernel(1, 5, 6)
    x[..., :12] = 77 / 255  # flat: only the order of the sum decides between 76 and 77
    grey = (x * 255).round().to(torch.uint8)
    convention = (IKRNET if mode == "convolve" else IKRNET_TRAIN).stored("truncate")
    want = scipy_image(grey, k, mode, "wrap")[..., ::2, ::2]
    assert want.dtype == torch.uint8
    assert torch.equal((degrade(x, k, 2, convention) * 255).round().to(torch.uint8), want)
    assert float((degrade(x, k, 2, IKRNET) * 255 - want).mean()) > 0.3  # the bias of truncation


# --- what the names hide: shifts -------------------------------------------------------------------------


def centroid_of_taps(k: torch.Tensor, convention: Convention, scale: int) -> float:
    """Which pixel of the patch y stands for, in rows: start + centroid of g."""
    p, q = k.shape[-2:]
    g = convention.taps(k).sum((0, 1, 3))
    return float(convention.starts((p, q), (scale, scale))[0]) + float((g * torch.arange(p)).sum() / g.sum())


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_unshifted_usrnet_kernels_are_moved_as_shift_pixel_does(scale: int) -> None:
    k = torch.nn.functional.pad(kernel(0, 5, 4), (3, 3, 3, 3))  # zeros around: shift_pixel repeats the edge instead
    k[..., :, :] /= k.sum()
    rows, columns = np.meshgrid(np.arange(11) + (scale - 1) / 2, np.arange(10) + (scale - 1) / 2, indexing="ij")
    moved = ndimage.map_coordinates(k[0, 0].numpy(), [rows, columns], order=1, mode="nearest")
    x = draw(1, 1, 1, 12 * scale, 12 * scale)
    converted = convert_kernel(k, USRNET_UNSHIFTED, USRNET, scale, interpolate=True)
    close(degrade(x, converted, scale, USRNET), degrade(x, torch.from_numpy(moved)[None, None], scale, USRNET))
    assert centroid_of_taps(converted, USRNET, scale) - centroid_of_taps(k, USRNET, scale) == pytest.approx((scale - 1) / 2)


def kernel_shift(k: np.ndarray, scale: int, division: str) -> np.ndarray:
    """KernelGAN's formula (``//``), and that of DIV2KRK's generator (``/``): the mass goes to p / 2 + (s - p % 2) / 2."""
    half = np.array(k.shape) // 2 if division == "//" else np.array(k.shape) / 2
    shift = half + 0.5 * (scale - np.array(k.shape) % 2) - ndimage.center_of_mass(k)
    return ndimage.shift(np.pad(k, int(np.ceil(np.abs(shift).max())) + 1), shift)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_published_shifts_land_on_the_middle_or_beside_it(scale: int) -> None:
    def landing(p: int, division: str) -> float:
        ramp = torch.arange(p) - (p - 1) / 2
        k = torch.exp(-(ramp**2) / 8).double()
        shifted = kernel_shift(torch.outer(k, k).numpy(), scale, division)
        return centroid_of_taps(torch.from_numpy(shifted)[None, None], KERNELGAN, scale)

    assert landing(21, "//") == pytest.approx((scale - 1) / 2, abs=1e-2)
    assert landing(20, "//") == landing(20, "/") == pytest.approx(scale / 2, abs=1e-2)
    assert landing(21, "/") == pytest.approx(scale / 2, abs=1e-2)
    fkp = torch.zeros(1, 1, 11, 11, dtype=torch.float64)
    fkp[..., : 12 - scale, : 12 - scale] = 1  # mass at (11 - s) / 2, where prepare_dataset.py puts it
    assert centroid_of_taps(fkp, FKP, scale) == pytest.approx(-(scale - 1) / 2)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("p", [5, 6])
def test_unshifted_kernelgan_kernels_land_on_the_middle(p: int, scale: int) -> None:
    ramp = torch.exp(-((torch.arange(p) - (p - 1) / 2) ** 2)).double()
    k, x = torch.outer(ramp, ramp)[None, None] / ramp.sum() ** 2, draw(0, 1, 1, 12 * scale, 12 * scale)
    off_grid = (p - scale) % 2 == 1
    converted = convert_kernel(k, KERNELGAN_UNSHIFTED, KERNELGAN, scale, interpolate=off_grid)
    assert centroid_of_taps(converted, KERNELGAN, scale) == pytest.approx((scale - 1) / 2)
    if off_grid:
        for run in (convert_kernel, lambda k, a, _, s: degrade(x, k, s, a)):
            with pytest.raises(ValueError, match="half a pixel"):
                run(k, KERNELGAN_UNSHIFTED, KERNELGAN, scale)
    else:
        close(degrade(x, converted, scale, KERNELGAN), degrade(x, k, scale, KERNELGAN_UNSHIFTED))
        if p == 5 and scale == 3:  # the published spline moves by whole pixels here, and is exact
            close(
                degrade(x, torch.from_numpy(kernel_shift(k[0, 0].numpy(), 3, "//"))[None, None], 3, KERNELGAN),
                degrade(x, converted, 3, KERNELGAN),
            )


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_bicubic_becomes_part_of_the_kernel_away_from_the_border(size: tuple[int, int], scale: int) -> None:
    x, k = draw(0, 1, 1, 16 * scale, 18 * scale), kernel(1, *size)
    for target in (PNPSR, KERNELGAN, KAIR_CENTER):
        folded = convert_kernel(k, DAN, target, scale, interior=True)
        error = (degrade(x, folded, scale, target) - degrade(x, k, scale, DAN)).abs()
        rows, columns = DAN.border(size, scale)
        assert float(error[..., rows:-rows, columns:-columns].max()) < 1e-12
        assert float(error.max()) > 1e-5
    assert float(folded.sum()) == pytest.approx(1)


@given(conventions, sizes, scales, seeds)
def test_border_is_as_wide_as_it_says_and_no_wider(
    convention: Convention, size: tuple[int, int], scale: tuple[int, int], seed: int
) -> None:
    a, b = replace(convention, boundary="circular"), replace(convention, boundary="zero")
    x, k = 1 + draw(seed, 1, 1, 12 * scale[0], 12 * scale[1]), draw(seed + 1, 1, 1, *size) + 0.1
    error = (degrade(x, k, scale, a) - degrade(x, k, scale, b)).abs()[0, 0] > 1e-9
    rows, columns = a.border(size, scale)
    assert not error[rows : 12 - rows, columns : 12 - columns].any()
    assert rows == 0 or error[rows - 1, 6] or error[12 - rows, 6]
    assert columns == 0 or error[6, columns - 1] or error[6, 12 - columns]
    assert torch.equal(convert_kernel(k, a, b, scale, interior=True), k)


def test_bicubic_weights_reproduce_lines() -> None:
    for s in range(1, 6):
        weights, first = bicubic.taps(s)
        v = first + torch.arange(weights.numel())
        assert float(weights.sum()) == pytest.approx(1)
        assert float((weights * v).sum()) == pytest.approx((s - 1) / 2)


# --- the check -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(NAMED))
@pytest.mark.parametrize("size", [(5, 5), (4, 6)])
def test_the_right_convention_reproduces_and_wrong_ones_do_not(name: str, size: tuple[int, int]) -> None:
    scale, truth = 3, NAMED[name]
    x, k = draw(0, 2, 1, 36, 36), kernel(1, *size, batch=2)
    used, meaning = k, truth
    if any(start.denominator == 2 for start in truth.starts(size, (scale, scale))):
        meaning = replace(truth, centre="p//2", offset=0)
        used = convert_kernel(k, truth, meaning, scale, interpolate=True)
    y = degrade(x, used, scale, meaning)
    report = reproduces(y, x, used, scale, meaning)
    assert report.psnr.shape == (2,)
    assert report.matches(250)
    assert not reproduces(y, x, used, scale, replace(meaning, correlation=not meaning.correlation))
    if truth.decimation == "pick":
        assert not reproduces(y, x, used, scale, replace(meaning, offset=2))
    best, second = identify(y, x, k, scale)[:2]
    assert name in best[0].split(" = ")
    assert best[1] > 250
    assert second[1] < 55


def test_report_is_per_sample_and_ignores_the_border_on_request() -> None:
    x, k = draw(0, 2, 1, 24, 24), kernel(1, 3, 3)
    y = degrade(x, k, 2, replace(PNPSR, boundary="reflect"))
    assert not reproduces(y, x, k, 2)
    assert reproduces(y, x, k, 2, border=PNPSR.border(3, 2)).matches(250)
    y[1] += 1e-2
    report = reproduces(y, x, k, 2, border=1)
    assert float(report.psnr[0]) > 250
    assert float(report.psnr[1]) == pytest.approx(40)
    assert not report.matches(41)
    assert report.matches(39.9)


@given(st.sampled_from([(3, 3), (3, 5), (5, 3)]), st.integers(2, 4), seeds, st.booleans())
def test_identify_finds_any_offset(size: tuple[int, int], scale: int, seed: int, correlation: bool) -> None:
    x, k = draw(seed, 1, 1, 6 * scale, 6 * scale), kernel(seed + 1, *size)
    offset = (seed % scale, seed // scale % scale)
    y = degrade(x, k, scale, Convention("secret", offset=offset, correlation=correlation))
    ranked = identify(y, x, k, scale)
    assert ranked == sorted(ranked, key=lambda line: -min(line[1], 120))
    assert ranked[0][1] > 250
    expected = "IKRNET_TRAIN" if correlation else "PNPSR"
    if not correlation and offset == ((scale - 1) // 2,) * 2 != (0, 0):
        expected = "KAIR_CENTER"
    elif offset != (0, 0):
        expected += f" at offset {offset}"
    assert expected in {name for line, db in ranked if db > 250 for name in line.split(" = ")}  # away from borders several are


@pytest.mark.parametrize(("quantised", "word"), [("round", "rounded"), ("truncate", "truncated")])
def test_how_a_file_was_stored_is_found_out(quantised: str, word: str) -> None:
    x, k = picture(0, 1, 1, 64, 64), kernel(1, 5, 5)
    y = degrade(x, k, 2, IKRNET.stored(quantised))
    ranked = identify(y, x, k, 2)
    assert ranked[0] == (f"PNPSR = DEEPINV = USRNET = KAIR_CENTER = IKRNET, {word}", float("inf"))
    assert float(reproduces(y, x, k, 2, IKRNET).psnr) == pytest.approx(58.9 if word == "rounded" else 52.9, abs=0.5)
    assert bool(reproduces(y, x, k, 2, IKRNET)) == (quantised == "round")


def test_a_missing_shift_pixel_is_found_out() -> None:
    x, k = draw(0, 1, 1, 32, 32), torch.nn.functional.pad(kernel(1, 3, 3), (1, 1, 1, 1))
    y = degrade(x, convert_kernel(k, USRNET_UNSHIFTED, USRNET, 2, interpolate=True), 2, USRNET)
    assert identify(y, x, k, 2)[0][0] == "USRNET_UNSHIFTED"


def test_gradients_reach_image_and_kernel() -> None:
    x, k = draw(0, 1, 1, 8, 8).requires_grad_(), kernel(1, 3, 4).requires_grad_()
    for convention in (PNPSR, DAN, KERNELGAN):
        assert torch.autograd.gradcheck(lambda x, k, c=convention: degrade(x, k, 2, c), (x, k))
    assert torch.autograd.gradcheck(lambda k: convert_kernel(k, DAN, PNPSR, 2, interior=True), (k,))


# --- bad input -------------------------------------------------------------------------------------------

X, K = draw(0, 1, 1, 12, 12), kernel(0, 3, 3)
VALID = Convention("VALID", boundary="valid")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Convention("c", centre="p/2"), ValueError, "centre must be one of"),
        (lambda: Convention("c", offset="s//2"), ValueError, "offset must be one of"),
        (lambda: Convention("c", offset=0.5), TypeError, "offset must be an integer"),
        (lambda: Convention("c", offset=-1), ValueError, "offset must be at least 0"),
        (lambda: Convention("c", boundary="wrap"), ValueError, "boundary must be one of"),
        (lambda: Convention("c", decimation="area"), ValueError, "decimation must be one of"),
        (lambda: Convention("c", quantised="floor"), ValueError, "quantised must be one of"),
        (lambda: replace(DAN, offset=1), ValueError, "centred on the patch"),
        (lambda: DAN.stored("truncate"), ValueError, "not truncated"),
        (lambda: degrade(X, K, 2, "PNPSR"), TypeError, "must be a Convention"),
        (lambda: degrade(X, K, 2, replace(PNPSR, offset=2)), ValueError, "offset must lie in"),
        (lambda: degrade(X, K, 2.5), TypeError, "scale must be an integer"),
        (lambda: degrade(X, K, 5), ValueError, "not divisible"),
        (lambda: degrade(X, kernel(0, 13, 13), 2), ValueError, "larger than the image"),
        (lambda: degrade(X, K.float(), 2), TypeError, "different dtypes"),
        (lambda: degrade(X, K, 2, IKRNET.stored("truncate")), ValueError, "x must be n / 255"),
        (lambda: degrade(X.round(), 2 * K, 2, IKRNET.stored("truncate")), ValueError, "leaves 0 .. 255"),
        (lambda: convert_kernel(K, PNPSR, DAN_PAPER, 2), ValueError, "interior=True"),
        (lambda: convert_kernel(K, DAN, DAN_PAPER, 2), ValueError, "interior=True"),
        (lambda: convert_kernel(K, DAN_PAPER, DAN, 2, interior=True), ValueError, "no further blur undoes"),
        (lambda: convert_kernel(K, PNPSR, VALID, 2, interior=True), ValueError, "different sizes"),
        (lambda: convert_kernel(K, USRNET_UNSHIFTED, USRNET, 2), ValueError, "interpolate=True"),
        (lambda: convert_kernel(K, replace(VALID, offset="(s-1)/2"), VALID, 2), ValueError, "interpolate=True"),
        (lambda: convert_kernel(K, VALID, replace(VALID, offset=1), 2), ValueError, "no pixels before"),
        (lambda: convert_kernel(K, PNPSR, None, 2), TypeError, "target must be a Convention"),
        (lambda: reproduces(X, X, K, 2), ValueError, "crop y or x"),
        (lambda: reproduces(X, X, K, 1, border=6), ValueError, "leaves nothing"),
        (lambda: identify(X, X, K, 5), ValueError, "not divisible"),
        (lambda: identify(X, X, K, 2), ValueError, "crop y or x"),
    ],
)
def test_bad_input_is_refused(call, error, words) -> None:
    with pytest.raises(error, match=words):
        call()


def test_conventions_are_values() -> None:
    assert PNPSR == USRNET == IKRNET == DEEPINV != IKRNET_TRAIN == FKP
    assert str(DAN.stored("round")) == "DAN, rounded"
    assert DAN.stored("round").stored(None) == DAN
    assert hash(PNPSR) == hash(IKRNET)
    with pytest.raises(FrozenInstanceError):
        PNPSR.offset = 1
    assert Report(PNPSR, torch.tensor([60.0])).matches()


def test_single_precision_stays_and_is_enough() -> None:
    x, k = picture(0, 1, 1, 24, 24), kernel(1, 5, 5)
    for convention in (*NAMED.values(), IKRNET.stored("truncate")):
        y = degrade(x.float(), k.float(), 3, convention)
        assert y.dtype == torch.float32
        assert reproduces(y.double(), x, k, 3, convention).matches(120)


# --- names ---


def test_every_convention_is_a_physics_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (NAMED, PHYSICS):
        monkeypatch.setattr(table, "_things", dict(table))
    NAMED["OURS"] = Convention("OURS", offset=1)
    register_physics("own camera")(mosaic)
    register_physics("own camera")(mosaic)  # the module is imported again
    assert repr(named_physics("OURS", 2)) == repr(Degradation(2, offset=1)) and isinstance(named_physics("own camera", 2), Mosaic)
    assert all(repr(named_physics(name, 3)) == repr(one.at(3)) for name, one in NAMED.items())
    with pytest.raises(ValueError, match=r"physics must be one of .*DAN.*own camera.*--use"):
        named_physics("OTHERS", 2)
    with pytest.raises(ValueError, match="there is a physics 'DAN' already"):
        register_physics("DAN")(mosaic)
    with pytest.raises(TypeError, match="convention 'X' must be a Convention, got int"):
        NAMED["X"] = 3  # type: ignore[assignment]
    PHYSICS["word"] = lambda scale: "y"  # type: ignore[assignment,return-value]
    with pytest.raises(TypeError, match="'word' must be built as a Physics, its function returned str"):
        named_physics("word", 2)


def mosaic(scale: int) -> Mosaic:
    return Mosaic(Degradation(scale))
