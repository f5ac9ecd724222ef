"""The state of one training, and its steps."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.data import BatchedStream, Stream
from pnpsr.data.stream import Draft, realise
from pnpsr.solver import UnrolledSolver
from pnpsr.train.average import averaged
from pnpsr.train.folder import RunFolder
from pnpsr.train.log import Log
from pnpsr.train.objective import Objective, Sealed
from pnpsr.train.options import Options, lasting, rate_factor
from pnpsr.train.record import Diverged, Record
from pnpsr.train.stages import Stage, ends, ready
from pnpsr.train.validation import Scores, Validation

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Run:
    """One training: lives as long as the generator that :func:`pnpsr.train.train` returns, whose arguments it takes.

    Raises:
        ValueError: parts that are not there, a batch that cannot be shared out, another run in the folder.
    """

    def __init__(
        self,
        solver: UnrolledSolver,
        stream: Stream | BatchedStream,
        stages: Sequence[Stage],
        options: Options,
        folder: str | Path | None,
        resume: bool,
        validation: Validation | None,
        fabric: "Fabric",
        note: Mapping[str, Any],
    ) -> None:
        self.fabric, self.solver, self.stream, self.stages = fabric, solver, stream, stages
        self.options, self.validation = options, validation
        if stream.batch % fabric.world_size:
            raise ValueError(f"batch must be a multiple of the number of processes, {fabric.world_size}, got {stream.batch}")
        stream.rank, stream.world = fabric.global_rank, fabric.world_size
        self.learning = [parameter.requires_grad for parameter in solver.parameters()]
        try:  # mistakes show now, not when a stage's turn comes
            for stage in stages:
                Objective(solver, stage, Options()).groups(options.rate)
        finally:
            self._release()
        solver.to(fabric.device)
        if options.channels_last:
            solver.to(memory_format=torch.channels_last)
        self.average = averaged(solver, options.average) if options.average else None
        self.averaged: UnrolledSolver = solver if self.average is None else self.average.module  # type: ignore[assignment]
        self.ends = ends(stages, options.steps)
        self.done, self.best = 0, -math.inf
        self.carried: Any = None  # the optimiser's state until its stage begins
        self.saved: Path | None = None
        self.folder = RunFolder(folder, options.keep) if folder is not None and fabric.is_global_zero else None
        if self.folder is not None:
            self.folder.begin({**note, "stages": [s.name for s in stages], **lasting(options)}, resume)
        if resume:
            self._restore(fabric.broadcast(None if self.folder is None else self.folder.load_state("cpu")))
        self.log = None if self.folder is None else Log(self.folder.path, self.done)

    def records(self) -> Iterator[Record]:
        """Every stage that is not behind us yet."""
        try:
            for stage, (start, end) in zip(self.stages, self.ends, strict=True):
                if self.done < end:
                    yield from self._stage(stage, start, end)
        finally:
            self._release()
            if self.log is not None:
                self.log.close()
        if self.folder is not None:
            self.folder.save_weights(self.solver, "last")

    def _stage(self, stage: Stage, start: int, end: int) -> Iterator[Record]:
        objective = Objective(self.solver, stage, self.options)
        optimiser: Any = torch.optim.Adam(objective.groups(self.options.rate), betas=(0.9, 0.99))
        if self.carried is not None:
            optimiser.load_state_dict(self.carried)
            self.carried = None
        module, optimiser = self.fabric.setup(objective, optimiser)
        clock, images, due = time.perf_counter(), 0, self.options
        with closing(self.stream.batches(self.done, workers=self.options.workers)) as drafts:
            while self.done < end:
                rate = self.options.rate * rate_factor(self.options, self.done - start, end - start)
                losses, norm = self._step(module, optimiser, next(drafts), rate)
                images, last, record = images + self.stream.batch, self.done == end, None
                scores = self._validate(stage) if last or (due.validate_every and self.done % due.validate_every == 0) else None
                if last:
                    self._hand_over()
                if last or scores is not None or self.done % due.log_every == 0:
                    speed = images / (time.perf_counter() - clock)
                    record = Record(self.done, stage.name, losses, rate, norm, speed, scores)
                    self._write(record)
                # after the record: a run that is killed between the two writes it again, and would else never have written it
                if last or self.done % due.save_every == 0:
                    self._save(optimiser if not last else None)
                if record is not None:
                    yield record
                    clock, images = time.perf_counter(), 0

    def _step(self, module: nn.Module, optimiser: Any, draft: Draft, rate: float) -> tuple[dict[str, float], float]:
        """One optimiser step; the losses and the gradient's norm.

        Raises:
            Diverged: the loss or, unless fp16's loss scale answers for it, the gradient is NaN or infinite.
        """
        for group in optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        sample = realise(draft, self.stream.setting, self.fabric.device)
        try:
            terms: dict[str, Tensor] = module(Sealed(sample))
        except checks.NotFinite as error:  # the data are finite: it is what a network said that an exact step refused to read
            raise self._diverged(str(error).partition(";")[0]) from error
        optimiser.zero_grad()
        self.fabric.backward(terms["total"])
        # fp16 scales its loss and skips a step whose gradients overflow: an infinite norm is no accident there
        clipped: Any = self.fabric.clip_gradients(module, optimiser, max_norm=self.options.clip, error_if_nonfinite=False)
        norm = float(clipped)
        reduced: Any = self.fabric.all_reduce(torch.stack([v.detach().float() for v in terms.values()]), reduce_op="mean")
        values = dict(zip(terms, reduced.tolist(), strict=True))
        if not math.isfinite(values["total"]):
            raise self._diverged("the loss is " + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
        if not math.isfinite(norm) and self.options.precision != "16-mixed":
            raise self._diverged(f"the gradient's norm is {norm:g} at a loss of {values['total']:.4g}")
        optimiser.step()
        self.done += 1
        if self.average is not None:
            self.average.update_parameters(self.solver)
        return values, norm

    def _diverged(self, what: str) -> Diverged:
        good = f"the last good checkpoint is {self.saved}" if self.saved else "no checkpoint was written before"
        return Diverged(f"step {self.done + 1}: {what}; {good}; start again from it with a lower rate")

    def _validate(self, stage: Stage) -> Scores | None:
        """Scores of the averaged weights, on the first process; the others wait."""
        scores = None
        if self.validation is not None and self.fabric.is_global_zero:
            solver = self.averaged
            slots = [slot for slot in solver.order if slot in ready(self.stages, stage)]
            with self.fabric.autocast():
                scores, (sample, s) = self.validation.run(solver.only(*slots), stage.given)
            if self.log is not None and self.folder is not None:
                with self.folder.guarded(f"panel of step {self.done}"):
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

    def _write(self, record: Record) -> None:
        if self.log is not None and self.folder is not None:
            with self.folder.guarded(f"record of step {record.step}"):
                self.log.write(record)

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
        self.saved = self.folder.states()[-1] if self.folder is not None else None

    def _release(self) -> None:
        """Parts that a stage froze may learn again: freezing is the stage's, not the solver's."""
        for parameter, learns in zip(self.solver.parameters(), self.learning, strict=True):
            parameter.requires_grad_(learns)
