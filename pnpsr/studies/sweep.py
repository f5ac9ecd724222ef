"""Variants × sets of pictures × protocol → rows, with what is finished taken from disk; and rows → lines of a table."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tqdm import tqdm

from pnpsr.evaluate import Protocol, Row
from pnpsr.evaluate.cases import Key
from pnpsr.studies.bench import Bench, Data
from pnpsr.studies.rows import evaluated, traced
from pnpsr.studies.table import Line
from pnpsr.studies.variants import Trace, Variant


@dataclass(frozen=True)
class Found:
    """One row: of which pictures, by which variant."""

    data: str
    variant: Variant
    row: Row


@dataclass(frozen=True)
class Sweep:
    """All rows, the protocols they were made under, and what was left out."""

    found: Sequence[Found]
    protocols: Sequence[str]
    left_out: Sequence[str]

    def __add__(self, other: "Sweep") -> "Sweep":
        return Sweep((*self.found, *other.found), (*self.protocols, *other.protocols), (*self.left_out, *other.left_out))


Runs = Callable[[int, Protocol], Sequence[Variant | Trace]]  # what to run at a scale, under the protocol narrowed to it
Cells = Callable[[Found], Iterable[tuple[str, str, str]]]  # where a row counts: block, column, and by which metric


def sweep(bench: Bench, protocol: Protocol, scales: Sequence[int], runs: Runs, data: Sequence[Data]) -> Sweep:
    """Every set of pictures at every scale by everything that runs at the scale.

    Raises:
        ValueError: no row could be made.
    """
    narrowed = {s: replace(protocol, conditions=[c for c in protocol.conditions if c[0] == s]) for s in scales}
    planned = [(one, narrowed[s], run) for one in data for s in scales for run in runs(s, narrowed[s])]
    found, failed = list[Found](), list[str]()
    for one, part, run in tqdm(planned, desc="study", unit="method", disable=not bench.progress, position=0):
        variants = run.variants if isinstance(run, Trace) else (run,)
        done = traced(bench, run, part, one) if isinstance(run, Trace) else [evaluated(bench, run, part, one)]
        for variant, outcome in zip(variants, done, strict=True):
            found += [Found(one.name, variant, row) for row in outcome.rows]
            failed += [f"{one.name}, {failure.key.image}: {failure.reason}" for failure in outcome.failures]
    left_out = [f"{reason} ({failed.count(reason)} row(s))" for reason in dict.fromkeys(failed)]
    if not found:
        raise ValueError(f"nothing could be measured: {'; '.join(left_out[:3]) or 'no method for these scales'}")
    return Sweep(found, [str(part) for part in narrowed.values()], left_out)


def tabulate(found: Sequence[Found], cells: Cells, *, factor: float = 1.0) -> list[Line]:
    """Means over the rows, one line per block and label, times ``factor``.

    Values in dB are averaged as they are, as the papers do.
    """
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    rows: dict[tuple[str, str], set[tuple[str, Key]]] = {}
    for one in found:
        for block, column, metric in cells(one):
            place = (block, one.variant.label)
            value = one.row.values[metric]
            values.setdefault(place, {}).setdefault(column, []).extend([] if value is None else [value])
            rows.setdefault(place, set()).add((one.data, one.row.key))
    return [
        Line(block, label, {c: factor * fmean(v) if v else None for c, v in line.items()}, rows=len(rows[block, label]))
        for (block, label), line in values.items()
    ]
