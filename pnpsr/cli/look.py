"""A look at the training pictures before the first step: which can be used."""

import sys
from pathlib import Path
from typing import Any

from torch import nn
from tqdm import tqdm

from pnpsr.cli.training import DataChoice
from pnpsr.data import Pairs, Pictures, Survey, cached, surveyed
from pnpsr.data.pictures import Subset
from pnpsr.data.survey import refuse
from pnpsr.needs import needs_of


def channels_of(solver: nn.Module) -> int:
    """Of the pictures: what the solver's networks read, three where any number will do."""
    return needs_of(solver).channels or 3


def looked_at(pictures: Pictures, choice: DataChoice, fabric: Any) -> Pictures:
    """The pictures that can be read, after a look at every one of them; the first process looks, and tells the others.

    Raises:
        ValueError: some cannot be read, and are not to be skipped; or none can.
    """
    if choice.cache is not None:
        if fabric.is_global_zero:
            _looked(pictures, choice.cache)
        fabric.barrier()
        survey = cached(pictures, choice.cache)  # the first process has written it
    else:
        broken: dict[str, str] = fabric.broadcast(dict(_looked(pictures, None).broken) if fabric.is_global_zero else {})
        survey = Survey(Subset(pictures, [i for i, name in enumerate(pictures.names) if name not in broken]), broken)
    if not choice.skip_broken:
        refuse(survey.broken)
    told = "; ".join(f"{name}: {reason}" for name, reason in survey.broken.items())
    if told and fabric.is_global_zero:
        print(f"{len(survey.broken)} picture(s) left out: {told}", file=sys.stderr)
    return survey.whole


def pairs_that_fit(pairs: Pairs, choice: DataChoice, fabric: Any) -> Pairs:
    """The pairs whose two pictures can be read, fit in size and lie over one another.

    Raises:
        ValueError: some do not, and are not to be skipped.
    """
    broken: dict[str, str] = fabric.broadcast(dict(_looked(pairs, None).broken) if fabric.is_global_zero else {})
    if not choice.skip_broken:
        refuse(broken)
    return pairs.part([i for i, name in enumerate(pairs.names) if name not in broken])


def _looked(pictures: Any, cache: Path | None) -> Survey:
    """Every picture decoded once, with progress."""
    with tqdm(total=len(pictures.names), desc="pictures", unit="", leave=False, delay=1) as bar:

        def progress(done: int, _: int) -> None:
            bar.update(done - bar.n)

        return surveyed(pictures, progress) if cache is None else cached(pictures, cache, progress)
