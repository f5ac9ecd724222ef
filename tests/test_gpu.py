"""What holds on the CPU holds on a GPU: devices, dtypes, seeds; and no step waits. What needs no GPU runs on the CPU, too."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from instances import INSTANCES, Case, case, fresh, run
from torch import Tensor, nn

from pnpsr import Degradation, State, UnrolledSolver, checks
from pnpsr.equilibrium import equilibrium
from pnpsr.fast import fast
from pnpsr.images import sample_picture
from pnpsr.kernels import random_gaussian, random_motion
from pnpsr.photo import restore
from pnpsr.physics import Masked, gaussian_noise, quantise
from pnpsr.prox import l0_gradient, prox_image, prox_kernel, simplex, tv
from pnpsr.replay import Replay

DEVICES = [pytest.param("cpu"), pytest.param("cuda", marks=pytest.mark.gpu)]
everywhere = pytest.mark.parametrize("device", DEVICES)
gpu = pytest.mark.gpu
each = pytest.mark.parametrize("key", INSTANCES)
FEW = ("dan", "ikrnet", "usrnet", "mixed hqs then dan")
few = pytest.mark.parametrize("key", FEW)


def motion() -> Tensor:
    return random_motion(1, 11, generator=torch.Generator().manual_seed(1))


def on(device: str, c: Case) -> Case:
    return c._map(lambda t: t.to(device))


def moved(key: str, device: str, dtype: torch.dtype) -> nn.Module:
    return fresh(key).to(device, dtype)


@gpu
@each
def test_a_solver_gives_the_same_on_every_device(key: str) -> None:
    instance, c = INSTANCES[key], case(INSTANCES[key], h=12, w=10)
    with torch.no_grad():
        here, there = (run(moved(key, d, torch.float64), instance, on(d, c)) for d in ("cpu", "cuda"))
        single = run(moved(key, "cuda", torch.float32), instance, on("cuda", c).to(torch.float32))
    assert there.x.device.type == there.k.device.type == "cuda" and single.x.dtype == torch.float32
    assert torch.allclose(here.x, there.x.cpu(), rtol=0, atol=1e-6) and torch.allclose(here.k, there.k.cpu(), rtol=0, atol=1e-6)
    assert torch.allclose(here.x, single.x.cpu().double(), rtol=0, atol=2e-2)


@gpu
@pytest.mark.parametrize("key", [key for key, i in INSTANCES.items() if i.steps])
def test_no_step_waits_for_the_device(key: str) -> None:
    """CUDA's own word for it, where tests/test_host.py has ours."""
    instance, net = INSTANCES[key], moved(key, "cuda", torch.float32)
    net = net if isinstance(net, UnrolledSolver) else net.first
    c = on("cuda", case(instance, h=12, w=10)).to(torch.float32)
    with torch.no_grad():
        s = net.start(c.y, 2, **c.given(instance))
        net.step(s)  # plans and workspaces are made in the first
        torch.cuda.set_sync_debug_mode("error")
        try:
            for _ in range(min(net.T, 3)):
                s = net.step(s)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert s.x.isfinite().all()


@everywhere
@few
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gradient_reaches_the_weights_and_repeats(device: str, key: str, dtype: torch.dtype) -> None:
    instance, net = INSTANCES[key], moved(key, device, dtype)
    c = on(device, case(instance)).to(dtype)
    gradients = [
        torch.autograd.grad(run(net, instance, c).x.square().mean(), net.parameters(), allow_unused=True) for _ in range(2)
    ]
    for a, b in zip(*gradients, strict=True):
        assert (a is None) == (b is None) and (a is None or (a.isfinite().all() and torch.allclose(a, b, rtol=1e-3, atol=1e-7)))


@everywhere
@few
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_networks_may_have_half_precision_and_states_do_not(device: str, key: str, half: torch.dtype) -> None:
    instance, net = INSTANCES[key], moved(key, device, torch.float32)
    c = on(device, case(instance, h=16, w=16)).to(torch.float32)
    with torch.no_grad():
        whole = run(net, instance, c)
        with torch.autocast(device, half):
            out = run(net, instance, c)
    assert out.x.dtype == out.k.dtype == torch.float32 and out.x.isfinite().all()
    assert float((out.x - whole.x).square().mean().sqrt()) < 0.05


@everywhere
@few
def test_fast_and_replayed_are_the_solver(device: str, key: str) -> None:
    instance, net = INSTANCES[key], moved(key, device, torch.float32)
    several = [on(device, case(instance, h=16, w=16, seed=seed)).to(torch.float32) for seed in (0, 1)]
    quick = fast(net, "float32")
    replays = Replay(net), Replay(quick)  # type: ignore[arg-type]
    for c in (*several, several[0]):
        with torch.no_grad():
            plain = run(net, instance, c)
        for out in (run(quick, instance, c), *(replay(c.y, 2, **c.given(instance)) for replay in replays)):
            assert torch.allclose(out.x, plain.x, rtol=0, atol=1e-3) and torch.allclose(out.k, plain.k, rtol=0, atol=1e-3)
            assert out.t == plain.t
    assert all(len(replay._recorded) == (device == "cuda") for replay in replays)


@everywhere
def test_a_replay_minds_its_shapes_and_its_physics(device: str) -> None:
    net, c = moved("dan", device, torch.float32), on(device, case(INSTANCES["dan"], h=16, w=16)).to(torch.float32)
    replay = Replay(net, keep=1)
    for y in (c.y, c.y[..., :12], c.y[:1], c.y):
        with torch.no_grad():
            assert torch.allclose(replay(y, 2).x, net(y, 2).x, rtol=0, atol=1e-3)
    mask = (torch.rand(1, 1, 16, 16, device=device) > 0.3).to(c.y)
    with torch.no_grad():
        assert torch.allclose(replay(c.y, Masked(Degradation(2), mask)).x, net(c.y, 2, mask=mask).x, rtol=0, atol=1e-3)
    assert len(replay._recorded) <= 1
    with pytest.raises(ValueError, match="keep must be at least 1"):
        Replay(net, keep=0)


CLOSED: dict[str, Callable[[Case], Tensor]] = {
    "prox_image": lambda c: prox_image(c.y, c.k, c.x, 0.01, 2),
    "prox_kernel on the grid": lambda c: prox_kernel(c.y, c.x, c.k, 0.1, 2),
    "prox_kernel on the support": lambda c: prox_kernel(c.y, c.x, c.k, 0.1, 2, domain="support", constraint="simplex"),
    "prox_kernel of valid windows": lambda c: prox_kernel(c.y, c.x, c.k, 0.1, 2, domain="support", boundary="valid"),
    "a reflecting border": lambda c: Degradation(2, boundary="reflect").prox_image(c.y, c.k, c.x, 0.1),
    "tv": lambda c: tv(c.x, 0.05),
    "l0_gradient": lambda c: l0_gradient(c.x, 0.01),
    "simplex": lambda c: simplex(c.k - 0.02),
    "the forward model": lambda c: Degradation(2)(c.x, c.k),
}


@gpu
@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
def test_closed_forms_and_priors_are_the_same_on_every_device(name: str, dtype: torch.dtype, error: float) -> None:
    c = case(INSTANCES["usrnet"], h=12, w=10).to(dtype)
    here, there = CLOSED[name](c), CLOSED[name](on("cuda", c))
    assert there.device.type == "cuda" and there.dtype == dtype and torch.allclose(here, there.cpu(), rtol=0, atol=error)


@gpu
def test_one_seed_is_one_set_of_kernels_on_every_device() -> None:
    here, there = (random_gaussian(3, 9, generator=torch.Generator().manual_seed(7), device=d) for d in ("cpu", "cuda"))
    assert torch.allclose(here, there.cpu(), rtol=0, atol=1e-7)
    x = torch.full((2, 1, 8, 8), 0.5, device="cuda")
    noisy = [gaussian_noise(x, 0.1, generator=torch.Generator("cuda").manual_seed(1)) for _ in range(2)]
    assert torch.equal(*noisy) and noisy[0].device.type == "cuda"


@gpu
def test_what_is_on_two_devices_or_not_finite_is_said() -> None:
    net, c = moved("usrnet", "cuda", torch.float32), case(INSTANCES["usrnet"]).to(torch.float32)
    there = on("cuda", c)
    with pytest.raises(ValueError, match="different devices"):
        net(there.y, 2, k=c.k, sigma=0.01)
    with torch.no_grad():
        net.restorer.prior.tail.weight.fill_(torch.nan)
    with pytest.raises(checks.NotFinite, match="after the last iteration"):
        net(there.y, 2, k=there.k, sigma=0.01)


def test_one_look_for_all_iterations_finds_what_is_not_finite() -> None:
    net, c = fresh("dan"), case(INSTANCES["dan"])
    from pnpsr.solver import _finite

    s = net(c.y, 2)
    assert _finite(s) is s
    for name in ("x", "k"):
        broken = getattr(s, name).detach().clone()
        broken[0, 0, 0, 0] = torch.inf
        with pytest.raises(checks.NotFinite, match=f"{name} after the last iteration holds NaN or infinity"):
            _finite(s.write(name, broken))


@gpu
def test_the_implicit_gradient_is_the_same_on_every_device() -> None:
    gradients = []
    for device in ("cpu", "cuda"):
        net, c = moved("dan", device, torch.float64), on(device, case(INSTANCES["dan"]))
        s: State = equilibrium(net, net.start(c.y, 2), 2)
        gradients.append([g.cpu() for g in torch.autograd.grad(s.x.square().sum() + s.k.square().sum(), list(net.parameters()))])
    assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-9) for a, b in zip(*gradients, strict=True))


@gpu
@pytest.mark.parametrize(
    "asked", [{}, {"solver": "blind_hqs"}, {"solver": "usrnet", "k": motion()}], ids=["all", "blind_hqs", "usrnet"]
)
@pytest.mark.parametrize("scale", [1, 2])
def test_a_photograph_is_restored_the_same_on_every_device(scale: int, asked: dict[str, object]) -> None:
    """What looks for the blur is where y is, the solvers are on the device, and what comes back is on the CPU."""
    x = sample_picture("astronaut")[..., 60 : 60 + 96 * scale, 160 : 160 + 96 * scale]
    y = quantise(Degradation(scale, boundary="reflect")(x, motion(), 0.004, generator=torch.Generator().manual_seed(0)))
    here, there = (restore(y, scale, precision="float32", device=d, memory=4, **asked) for d in ("cpu", "cuda"))  # type: ignore[arg-type]
    assert there.x.device.type == there.k.device.type == "cpu" and here.blurred == there.blurred
    assert float((here.x - there.x).square().mean().sqrt()) < 5e-3


def test_the_script_runs_without_a_gpu_and_with_few_packages() -> None:
    root = Path(__file__).parent.parent
    blocked = ("deepinv", "tyro", "matplotlib", "torchvision", "tifffile", "imagecodecs", "tensorboard", "onnx", "pytest")
    code = f"import sys, runpy; sys.modules.update(dict.fromkeys({blocked!r})); sys.argv = ['gpu.py', '--device', 'cpu', '--quick']"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}; sys.path.insert(0, 'benchmarks'); runpy.run_path('benchmarks/gpu.py', run_name='__main__')",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "failed" not in done.stdout and done.stdout.count("| usrnet |") == 6 and "pytest is not installed" in done.stdout
