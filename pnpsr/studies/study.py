"""A study: a published table or figure, what it prints, and the function that measures the same here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pnpsr.studies.bench import Bench
from pnpsr.studies.report import write_report
from pnpsr.studies.table import Findings, Line


@dataclass(frozen=True, eq=False)
class Study:
    """One table or figure of a paper as one function.

    Args:
        name: ``PAPER-table3``; files are called after it.
        title: what is measured.
        source: where the numbers of ``paper`` are printed.
        run: measures; raises a ValueError that says what it lacks.
        paper: the published lines; none where the paper draws curves or pictures only.
        presets: solvers that are taken if none are named.
        form: how numbers are printed, where their column has no format of its own.

    Example:
        >>> from pnpsr.studies import Findings, Study
        >>> study = Study("mine", "nothing", "nowhere", lambda bench: Findings([]))
        >>> str(study)
        'nowhere: nothing'
    """

    name: str
    title: str
    source: str
    run: Callable[[Bench], Findings]
    paper: Sequence[Line] = ()
    presets: tuple[str, ...] = ()
    form: str = ".2f"

    def __str__(self) -> str:
        return f"{self.source}: {self.title}"


def run_study(study: Study, bench: Bench, out: str | Path, *, command: str = "", missing: Sequence[str] = ()) -> Findings:
    """Measure and write ``out/NAME.md``, ``NAME.csv``; as there are any ``.differences.csv``, ``.timings.csv``, ``NAME.webp``.

    Args:
        study: which.
        bench: with what.
        out: folder; made if it does not exist.
        command: printed as what made the files.
        missing: presets that the study would have taken, had they been installed.

    Raises:
        ValueError: the study lacks something, or nothing could be measured; the message begins with the study's name.

    Example:
        >>> from pnpsr.studies import Bench, Findings, Line, run_study, Study
        >>> study = Study("mine", "one number", "here", lambda bench: Findings([Line("all", "mine", {"PSNR": 25.0})]))
        >>> len(run_study(study, Bench(), "tables").lines)
        1
    """
    try:
        findings = study.run(bench)
    except ValueError as error:
        absent = f" (presets not installed: {', '.join(missing)})" if missing else ""
        raise ValueError(f"{study.name}: {error}{absent}") from error
    notes = [*findings.notes, *([f"Not measured, because not installed: {', '.join(missing)}."] if missing else [])]
    if bench.limit is not None:
        notes.insert(0, f"Only the first {bench.limit} picture(s) of each folder: not the paper's averages.")
    findings = replace(findings, notes=notes)
    write_report(study.name, str(study), study.paper, findings, Path(out), form=study.form, command=command)
    return findings
