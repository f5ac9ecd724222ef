"""Methods side by side: one panel per scale and noise level, kernels along the axis, one line per method."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnpsr.evaluate.rows import Row
from pnpsr.evaluate.tables import groups, mean, shared

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3  # panels per row
MANY = 24  # kernels above which they are sorted instead of numbered
MARKERS = "osD^vP*X<>"


def compare(rows: Sequence[Row], metric: str = "psnr") -> "Figure":
    """The mean of ``metric`` over the pictures, by kernel; of more than 24 kernels the sorted means, from worst to best.

    As in the tables over the rows that all methods have. Methods for which the metric has no meaning are left out.

    Raises:
        ValueError: the metric has no value in any row.
    """
    from matplotlib.figure import Figure

    shown = [row for row in shared(rows)[0] if row.values.get(metric) is not None]
    if not shown:
        raise ValueError(f"no row has a value of {metric!r}; measured are {', '.join(rows[0].values) if rows else 'no rows'}")
    kernels = list(dict.fromkeys(row.key.kernel for row in shown))
    conditions = list(dict.fromkeys((row.key.scale, row.key.sigma) for row in shown))
    methods = list(dict.fromkeys(row.method for row in shown))
    columns, lines = min(COLUMNS, len(conditions)), math.ceil(len(conditions) / COLUMNS)
    figure = Figure(figsize=(max(5.0, 3.6 * columns), 2.9 * lines + 0.4), dpi=120, layout="constrained", facecolor="white")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[len(conditions) :]:
        panel.set_axis_off()
    for (method, scale, sigma), some in groups(shown).items():
        panel, place = panels[conditions.index((scale, sigma))], methods.index(method)
        means = [mean((row for row in some if row.key.kernel == number), metric) for number in kernels]
        _draw(panel, means, method, place, sort=len(kernels) > MANY)
        panel.set_title(f"×{scale}, σ = {sigma:g}", fontsize=10)
    for panel in panels[: len(conditions)]:
        panel.set_xlabel("kernel" if len(kernels) <= MANY else "kernels, from worst to best", fontsize=8)
        panel.set_ylabel(metric, fontsize=8)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.25, linewidth=0.6)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(fontsize=7, frameon=False)
    return figure


def _draw(panel: "Axes", means: Sequence[float | None], method: str, place: int, *, sort: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    points = [(i, v) for i, v in enumerate(means, start=1) if v is not None and math.isfinite(v)]
    if sort:
        points = list(enumerate(sorted(v for _, v in points), start=1))
    marker = None if sort else MARKERS[place % len(MARKERS)]
    panel.plot(
        [i for i, _ in points],
        [v for _, v in points],
        color=f"C{place % 10}",
        marker=marker,
        markersize=3.5,
        linewidth=1.2,
        label=method,
    )
    panel.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
