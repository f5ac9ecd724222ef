"""The training loop: a generator of records. Devices, processes and precision are Lightning Fabric's business."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pnpsr.data.stream import Stream, realise
from pnpsr.solver import UnrolledSolver
from pnpsr.train.folder import RunFolder
from pnpsr.train.log import Log
from pnpsr.train.objective import Objective, Sealed
from pnpsr.train.options import Options, rate_factor
from pnpsr.train.stages import Stage
from pnpsr.train.validation import Scores, Validation

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Diverged(ArithmeticError):
    """The loss became NaN or infinite; the message names the step and the last good checkpoint."""


@dataclass(frozen=True)
class Record:
    """What happened at a step."""

    step: int  # optimiser steps completed, over all stages
    stage: str
    losses: Mapping[str, float]  # weighted, by name, with their sum as "total"; means over the processes
    rate: float  # learning rate before the parts' factors
    norm: float  # of the gradient before clipping
    images_per_second: float  # over all processes, since the last record
    scores: Scores | None = None


def train(
    solver: UnrolledSolver,
    stream: Stream,
    stages: Sequence[Stage],
    options: Options | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    validation: Validation | None = None,
    fabric: "Fabric | None" = None,
    note: Mapping[str, Any] | None = None,
) -> Iterator[Record]:
    """Train ``solver`` in place through the stages; yield a :class:`Record` every few steps; early stop is the caller's.

    At the end of a stage the averaged weights replace the last ones, and after the last record they are the solver's.

    Args:
        solver: an :class:`UnrolledSolver`; other modules have no slots to train.
        stream: the data; its rank and world are set to those of ``fabric``.
        stages: one after another, each for its share of ``options.steps``.
        options: see :class:`Options`.
        folder: where checkpoints, CSV files, TensorBoard events and panels go; None keeps nothing.
        resume: go on with the run in ``folder`` if it has a checkpoint; bit for bit the same as an uninterrupted run on CPUs.
        validation: scored every ``options.validate_every`` steps and at the end of each stage, with the averaged weights.
        fabric: a launched ``lightning.Fabric``; by default one on this machine's best device, in ``options.precision``.
        note: what else identifies the run (recipe, data); resuming compares it.

    Raises:
        TypeError: a solver without slots.
        ValueError: no stages, resuming without a folder or another run, a stage that names parts which are not there.
        Diverged: the loss is no longer finite.
        OSError: a checkpoint could not be written.
    """
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"solver must be an UnrolledSolver, got {type(solver).__name__}: stages name its slots")
    if not stages or (resume and folder is None):
        raise ValueError("resume needs the folder of the run" if stages else "stages must name at least one Stage")
    return _Run(solver, stream, stages, options or Options(), folder, resume, validation, fabric, note or {}).records()


class _Run:
    """The state of one training, and its steps; lives as long as the generator."""

    def __init__(
        self,
        solver: UnrolledSolver,
        stream: Stream,
        stages: Sequence[Stage],
        options: Options,
        folder: str | Path | None,
        resume: bool,
        validation: Validation | None,
        fabric: "Fabric | None",
        note: Mapping[str, Any],
    ) -> None:
        self.fabric = fabric if fabric is not None else _fabric(options)
        self.solver, self.stream, self.stages, self.options, self.validation = solver, stream, stages, options, validation
        if stream.batch % self.fabric.world_size:
            raise ValueError(f"batch must be a multiple of the {self.fabric.world_size} processes, got {stream.batch}")
        stream.rank, stream.world = self.fabric.global_rank, self.fabric.world_size
        solver.to(self.fabric.device)
        if options.channels_last:
            solver.to(memory_format=torch.channels_last)
        self.average = AveragedModel(solver, avg_fn=_averaging(options.average)) if options.average else None
        self.averaged: UnrolledSolver = solver if self.average is None else self.average.module  # type: ignore[assignment]
        self.ends = _ends(stages, options.steps)
        self.done, self.best = 0, -math.inf
        self.carried: Any = None  # the optimiser's state until its stage begins
        self.saved: Path | None = None
        self.folder = RunFolder(folder, options.keep) if folder is not None and self.fabric.is_global_zero else None
        if self.folder is not None:
            self.folder.begin({**note, "stages": [s.name for s in stages], **_lasting(options)}, resume)
        if resume and folder is not None:
            self._restore(RunFolder(folder, options.keep).load_state("cpu"))
        self.log = None if self.folder is None else Log(self.folder.path, self.done)

    def records(self) -> Iterator[Record]:
        """Every stage that is not behind us yet."""
        try:
            for stage, (start, end) in zip(self.stages, self.ends, strict=True):
                if self.done < end:
                    yield from self._stage(stage, start, end)
        finally:
            if self.log is not None:
                self.log.close()
        if self.folder is not None:
            self.folder.save_weights(self.solver, "last")

    def _stage(self, stage: Stage, start: int, end: int) -> Iterator[Record]:
        objective = Objective(self.solver, stage, self.options)
        optimiser: Any = torch.optim.Adam(objective.groups(self.options.rate), lr=self.options.rate, betas=(0.9, 0.99))
        if self.carried is not None:
            optimiser.load_state_dict(self.carried)
            self.carried = None
        module, optimiser = self.fabric.setup(objective, optimiser)
        drafts = self.stream.batches(self.done, workers=self.options.workers)
        clock, images = time.perf_counter(), 0
        for draft in drafts:
            rate = self.options.rate * rate_factor(self.options, self.done - start, end - start)
            losses, norm = self._step(module, optimiser, draft, rate)
            images += self.stream.batch
            due, last = self.options, self.done == end
            scores = self._validate(stage) if last or (due.validate_every and self.done % due.validate_every == 0) else None
            if last:
                self._hand_over()
            if last or self.done % due.save_every == 0:
                self._save(optimiser if not last else None)
            if last or scores is not None or self.done % due.log_every == 0:
                speed = images / (time.perf_counter() - clock)
                record = Record(self.done, stage.name, losses, rate, norm, speed, scores)
                if self.log is not None:
                    self.log.write(record)
                yield record
                clock, images = time.perf_counter(), 0
            if last:
                return

    def _step(self, module: nn.Module, optimiser: Any, draft: Any, rate: float) -> tuple[dict[str, float], float]:
        """One optimiser step; the losses and the gradient's norm.

        Raises:
            Diverged: the loss is NaN or infinite.
        """
        for group in optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        terms: dict[str, Tensor] = module(Sealed(realise(draft, self.stream.setting, self.fabric.device)))
        optimiser.zero_grad()
        self.fabric.backward(terms["total"])
        # fp16 scales its loss and skips a step whose gradients overflow: an infinite norm is no accident there
        clipped: Any = self.fabric.clip_gradients(module, optimiser, max_norm=self.options.clip, error_if_nonfinite=False)
        norm = float(clipped)
        reduced: Any = self.fabric.all_reduce(torch.stack([v.detach().float() for v in terms.values()]), reduce_op="mean")
        values = dict(zip(terms, reduced.tolist(), strict=True))
        if not (math.isfinite(values["total"]) and (self.options.precision == "16-mixed" or math.isfinite(norm))):
            good = f"the last good checkpoint is {self.saved}" if self.saved else "no checkpoint was written before"
            raise Diverged(
                f"the {'loss' if not math.isfinite(values['total']) else 'gradient'} is {values['total']:g} at step "
                f"{self.done + 1} ({', '.join(f'{n} {v:.4g}' for n, v in values.items())}); {good}; "
                "resume from it with a lower rate"
            )
        optimiser.step()
        self.done += 1
        if self.average is not None:
            self.average.update_parameters(self.solver)
        return values, norm

    def _validate(self, stage: Stage) -> Scores | None:
        """Scores of the averaged weights, on the first process; the others wait."""
        scores = None
        if self.validation is not None and self.fabric.is_global_zero:
            solver = self.averaged
            slots = [slot for slot in solver.order if slot in _ready(self.stages, stage)]
            with self.fabric.autocast():
                scores, (sample, s) = self.validation.run(solver.only(*slots), stage.given)
            if self.log is not None and self.folder is not None:
                self.log.panel(self.done, sample, s, scores)
                if stage is self.stages[-1] and scores.psnr > self.best:
                    self.best = scores.psnr
                    self.folder.save_weights(solver, "best")
        self.fabric.barrier()
        return scores

    def _hand_over(self) -> None:
        """The averaged weights become the solver's: later stages build on what was validated."""
        if self.average is not None:
            self.solver.load_state_dict(self.averaged.state_dict())

    def _save(self, optimiser: Any) -> None:
        if self.folder is not None:
            state = {"step": self.done, "best": self.best, "solver": self.solver.state_dict()}
            state["optimiser"] = None if optimiser is None else optimiser.state_dict()
            state["average"] = None if self.average is None else self.average.state_dict()
            state["precision"] = self.fabric._precision.state_dict()  # the loss scale of fp16
            self.saved = self.folder.save_state(self.done, state)
        self.fabric.barrier()

    def _restore(self, state: Mapping[str, Any] | None) -> None:
        if state is None:
            return
        self.done, self.best, self.carried = state["step"], state["best"], state["optimiser"]
        self.solver.load_state_dict(state["solver"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if state["precision"]:
            self.fabric._precision.load_state_dict(state["precision"])


def _fabric(options: Options) -> "Fabric":
    from lightning.fabric import Fabric

    fabric = Fabric(precision=options.precision, devices=1)
    fabric.launch()
    return fabric


def _ends(stages: Sequence[Stage], steps: int) -> list[tuple[int, int]]:
    """First and last step of each stage, in proportion to the shares."""
    total, edges = sum(stage.share for stage in stages), [0]
    for stage in stages:
        edges.append(edges[-1] + stage.share)  # type: ignore[arg-type]
    return [(round(a / total * steps), round(b / total * steps)) for a, b in pairwise(edges)]


def _ready(stages: Sequence[Stage], stage: Stage) -> set[str]:
    """Slots that have been run by this stage or an earlier one: what can be validated."""
    return {slot for one in stages[: list(stages).index(stage) + 1] for slot in one.run}


def _lasting(options: Options) -> dict[str, Any]:
    """What must not change when a run is resumed: all that has a part in the numbers."""
    free = ("workers", "save_every", "keep", "validate_every", "log_every")
    return {name: value for name, value in vars(options).items() if name not in free}


def _averaging(decay: float) -> Any:
    """a ← a + (1 - d)(w - a), d rising from 0.1 to ``decay``, so that the first random weights are soon forgotten."""

    def average(averaged: Tensor, weight: Tensor, count: Tensor | int) -> Tensor:
        d = min(decay, (1 + float(count)) / (10 + float(count)))
        return averaged + (1 - d) * (weight - averaged)

    return average
