"""Most studies: variants of every solver under a protocol, averaged into the cells of a table. All that differs is data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pnpsr.evaluate import Protocol
from pnpsr.needs import needs_of
from pnpsr.studies.bench import Bench
from pnpsr.studies.contrasts import contrasts
from pnpsr.studies.figures import Curve, curves
from pnpsr.studies.solvers import Candidate
from pnpsr.studies.sweep import Cells, Found, Sweep, sweep, tabulate
from pnpsr.studies.table import Findings, Line
from pnpsr.studies.variants import Trace, Variant, vary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Each = Callable[[Bench, Candidate, Protocol], Sequence[Variant | Trace]]


def as_it_is(_: Bench, one: Candidate, protocol: Protocol) -> Sequence[Variant]:
    """The solver without changes."""
    return [vary(one, protocol)]


@dataclass(frozen=True)
class Kind:
    """Which solvers a study is about: a test, and its name in messages."""

    name: str
    test: Callable[[Candidate], bool]


def _alternates(one: Candidate) -> bool:
    return getattr(one.solver, "estimator", None) is not None and getattr(one.solver, "restorer", None) is not None


def _iterates(one: Candidate) -> bool:
    return getattr(one.solver, "restorer", None) is not None and "k" not in one.needs


def _predicts(one: Candidate) -> bool:
    return needs_of(one.solver).finds_sigma


ANY = Kind("solver", lambda _: True)
BLIND = Kind("blind solver", lambda one: "k" not in one.needs)
ALTERNATING = Kind("solver that alternates an estimator and a restorer", _alternates)
ITERATING = Kind("blind solver that restores in iterations", _iterates)
PREDICTING = Kind("blind solver that predicts the noise level", lambda one: _iterates(one) and _predicts(one))


@dataclass(frozen=True, eq=False)
class Plan:
    """A study as data; called with a :class:`Bench` it measures.

    Args:
        protocols: degradations and scores.
        scales: factors to study, as far as there are solvers for them.
        cells: where a row counts: (block, column, metric).
        each: what is run of every solver.
        kind: which solvers.
        baselines: methods without weights, at all these scales.
        factor: of the means.
        triples: the pictures come with y and k, as DIV2KRK does.
        draw: the figure.
        notes: printed under the table.
    """

    protocols: Callable[[Bench], Sequence[Protocol]]
    scales: tuple[int, ...]
    cells: Cells
    each: Each = as_it_is
    kind: Kind = ANY
    baselines: Sequence[Variant] = ()
    factor: float = 1.0
    triples: bool = False
    draw: "Callable[[Sequence[Line]], Figure] | None" = None
    notes: tuple[str, ...] = ()

    def __call__(self, bench: Bench) -> Findings:
        """The table of this bench's solvers.

        Raises:
            ValueError: no pictures, no solvers of the kind, nothing that could be measured.
        """
        scales, absent = bench.able(self.scales, self.kind.test, self.kind.name)
        data, swept = bench.data(triples=self.triples), Sweep((), (), ())

        def runs(scale: int, protocol: Protocol) -> list[Variant | Trace]:
            solvers = bench.at(scale, like=self.kind.test)
            return [*self.baselines, *(run for one in solvers for run in self.each(bench, one, protocol))]

        for protocol in self.protocols(bench):
            swept += sweep(bench, bench.under(protocol), scales, runs, data)
        lines = tabulate(swept.found, self.cells, factor=self.factor)
        figure = None if self.draw is None else self.draw(lines)
        between = contrasts(swept.found, self.cells, factor=self.factor)
        notes = (*self.notes, *told(swept.found), *read(bench, bench.under(protocol)), *absent)
        return Findings(lines, swept.protocols, notes, swept.left_out, figure=figure, contrasts=between)


def told(found: Sequence[Found]) -> list[str]:
    """A sentence for every method that was told something."""
    names = {"k": "the true kernel", "sigma": "the true noise level"}
    needs = {one.variant.label: one.variant.method.needs for one in found}
    return [f"{label} was told {' and '.join(names[n] for n in some)}." for label, some in needs.items() if some]


def read(bench: Bench, protocol: Protocol) -> list[str]:
    """A sentence for every solver that reads kernels in another convention than y are made in."""
    made, ways = protocol.convention, {one.label: one.convention for one in bench.solvers}
    differ = {label: way for label, way in ways.items() if replace(way, name=made.name) != made}
    return [f"y are made in convention {made.name}; {label} reads kernels as {way.name}." for label, way in differ.items()]


def over_columns(lines: Sequence[Line], along: str, quantity: str = "PSNR, dB") -> "Figure":
    """Curves over columns whose names end in numbers: a panel per block (``title, quantity``), a curve per method."""
    panels: dict[tuple[str, str], dict[str, Curve]] = {}
    for line in lines:
        title, _, named = line.block.partition(", ")
        points = [(float(column.split()[-1]), value) for column, value in line.values.items() if value is not None]
        if points:
            panels.setdefault((title, named or quantity), {})[line.method] = points
    return curves(panels, along)
