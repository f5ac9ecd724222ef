"""What each preset costs: seconds and peak memory per megapixel of its result, on one thread; ``docs/results/costs.md``.

    python benchmarks/costs.py

Each preset runs in a process of its own, as ``pnpsr.fast`` makes it, on a megapixel without anything else in the way: no tiles, no
border, no files. The median of three calls; other work on the machine only makes them longer.
"""

import argparse
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from pnpsr import load
from pnpsr.fast import fast
from pnpsr.files import replace_file
from pnpsr.kernels import gaussian
from pnpsr.needs import needs_of
from pnpsr.studies.complexity import processor
from pnpsr.weights import preset_file, presets

SIDE = 1008  # of the result, a multiple of 2, 3 and 4: 1.016 megapixels
TARGET = Path(__file__).parent.parent / "docs" / "results"
COLUMNS = ("preset", "scale", "weights", "megabytes", "seconds per megapixel", "MiB per megapixel")


def main() -> None:
    """Measure one preset if it is named, else all of them in turn, and write the page."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--one", help="preset@scale, measured in this process and printed")
    if one := words.parse_args().one:
        name, scale = one.split("@")
        print(",".join(str(value) for value in measured(name, int(scale))))
        return
    rows = []
    for name, preset in presets().items():
        for scale in preset.scales or (1, 2, 4):
            call = subprocess.run(
                [sys.executable, __file__, "--one", f"{name}@{scale}"], capture_output=True, text=True, check=True
            )
            rows.append(call.stdout.strip().splitlines()[-1].split(","))
            print(*rows[-1], flush=True)
    replace_file(TARGET / "costs.md", page(rows).encode())


def measured(name: str, scale: int) -> tuple[object, ...]:
    """One row: the columns of one preset at one scale."""
    torch.set_num_threads(1)
    solver = load(name)
    weights = sum(value.numel() for value in solver.parameters())
    quick, needs = fast(solver), needs_of(solver)
    y = torch.rand(1, 3, SIDE // scale, SIDE // scale, generator=torch.Generator().manual_seed(0))
    given = {"k": gaussian(21, 1.6)} if needs.kernel else {}
    given |= {"sigma": 0.01} if needs.sigma else {}
    with torch.no_grad():
        quick(y[..., :32, :32], scale, **given)  # what a first call makes once
        before = peak()
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            quick(y, scale, **given)
            seconds.append(time.perf_counter() - start)
    million = SIDE**2 / 1e6
    size = preset_file(name).stat().st_size / 2**20
    return name, scale, weights, f"{size:.2f}", f"{statistics.median(seconds) / million:.2f}", f"{(peak() - before) / million:.0f}"


def peak() -> float:
    """MiB that this process has held at most."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def page(rows: list[list[str]]) -> str:
    """The table with the machine it holds for."""
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows)]
    table = "\n".join(re.sub(r"^\| (\S+)", r"| `\1`", line) if i > 1 else line for i, line in enumerate(lines))
    return (
        "# What the presets cost\n\n"
        "Per megapixel of the result, by `pnpsr.fast`, on one thread, without tiles or border; memory is what the process grew by. "
        f"Made by `python benchmarks/costs.py` on {processor()} with torch {torch.__version__.split('+')[0]}.\n\n"
        f"{table}\n"
    )


if __name__ == "__main__":
    main()
