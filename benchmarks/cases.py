"""What is timed: each case as a group, a name, and the calls that take turns, ours first."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from peers import deepinv_step, deepinv_unfolded, plain_from_scratch, plain_normal_equations
from prox_image import floor
from timing import Call, warm
from torch import Tensor, nn

from pnpsr import UnrolledSolver, dan, ikrnet, load, usrnet
from pnpsr.data import SETTINGS, FromDataset, Stream
from pnpsr.fast import fast
from pnpsr.images import SAMPLES, sample_picture, write_image
from pnpsr.kernels import gaussian
from pnpsr.physics import Degradation
from pnpsr.prox import prox_image, prox_kernel


@dataclass(frozen=True)
class Case:
    """One case; ``x`` is where it stands in the plot of its group."""

    group: str
    name: str
    calls: dict[str, Call]
    x: float | None = None


def problem(h: int, w: int, scale: int, *, batch: int = 1, size: int = 21, device: str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """y, x and k of a smooth random picture (b 3 h w)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.nn.functional.avg_pool2d(torch.rand(batch, 3, h, w, generator=generator), 5, 1, 2)
    k = gaussian(size, 2.0, width2=1.0, angle=0.5).expand(batch, -1, -1, -1).contiguous()
    return Degradation(scale)(x, k).to(device), x.to(device), k.to(device)


def _trained(call: Callable[..., Tensor], *inputs: Tensor) -> Call:
    """Forward and backward of a call with respect to its inputs."""

    def both() -> None:
        with torch.enable_grad():
            leaves = [t.detach().requires_grad_() for t in inputs]
            torch.autograd.grad(call(*leaves).square().sum(), leaves)

    return both


def image_step(device: str, side: int) -> Iterator[Case]:
    """The closed form of the image, forward and backward, along size, batch, scale and kernel size."""
    grid = [(1, n, s, 21) for n in (side // 2, side, 2 * side) for s in (1, 2, 4)]
    for b, n, s, p in [*grid, (4, side // 2, 2, 21), (8, side // 2, 2, 21), (1, side, 2, 11), (1, side, 2, 31)]:
        y, x, k = problem(n, n, s, batch=b, size=p, device=device)
        calls: dict[str, Call] = {
            "pnpsr": partial(prox_image, y, k, x, 0.01, s),
            "deepinv": deepinv_step(x, y, k, 0.01, s),
            "plain formula": partial(plain_from_scratch, y, k, x, 0.01, s),
            "FFT floor": partial(floor, x),
        }
        along = n if (b, p) == (1, 21) and s == 2 else None
        yield Case("image step", f"{b} of {n} x {n}, ×{s}, kernel {p}", calls, along)
    y, x, k = problem(side, side, 2, device=device)
    yield Case(
        "image step, forward and backward",
        f"{side} x {side}, ×2",
        {
            "pnpsr": _trained(lambda y, k, x: prox_image(y, k, x, 0.01, 2), y, k, x),
            "plain formula": _trained(lambda y, k, x: plain_from_scratch(y, k, x, 0.01, 2), y, k, x),
        },
    )


def kernel_step(device: str, side: int) -> Iterator[Case]:
    """The closed forms of the kernel, beside dense normal equations and one pass of the smallest image prior."""
    prior = fast(load("ikrnet-x2").to(device)).restorer.prior  # type: ignore[union-attr, operator]
    for n, s in [(side // 2, 2), (side, 1), (side, 2), (side, 4), (2 * side, 2)]:
        y, x, k = problem(n, n, s, device=device)
        calls: dict[str, Call] = {"support, circular": partial(prox_kernel, y, x, k, 10.0, s, domain="support")}
        calls["support, valid"] = partial(prox_kernel, y, x, k, 10.0, s, domain="support", boundary="valid")
        calls["grid"] = partial(prox_kernel, y, x, k, 10.0, s)
        calls["image prior, one pass"] = partial(prior, x, 0.1)
        yield Case("kernel step", f"{n} x {n}, ×{s}", calls, n if s == 2 else None)
    y, x, k = problem(side // 2, side // 2, 2, device=device)
    calls = {
        "support, valid": warm(partial(prox_kernel, y, x, k, 10.0, 2, domain="support", boundary="valid"), device),
        "dense normal equations": warm(partial(plain_normal_equations, y, x, k, 10.0, 2), device),
    }
    yield Case("kernel step beside its dense form", f"{side // 2} x {side // 2}, ×2", calls)
    both = {
        name: _trained(lambda y, x, k, b=name: prox_kernel(y, x, k, 10.0, 2, domain="support", boundary=b), y, x, k)
        for name in ("circular", "valid")
    }
    yield Case("kernel step, forward and backward", f"{side // 2} x {side // 2}, ×2", both)


def along(device: str, side: int) -> Iterator[Case]:
    """A preset along iterations, size and batch."""
    solver = load("ikrnet-x2").to(device).eval()
    quick = fast(solver)

    def case(group: str, name: str, x: float, y: Tensor, T: int = 1) -> Case:
        calls: dict[str, Call] = {"pnpsr.fast": partial(quick, y, 2, T=T), "plain loop": partial(solver, y, 2, T=T)}
        return Case(f"preset ikrnet-x2 along {group}", name, calls, x)

    y, _, _ = problem(side, side, 2, device=device)
    yield from (case("T", f"T = {T}", T, y, T) for T in (1, 2, 5))
    for n in (side // 2, side, 2 * side):
        yield case("size", f"{n} x {n}", n, problem(n, n, 2, device=device)[0])
    for b in (1, 2, 4):
        yield case("batch", f"{b} pictures", b, problem(side // 2, side // 2, 2, batch=b, device=device)[0])


SOLVERS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "DANv2 ×4": (partial(dan, 4), 4),
    "DANv1 ×4": (partial(dan, 4, version=1), 4),
    "IKR-Net ×2, T = 4": (partial(ikrnet, 21, T=4), 2),
    "USRNet ×2": (partial(usrnet, T=8), 2),
    "preset ikrnet-x2": (partial(load, "ikrnet-x2"), 2),
    "preset dan-x4": (partial(load, "dan-x4"), 4),
}


def built(name: str) -> tuple[UnrolledSolver, int]:
    """A solver of :data:`SOLVERS`, and its scale."""
    torch.manual_seed(0)
    make, scale = SOLVERS[name]
    solver = make()
    assert isinstance(solver, UnrolledSolver)
    return solver.eval(), scale


def whole(name: str, device: str, side: int) -> Iterator[Case]:
    """One iteration and the whole of a recipe at full width beside a float32 NCHW loop of the same modules, and deepinv."""
    solver, scale = built(name)
    solver.to(device)
    side -= side % 8 * scale
    y, _, k = problem(side, side, scale, device=device)
    known = {"k": k, "sigma": 0.05} if solver.k0 is None else {}
    quick, started = fast(solver), solver.start(y, scale, **known)
    begun = quick.start(y, scale, **known)  # type: ignore[operator]
    yield Case("one iteration", name, {"pnpsr.fast": lambda: quick.step(begun), "plain loop": lambda: solver.step(started)})  # type: ignore[operator]
    calls: dict[str, Call] = {
        "pnpsr.fast": lambda: quick(y, scale, **known),
        "plain loop": lambda: _loop(solver, y, scale, known),
    }
    if name.startswith("USRNet"):
        unfolded = deepinv_unfolded(solver.restorer.prior, k, (3, side, side), scale, solver.T)  # type: ignore[union-attr, arg-type]
        calls["deepinv, unfolded HQS"] = lambda: unfolded(y)
    yield Case("whole solve", name, calls)


def _loop(solver: UnrolledSolver, y: Tensor, scale: int, known: dict[str, object]) -> object:
    """The slots of a solver in turns, and nothing else."""
    s = solver.start(y, scale, **known)  # type: ignore[arg-type]
    for _ in range(solver.T):
        s = solver.step(s)
    return s


def training(_device: str, side: int) -> Iterator[Case]:
    """A step of training beside forward and backward of its image prior alone, as often as it iterates; and the data of a step."""
    side //= 4
    torch.manual_seed(0)
    T, widths = 2, (16, 32, 64, 64)
    solver = ikrnet(21, T=T, widths=widths, hidden=32, first="statistics", start="bicubic")
    stream = Stream(FromDataset([sample_picture(n)[0] for n in SAMPLES]), SETTINGS["ikrnet"], batch=2, patch=side)
    sample = next(stream.samples())
    net: nn.Module = solver.restorer.prior  # type: ignore[union-attr, assignment]

    def step() -> None:
        with torch.enable_grad():
            loss = (solver(sample.y, sample.scale).x - sample.x).abs().mean()
            torch.autograd.grad(loss, list(solver.parameters()), allow_unused=True)

    def convolutions() -> None:
        with torch.enable_grad():
            v = sample.x.clone().requires_grad_()
            for _ in range(T):
                v = net(v, 0.1)
            torch.autograd.grad(v.abs().mean(), list(net.parameters()))

    count = iter(range(1, 10**9))
    calls: dict[str, Call] = {"step": step, "its image prior alone": convolutions, "its data": lambda: stream[next(count)]}
    yield Case("training, IKR-Net", f"2 crops of {side} x {side}, T = {T}", calls)


def starting(_device: str, _side: int) -> Iterator[Case]:
    """Programs from their beginning to their end: imports, the command line, a picture restored. Seconds of the processor."""

    def program(*words: str) -> float:
        before = os.times()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        after = os.times()
        return 1e3 * (after.children_user + after.children_system - before.children_user - before.children_system)

    def imports(name: str) -> Call:
        return lambda: program("-c", f"import {name}")

    yield Case("start-up", "import", {"pnpsr": imports("pnpsr"), "torch": imports("torch"), "deepinv": imports("deepinv")})
    yield Case("start-up", "command line", {"pnpsr --help": lambda: program("-m", "pnpsr", "--help"), "torch": imports("torch")})
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "y.png"
        write_image(source, sample_picture("coffee")[..., 100:228, 100:228])
        words = ("-m", "pnpsr", "restore", str(source), "--preset", "ikrnet-x2", "--out", work, "--overwrite")
        yield Case("start-up", "restore, 128 x 128 ×2", {"pnpsr restore": lambda: program(*words), "torch": imports("torch")})


PARTS: dict[str, Callable[[str, int], Iterator[Case]]] = {  # each in a process of its own, so that none finds another's memory
    "image step": image_step,
    "kernel step": kernel_step,
    **{name: partial(whole, name) for name in SOLVERS},
    "along": along,
    "training": training,
    "start-up": starting,
}
CLOSED_FORMS = ("image step", "kernel step")  # so short that asking for memory, or not, would decide
HERE_ONLY = ("training", "start-up")  # on the processor
