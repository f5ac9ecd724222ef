"""What a study leaves: lines of a table, from here and from the paper, and how they were made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER, HERE = "paper", "here"


@dataclass(frozen=True)
class Line:
    """One line of a table: the values of one method, by column; None where there is none. Lines of one block stand together."""

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
    """

    lines: Sequence[Line]
    protocols: Sequence[str] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()
    timings: Sequence[Line] = ()
    figure: "Figure | None" = field(default=None, repr=False)


def printed(text: str, columns: Sequence[str]) -> tuple[Line, ...]:
    """The lines of a published table, typed in as ``block | method | value value ...``; ``/`` where the paper has no value.

    Raises:
        ValueError: a line with more or fewer values than columns.
    """
    lines = []
    for row in text.strip().splitlines():
        block, method, numbers = (part.strip() for part in row.split("|"))
        cells = [None if cell == "/" else float(cell) for cell in numbers.split()]
        if len(cells) != len(columns):
            raise ValueError(f"{method} has {len(cells)} values for {len(columns)} columns")
        lines.append(Line(block, method, dict(zip(columns, cells, strict=True)), PAPER))
    return tuple(lines)


def columns_of(lines: Iterable[Line]) -> list[str]:
    """All columns, in the order in which they come."""
    return list(dict.fromkeys(column for line in lines for column in line.values))


def in_blocks(lines: Sequence[Line]) -> list[Line]:
    """The lines block by block, blocks and lines in the order in which they come."""
    blocks = list(dict.fromkeys(line.block for line in lines))
    return sorted(lines, key=lambda line: blocks.index(line.block))
