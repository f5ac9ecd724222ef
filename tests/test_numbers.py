"""Every number on the pages that has a CSV file, a log or an entry of the index is that number.

A number in running text, or in a table that no rule here reads, is followed by a comment that the reader does not see:

    <!-- 34.23 = dan-table1 | ×2 | dan | Set5 PSNR; 3.37 = dan-table1 | ×2 | DANv2 | Set5 PSNR - dan-table1 | ×2 | dan | Set5 PSNR -->

It speaks of the text since the last comment or heading. What may stand right of ``=``, and the difference of two of them:

    STUDY | block | method | column    a cell of docs/results/STUDY.csv; ``V..VIII`` is the mean of those columns
    PAGE | cell ... | column           a line of a table in docs/results/PAGE.md or docs/training/PAGE.md that has all these cells
    index | preset | key | metric      a score in the index of the weights (kernel errors × 1e5)
    log | preset | run | column        the last value of that column in docs/training/PRESET.csv
"""

import csv
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pnpsr.weights import presets

ROOT = Path(__file__).parent.parent
DOCS, RESULTS, LOGS = ROOT / "docs", ROOT / "docs" / "results", ROOT / "docs" / "training"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
ROMAN = "I II III IV V VI VII VIII IX X XI XII".split()
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!-- (.*?) -->", re.DOTALL)
SCORE = re.compile(r"(?<![\w.])\d+\.\d\d+(?![\w.]*\w)")  # two decimals and more: a result, not a setting
STRICT = {
    ROOT / "README.md": "",
    DOCS / "training.md": "## What pays",
    DOCS / "limits.md": "",
}  # from that heading on, nothing goes unheld

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
    for file in RESULTS.glob(f"{name}.*csv"):
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
    page = next(folder / f"{source}.md" for folder in (RESULTS, LOGS) if (folder / f"{source}.md").is_file())
    *cells, column = parts
    lines = [line for one in tables(page.read_text(encoding="utf-8")) for line in one if column in line]
    (value,) = (line[column] for line in lines if set(cells) <= set(line.values()))
    return float(value)


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
        if one[0].startswith("| variant |"):
            found.add(one.span())
        elif one[0].startswith("| preset | protocol | rows | PSNR | kernel |"):
            found.add(one.span())
    return found


@pytest.mark.parametrize("page", [*PAGES, *sorted(RESULTS.glob("*.md"))], ids=lambda page: page.stem)
def test_numbers_in_text_are_those_of_their_source(page: Path) -> None:
    assert not held(page.read_text(encoding="utf-8"))[0]


@pytest.mark.parametrize("page", STRICT, ids=lambda page: page.stem)
def test_no_result_goes_unheld(page: Path) -> None:
    assert not unheld(page.read_text(encoding="utf-8"), STRICT[page])


@pytest.mark.parametrize("name", sorted(path.stem for path in RESULTS.glob("*.md") if path.with_suffix(".csv").is_file()))
def test_a_study_s_page_has_the_numbers_of_its_csv(name: str) -> None:
    cells, shown = study(name), 0
    for line in next(tables((RESULTS / f"{name}.md").read_text(encoding="utf-8"))):
        for column, cell in line.items():
            if cell and column not in ("", "method", "from", "y"):
                assert agrees(cell, cells[line[""], line["method"], column]), (line, column)
                shown += 1
    assert shown == len(cells) > 0


def test_the_index_of_results_is_what_its_script_makes_of_the_csv_files() -> None:
    """Other weights, other numbers or a forgotten ``benchmarks/results.py`` make it differ."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("results_page", ROOT / "benchmarks" / "results.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    assert (RESULTS / "index.md").read_text(encoding="utf-8") == module.index(RESULTS)


AVERAGES = {"psnr": {0.0: {4: "ikrnet-table1", 2: "ikrnet-table2"}, 0.02: {4: "ikrnet-table3", 2: "ikrnet-table3"}}}


@pytest.mark.parametrize("scale", [2, 4])
def test_the_index_of_weights_has_the_averages_of_the_studies(scale: int) -> None:
    """Where both were measured on the same rows; a preset whose weights changed needs its tables anew."""
    scores, block = presets()[f"ikrnet-x{scale}"].scores, f"CBSD68 ×{scale}"
    for sigma, tables_of in AVERAGES["psnr"].items():
        value = study(tables_of[scale])[block, "ikrnet", "Av."]
        assert scores[f"ikrnet ×{scale} sigma={sigma:g}"]["psnr"] == pytest.approx(value, abs=2e-5)
    error = study("ikrnet-table5")[block, "ikrnet", "Av."]
    assert scores[f"ikrnet ×{scale} sigma=0"]["kernel_mse"] * 1e5 == pytest.approx(error, abs=6e-3)
    value = study("dan-table1")[f"×{scale}", "dan", "Set5 PSNR"]
    assert presets()[f"dan-x{scale}"].scores[f"dan-setting1 ×{scale} sigma=0"]["psnr"] == pytest.approx(value, abs=2e-5)


def test_usrnet_s_page_has_the_scores_of_the_index() -> None:
    lines = [
        line for line in next(tables((RESULTS / "usrnet-table1.md").read_text(encoding="utf-8"))) if line["method"] == "usrnet"
    ]
    scores = presets()["usrnet"].scores
    assert len(lines) == len(scores) == 5
    for line in lines:
        values = scores[f"usrnet-table1 {line['scale']} sigma={line['σ']}"]
        assert int(line["rows"]) == values["rows"]
        assert all(agrees(line[metric], values[metric]) for metric in ("psnr", "ssim", "data_psnr"))


@pytest.mark.parametrize("name", presets())
def test_a_preset_s_log_is_of_the_runs_of_its_commands(name: str) -> None:
    """Their names, in their order, each up to its last step; validated there."""
    commands = [shlex.split(command) for command in presets()[name].commands]
    asked = {Path(w[w.index("--out") + 1]).name: int(w[w.index("--steps") + 1]) for w in commands if {"--out", "--steps"} <= {*w}}
    last = {row["run"]: int(row["step"]) for row in log(name) if row["psnr"]}
    assert [(run, step) for run, step in last.items() if run in asked] == list(asked.items())
    assert sum(asked.values()) <= sum(last.values()) == presets()[name].steps


def entries(text: str) -> Iterator[dict[str, str]]:
    """The lines of tables that have a preset and a protocol."""
    return (line for one in tables(text) for line in one if "preset" in line and "protocol" in line and line["PSNR"])


def test_tables_of_presets_have_the_scores_of_the_index() -> None:
    seen = list[tuple[str, str]]()
    for page in (ROOT / "README.md", DOCS / "training.md"):
        for line in entries(page.read_text(encoding="utf-8")):
            preset, key = line["preset"].strip("`"), re.findall(r"`([^`]+)`", line["protocol"])[0]
            values = presets()[preset].scores[key]
            assert agrees(line["PSNR"], values["psnr"]), (preset, key, values["psnr"])
            if line.get("rows"):
                assert int(line["rows"].split()[0].rstrip(",")) == values["rows"]
            if line.get("kernel"):
                assert agrees(line["kernel"], 1e5 * values["kernel_mse"]), (preset, key, values["kernel_mse"])
            seen.append((preset, key))
    assert {preset for preset, _ in seen} == presets().keys()
    assert {(name, key) for name, p in presets().items() for key in p.scores if "usrnet" not in key} <= set(seen)


def test_the_table_of_variants_is_that_of_its_run() -> None:
    measured = {line["variant"]: line for line in next(tables((LOGS / "variants.md").read_text(encoding="utf-8")))}
    (shown,) = (one for one in tables((DOCS / "training.md").read_text(encoding="utf-8")) if "variant" in one[0])
    names = {"PSNR, T = 4": "x, T = 4", "kernel error, T = 4": "k, T = 4", "steps": "steps", "taken": "taken"}
    count = 0
    for line in shown:
        variants = re.findall(r"`([^`]+)`", line["variant"].partition(":")[0])
        variants = [name for name in variants if name in measured]
        assert variants, line
        for column, source in names.items():
            assert line[column].split(", ") == [measured[name][source] for name in variants], (variants, column)
        count += len(variants)
    assert count == len(measured)


def test_gains_of_the_classical_page_are_differences() -> None:
    (rows,) = (one for one in tables((DOCS / "classical.md").read_text(encoding="utf-8")) if "gain" in one[0])
    assert len(rows) == 60
    for row in rows:
        assert float(row["blind_hqs, dB"]) - float(row["bicubic, dB"]) == pytest.approx(float(row["gain"]), abs=0.011)


def test_a_false_number_is_noticed() -> None:
    true = "It has 34.23 dB.\n<!-- 34.23 = dan-table1 | ×2 | dan | Set5 PSNR -->\n"
    assert held(true)[0] == [] and unheld(true, "") == []
    assert "34.24" in held(true.replace("34.23", "34.24"))[0][0]
    assert "no 34.23" in held(true.replace("It has 34.23", "It has 34.3"))[0][0]
    assert unheld("It has 34.23 dB.\n", "") == ["34.23 in line 1"]
    assert not agrees("34.2", 34.26) and agrees("34.3", 34.26) and agrees("4.8e-05", 4.83e-5) and not agrees("4.8e-05", 4.7e-5)
    with pytest.raises(KeyError):
        held("1.00\n<!-- 1.00 = dan-table1 | ×2 | dan | Set6 PSNR -->\n")
