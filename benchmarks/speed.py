"""How fast everything is, each case beside its peer: ``make bench``.

    OMP_NUM_THREADS=1 python benchmarks/speed.py
    OMP_NUM_THREADS=1 python benchmarks/speed.py --run second                  # says how far the ratios of two runs are apart
    OMP_NUM_THREADS=1 python benchmarks/speed.py --parts "kernel step" --seconds 5
    OMP_NUM_THREADS=1 python benchmarks/speed.py --page-only                   # the page from what is there

A run is written to ``docs/performance/NAME.csv``, part by part, each of which is a process of its own. The same command goes on
with the parts that are not there; ``--minutes`` says after how many it begins no other. ``docs/performance.md`` and its figure are
made of all runs and of the tables that ``where.py``, ``windows.py`` and ``train_floor.py``, called by this too, leave beside them.
"""

import csv
import io
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import cases
import torch
import tyro
from timing import Row, interleaved

from pnpsr.files import replace_file
from pnpsr.studies.complexity import processor

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
RUNS = DOCS / "performance"
COLUMNS = ("part", "group", "case", "x", "call", "milliseconds")
KEPT = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}  # to glibc: keep what is freed
NEAR = 0.15  # two runs agree if their ratios differ by no more
TABLES = ("where", "windows", "train_floor")  # scripts that write a table of their own, once


def measure(part: str, device: str, side: int, seconds: float, path: Path) -> None:
    """The rows of one part, printed, and added to the run's file when all are there."""
    rows: list[Row] = []
    for case in cases.PARTS[part](device, side):
        row = Row(case.group, case.name, interleaved(case.calls, seconds=seconds, device=device), case.x, part)
        print(line(row), flush=True)
        rows.append(row)
    others = [row for row in read(path)[1] if row.part != part] if path.is_file() else []
    order = list(cases.PARTS)
    write(sorted(others + rows, key=lambda row: order.index(row.part)), path, machine(device))


def run_parts(parts: list[str], until: float, words: list[str], path: Path) -> list[str]:
    """Measure the parts that the run has not; those that are left when the time is over."""
    there = {row.part for row in read(path)[1]} if path.is_file() else set()
    left = [part for part in parts if part not in there]
    while left and time.monotonic() < until:
        part = left.pop(0)
        kept = KEPT if part in cases.CLOSED_FORMS else {}
        subprocess.run([sys.executable, "-W", "ignore", __file__, "--part", part, *words], check=True, env=os.environ | kept)
    return left


def run_tables(until: float) -> list[str]:
    """Call the scripts whose table is not there; those that are left when the time is over."""
    left = [name for name in TABLES if not (RUNS / f"{name}.txt").is_file()]
    while left and time.monotonic() < until:
        words = [sys.executable, "-W", "ignore", HERE / f"{left[0]}.py"]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        print(done.stdout, flush=True)
        replace_file(RUNS / f"{left.pop(0)}.txt", done.stdout.encode())
    return left


def line(row: Row) -> str:
    """A row of the table."""
    own = next(iter(row.milliseconds))
    others = "; ".join(f"{name} {ratio:.2g} ×" for name, ratio in row.ratios().items())
    return f"| {row.case} | {own} | {row.milliseconds[own]:.3g} | {others} |"


def machine(device: str) -> str:
    """What it ran on, in a line."""
    name = torch.cuda.get_device_name() if device == "cuda" else processor()
    able = ", ".join(word for word in ("avx512_bf16", "amx_bf16") if torch.cpu.get_capabilities().get(word))
    threads = f"{torch.get_num_threads()} thread(s)"
    return f"{name} ({able or 'no bfloat16'}), {threads}, torch {torch.__version__}, Python {platform.python_version()}"


def write(rows: list[Row], path: Path, told: str) -> None:
    """A run as a file."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    out.writerow(("", "machine", told, "", "", ""))
    for row in rows:
        for name, value in row.milliseconds.items():
            out.writerow((row.part, row.group, row.case, "" if row.x is None else row.x, name, f"{value:.5g}"))
    replace_file(path, text.getvalue().encode())


def read(path: Path) -> tuple[str, list[Row]]:
    """The machine and the rows of a run."""
    with path.open(encoding="utf-8") as lines:
        told, *cells = csv.DictReader(lines)
    rows: dict[tuple[str, str], Row] = {}
    for cell in cells:
        at = float(cell["x"]) if cell["x"] else None
        row = rows.setdefault((cell["group"], cell["case"]), Row(cell["group"], cell["case"], {}, at, cell["part"]))
        row.milliseconds[cell["call"]] = float(cell["milliseconds"])  # type: ignore[index]
    return told["case"], list(rows.values())


def apart(first: list[Row], second: list[Row]) -> list[tuple[str, float]]:
    """By how much, as a share, the ratios of two runs differ, the worst first."""
    others = {(row.group, row.case): row.ratios() for row in second}
    gaps = []
    for row in first:
        for name, ratio in row.ratios().items():
            other = others.get((row.group, row.case), {}).get(name)
            if other is not None:
                gaps.append((f"{row.group}, {row.case}, {name}", abs(ratio / other - 1)))
    return sorted(gaps, key=lambda gap: -gap[1])


def agreement() -> str:
    """How far the ratios of the first two runs are apart, in words; nothing if there are not two."""
    runs = [read(path)[1] for path in sorted(RUNS.glob("*.csv"))][:2]
    if len(runs) < 2 or not (gaps := apart(*runs)):
        return ""
    within = sum(gap <= NEAR for _, gap in gaps)
    worst = "; ".join(f"{case}: {100 * gap:.0f} %" for case, gap in gaps[:5])
    return f"Of {len(gaps)} ratios that both runs have, {within} agree within {100 * NEAR:.0f} %. Furthest apart: {worst}."


def page() -> str:
    """``docs/performance.md`` from the runs and tables that are there."""
    name, (told, rows) = next((path.stem, read(path)) for path in sorted(RUNS.glob("*.csv")))
    text = (DOCS / "performance.head.txt").read_text(encoding="utf-8").format(name=name, told=told)
    if (RUNS / "scaling.png").is_file():
        text += "\n![time against size, batch and iterations](performance/scaling.png)\n"
    for group in dict.fromkeys(row.group for row in rows):
        text += f"\n## {group[0].upper()}{group[1:]}\n\n| case | ours | ms | the others, in multiples of it |\n|---|---|---|---|\n"
        text += "\n".join(line(row) for row in rows if row.group == group) + "\n"
    for table in TABLES:
        if (file := RUNS / f"{table}.txt").is_file():
            text += f"\n{file.read_text(encoding='utf-8')}"
    return text + (f"\n## Two runs\n\n{agreement()}\n" if agreement() else "")


def figure(rows: list[Row], path: Path) -> None:
    """Milliseconds against size, one panel per group that has one."""
    from matplotlib.figure import Figure

    groups = [g for g in dict.fromkeys(row.group for row in rows) if sum(row.x is not None for row in rows if row.group == g) > 1]
    if not groups:
        return
    drawn = Figure(figsize=(3.6 * len(groups), 3.4), layout="constrained")
    for place, group in zip(drawn.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        mine = sorted((row for row in rows if row.group == group and row.x is not None), key=lambda row: row.x or 0)
        for name in mine[0].milliseconds:
            place.loglog([row.x for row in mine], [row.milliseconds[name] for row in mine], "o-", label=name, markersize=3)
        place.set_title(group, fontsize=9)
        place.set_ylabel("ms")
        place.legend(fontsize=7)
    out = io.BytesIO()
    drawn.savefig(out, format="png", dpi=100)
    replace_file(path, out.getvalue())


def main(
    *,
    run: str = "first",
    seconds: float = 4.0,
    minutes: float = 30.0,
    side: int = 256,
    parts: tuple[str, ...] = tuple(cases.PARTS),
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    page_only: bool = False,
    part: str | None = None,
) -> None:
    """Time everything and write the page.

    Args:
        run: name of the run; a second name measures again, and the page says how far the two agree.
        seconds: that each case may take, at least.
        minutes: after which no other part is begun; the same command goes on where it was.
        side: of the pictures, in pixels; a multiple of 64.
        parts: by name, if not all.
        device: cpu or cuda.
        page_only: make the page of what is there.
        part: measure this one in this process, and write no page.
    """
    path, until = RUNS / f"{run}.csv", time.monotonic() + 60 * minutes
    RUNS.mkdir(exist_ok=True)
    if part is not None:
        measure(part, device, side, seconds, path)
        return
    left: list[str] = []
    if not page_only:
        words = ["--run", run, "--seconds", str(seconds), "--side", str(side), "--device", device]
        able = [name for name in parts if device == "cpu" or name not in cases.HERE_ONLY]
        left = run_parts(able, until, words, path) + (run_tables(until) if device == "cpu" else [])
    figure(read(min(RUNS.glob("*.csv")))[1], RUNS / "scaling.png")
    replace_file(DOCS / "performance.md", page().encode())
    print(agreement())
    if left:
        print(f"the time is over; the same command goes on with {', '.join(left)}")


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    tyro.cli(main)
