"""Everything that a GPU can do wrong, and how fast it does the rest: one command, in under four minutes.

    python benchmarks/gpu.py > gpu.md
    python benchmarks/gpu.py --device cpu --quick     # the same code where there is no GPU

Needs torch, numpy, einops and safetensors; what else there is not is left out and named. Times are medians of CUDA events (on a CPU
of the clock), each case beside its plain form in the same process; speeds are those of the whole solver, start included.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent.parent))

from pnpsr.fast import fast
from pnpsr.prox import prox_image, prox_kernel
from pnpsr.recipes import RECIPES
from pnpsr.replay import Replay

ROOT = Path(__file__).parent.parent
SMALL = {
    "dan": {"scale": 2, "size": 9, "width": 16, "groups": 1, "blocks": 2, "code": 6, "T": 2},
    "ikrnet": {"size": 9, "T": 2, "widths": (8, 8, 16, 16), "domain": "support", "relative": True},
    "usrnet": {"T": 2, "widths": (8, 8, 16, 16)},
}
FULL = {"dan": {"scale": 4}, "ikrnet": {"T": 8, "domain": "support", "relative": True}, "usrnet": {"T": 8}}
CHECKED = ("test_gpu.py", "train/test_reads.py", "data/test_batched.py")
ON_GPU = ("test_preset_laws.py", "evaluate/test_kernel_metrics.py", "nets/test_net_laws.py", "recipes/test_recipe_laws.py")
ON_GPU += ("physics/test_physics.py", "steps/test_step_laws.py", "prox/test_priors.py")


class Late(Exception):
    """The time for one thing is over."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Ends what runs inside by :class:`Late`, where the system has alarms."""

    def late(*_: object) -> None:
        raise Late

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, max(0.1, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Clock:
    """Medians of a call on a device, of so many runs or so many seconds, whatever is over first."""

    def __init__(self, device: str, runs: int, seconds: float = 1.0) -> None:
        self.device, self.runs, self.seconds = device, runs, seconds

    def __call__(self, call: Callable[[], object]) -> float:
        """Milliseconds, after two calls that are not counted; at least three that are."""
        for _ in range(2):
            call()
        begin, taken = time.monotonic(), [self._once(call) for _ in range(3)]
        while len(taken) < self.runs and time.monotonic() - begin < self.seconds:
            taken.append(self._once(call))
        return statistics.median(taken)

    def _once(self, call: Callable[[], object]) -> float:
        if self.device == "cpu":
            begin = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - begin)
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        call()
        last.record()
        torch.cuda.synchronize()
        return first.elapsed_time(last)


def solver(recipe: str, quick: bool, device: str) -> nn.Module:
    torch.manual_seed(0)
    return RECIPES[recipe](**(SMALL if quick else FULL)[recipe]).to(device).eval()


def given(recipe: str, batch: int, side: int, device: str) -> dict[str, object]:
    generator = torch.Generator().manual_seed(0)
    call: dict[str, object] = {"y": torch.rand(batch, 3, side, side, generator=generator).to(device)}
    if recipe == "usrnet":
        call |= {"k": torch.full((1, 1, 9, 9), 1 / 81, device=device), "sigma": 0.01}
    return call


def ways(net: nn.Module, device: str) -> dict[str, Callable[..., object]]:
    """The solver as it is, and as it may be run."""

    def under(dtype: torch.dtype, solve: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            with torch.autocast(device, dtype):
                return solve(*args, **kwargs)

        return call

    found: dict[str, Callable[..., object]] = {"plain": net, "fast": fast(net), "bf16": under(torch.bfloat16, net)}
    if device == "cuda":
        found |= {"fp16": under(torch.float16, net), "replay": Replay(net), "replay, fast": Replay(fast(net))}  # type: ignore[arg-type]
    return found


def compiled(net: nn.Module) -> nn.Module:
    """The solver whose steps inductor has compiled, element-wise parts fused."""
    quick = fast(net, "float32", compiler="inductor")
    quick.step = torch.compile(quick.step, options={"layout_optimization": False})  # type: ignore[assignment]
    return quick


def solvers(quick: bool, device: str, clock: Clock, until: float) -> None:
    """One table: milliseconds for a picture, largest deviation from the plain solver, peak memory. Compiled ones come last."""
    print("\n| recipe | batch × side | way | ms a picture | of plain | largest difference | peak, MiB |")
    print("|---" * 7 + "|")
    shapes = ((1, 32), (4, 32)) if quick else ((1, 64), (16, 64), (1, 256), (4, 256))
    for recipe in FULL:
        net = solver(recipe, quick, device)
        for batch, side in shapes:
            _compare(recipe, ways(net, device), (batch, side), quick, clock, until)
    for recipe in FULL if device == "cuda" else ():
        net = solver(recipe, quick, device)
        _compare(recipe, {"plain": net, "compiled": compiled(net)}, shapes[0], quick, clock, until)


def _compare(
    recipe: str, found: dict[str, Callable[..., object]], shape: tuple[int, int], quick: bool, clock: Clock, until: float
) -> None:
    """A row of the table for each way."""
    call, plain, due = given(recipe, *shape, clock.device), 0.0, None
    y, scale = call.pop("y"), (2 if quick else 4) if recipe == "dan" else 2
    for name, way in found.items():
        label = f"| {recipe} | {shape[0]} × {shape[1]} | {name} |"
        try:
            with within(until - time.monotonic()):
                row, x, plain = _row(way, y, scale, call, clock, plain, clock.device)  # type: ignore[arg-type]
        except Late:
            print(f"{label} out of time | | | |", flush=True)
            continue
        except (RuntimeError, ValueError, ArithmeticError) as error:
            print(f"{label} failed: {_line(error, 120)} | | | |", flush=True)
            continue
        due = x if due is None else due
        print(f"{label} {row[0]:.2f} | {row[1]:.2f} | {(x - due).abs().max():.1e} | {row[2]} |", flush=True)


def _row(
    way: Callable[..., object], y: Tensor, scale: int, call: dict[str, object], clock: Clock, plain: float, device: str
) -> tuple[tuple[float, float, str], Tensor, float]:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with torch.no_grad():
        x: Tensor = way(y, scale, **call).x.float()  # type: ignore[attr-defined]
        took = clock(lambda: way(y, scale, **call)) / len(y)
    peak = f"{torch.cuda.max_memory_allocated() / 2**20:.0f}" if device == "cuda" else "-"
    plain = plain or took
    return (took, took / plain, peak), x, plain


def closed_forms(quick: bool, device: str, clock: Clock) -> None:
    """The two data steps beside the transforms that they cannot do without."""
    print("\n| data step | side of x | ms | bare FFT pair, ms | ratio |\n|---|---|---|---|---|")
    for side in (64,) if quick else (256, 1024):
        x, y = torch.rand(1, 3, side, side, device=device), torch.rand(1, 3, side // 2, side // 2, device=device)
        k = torch.full((1, 1, 21, 21), 1 / 441, device=device)
        bare = clock(lambda x=x: torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape[-2:]))
        steps = {
            "image": partial(prox_image, y, k, x, 0.01, 2),
            "kernel, grid": partial(prox_kernel, y, x, k, 1.0, 2),
            "kernel, support": partial(prox_kernel, y, x, k, 1.0, 2, domain="support"),
        }
        for name, step in steps.items():
            took = clock(step)
            print(f"| {name} | {side} | {took:.2f} | {bare:.2f} | {took / bare:.1f} |", flush=True)


def _line(error: Exception, most: int) -> str:
    return " ".join(str(error).split())[:most]


def waits(device: str) -> None:
    """Whether CUDA sees a step wait."""
    if device != "cuda":
        return
    print("\n| recipe | a step waits |\n|---|---|")
    for recipe in FULL:
        net, call = solver(recipe, True, device), given(recipe, 1, 32, device)
        with torch.no_grad():
            s = net.start(call.pop("y"), 2, **call)
            net.step(s)
            torch.cuda.set_sync_debug_mode("error")
            try:
                net.step(s)
                said = "no"
            except RuntimeError as error:
                said = _line(error, 160)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        print(f"| {recipe} | {said} |")


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ValueError:  # the name is there, and nothing behind it
        return False


def laws(device: str, seconds: float) -> int:
    """The tests marked ``gpu``, if pytest is there and all that they import."""
    missing = [name for name in ("pytest", "hypothesis", "deepinv", "tyro") if not _there(name)]
    if "pytest" in missing:
        print("\npytest is not installed: the laws were not tested", flush=True)
        return 0
    files = [str(ROOT / "tests" / name) for name in (CHECKED if not missing else CHECKED[:1])]
    files += [str(ROOT / "tests" / name) for name in ON_GPU if device == "cuda" and not missing]
    words = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *files]
    words += ["-m", "gpu" if device == "cuda" else "not gpu and not slow"]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=max(10.0, seconds))
    except subprocess.TimeoutExpired as late:
        shown = late.stdout or b""
        print("\nthe laws were not through in time:\n" + (shown if isinstance(shown, str) else shown.decode())[-500:])
        return 1
    print("\n```\n" + "\n".join(done.stdout.splitlines()[-15:]) + "\n```")
    return done.returncode


def main() -> int:
    """Check, then measure; exit status 1 if a law does not hold."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=("cuda", "cpu"))
    words.add_argument("--quick", action="store_true", help="tiny networks and pictures")
    words.add_argument("--seconds", type=float, default=230.0, help="of everything together")
    words.add_argument("--no-laws", action="store_true", help="measure only")
    told = words.parse_args()
    until = time.monotonic() + told.seconds
    name = torch.cuda.get_device_name() if told.device == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    print(f"torch {torch.__version__}, {name}{', tiny networks' if told.quick else ''}", flush=True)
    clock = Clock(told.device, 3 if told.quick else 10)
    waits(told.device)
    closed_forms(told.quick, told.device, clock)
    status = 0 if told.no_laws else laws(told.device, told.seconds / 2)
    solvers(told.quick, told.device, clock, until - 10)
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main())
