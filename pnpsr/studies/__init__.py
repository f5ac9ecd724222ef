"""The studies of the two papers, each as one call: what they measured, measured here, with their numbers beside ours."""

from pnpsr.studies import dan as _dan
from pnpsr.studies import ikrnet as _ikrnet
from pnpsr.studies.bench import Bench as Bench
from pnpsr.studies.solvers import Candidate as Candidate
from pnpsr.studies.solvers import candidate as candidate
from pnpsr.studies.solvers import candidates as candidates
from pnpsr.studies.study import Study as Study
from pnpsr.studies.study import run_study as run_study
from pnpsr.studies.table import Findings as Findings
from pnpsr.studies.table import Line as Line
from pnpsr.values import Registry


def _named(name: str, one: Study) -> None:
    if not isinstance(one, Study) or one.name != name:
        raise ValueError(f"under {name!r} a Study of that name is due, got {one!r}: STUDIES[{name!r}] = Study({name!r}, ...)")


STUDIES: Registry[Study] = Registry("study", _named)
for _one in (*_dan.STUDIES, *_ikrnet.STUDIES):
    STUDIES[_one.name] = _one
