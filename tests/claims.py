"""Every number on the pages that has a CSV file, a log or an entry of the index is that number.

A number in running text, or in a table that no rule here reads, is followed by a comment that the reader does not see:

    <!-- 34.23 = dan-table1 | ×2 | dan | Set5 PSNR;
    3.37 = dan-table1 | ×2 | DANv2 | Set5 PSNR - dan-table1 | ×2 | dan | Set5 PSNR -->

It speaks of the text since the last comment or heading. What may stand right of ``=``, and the difference of two of them:

    STUDY | block | method | column    a cell of docs/results/STUDY.csv; ``V..VIII`` is the mean of those columns
    PAGE | cell ... | column           the line with all these cells in a table of PAGE.md, in docs/ or a folder of it
    index | preset | key | metric      a score in the index of the weights (kernel errors × 1e5)
    log | preset | run | column        the last value of that column in docs/training/PRESET.csv
"""

import csv
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pnpsr.weights import presets

ROOT = Path(__file__).parent.parent
DOCS, RESULTS, LOGS = ROOT / "docs", ROOT / "docs" / "results", ROOT / "docs" / "training"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
ROMAN = "I II III IV V VI VII VIII IX X XI XII".split()
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!-- (.*?) -->", re.DOTALL)
SCORE = re.compile(r"(?<![\w.])\d+\.\d\d+(?![\w.]*\w)")  # two decimals and more: a result, not a setting

Table = list[dict[str, str]]


def agrees(shown: str, value: float) -> bool:
    """Whether ``shown`` is ``value`` rounded to the decimals that it has."""
    decimals = len(shown.partition(".")[2].partition("e")[0])
    unit = 10.0 ** (-decimals + (int(shown.partition("e")[2]) if "e" in shown else 0))
    return abs(float(shown) - value) <= 0.5 * unit * (1 + 1e-6)


def tables(text: str) -> Iterator[Table]:
    """The tables of a page; cells without their bold type."""
    for found in re.finditer(r"(?:^\|.*\|\n)+", BLOCK.sub("", text), re.MULTILINE):
        head, _, *lines = ([cell.strip().strip("*") for cell in line[1:-1].split("|")] for line in found[0].splitlines())
        yield [
            {f"{name}#{i}" if head.count(name) > 1 else name: cell for i, (name, cell) in enumerate(zip(head, line, strict=True))}
            for line in lines
        ]


@cache
def study(name: str) -> dict[tuple[str, str, str], float]:
    """The values of a study by block, method and column, those of its clock too."""
    cells = {}
    for file in (RESULTS / f"{name}.csv", RESULTS / f"{name}.timings.csv"):
        if not file.is_file():
            continue
        with file.open(encoding="utf-8") as lines:
            cells |= {(row["block"], row["method"], row["column"]): float(row["value"]) for row in csv.DictReader(lines)}
    return cells


@cache
def log(preset: str) -> list[dict[str, str]]:
    """The lines of a preset's training log."""
    with (LOGS / f"{preset}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def term(words: str) -> float:
    """The value that a comment names."""
    source, *parts = words.split(" | ")
    if source == "index":
        preset, key, metric = parts
        return presets()[preset].scores[key][metric] * (1e5 if metric == "kernel_mse" else 1)
    if source == "log":
        preset, run, column = parts
        return float([row[column] for row in log(preset) if row["run"] == run and row[column]][-1])
    if (RESULTS / f"{source}.csv").is_file():
        block, method, column = parts
        first, _, last = column.partition("..")
        columns = ROMAN[ROMAN.index(first) : ROMAN.index(last) + 1] if last else [column]
        return sum(study(source)[block, method, c] for c in columns) / len(columns)
    page = next(folder / f"{source}.md" for folder in (RESULTS, LOGS, DOCS) if (folder / f"{source}.md").is_file())
    *cells, column = parts
    lines = [line for one in tables(page.read_text(encoding="utf-8")) for line in one if column in line]
    (value,) = (line[column] for line in lines if set(cells) <= set(line.values()))
    return float(value)


def stale(words: str) -> list[str]:
    """The presets behind a term whose weights are others by now than those that were measured."""
    source, *parts = words.split(" | ")
    with (RESULTS / "weights.csv").open(encoding="utf-8") as file:
        old = [row["preset"] for row in csv.DictReader(file) if row["result"] == source and row["sha256"] != digest(row["preset"])]
    if len(parts) == 3 and (parts[1].startswith("bicubic") or parts[1] != parts[1].lower()):
        return []  # what has no weights of ours: interpolation, and the papers' lines, which have capitals
    scales = re.findall(r"×(\d)", " ".join(parts))
    if not (RESULTS / f"{source}.csv").is_file():
        return [preset for preset in old if preset in parts]  # a page of many methods
    return [preset for preset in old if not scales or preset.endswith(tuple(f"-x{s}" for s in scales))]


def within(names: str) -> bool:
    """A difference of two lines of a study, ``STUDY | block | a | column - STUDY | block | b | column``, is within its spread."""
    cells = [" ".join(name.split()).split(" | ") for name in names.split(" - ")]
    if len(cells) != 2 or any(len(one) != 4 for one in cells):
        return False
    (name, block, a, column), (other, *_, b, last) = cells
    file = RESULTS / f"{name}.differences.csv"
    if name != other or column != last or not file.is_file():
        return False
    with file.open(encoding="utf-8") as lines:
        found = [
            r for r in csv.DictReader(lines) if (r["block"], r["column"]) == (block, column) and {r["method"], r["minus"]} == {a, b}
        ]
    return any(float(r["low"]) <= 0 <= float(r["high"]) for r in found)


def digest(preset: str) -> str:
    """Of the weights that ship."""
    return presets()[preset].sha256 if preset in presets() else ""


def held(text: str) -> tuple[list[str], set[tuple[int, int]]]:
    """What is wrong with the numbers that the comments of a page speak of, and where those numbers stand."""
    wrong, places, start = list[str](), set[tuple[int, int]](), 0
    text = BLOCK.sub(lambda m: " " * len(m[0]), text)
    for found in re.finditer(r"^#+ [^\n]*$|<!-- (.*?) -->", text, re.MULTILINE | re.DOTALL):
        for claim in filter(None, map(str.strip, (found[1] or "").split(";"))):
            shown, _, names = claim.partition(" = ")
            first, *less = (term(" ".join(name.split())) for name in names.split(" - "))
            if not agrees(shown, first - sum(less)):
                wrong.append(f"{claim}: is {first - sum(less):.6g}")
            old = [preset for name in names.split(" - ") for preset in stale(" ".join(name.split()))]
            if old and "earlier weights" not in text[start : found.start()]:
                wrong.append(f"{claim}: {old[0]} has other weights since; measure again, or say that it is of earlier weights")
            if within(names) and "within the spread" not in text[start : found.start()]:
                wrong.append(f"{claim}: a difference within its spread is no result; say that it is within the spread")
            here = [m.span() for m in re.finditer(rf"(?<![\d.]){re.escape(shown)}(?!\d)", text[start : found.start()])]
            if not here:
                wrong.append(f"{claim}: the text before it has no {shown}")
            places |= {(start + a, start + b) for a, b in here}
        start = found.end()
    return wrong, places


def unheld(text: str, begin: str) -> list[str]:
    """Results of two decimals from a heading on that no comment and no table of presets or variants holds."""
    blank = BLOCK.sub(lambda m: " " * len(m[0]), text)
    known = held(text)[1] | read_elsewhere(blank)
    silent = COMMENT.sub(lambda m: " " * len(m[0]), blank)
    at = text.index(begin) if begin else 0
    return [
        f"{m[0]} in line {text.count(chr(10), 0, m.start()) + 1}"
        for m in SCORE.finditer(silent)
        if m.start() >= at and not any(a <= m.start() and m.end() <= b for a, b in known)
    ]


def read_elsewhere(text: str) -> set[tuple[int, int]]:
    """The lines of tables whose every number another test reads."""
    found = set()
    for one in re.finditer(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        if one[0].startswith(("| variant |", "| preset | protocol | rows | PSNR | kernel |", "| preset | bicubic | below it |")):
            found.add(one.span())
    return found
