"""Findings as files: a Markdown table with the paper's numbers beside ours, tidy CSV, figure."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from pnpsr.files import replace_file
from pnpsr.plot import save_figure
from pnpsr.studies.contrasts import contrast_grid, tidy_contrasts
from pnpsr.studies.table import HERE, PAPER, Findings, Line, columns_of, in_blocks

FORMS = {"SSIM": ".4f", "L1": ".5f"}  # of columns whose names end so
DIFFERENCES = (
    "Differences on the same rows. Those in brackets are within their spread, 95 % of a bootstrap over the pictures, and are not "
    "read as results; the intervals are in the file of differences beside this one."
)
COLUMNS = ("study", "source", "block", "method", "rows", "column", "value")


def write_report(
    name: str, title: str, paper: Sequence[Line], findings: Findings, out: Path, *, form: str = ".2f", command: str = ""
) -> list[Path]:
    """Write ``NAME.md``, ``NAME.csv``, and where there are any ``NAME.differences.csv``, ``NAME.timings.csv`` and ``NAME.webp``.

    Returns the files that were written.

    Everything but timings and their column in the Markdown is the same, byte for byte, whenever the study is repeated on
    the same machine with the same versions.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.csv": tidy(name, (*paper, *findings.lines))}
    if findings.timings:
        files[f"{name}.timings.csv"] = tidy(name, findings.timings)
    if findings.contrasts:
        files[f"{name}.differences.csv"] = tidy_contrasts(name, findings.contrasts)
    files[f"{name}.md"] = markdown(name, title, paper, findings, form=form, command=command)
    for file, text in files.items():
        replace_file(out / file, text.encode())
    if findings.figure is not None:
        save_figure(findings.figure, out / f"{name}.webp")
    return [out / file for file in (*files, *([f"{name}.webp"] if findings.figure is not None else []))]


def tidy(name: str, lines: Sequence[Line]) -> str:
    """One value per line of CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in in_blocks(lines):
        head = (name, line.source, line.block, line.method, "" if line.rows is None else line.rows)
        for column, value in line.values.items():
            if value is not None:
                writer.writerow((*head, column, f"{value:.7g}"))
    return text.getvalue()


def markdown(name: str, title: str, paper: Sequence[Line], findings: Findings, *, form: str, command: str) -> str:
    """Title, command, protocols, the table, what is different in it, notes, the figure."""
    parts = [f"# {title}"]
    parts += [f"Made by\n\n```\n{command}\n```"] if command else []
    parts += ["\n".join(f"* {protocol}" for protocol in findings.protocols)] if findings.protocols else []
    parts += ["\n".join(_grid([*paper, *_merged(findings.lines, findings.timings)], form))]
    parts += [DIFFERENCES, "\n".join(contrast_grid(findings.contrasts, form))] if findings.contrasts else []
    parts += [note for note in findings.notes if note]
    if findings.timings:
        parts += ["Seconds are of one machine at one time; they are the only numbers here that change when the study is repeated."]
    parts += ["\n".join(f"* left out: {reason}" for reason in findings.left_out)] if findings.left_out else []
    parts += [f"![{title}]({name}.webp)"] if findings.figure is not None else []
    return "\n\n".join(parts) + "\n"


def _merged(lines: Sequence[Line], timings: Sequence[Line]) -> list[Line]:
    """Timings in the lines that they belong to."""
    extra = {(line.block, line.method): line.values for line in timings}
    return [
        Line(line.block, line.method, {**line.values, **extra.get((line.block, line.method), {})}, HERE, line.rows)
        for line in lines
    ]


def _grid(lines: Sequence[Line], form: str) -> list[str]:
    columns, lines = columns_of(lines), in_blocks(lines)
    head = ["", "method", *columns, "from", "y"]
    rows = []
    for line in lines:
        cells = [_cell(line, column, form) for column in columns]
        method = line.method if line.source == PAPER else f"**{line.method}**"
        rows.append([line.block, method, *cells, line.source, "" if line.rows is None else str(line.rows)])
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]


def _cell(line: Line, column: str, form: str) -> str:
    value = line.values.get(column)
    if value is None:
        return ""
    return format(value, next((f for end, f in FORMS.items() if column.endswith(end)), form))
