"""Numbers as curves and as a table."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pnpsr import checks
from pnpsr.plot.panels import ACCENT, LINE, draw_curve, panel_grid, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cell = float | int | str | None


def show_curves(
    curves: Mapping[str, Sequence[float] | Mapping[str, Sequence[float]]],
    *,
    first: int = 1,
    across: str = "iteration t",
    columns: int = 3,
) -> "Figure":
    """Convergence, or a training's losses: a panel for each title, with one curve or several under their names.

    Args:
        curves: by title, one value per iteration, or a mapping from names to such values; a range of more than 30 is drawn on a
            logarithmic axis.
        first: the iteration of each curve's first value.
        across: what the horizontal axis counts.
        columns: panels per row.

    Raises:
        ValueError: no curves, empty ones.

    Example:
        >>> from pnpsr.plot import show_curves
        >>> figure = show_curves({"PSNR": [20.0, 22.0, 23.0], "kernel MSE": {"a": [3, 2, 1], "b": [3, 1, 0.5]}})
        >>> [panel.get_title() for panel in figure.get_axes()]
        ['PSNR', 'kernel MSE']
    """
    figure, panels = panel_grid(len(curves), columns, "curves", ratio=0.7, widest=5.0)
    for panel, (title, values) in zip(panels, curves.items(), strict=True):
        draw_curve(panel, values, title, first, across)
    return figure


def show_table(
    rows: Mapping[str, Mapping[str, Cell]],
    *,
    best: Mapping[str, Literal["high", "low"]] | None = None,
    form: str = ".2f",
    title: str = "",
) -> "Figure":
    """A table as a figure: a line for each row, a column for each key, the best number of a column set off.

    Args:
        rows: by the name of the line, the cells by the name of the column; what a line lacks, or None, is a dash.
        best: columns in which the ``high`` or the ``low`` is best.
        form: of numbers, as in format().
        title: above the table.

    Raises:
        ValueError: no rows, ``best`` of a column that is not there or holds no number.

    Example:
        >>> from pnpsr.plot import show_table
        >>> figure = show_table({"bicubic": {"PSNR": 25.1}, "blind": {"PSNR": 28.3}}, best={"PSNR": "high"})
        >>> len(figure.get_axes())
        1
    """
    if not rows:
        raise ValueError("there are no rows to show")
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    winners = {column: _best(rows, column, columns, way) for column, way in (best or {}).items()}
    written = [[name, *(_written(cells.get(column), form) for column in columns)] for name, cells in rows.items()]
    letters = sum(max(map(len, column)) + 3 for column in zip(["", *columns], *written, strict=True))
    figure = sheet(0.28 * (len(rows) + 1) + (0.6 if title else 0.25), max(3.0, 0.09 * letters))
    panel = figure.subplots()
    panel.set_axis_off()
    panel.set_title(title, fontsize=10)
    drawn = panel.table(cellText=written, colLabels=["", *columns], loc="center", cellLoc="right", edges="horizontal")
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(9)
    drawn.auto_set_column_width(list(range(len(columns) + 1)))
    for (line, place), cell in drawn.get_celld().items():
        cell.set_edgecolor("#cccccc")
        if place == 0:
            cell.set_text_props(ha="left")
        if line == 0:
            cell.set_text_props(weight="bold", color=LINE)
        elif place > 0 and list(rows)[line - 1] in winners.get(columns[place - 1], ()):
            cell.set_text_props(weight="bold", color=ACCENT)
    return figure


def _best(rows: Mapping[str, Mapping[str, Cell]], column: str, columns: Sequence[str], way: str) -> set[str]:
    """Names of the rows with the best number of a column."""
    checks.choice(column, tuple(columns), "best")
    checks.choice(way, ("high", "low"), f"best of {column}")
    numbers = {name: float(value) for name, cells in rows.items() if isinstance(value := cells.get(column), float | int)}
    numbers = {name: value for name, value in numbers.items() if math.isfinite(value)}
    if not numbers:
        raise ValueError(f"best: the column {column!r} holds no number")
    top = (max if way == "high" else min)(numbers.values())
    return {name for name, value in numbers.items() if value == top}


def _written(value: Cell, form: str) -> str:
    if value is None:
        return "–"
    return format(value, form) if isinstance(value, float) else str(value)
