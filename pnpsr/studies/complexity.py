"""DAN's Table 5: how many weights, how many multiply-adds for a given y, how many seconds per picture."""

import platform
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

from pnpsr import checks
from pnpsr.bordered import in_colour, solve
from pnpsr.evaluate.cases import Case, Synthetic
from pnpsr.evaluate.named import dan_setting1
from pnpsr.kernels import gaussian
from pnpsr.needs import needs_of
from pnpsr.studies.bench import Bench
from pnpsr.studies.plan import ANY
from pnpsr.studies.solvers import Candidate
from pnpsr.studies.table import Findings, Line
from pnpsr.studies.variants import border

COMPLEXITY = ("parameters, M", "multiply-adds, G", "seconds")
SIDES = (16, 24)  # rows of the two small y on which operations are counted, of 16 columns; U-nets halve them three times


def complexity(bench: Bench) -> Findings:
    """Weights and multiply-adds of every solver for a y of ``bench.input_size``; seconds as a mean over pictures and Gaussian8.

    Raises:
        ValueError: no pictures, no solvers.
    """
    scales, absent = bench.able((4, 3, 2), ANY.test, ANY.name)
    lines, timings, protocols, size = list[Line](), list[Line](), list[str](), checks.size(bench.input_size, "input_size")
    for scale in scales:
        protocol = bench.under(replace(dan_setting1(), conditions=((scale, 0.0),), metrics=("psnr",)))
        cases = [
            case
            for data in bench.data()
            for case in _cases(Synthetic(protocol, data.pictures))  # type: ignore[arg-type]
        ]
        if not cases:
            raise ValueError("none of the pictures could be used")
        protocols.append(str(protocol))
        for one in bench.at(scale):
            weights = sum(parameter.numel() for parameter in one.solver.parameters())
            counted = (weights / 1e6, multiply_adds(one.solver, size, scale) / 1e9)
            lines.append(Line(f"×{scale}", one.label, dict(zip(COMPLEXITY, counted, strict=False))))
            seconds = _seconds(bench, one, border(one, protocol), cases)
            timings.append(Line(f"×{scale}", one.label, {COMPLEXITY[2]: seconds}, rows=len(cases)))
    notes = [
        f"Multiply-adds of convolutions and matrix products for a y of {' x '.join(map(str, size))} pixels and the solver's own T, "
        "without Fourier transforms. The paper does not name its input: DANv1 and DANv2 have its numbers at 180 x 270.",
        f"Seconds: the mean over {len(cases)} y, after a first one, on {_machine(bench)}; the paper's on an RTX 2080 Ti.",
    ]
    return Findings(lines, protocols, [*notes, *absent], timings=timings)


def multiply_adds(solver: nn.Module, size: tuple[int, int], scale: int) -> float:
    """Multiply-adds of one solve of y (1 3 h w): n = a + b h w with a and b from two small y.

    Exact for DAN and USRNet; strides that leave a remainder make it off by less than 1e-4 elsewhere.

    Half of what :class:`torch.utils.flop_counter.FlopCounterMode` counts: convolutions and products of matrices.
    """
    counts = [_count(solver, (rows, SIDES[0]), scale) for rows in SIDES]
    pixels = [rows * SIDES[0] for rows in SIDES]
    slope = (counts[1] - counts[0]) / (pixels[1] - pixels[0])
    return counts[0] + slope * (size[0] * size[1] - pixels[0])


def _count(solver: nn.Module, size: tuple[int, int], scale: int) -> float:
    parameter = next(solver.parameters(), torch.zeros(1))
    y = torch.full((1, 3, *size), 0.5, device=parameter.device, dtype=parameter.dtype)
    y[..., ::2, ::3] = 0.75  # something to look at
    nonblind = needs_of(solver).kernel
    told: dict[str, Tensor] = {"k": gaussian(21, 2.0).to(y)} if nonblind else {}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        solver(in_colour(solver, y), scale, sigma=torch.full((1, 1, 1, 1), 0.01).to(y), **told)
    return counter.get_total_flops() / 2


def _cases(source: Synthetic) -> Iterator[Case]:
    yield from (case for case in source.cases(set(source.keys())) if isinstance(case, Case))


def _seconds(bench: Bench, one: Candidate, boundary: str, cases: list[Case]) -> float:
    """The mean time of restoring a y; the first is done twice, and counts once.

    On one thread of a CPU it is that of the processor, so that other programs do not count.
    """
    total, clock = 0.0, time.perf_counter if bench.device != "cpu" or torch.get_num_threads() > 1 else time.process_time
    for i, case in enumerate(tqdm([cases[0], *cases], desc=one.label, unit="y", disable=not bench.progress)):
        told = {"k": case.kernel().to(bench.device)} if "k" in one.needs else {}
        sigma = 0.0 if "sigma" in one.needs else None
        y = case.y.to(bench.device)
        _wait(bench.device)
        start = clock()
        solve(one.solver, y, case.key.scale, sigma=sigma, boundary=boundary, **told)
        _wait(bench.device)
        total += (clock() - start) * (i > 0)
    return total / len(cases)


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _machine(bench: Bench) -> str:
    if bench.device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(bench.device)} with torch {torch.__version__}"
    return f"{torch.get_num_threads()} thread(s) of {processor()} with torch {torch.__version__}"


def processor() -> str:
    """The name of the CPU, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    return f"a CPU ({names[0] if names else platform.processor() or platform.machine()})"
