"""Rows as Markdown: one line per method, means over the pictures."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from pnpsr.evaluate.protocol import Protocol
from pnpsr.evaluate.rows import Row

FORMATS = {"ssim": ".4f", "lpips": ".4f", "kernel_mse": ".3e", "kernel_l1": ".5f"}
DECIBELS = ".2f"


def table(rows: Sequence[Row], protocol: Protocol | None = None, *, detail: str | None = "psnr") -> str:
    """Means over the pictures as Markdown: all metrics per condition, then ``detail`` per kernel and condition.

    PSNR is averaged in dB, as the papers do. Rows whose metric has no meaning are left out of its mean, and their cells empty.
    Where methods were measured on different rows the table says on how many.

    Args:
        rows: of one or several methods, of one protocol.
        protocol: printed above the tables.
        detail: the metric of the second table; None: no second table.

    Raises:
        ValueError: no rows, rows of different protocols, or a detail that was not measured.
    """
    labels = {row.protocol for row in rows}
    if len(labels) != 1:
        raise ValueError(f"a table shows one protocol, got {', '.join(sorted(labels)) or 'no rows'}")
    lines = [str(protocol) if protocol is not None else f"Protocol {labels.pop()}", ""]
    metrics = list(dict.fromkeys(name for row in rows for name in row.values))
    lines += _grid(["method", "scale", "σ", "rows", *metrics], _summary(rows, metrics))
    kernels = list(dict.fromkeys(row.key.kernel for row in rows))
    if detail is not None and len(kernels) > 1 and len(kernels) <= 24:
        if detail not in metrics:
            raise ValueError(f"detail must be one of {', '.join(metrics)}, got {detail!r}")
        head = ["method", "scale", "σ", *(f"k{number}" for number in kernels), "mean"]
        lines += ["", f"{detail} by kernel", "", *_grid(head, _by_kernel(rows, detail, kernels))]
    return "\n".join(lines) + "\n"


def mean(rows: Iterable[Row], metric: str) -> float | None:
    """The mean of a metric where it has a meaning; None if it has none anywhere."""
    values = [value for row in rows if (value := row.values.get(metric)) is not None]
    return fmean(values) if values else None


def groups(rows: Sequence[Row]) -> dict[tuple[str, int, float], list[Row]]:
    """Rows by (method, scale, sigma): conditions in the order they come, within them methods."""
    conditions = dict.fromkeys((row.key.scale, row.key.sigma) for row in rows)
    methods = dict.fromkeys(row.method for row in rows)
    found: dict[tuple[str, int, float], list[Row]] = {(m, s, sigma): [] for s, sigma in conditions for m in methods}
    for row in rows:
        found[row.method, row.key.scale, row.key.sigma].append(row)
    return {name: some for name, some in found.items() if some}


def _summary(rows: Sequence[Row], metrics: Sequence[str]) -> list[list[str]]:
    return [
        [method, f"×{s}", f"{sigma:g}", str(len(some)), *(_cell(mean(some, metric), metric) for metric in metrics)]
        for (method, s, sigma), some in groups(rows).items()
    ]


def _by_kernel(rows: Sequence[Row], metric: str, kernels: Sequence[int]) -> list[list[str]]:
    lines = []
    for (method, s, sigma), some in groups(rows).items():
        cells = [_cell(mean((row for row in some if row.key.kernel == number), metric), metric) for number in kernels]
        lines.append([method, f"×{s}", f"{sigma:g}", *cells, _cell(mean(some, metric), metric)])
    return lines


def _cell(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    return format(value, next((form for name, form in FORMATS.items() if metric.startswith(name)), DECIBELS))


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]
