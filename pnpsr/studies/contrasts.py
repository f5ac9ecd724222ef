"""Which differences in a study's table are more than the choice of pictures: line by line, or column by column."""

import csv
import io
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from pnpsr.evaluate import Spread, bootstrap
from pnpsr.studies.sweep import Cells, Found

COLUMNS = ("study", "block", "method", "minus", "column", "pictures", "value", "low", "high")
Values = Mapping[Hashable, tuple[Hashable, float]]  # by row: its picture, and a number


@dataclass(frozen=True)
class Contrast:
    """What ``method`` has more than ``minus`` in one column of a block, on the rows of both."""

    block: str
    method: str
    minus: str
    column: str
    spread: Spread


def contrasts(found: Sequence[Found], cells: Cells, *, factor: float = 1.0) -> list[Contrast]:
    """Every line of a block minus its first; where a study has a column per variant, every column minus the one before.

    Pictures are drawn with replacement as in :func:`pnpsr.evaluate.bootstrap`. What has fewer than two pictures is left out.
    """
    values: dict[str, dict[str, dict[str, dict[Hashable, tuple[Hashable, float]]]]] = {}
    for one in found:
        for block, column, metric in cells(one):
            if (value := one.row.values[metric]) is not None and math.isfinite(value):
                line = values.setdefault(block, {}).setdefault(one.variant.label, {})
                row, picture = (one.data, one.row.protocol, one.row.key, metric), (one.data, one.row.key.image)
                line.setdefault(column, {})[row] = (picture, factor * value)
    out = list[Contrast]()
    for block, lines in values.items():
        first, *others = lines
        wanted = [(label, first, c, lines[label][c], lines[first].get(c, {})) for label in others for c in lines[label]]
        for label, columns in lines.items():
            steps = zip(columns, list(columns)[1:], strict=False) if by_column(found) else ()
            wanted += [(label, label, f"{b} − {a}", columns[b], columns[a]) for a, b in steps]
        out += [Contrast(block, m, n, c, s) for m, n, c, a, b in wanted if (s := _paired(a, b)) is not None]
    return out


def by_column(found: Sequence[Found]) -> bool:
    """Variants stand side by side, not one below the other."""
    return all(one.variant.column for one in found)


def _paired(a: Values, b: Values) -> Spread | None:
    both = [row for row in a if row in b]
    pictures = [a[row][0] for row in both]
    return bootstrap([a[row][1] - b[row][1] for row in both], pictures) if len(set(pictures)) > 1 else None


def tidy_contrasts(name: str, some: Sequence[Contrast]) -> str:
    """One difference per line of CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in some:
        numbers = (f"{value:.5g}" for value in (one.spread.value, one.spread.low, one.spread.high))
        writer.writerow((name, one.block, one.method, one.minus, one.column, one.spread.pictures, *numbers))
    return text.getvalue()


def contrast_grid(some: Sequence[Contrast], form: str) -> list[str]:
    """A line per pair of methods; what is within its spread stands in brackets."""
    columns = list(dict.fromkeys(one.column for one in some))
    cells = {(one.block, one.method, one.minus, one.column): _cell(one.spread, form) for one in some}
    counts = {(one.block, one.method, one.minus): one.spread.pictures for one in some}
    lines = [["", "difference", *columns, "pictures"], ["---"] * (len(columns) + 3)]
    for (block, method, minus), pictures in counts.items():
        name = method if method == minus else f"{method} − {minus}"
        lines.append([block, name, *(cells.get((block, method, minus, c), "") for c in columns), str(pictures)])
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(found: Spread, form: str) -> str:
    text = format(found.value, f"+{form}")
    return text if found.apart else f"({text})"
