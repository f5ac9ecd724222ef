"""Methods to compare with do what their names say, and tell what they were told."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import protocol, some

from pnpsr import UnrolledSolver
from pnpsr.bordered import solve
from pnpsr.conventions import degrade
from pnpsr.evaluate import Method, Result, bicubic, bicubic_centre, deepinv_hqs, evaluate, from_solver, kernel_first
from pnpsr.evaluate.tables import mean
from pnpsr.images import sample_picture
from pnpsr.kernels import load_kernels
from pnpsr.physics import bicubic as reduction
from pnpsr.recipes import blind_hqs, dan, tv_hqs, usrnet
from pnpsr.released import load_released
from pnpsr.starts import Gaussian, upsample
from pnpsr.steps import HQSRestorer, Schedule


def keys_cubic(t: float) -> float:
    t = abs(t)
    return 1.5 * t**3 - 2.5 * t**2 + 1 if t <= 1 else -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t < 2 else 0.0


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("build", [bicubic, bicubic_centre])
def test_where_bicubic_puts_the_pixels(build: object, scale: int) -> None:
    """Away from the border, by the formula: pixel i of x lies at (i - o) / s of y, o = 0 or (s - 1) / 2."""
    method = build()  # type: ignore[operator]
    y = torch.rand(1, 3, 9, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = method(y, scale, {}).x
    o = 0 if method.name == "bicubic" else (scale - 1) / 2
    for i, j in ((4 * scale, 5 * scale + 1), (4 * scale + scale - 1, 4 * scale), (3 * scale + 1, 5 * scale)):
        value = sum(
            keys_cubic((i - o) / scale - a) * keys_cubic((j - o) / scale - b) * y[0, :, a, b] for a in range(9) for b in range(10)
        )
        torch.testing.assert_close(x[0, :, i, j], value, atol=1e-9, rtol=0)


def test_each_bicubic_wins_where_it_is_aligned(tmp_path: Path) -> None:
    from pnpsr.conventions import DAN

    aligned = protocol(conditions=((3, 0.0),), metrics=("psnr",))
    centred = replace(aligned, convention=DAN)
    means = {
        (p.convention.name, m.name): mean(evaluate(m, p, some(), tmp_path / p.convention.name).rows, "psnr")
        for p in (aligned, centred)
        for m in (bicubic(), bicubic_centre())
    }
    assert means["PNPSR", "bicubic"] > means["PNPSR", "bicubic_centre"] + 0.5
    assert means["DAN", "bicubic_centre"] > means["DAN", "bicubic"] + 0.5
    assert reduction.taps(3)[0].numel() > 0


def test_solvers_are_called_as_restore_calls_them() -> None:
    y, k = torch.rand(1, 3, 16, 18), gaussian_kernel()
    blind = blind_hqs(7, T=2, finish=1)
    for boundary in ("circular", "extend"):
        method = from_solver("b", blind, boundary=boundary)
        assert method.needs == () and method.scales is None
        out = solve(blind, y, 2, boundary=boundary)
        got = method(y, 2, {})
        assert torch.equal(got.x, out.x) and torch.equal(got.k, out.k)
    told = from_solver("b", blind, sigma=True)
    assert told.needs == ("sigma",) and torch.equal(
        told(y, 2, {"sigma": 0.1}).x, solve(blind, y, 2, sigma=0.1, boundary="circular").x
    )
    oracle = from_solver("t", tv_hqs(T=2))
    assert oracle.needs == ("k", "sigma")
    assert torch.equal(oracle(y, 2, {"k": k, "sigma": 0.1}).x, solve(tv_hqs(T=2), y, 2, k=k, sigma=0.1, boundary="circular").x)


def gaussian_kernel() -> torch.Tensor:
    from pnpsr.kernels import gaussian

    return gaussian(7, 1.3)


@pytest.mark.parametrize("kernel", ["gaussian", "dirac"])
def test_an_assumed_kernel_is_not_reported_as_found(kernel: str) -> None:
    y = torch.rand(1, 3, 24, 24)
    method = from_solver("t", tv_hqs(T=2), kernel=kernel)
    assert method.needs == ("sigma",)
    out = method(y, 2, {"sigma": 0.0})
    assert out.k is None and out.x.shape == (1, 3, 48, 48)
    with pytest.raises(ValueError, match="finds the kernel itself"):
        from_solver("b", blind_hqs(7), kernel=kernel)


def test_one_solver_per_scale() -> None:
    def built(scale: int) -> UnrolledSolver:
        return UnrolledSolver(
            None, HQSRestorer(lambda v, s: v * 0 + scale / 10), T=1, tuner=Schedule(0.1), k0=Gaussian(5), scale=scale
        )

    method = from_solver("m", built(2), built(4))
    assert method.scales == (2, 4)
    for scale in (2, 4):
        assert torch.allclose(method(torch.rand(1, 3, 8, 8), scale, {}).x, torch.tensor(scale / 10))
    for solvers in ((), (built(2), built(2)), (built(2), tv_hqs())):
        with pytest.raises(ValueError, match="several built for different scales"):
            from_solver("m", *solvers)


def test_weights_and_arguments_are_part_of_the_identity() -> None:
    torch.manual_seed(0)
    one, other = usrnet(T=1, widths=(2, 2, 2, 2), hidden=2), usrnet(T=1, widths=(2, 2, 2, 2), hidden=2)
    identities = {from_solver("u", solver).digest[0] for solver in (one, other)}
    identities |= {from_solver("u", one, boundary="extend").digest[0], from_solver("u", one, kernel="dirac").digest[0]}
    identities |= {from_solver("b", blind_hqs(size)).digest[0] for size in (7, 9)}
    assert len(identities) == 6
    plain = UnrolledSolver(None, HQSRestorer(lambda v, s: v), T=1, tuner=Schedule(0.1), k0=lambda s: Gaussian(5)(s))
    digest, why = from_solver("p", plain).digest
    assert digest == "" and "a lambda" in why and "0x" not in str(from_solver("p", plain).record())
    assert from_solver("u", one).identity == from_solver("u", one).identity


def test_the_kernel_first_baseline_is_blind(tmp_path: Path) -> None:
    k = gaussian_kernel()
    first = Method("kernel", lambda y, scale: Result(upsample(y, scale), k))
    method = kernel_first("kernel_first", first, tv_hqs(T=3))
    assert method.needs == ()
    done = evaluate(method, protocol(conditions=((2, 0.0),)), some(), tmp_path)
    assert not done.failures and all(row.values["kernel_mse"] is not None for row in done.rows)
    y = torch.rand(1, 3, 12, 12)
    assert torch.equal(method(y, 2, {}).k, k)
    with pytest.raises(ValueError, match="must be blind"):
        kernel_first("t", from_solver("o", tv_hqs()), tv_hqs())
    with pytest.raises(ValueError, match="must be given a kernel"):
        kernel_first("t", first, blind_hqs())
    with pytest.raises(ValueError, match="finds no kernel"):
        kernel_first("t", bicubic(), tv_hqs())(y, 2, {})


@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_deepinv_with_the_true_kernel_beats_bicubic(sigma: float) -> None:
    from pnpsr.evaluate import psnr
    from pnpsr.kernels import gaussian

    x, k = sample_picture("coffee")[..., 100:172, 200:272], gaussian(9, 1.8)
    y = degrade(x, k, 2) + sigma * torch.randn(1, 3, 36, 36, generator=torch.Generator().manual_seed(0))
    method = deepinv_hqs()
    assert method.needs == ("k", "sigma")
    restored = method(y, 2, {"k": k, "sigma": sigma}).x
    assert psnr(restored, x, border=4) > psnr(upsample(y, 2), x, border=4) + 0.7


def test_a_network_of_dan_is_built_for_one_scale() -> None:
    torch.manual_seed(0)
    assert from_solver("dan", dan(scale=4)).scales == (4,)


def test_the_true_kernel_is_an_upper_bound_for_usrnet(data: Path, tmp_path: Path) -> None:
    """The released tiny USRNet under IKR-Net's protocol, one picture, two kernels: told the truth, told a wrong kernel, bicubic."""
    from pnpsr.data import Folder
    from pnpsr.data.pictures import Subset
    from pnpsr.evaluate import named_protocol

    torch.manual_seed(0)
    kernels = load_kernels(data / "kernels" / "ikrnet12.npz")[[0, 5]]
    p = replace(named_protocol("ikrnet", kernels), conditions=((4, 0.0),), metrics=("psnr",))
    solver = load_released(data / "weights" / "usrnet_tiny.pth")
    pictures = Subset(Folder(data / "test" / "set5"), [1])
    found = {
        m.name: mean(evaluate(m, p, pictures, tmp_path).rows, "psnr")
        for m in (from_solver("true", solver), from_solver("wrong", solver, kernel="gaussian"), bicubic())
    }
    assert found["true"] > found["bicubic"] + 2 and found["bicubic"] > found["wrong"] + 1
    assert not math.isnan(found["wrong"])
