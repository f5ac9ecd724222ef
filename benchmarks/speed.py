"""How fast everything is, each case beside its peer: ``make bench``.

    OMP_NUM_THREADS=1 python benchmarks/speed.py
    OMP_NUM_THREADS=1 python benchmarks/speed.py --groups "kernel step" --seconds 5
    OMP_NUM_THREADS=1 python benchmarks/speed.py --page-only    # the page from the runs that are there

A run is written to ``docs/performance/NAME.csv``; the page ``docs/performance.md`` and its figure are made of all of them.
"""

import csv
import io
import platform
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cases
import torch
import tyro
from cases import Case
from timing import Row, interleaved

from pnpsr.files import replace_file
from pnpsr.studies.complexity import processor

DOCS = Path(__file__).parent.parent / "docs"
RUNS = DOCS / "performance"
COLUMNS = ("group", "case", "x", "call", "milliseconds")


def all_cases(device: str, side: int) -> Iterator[Case]:
    """Every case, made as it is needed."""
    local = (cases.training(side // 4), cases.starting()) if device == "cpu" else ()
    return chain(cases.image_step(device, side), cases.kernel_step(device, side), cases.whole_solvers(device, side // 2), *local)


def measure(device: str, side: int, seconds: float, groups: tuple[str, ...], path: Path) -> None:
    """The rows of one run, printed and written as they come."""
    rows: list[Row] = []
    for case in all_cases(device, side):
        if groups and not any(case.group.startswith(group) for group in groups):
            continue
        row = Row(case.group, case.name, interleaved(case.calls, seconds=seconds, device=device), case.x)
        print(line(row), flush=True)
        rows.append(row)
        write(rows, path, machine(device))


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
    out.writerow(("machine", told, "", "", ""))
    for row in rows:
        for name, value in row.milliseconds.items():
            out.writerow((row.group, row.case, "" if row.x is None else row.x, name, f"{value:.5g}"))
    replace_file(path, text.getvalue().encode())


def read(path: Path) -> tuple[str, list[Row]]:
    """The machine and the rows of a run."""
    with path.open(encoding="utf-8") as lines:
        told, *cells = csv.DictReader(lines)
    rows: dict[tuple[str, str], Row] = {}
    for cell in cells:
        at = float(cell["x"]) if cell["x"] else None
        row = rows.setdefault((cell["group"], cell["case"]), Row(cell["group"], cell["case"], {}, at))
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


def page() -> str:
    """``docs/performance.md`` from the runs that are there."""
    runs = {path.stem: read(path) for path in sorted(RUNS.glob("*.csv"))}
    name, (told, rows) = next(iter(runs.items()))
    text = (DOCS / "performance.head.txt").read_text(encoding="utf-8").format(name=name, told=told)
    if (RUNS / "scaling.png").is_file():
        text += "\n![time against size, batch and iterations](performance/scaling.png)\n"
    for group in dict.fromkeys(row.group for row in rows):
        text += f"\n## {group[0].upper()}{group[1:]}\n\n| case | ours | ms | the others, in multiples of it |\n|---|---|---|---|\n"
        text += "\n".join(line(row) for row in rows if row.group == group) + "\n"
    if len(runs) > 1:
        gaps = apart(rows, next(iter(list(runs.values())[1:]))[1])
        within = sum(gap <= 0.15 for _, gap in gaps)
        worst = "; ".join(f"{case}: {100 * gap:.0f} %" for case, gap in gaps[:5])
        text += f"\n## Two runs\n\nOf {len(gaps)} ratios {within} agree within 15 %. Furthest apart: {worst}.\n"
    return text


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
    side: int = 512,
    groups: tuple[str, ...] = (),
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
    page_only: bool = False,
) -> None:
    """Time everything and write the page.

    Args:
        run: name of the run; a second name measures again, and the page says how far the two agree.
        seconds: that each case may take, at least.
        side: of the pictures of the closed forms, in pixels; a multiple of 64.
        groups: beginnings of the names of groups, if not all.
        device: cpu or cuda.
        page_only: make the page of the runs that are there.
    """
    if not page_only:
        RUNS.mkdir(exist_ok=True)
        measure(device, side, seconds, groups, RUNS / f"{run}.csv")
    figure(read(next(iter(sorted(RUNS.glob("*.csv")))))[1], RUNS / "scaling.png")
    replace_file(DOCS / "performance.md", page().encode())


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    tyro.cli(main)
