"""What a study leaves: lines of a table, from here and from the paper, and how they were made."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pnpsr.studies.contrasts import Contrast

PAPER, HERE = "paper", "here"


@dataclass(frozen=True)
class Line:
    """One line of a table: the values of one method, by column; None where there is none. Lines of one block stand together.

    Example:
        >>> from pnpsr.studies import Line
        >>> Line("×2", "bicubic", {"Set5": 30.1}).source
        'here'
    """

    block: str
    method: str
    values: Mapping[str, float | None]
    source: str = HERE
    rows: int | None = None  # how many y a value is the mean of


@dataclass(frozen=True, eq=False)
class Findings:
    """The outcome of a study.

    Args:
        lines: what was measured here; the same numbers whenever the study is repeated.
        protocols: under which conditions, a line each.
        notes: what a reader must know to compare.
        left_out: what could not be measured, and why.
        timings: lines whose numbers depend on the machine and the moment; they are kept in a file of their own.
        figure: where the paper has one.
        contrasts: differences between the lines, with their spread over pictures.

    Example:
        >>> from pnpsr.studies import Findings, Line
        >>> Findings([Line("all", "mine", {"PSNR": 25.0})]).lines[0].values["PSNR"]
        25.0
    """

    lines: Sequence[Line]
    protocols: Sequence[str] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()
    timings: Sequence[Line] = ()
    figure: "Figure | None" = field(default=None, repr=False)
    contrasts: "Sequence[Contrast]" = ()


def printed(name: str) -> tuple[Line, ...]:
    """The lines of a published table or figure, as ``printed/NAME.csv`` beside this file has them.

    Its comments say where it is printed, its columns are ``block``, ``method`` and those of the table; a cell is empty where the
    paper has no number.

    Raises:
        FileNotFoundError: no such table.
    """
    return read_printed(files("pnpsr.studies").joinpath("printed", f"{name}.csv").read_text(encoding="utf-8"))


def read_printed(text: str) -> tuple[Line, ...]:
    """The lines of a table as text.

    Raises:
        ValueError: other columns before the values than ``block,method``, or a line with more or fewer values than columns.
    """
    head, *rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    if head[:2] != ["block", "method"]:
        raise ValueError(f"a printed table begins with the columns block,method; got {','.join(head[:2])}")
    lines = []
    for block, method, *numbers in rows:
        if len(numbers) != len(head) - 2:
            raise ValueError(f"{method} has {len(numbers)} values for {len(head) - 2} columns")
        values = [float(number) if number else None for number in numbers]
        lines.append(Line(block, method, dict(zip(head[2:], values, strict=True)), PAPER))
    return tuple(lines)


def columns_of(lines: Iterable[Line]) -> list[str]:
    """All columns, in the order in which they come."""
    return list(dict.fromkeys(column for line in lines for column in line.values))


def in_blocks(lines: Sequence[Line]) -> list[Line]:
    """The lines block by block, blocks and lines in the order in which they come."""
    blocks = list(dict.fromkeys(line.block for line in lines))
    return sorted(lines, key=lambda line: blocks.index(line.block))
