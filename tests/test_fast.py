"""Faster and the same: within 1/512 of float32 on every shipped preset, kernels untouched, the solver itself unchanged."""

import pytest
import torch
from synthetic import kernels, pictures, psnr

from pnpsr import UnrolledSolver, ikrnet, load
from pnpsr.bordered import solve
from pnpsr.fast import PRECISIONS, fast, native_bfloat16
from pnpsr.images import sample_picture
from pnpsr.needs import needs_of
from pnpsr.nets import ResUNet
from pnpsr.physics import Degradation
from pnpsr.recipes import tv_hqs
from pnpsr.weights import presets

K = kernels(1, 9, seed=4, dtype=torch.float32)


def observed(name: str, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = sample_picture(name)[..., 120 : 120 + 48 * scale, 160 : 160 + 48 * scale]
    noise = 0.01 * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    return x, (Degradation(scale, boundary="reflect")(x, K) + noise).clamp(0, 1)


def scale_of(name: str) -> int:
    return 4 if name.endswith("x4") else 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", list(presets()))
def test_every_preset_is_within_a_512th_of_float32(name: str, precision: str) -> None:
    solver, scale = load(name), scale_of(name)
    x, y = observed("coffee", scale)
    known = {"k": K, "sigma": 0.01} if solver.k0 is None else {}
    plain, quick = (solve(s, y, scale, **known).x for s in (solver, fast(solver, precision)))
    assert (plain - quick).square().mean().sqrt() < 1 / 512
    assert abs(psnr(plain, x) - psnr(quick, x)) < 0.01
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


def test_the_kernel_step_is_never_reduced() -> None:
    solver = ikrnet(5, T=1, widths=(4, 4, 8, 8)).eval()
    quick = fast(solver, "bfloat16")
    assert isinstance(quick.estimator.prior, ResUNet)
    y = pictures(1, 3, 24, 24, seed=0, dtype=torch.float32)
    assert torch.allclose(quick.k0(quick.start(y, 2)), solver.k0(quick.start(y, 2)), atol=1e-6)


def test_what_has_no_networks_is_copied_and_float64_stays() -> None:
    y = pictures(1, 3, 24, 24, seed=0)
    for solver in (tv_hqs(T=2), UnrolledSolver(None, lambda s: s.x, 1)):
        k = kernels(1, 5, seed=0)
        assert torch.equal(solve(fast(solver), y, 1, k=k).x, solve(solver, y, 1, k=k).x)
    double = load("usrnet").double()
    assert torch.allclose(solve(fast(double), y, 1, k=k, sigma=0.01).x, solve(double, y, 1, k=k, sigma=0.01).x, atol=1e-9)


def test_unknown_precisions_are_listed() -> None:
    with pytest.raises(ValueError, match="precision must be one of 'auto', 'float32', 'bfloat16'"):
        fast(tv_hqs(), "int8")
    assert isinstance(native_bfloat16("cpu"), bool) and len(PRECISIONS) == 3
