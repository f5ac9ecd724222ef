"""Faster and the same: within 1/512 of float32 on every shipped preset, kernels untouched, the solver itself unchanged."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from synthetic import kernels, pictures, psnr
from torch import Tensor, nn

from pnpsr import UnrolledSolver, checks, dan, ikrnet, load, usrnet
from pnpsr.bordered import solve
from pnpsr.ensemble import ensemble
from pnpsr.fast import PRECISIONS, fast, loop, native_bfloat16
from pnpsr.fast.layers import Cast
from pnpsr.fast.packed import Packed, Pointwise, pointwise
from pnpsr.fast.upscale import Merged, mergeable
from pnpsr.images import sample_picture
from pnpsr.needs import needs_of
from pnpsr.nets import ResUNet
from pnpsr.nets.common import upscaler
from pnpsr.physics import Degradation, image_step
from pnpsr.prox import identity
from pnpsr.recipes import tv_hqs
from pnpsr.starts import Dirac
from pnpsr.state import State
from pnpsr.steps import HQSRestorer, Schedule
from pnpsr.weights import presets

K = kernels(1, 9, seed=4, dtype=torch.float32)


def observed(name: str, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = sample_picture(name)[..., 120 : 120 + 48 * scale, 160 : 160 + 48 * scale]
    noise = 0.01 * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    return x, (Degradation(scale, boundary="reflect")(x, K) + noise).clamp(0, 1)


def scale_of(name: str) -> int:
    scales = presets()[name].scales
    return scales[0] if scales else 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_is_within_a_512th_of_float32(name: str, precision: str) -> None:
    solver, scale = load(name), scale_of(name)
    x, y = observed("coffee", scale)
    known = {"k": K, "sigma": 0.01} if solver.k0 is None else {}
    plain, quick = (solve(s, y, scale, **known).x for s in (solver, fast(solver, precision)))
    assert (plain - quick).square().mean().sqrt() < 1 / 512
    assert abs(psnr(plain, x) - psnr(quick, x)) < 0.02
    if precision == "float32":
        assert torch.allclose(plain, quick, atol=1e-4)


def test_the_solver_itself_stays_as_it_was() -> None:
    solver = load("ikrnet-x2")
    before = {name: value.clone() for name, value in solver.state_dict().items()}
    quick = fast(solver, "bfloat16")
    assert not any(p.requires_grad for p in quick.parameters()) and all(p.requires_grad for p in solver.parameters())
    assert "bfloat16" in {str(p.dtype)[6:] for p in quick.restorer.parameters()}
    assert {p.dtype for p in solver.parameters()} == {torch.float32} and str(solver).find("Quick") < 0
    assert all(torch.equal(value, before[name]) for name, value in solver.state_dict().items())


def test_a_quick_solver_says_what_the_slow_one_says() -> None:
    y = pictures(1, 1, 24, 24, seed=0, dtype=torch.float32)
    for name in presets():
        solver = load(name)
        quick = fast(solver, "bfloat16")
        assert needs_of(quick) == needs_of(solver)
        known = {"k": K, "sigma": 0.01} if solver.k0 is None else {}
        assert solve(quick, y, scale_of(name), T=1, **known).x.shape[1] == 1  # gray through colours


def test_a_quick_solver_says_which_channels_it_wants() -> None:
    slow, y = load("ikrnet-x2"), torch.rand(1, 1, 32, 32)
    for solver in (slow, fast(slow)):
        with pytest.raises(ValueError, match=r"the net has 3 channel\(s\), got 1"):
            solver(y, 2)


def test_the_kernel_step_is_never_reduced() -> None:
    solver = ikrnet(5, T=1, widths=(4, 4, 8, 8)).eval()
    quick = fast(solver, "bfloat16")
    assert isinstance(quick.estimator.prior, ResUNet)
    y = pictures(1, 3, 24, 24, seed=0, dtype=torch.float32)
    assert torch.allclose(quick.k0(quick.start(y, 2)), solver.k0(quick.start(y, 2)), atol=1e-6)


def test_edges_of_a_first_kernel_are_predicted_in_bfloat16() -> None:
    solver = load("ikrnet-x2")
    quick = fast(solver, "bfloat16")
    assert {str(p.dtype)[6:] for p in quick.k0.net.parameters()} == {"bfloat16", "float32"}
    assert {p.dtype for p in quick.k0.start.parameters()} == {torch.float32}
    y = pictures(1, 3, 48, 48, seed=0, dtype=torch.float32)
    found, slow = quick.k0(quick.start(y, 2)), solver.k0(solver.start(y, 2))
    assert 0 < (found - slow).abs().max() < 1e-2 * slow.max()


def test_a_network_that_two_parts_share_is_reduced_once() -> None:
    quick = fast(ensemble(load("ikrnet-x2")), "bfloat16")
    layers = [part.layer for part in quick.modules() if isinstance(part, Cast)]
    assert layers and not any(isinstance(layer, Cast | Packed) for layer in layers)


def test_what_has_no_networks_is_copied_and_float64_stays() -> None:
    y = pictures(1, 3, 24, 24, seed=0)
    for solver in (tv_hqs(T=2), UnrolledSolver(None, lambda s: s.x, 1)):
        k = kernels(1, 5, seed=0)
        assert torch.equal(solve(fast(solver), y, 1, k=k).x, solve(solver, y, 1, k=k).x)
    double = load("usrnet").double()
    assert torch.allclose(solve(fast(double), y, 1, k=k, sigma=0.01).x, solve(double, y, 1, k=k, sigma=0.01).x, atol=1e-9)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("version", [1, 2])
def test_both_dans_have_quick_blocks(version: int, precision: str) -> None:
    torch.manual_seed(0)
    solver = dan(2, version=version, size=5, width=16, groups=2, blocks=2, T=2).eval()
    quick = fast(solver, precision)
    assert any(type(m).__name__.startswith("Quick") for m in quick.restorer.modules())
    y = pictures(2, 3, 16, 12, seed=0, dtype=torch.float32)
    for field in ("x", "k"):
        plain, same = getattr(solver(y), field), getattr(quick(y), field)
        assert (plain - same).square().mean().sqrt() < (1e-5 if precision == "float32" else 0.01)
        assert same.dtype == torch.float32


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (3, 3), (4, 3), (9, 12)])
def test_an_upscaler_is_one_convolution_up_to_its_border(scale: int, size: tuple[int, int]) -> None:
    layers = upscaler(scale, 6, 2).double()
    for p in layers.parameters():
        p.data = torch.randn(p.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(p.numel()))
    f = torch.randn(2, 6, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert mergeable(layers) and torch.allclose(Merged(layers)(f), layers(f), rtol=0, atol=1e-8)


def test_only_what_does_not_bend_is_merged() -> None:
    a, shuffle, b = upscaler(2, 4, 3)
    assert not mergeable(nn.Sequential(a, nn.ReLU(), b)) and not mergeable(nn.Sequential(a, shuffle))
    assert not mergeable(nn.Sequential(a, shuffle, nn.Conv2d(4, 3, 5, padding=2))) and not mergeable(a)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("after", [None, nn.ReLU(), nn.LeakyReLU(0.2)])
def test_packed_layers_are_the_layers(after: nn.Module | None, dtype: torch.dtype) -> None:
    layer = nn.Conv2d(3, 5, (3, 1), stride=(1, 2), padding=(1, 0), dilation=(2, 1)).to(dtype).requires_grad_(False)
    packed, plain = Packed(layer, after), nn.Sequential(layer, after or nn.Identity())
    v = pictures(2, 3, 9, 11, seed=0, dtype=torch.float32)
    near = partial(torch.testing.assert_close, rtol=1e-2 if dtype == torch.bfloat16 else 1e-5, atol=1e-2)
    near(packed(v), plain(v.to(dtype)))
    plus = torch.ones_like(packed(v))
    for more in (plus, plus.float()):
        near(packed(v, more), (plain(v.to(dtype)).to(more.dtype) + more))
    assert torch.equal(plus, torch.ones_like(plus))
    layer.weight.mul_(2)  # what was laid out before is stale
    near(packed(v), plain(v.to(dtype)))
    near(copy.deepcopy(packed)(v), packed(v))


def test_layers_on_one_pixel_are_matrices() -> None:
    layers = nn.Sequential(nn.Conv2d(4, 6, 1), nn.LeakyReLU(0.2), nn.Conv2d(6, 4, 1, bias=False), nn.Sigmoid())
    assert pointwise(layers) and not pointwise([nn.Conv2d(4, 4, 3)]) and not pointwise([nn.Conv2d(4, 4, 1).bfloat16()])
    for v in (torch.rand(2, 4, 1, 1), torch.rand(2, 4, 3, 5)):
        torch.testing.assert_close(Pointwise(*layers)(v), layers(v))


def test_a_quick_solver_can_be_copied() -> None:
    y, quick = pictures(1, 3, 24, 24, seed=0, dtype=torch.float32), fast(load("dan-x4"))
    x = quick(y, 4).x
    assert torch.equal(copy.deepcopy(quick)(y, 4).x, x)


def test_spectra_of_a_kernel_that_nobody_writes_are_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Tensor] = []
    original = image_step.spectra

    def counted(y: Tensor, k: Tensor, *rest: Any) -> image_step.Spectra:
        taken.append(k)
        return original(y, k, *rest)

    monkeypatch.setattr(image_step, "spectra", counted)
    monkeypatch.setattr(loop, "spectra", counted)
    x = pictures(2, 3, 24, 20, seed=0)
    for physics in (Degradation(2), Degradation(2, offset=1, centre="(p-1)//2", correlation=True)):
        y, solver = physics(x, kernels(2, 5, seed=1)), UnrolledSolver(None, HQSRestorer(identity), 3, tuner=Schedule(0.1), k0=None)
        k = kernels(2, 5, seed=1)
        taken.clear()
        slow, plain = solver(y, physics, k=k), len(taken)
        taken.clear()
        assert torch.allclose(fast(solver)(y, physics, k=k).x, slow.x, rtol=0, atol=1e-12)
        assert (plain, len(taken)) == (3, 1)


def test_values_are_looked_at_when_a_solve_starts_and_not_in_its_steps() -> None:
    seen: list[bool] = []

    def watching(s: State) -> Tensor:
        seen.append(checks.reading())
        return s.known("x")

    y = pictures(1, 3, 12, 12, seed=0)
    quick = fast(UnrolledSolver(None, watching, 2, k0=Dirac(3)))
    quick(y, 2)
    assert seen == [False, False] and checks.reading()
    with pytest.raises(ValueError, match="y holds NaN"):
        quick(y * torch.nan, 2)
    broken = fast(UnrolledSolver(None, lambda s: s.known("x") * torch.nan, 2, k0=Dirac(3)))
    with pytest.raises(ValueError, match="the restored x holds NaN"):
        solve(broken, y, 2)


def test_a_black_sample_keeps_its_picture() -> None:
    y = torch.stack([pictures(1, 3, 12, 12, seed=0)[0], torch.zeros(3, 12, 12, dtype=torch.float64)])
    solver = UnrolledSolver(None, lambda s: s.known("x") + 1, 2, k0=Dirac(3))
    assert torch.equal(fast(solver)(y, 2).x, solver(y, 2).x) and fast(solver)(y, 2).x[1].abs().max() == 0


def test_networks_are_compiled_where_a_compiler_is_named() -> None:
    torch.manual_seed(0)
    solver = usrnet(T=1, widths=(4, 4, 4, 4), hidden=4).eval()
    y = pictures(1, 3, 16, 16, seed=0, dtype=torch.float32)
    compiled = fast(solver, "float32", compiler="eager")
    assert compiled.restorer.prior._compiled_call_impl is not None and solver.restorer.prior._compiled_call_impl is None
    known = {"k": kernels(1, 5, seed=0, dtype=torch.float32), "sigma": 0.01}
    assert torch.allclose(compiled(y, 2, **known).x, solver(y, 2, **known).x, atol=1e-5)


def test_unknown_precisions_are_listed() -> None:
    with pytest.raises(ValueError, match="precision must be one of 'auto', 'float32', 'bfloat16'"):
        fast(tv_hqs(), "int8")
    assert isinstance(native_bfloat16("cpu"), bool) and len(PRECISIONS) == 3


def test_a_quick_solver_may_be_made_and_used_in_inference_mode() -> None:
    torch.manual_seed(0)
    solver = dan(2, size=5, width=8, groups=1, blocks=1, code=4, T=1).eval()
    y = pictures(1, 3, 12, 12, seed=0, dtype=torch.float32)
    with torch.inference_mode():
        quick = fast(solver, "float32")
        assert torch.allclose(quick(y, 2).x, solver(y, 2).x, atol=1e-5)
    assert torch.allclose(quick(y, 2).x, solver(y, 2).x, atol=1e-5)


def test_a_quick_step_compiles_whole() -> None:
    torch.manual_seed(0)
    quick = fast(dan(2, size=5, width=8, groups=1, blocks=1, code=4, T=1).eval(), "float32")
    y = pictures(1, 3, 12, 12, seed=0, dtype=torch.float32)
    s = quick.start(y, 2)
    torch.compiler.reset()
    compiled = torch.compile(quick.step, fullgraph=True, backend="eager")(s)
    assert torch.allclose(compiled.x, quick.step(s).x, atol=1e-5)
