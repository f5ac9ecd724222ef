"""Rows as Markdown: one line per method, means over the pictures."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from pnpsr.evaluate.intervals import Spread, difference, spread
from pnpsr.evaluate.protocol import Protocol
from pnpsr.evaluate.rows import Row

FORMATS = {"ssim": ".4f", "lpips": ".4f", "kernel_mse": ".3e", "kernel_l1": ".5f"}
DECIBELS = ".2f"


def table(rows: Sequence[Row], protocol: Protocol | None = None, *, detail: str | None = "psnr") -> str:
    """Means over the pictures as Markdown: all metrics per condition, ``detail`` per kernel and condition, and its spread.

    PSNR is averaged in dB, as the papers do. A mean is over the rows that all methods of its condition have, and among these over
    finite values; rows whose metric has no meaning are left out of its mean, and their cells empty. What is left out is counted
    below the table. The spread is the 95 % interval of :func:`pnpsr.evaluate.bootstrap` over the pictures, of the first method's
    mean and of what the others have more than it on the same rows.

    Args:
        rows: of one or several methods, of one protocol.
        protocol: printed above the tables.
        detail: the metric of the second and third table; None: neither.

    Raises:
        ValueError: no rows, rows of different protocols, or a detail that was not measured.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset
        >>> from pnpsr.evaluate import bicubic, evaluate, grid, Protocol, table
        >>> from pnpsr.kernels import gaussian
        >>> protocol = Protocol("mine", grid((2,)), gaussian(5, 1.0))
        >>> done = evaluate(bicubic(), protocol, FromDataset([torch.rand(3, 32, 32)]), "results")
        >>> "bicubic" in table(done.rows, protocol)
        True
    """
    labels = {row.protocol for row in rows}
    if len(labels) != 1:
        raise ValueError(f"a table shows one protocol, got {', '.join(sorted(labels)) or 'no rows'}")
    lines = [str(protocol) if protocol is not None else f"Protocol {labels.pop()}", ""]
    metrics = list(dict.fromkeys(name for row in rows for name in row.values))
    both, notes = shared(rows)
    notes += infinite(both, metrics)
    lines += _grid(["method", "scale", "σ", "rows", *metrics], _summary(both, metrics))
    kernels = list(dict.fromkeys(row.key.kernel for row in both))
    if detail is not None and len(kernels) > 1 and len(kernels) <= 24:
        if detail not in metrics:
            raise ValueError(f"detail must be one of {', '.join(metrics)}, got {detail!r}")
        head = ["method", "scale", "σ", *(f"k{number}" for number in kernels), "mean"]
        lines += ["", f"{detail} by kernel", "", *_grid(head, _by_kernel(both, detail, kernels))]
    if detail is not None:
        lines += _spreads(both, detail)
    if notes:
        lines += ["", *(f"* {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def shared(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """The rows whose keys every method of their condition has; and sentences on those left out for want of the others.

    A method that has no row at all of a condition has no say in it.
    """
    kept, notes, groups_ = list[Row](), list[str](), groups(rows)
    for scale, sigma in dict.fromkeys((s, sigma) for _, s, sigma in groups_):
        each = {method: some for (method, s, v), some in groups_.items() if (s, v) == (scale, sigma)}
        common = set.intersection(*({row.key for row in some} for some in each.values()))
        more = {method: len({row.key for row in some} - common) for method, some in each.items()}
        kept += [row for some in each.values() for row in some if row.key in common]
        if any(more.values()):
            counted = ", ".join(f"{count} of {method}" for method, count in more.items() if count)
            notes.append(f"×{scale}, σ {sigma:g}: over the {len(common)} row(s) that all methods have; left out: {counted}.")
    return kept, notes


def infinite(rows: Sequence[Row], metrics: Sequence[str]) -> list[str]:
    """Sentences on values that are infinite, such as the PSNR of what is restored exactly: no mean contains them."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        for name in metrics:
            if (value := row.values.get(name)) is not None and not math.isfinite(value):
                counts[row.method, name] = counts.get((row.method, name), 0) + 1
    return [
        f"{name} of {method} is infinite in {count} row(s), which its mean leaves out." for (method, name), count in counts.items()
    ]


def mean(rows: Iterable[Row], metric: str) -> float | None:
    """The mean of a metric where it has a meaning and is finite; None if it is so nowhere."""
    values = [value for row in rows if (value := row.values.get(metric)) is not None and math.isfinite(value)]
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


def _spreads(rows: Sequence[Row], metric: str) -> list[str]:
    """Per condition the first method's mean, and the others' differences from it, with their intervals."""
    lines = list[list[str]]()
    for condition in dict.fromkeys((row.key.scale, row.key.sigma) for row in rows):
        known = [
            [r for r in some if r.values.get(metric) is not None] for (_, *c), some in groups(rows).items() if (*c,) == condition
        ]
        methods = [some for some in known if len({row.key.image for row in some if math.isfinite(row.values[metric] or 0)}) > 1]
        place = [f"×{condition[0]}", f"{condition[1]:g}"]
        for some in methods:
            first = methods[0]
            name = some[0].method if some is first else f"{some[0].method} − {first[0].method}"
            found = spread(some, metric) if some is first else difference(some, first, metric)
            lines.append([name, *place, *_interval(found, metric), "" if some is first else "yes" if found.apart else "no"])
    if not lines:
        return ["", f"Of one picture there is no spread: what is read off {metric} holds for that picture."]
    said = f"{metric} and differences on the same rows, with 95 % intervals over the pictures; one that holds 0 is no difference"
    return ["", said, "", *_grid(["method", "scale", "σ", "pictures", "is", "from", "to", "apart"], lines)]


def _interval(found: Spread, metric: str) -> list[str]:
    return [str(found.pictures), *(_cell(value, metric) for value in (found.value, found.low, found.high))]


def _cell(value: float | None, metric: str) -> str:
    if value is None:
        return ""
    return format(value, next((form for name, form in FORMATS.items() if metric.startswith(name)), DECIBELS))


def _grid(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]
