"""Tiny solvers and streams of every recipe that has stages, and a few steps of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from synthetic import pictures
from torch import Tensor, nn

from pnpsr.data import FromDataset, Setting, Stream, setting
from pnpsr.data.stream import Draft
from pnpsr.recipes import RECIPES, entry_of, trainable
from pnpsr.solver import UnrolledSolver
from pnpsr.train import Options, Record, Stage, stages_for, train

SCALE, SIZE = 2, 5
DATA: Setting = setting("ikrnet", scales=(SCALE,), size=SIZE)
QUICK = {"warmup": 0, "workers": 0, "log_every": 1, "save_every": 1000, "validate_every": 0, "rate": 1e-3, "decay": "constant"}


def quick(**values: Any) -> Options:
    """A few quiet steps."""
    return Options(**{**QUICK, **values})


def solver(recipe: str = "ikrnet", seed: int = 0, **arguments: Any) -> UnrolledSolver:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RECIPES[recipe](**{**entry_of(recipe).tiny, **arguments})


STAGES = {recipe: stages_for(solver(recipe)) for recipe in trainable()}


def collection(count: int = 4, side: int = 40) -> FromDataset:
    return FromDataset(pictures(count, 3, side, side, seed=5, dtype=torch.float32))


def stream(batch: int = 2, patch: int = 24, seed: int = 0, one: Setting = DATA) -> Stream:
    return Stream(collection(), one, batch=batch, patch=patch, seed=seed)


class Same(Stream):
    """The batch of step 0, again and again."""

    def __getitem__(self, step: int) -> Draft:
        return super().__getitem__(0)


def only(*names: str, recipe: str = "ikrnet") -> list[Stage]:
    return [stage for stage in STAGES[recipe] if stage.name in names]


def run(net: UnrolledSolver, stages: Sequence[Stage], options: Options, s: Stream | None = None, **others: Any) -> list[Record]:
    return list(train(net, s or stream(), stages, options, **others))


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def losses(folder: Path) -> list[list[str]]:
    """What ``records.csv`` says, without the speed: step, stage, rate, norm, losses."""
    rows = [line.split(",") for line in (folder / "records.csv").read_text().splitlines()]
    return [[*row[:4], *row[5:]] for row in rows]
