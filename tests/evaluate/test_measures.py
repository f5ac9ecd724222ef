"""Every metric of a row is the function of that name on the right pair; kernels are compared in the method's own terms."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from small import protocol, some
from torch import Tensor

from pnpsr.conventions import DAN, IKRNET_TRAIN, KAIR_CENTER, PNPSR, Convention, convert_kernel, degrade
from pnpsr.evaluate import METRICS, Method, Result, kernel_l1, kernel_mse, kernel_psnr, lpips, psnr, ssim
from pnpsr.evaluate import perceptual as room
from pnpsr.evaluate.cases import Case, Synthetic
from pnpsr.evaluate.measures import measure, true_kernel
from pnpsr.evaluate.protocol import Protocol
from pnpsr.kernels import KernelBasis, gaussian
from pnpsr.physics import quantise
from pnpsr.starts import upsample

ALL = tuple(name for name in METRICS if name != "lpips")


def first(p: Protocol) -> Case:
    source = Synthetic(p, some(("a.png",), h=60, w=66))
    return next(iter(source.cases(source.keys())))  # type: ignore[arg-type]


def solved(p: Protocol, case: Case, **about: object) -> tuple[Method, Result, dict[str, float | None]]:
    method = Method("m", lambda y, scale, **told: y, **about)  # type: ignore[arg-type]
    result = Result(upsample(case.y, case.key.scale) * 1.1 - 0.02, gaussian(5, 1.1))
    return method, result, measure(result, case, p, method, true_kernel(case, p, method))


@pytest.mark.parametrize("round_x", [False, True])
@pytest.mark.parametrize("colour", ["rgb", "y"])
def test_image_metrics(round_x: bool, colour: str) -> None:
    p = protocol(metrics=ALL, round_x=round_x, colour=colour, border="scale²")
    case = first(p)
    _, result, values = solved(p, case)
    x = quantise(result.x) if round_x else result.x.clamp(0, 1)
    for name, metric in (("psnr", psnr), ("ssim", ssim)):
        assert values[name] == float(metric(x, case.x, border=4, colour=colour))
        for kind in ("rgb", "y"):
            assert values[f"{name}_{kind}"] == float(metric(x, case.x, border=4, colour=kind))
    assert set(values) == set(ALL)


def test_gray_pictures_have_a_luminance() -> None:
    p = protocol(metrics=("psnr_y",))
    case = first(p)
    gray = replace(case, x=case.x[:, :1], y=case.y[:, :1])
    out = measure(Result(upsample(gray.y, 2)), gray, p, Method("m", lambda y, s: y), None)
    three = replace(case, x=gray.x.expand(-1, 3, -1, -1))
    assert out == measure(Result(upsample(gray.y, 2).expand(-1, 3, -1, -1)), three, p, Method("m", lambda y, s: y), None)


def test_kernel_metrics_of_one_convention() -> None:
    p = protocol(metrics=ALL)
    case = first(p)
    _, result, values = solved(p, case)
    k = result.k
    assert values["kernel_mse"] == float(kernel_mse(k, case.k)) and values["kernel_psnr"] == float(kernel_psnr(k, case.k))
    assert values["kernel_mse_aligned"] == float(kernel_mse(k, case.k, align=True)) <= values["kernel_mse"]
    assert values["kernel_psnr_aligned"] == float(kernel_psnr(k, case.k, align=True))
    assert values["kernel_l1"] == float(kernel_l1(k, case.k))
    again = degrade(result.x.clamp(0, 1), k, 2, PNPSR)
    assert math.isclose(values["data_psnr"], float(psnr(again, case.y)), rel_tol=1e-6)


@pytest.mark.parametrize("convention", [IKRNET_TRAIN, KAIR_CENTER], ids=str)
def test_the_true_kernel_scores_perfectly_in_any_convention(convention: Convention) -> None:
    """Also where the method reads kernels the other way round, or around another pixel."""
    p = protocol(metrics=ALL, conditions=((2, 0.0),))
    case = first(p)
    method = Method("m", lambda y, scale: y, convention=convention)
    truth = true_kernel(case, p, method)
    torch.testing.assert_close(truth, convert_kernel(case.k, PNPSR, convention, 2, interior=True))
    values = measure(Result(case.x, truth), case, p, method, truth)
    assert values["kernel_mse"] == 0 and values["data_psnr"] > 120 and values["psnr"] == math.inf


def test_data_psnr_leaves_out_what_another_boundary_decides() -> None:
    """y by DAN's reflecting bicubic reduction, a method that takes everything as periodic: equal within the border, not at it."""
    p = protocol(metrics=("data_psnr", "kernel_mse"), convention=DAN, conditions=((2, 0.0),))
    case, method = first(p), Method("m", lambda y, scale: y)
    truth = true_kernel(case, p, method)
    assert truth.shape[-1] > case.k.shape[-1]  # the bicubic filter has become part of it
    values = measure(Result(case.x, truth), case, p, method, truth)
    assert values["data_psnr"] > 120 and values["kernel_mse"] == 0
    assert psnr(degrade(case.x, truth, 2, PNPSR), case.y) < 60
    same = Method("dan", lambda y, scale: y, convention=DAN)
    assert measure(Result(case.x, case.k), case, p, same, case.k)["data_psnr"] > 120


def test_what_has_no_meaning_has_no_value() -> None:
    p = protocol(metrics=ALL)
    case = first(p)
    kernels = {name for name in ALL if name.startswith("kernel")}
    x = upsample(case.y, 2)
    told = measure(Result(x, case.k), case, p, Method("m", lambda y, s, **told: y, needs=("k",)), case.k)
    assert {name for name, value in told.items() if value is None} == kernels  # it would score what it was told
    bare = measure(Result(x), case, p, Method("m", lambda y, s: y), case.k)
    assert {name for name, value in bare.items() if value is None} == kernels | {"data_psnr"}
    other = Method("m", lambda y, s: y, convention=DAN)  # no kernel before a bicubic reduction equals one without
    assert true_kernel(case, p, other) is None
    assert measure(Result(x, case.k), case, p, other, None)["kernel_mse"] is None


def test_nan_is_refused() -> None:
    p = protocol()
    case = first(p)
    with pytest.raises(ValueError, match="NaN"):
        measure(Result(case.x * torch.nan), case, p, Method("m", lambda y, s: y), case.k)


def test_kernel_l1_is_the_error_of_the_codes() -> None:
    basis = KernelBasis(9, 4)
    code = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    k, truth = basis.decode(code + torch.tensor([1.0, -2.0, 0.5, 0.0])), basis.decode(code)
    torch.testing.assert_close(kernel_l1(k, truth, basis), torch.full((3,), 3.5 / 4))
    assert float(kernel_l1(gaussian(7, 1.0), gaussian(9, 1.0))) < 2e-4  # padded to one size
    with pytest.raises(TypeError, match="dtypes"):
        kernel_l1(k, truth.double(), basis)


class Stub(torch.nn.Module):
    """A perceptual network for tests: mean |x - truth| per picture, of three channels as the real one reads."""

    def forward(self, x: Tensor, truth: Tensor) -> Tensor:
        assert x.shape[1] == truth.shape[1] == 3
        return (x - truth).abs().mean((1, 2, 3))


def test_lpips_cuts_the_border_and_repeats_gray() -> None:
    x, truth = torch.rand(2, 1, 40, 44), torch.rand(2, 1, 40, 44)
    values = lpips(x, truth, border=3, network=Stub())
    torch.testing.assert_close(values, (x - truth)[..., 3:-3, 3:-3].abs().mean((1, 2, 3)))
    with pytest.raises(ValueError, match="same shape"):
        lpips(x, truth[..., 1:], network=Stub())


@pytest.fixture
def forgetful() -> Iterator[None]:
    room._network.cache_clear()
    yield
    room._network.cache_clear()


def test_lpips_comes_from_deepinv(monkeypatch: pytest.MonkeyPatch, forgetful: None) -> None:
    import deepinv.loss.metric as theirs

    monkeypatch.setattr(theirs, "LPIPS", Stub)
    p = protocol(metrics=("lpips",))
    case = first(p)
    values = measure(Result(case.x * 0.5), case, p, Method("m", lambda y, s: y), None)
    assert math.isclose(values["lpips"], float((case.x * 0.5)[..., 2:-2, 2:-2].mean()), rel_tol=1e-5)


def test_lpips_without_weights_says_what_to_do(monkeypatch: pytest.MonkeyPatch, forgetful: None) -> None:
    import deepinv.loss.metric as theirs

    def unreachable() -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(theirs, "LPIPS", unreachable)
    with pytest.raises(ValueError, match="weights that are not on this machine.*Network is unreachable.*leave lpips out"):
        lpips(torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 40))
