"""The state of one training, and its steps."""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.conventions import PNPSR
from pnpsr.data import Sample, Source
from pnpsr.solver import UnrolledSolver
from pnpsr.train.agreement import noted
from pnpsr.train.average import Average
from pnpsr.train.folder import RunFolder
from pnpsr.train.gauge import PROBED, Gauge, Reading
from pnpsr.train.log import Log
from pnpsr.train.objective import Objective, Sealed
from pnpsr.train.options import Options, lasting, rate_factor
from pnpsr.train.record import Diverged, Record
from pnpsr.train.stages import Stage, ends, ready
from pnpsr.train.validation import Scores, Validation

if TYPE_CHECKING:
    from lightning.fabric import Fabric


PATIENCE = 10  # batches in a row that may be left out


class Run:
    """One training: lives as long as the generator that :func:`pnpsr.train.train` returns, whose arguments it takes.

    Raises:
        ValueError: parts that are not there, a batch that cannot be shared out, another run in the folder.
    """

    def __init__(
        self,
        solver: UnrolledSolver,
        stream: Source,
        stages: Sequence[Stage],
        options: Options,
        folder: str | Path | None,
        resume: bool,
        validation: Validation | None,
        fabric: "Fabric",
        note: Mapping[str, Any],
        stop: Callable[[], object] | None = None,
    ) -> None:
        self.fabric, self.solver, self.stream, self.stages = fabric, solver, stream, stages
        self.options, self.validation, self.stop, self.stopped = options, validation, stop, False
        if stream.batch % fabric.world_size:
            raise ValueError(f"batch must be a multiple of the number of processes, {fabric.world_size}, got {stream.batch}")
        stream.rank, stream.world = fabric.global_rank, fabric.world_size
        self.learning = [parameter.requires_grad for parameter in solver.parameters()]
        self.modes = [module.training for module in solver.modules()]
        try:  # mistakes show now, not when a stage's turn comes
            for stage in stages:
                Objective(solver, stage, Options()).groups(options.rate)
        finally:
            self._release()
        solver.to(fabric.device)
        if options.channels_last:
            solver.to(memory_format=torch.channels_last)
        self.average = Average(solver, options.average) if options.average else None
        self.averaged: UnrolledSolver = solver if self.average is None else self.average.module
        self.ends = ends(stages, options.steps)
        self.done, self.best = 0, -math.inf
        self.carried: Any = None  # the optimiser's state until its stage begins
        self.saved: Path | None = None
        self.left_out, self.skipped = set[str](), 0
        # on a CPU every step is read at once; elsewhere when a record or a checkpoint is due, so that nothing waits
        self.reads_all = fabric.device.type == "cpu"
        self.folder = RunFolder(folder, options.keep) if folder is not None and fabric.is_global_zero else None
        if self.folder is not None:
            pictures = stream.content()
            known = noted(solver, stream, stages, validation, pictures)
            run = self.folder.begin({**known, "ends": self.ends, **note, **lasting(options)}, resume, pictures)
            self.ends = [(a, b) for a, b in run.get("ends") or self.ends]
        self.ends = fabric.broadcast(self.ends)
        if resume:
            self._restore(fabric.broadcast(None if self.folder is None else self.folder.load_state("cpu")))
        self.log = None if self.folder is None else Log(self.folder.path, self.done)

    def records(self) -> Iterator[Record]:
        """Every stage that is not behind us yet."""
        try:
            for stage, (start, end) in zip(self.stages, self.ends, strict=True):
                if self.done < end and not self.stopped:
                    yield from self._stage(stage, start, end)
            if self.done == self.ends[-1][1]:
                self._hand_over()
                if self.folder is not None:
                    self.folder.save_weights(self.solver, "last", self._convention())
        finally:
            self._release()
            if self.log is not None:
                self.log.close()
            if self.folder is not None:
                self.folder.end()

    def _convention(self) -> str | None:
        """The name of what the data are made under, where it is not pnpsr's own convention."""
        found = getattr(getattr(self.stream, "setting", None), "convention", PNPSR)
        return None if found == PNPSR else found.name

    def _stage(self, stage: Stage, start: int, end: int) -> Iterator[Record]:
        objective = Objective(self.solver, stage, self.options)
        optimiser: Any = torch.optim.Adam(objective.groups(self.options.rate), betas=(0.9, 0.99))
        if self.carried is not None:
            optimiser.load_state_dict(self.carried)
            self.carried = None
        module, optimiser = self.fabric.setup(objective, optimiser)
        gauge = Gauge(self.fabric, overflow=self.options.precision == "16-mixed")
        clock, images, due = time.perf_counter(), 0, self.options
        device = self.fabric.device
        with closing(self.stream.samples(self.done, workers=self.options.workers, device=device)) as samples:
            while self.done < end and not self.stopped:
                rate = self.options.rate * rate_factor(self.options, self.done - start, end - start)
                reading = self._step(module, objective, optimiser, next(samples), rate, gauge)
                images, last, record = images + self.stream.batch, self.done == end, None
                validating = last or (due.validate_every and self.done % due.validate_every == 0)
                telling = validating or self.done % due.log_every == 0
                if self.done - start == PROBED and len(gauge.probed) == PROBED:
                    gauge.probe({name: weight for name, (weight, _) in stage.losses.items()})
                self.stopped = self._asked_to_stop(telling)
                saving = last or self.stopped or self.done % due.save_every == 0
                if telling or saving:
                    reading = reading or self._read(gauge)
                scores = self._validate(stage) if validating else None
                if telling and reading is not None:
                    speed = images / (time.perf_counter() - clock)
                    record = Record(self.done, stage.name, reading.losses, rate, reading.norm, speed, scores, len(self.left_out))
                    self._write(record)
                # after the record: a run that is killed between the two writes it again, and would else never have written it
                if saving:
                    self._close_stage(stage, optimiser, last)
                if record is not None:
                    yield record
                    clock, images = time.perf_counter(), 0

    def _close_stage(self, stage: Stage, optimiser: Any, last: bool) -> None:
        """Save; at the end of a stage the averaged weights take over, in the last one behind what more steps would go on from."""
        if last and stage is not self.stages[-1]:
            self._hand_over()
            self._save(None)
        else:
            self._save(optimiser)
            if last:
                self._hand_over()

    def _step(
        self, module: nn.Module, objective: Objective, optimiser: Any, sample: Sample, rate: float, gauge: Gauge
    ) -> Reading | None:
        """One optimiser step; what it says goes to the gauge, and is waited for on CPUs only.

        Raises:
            Diverged: a network said what an exact step refused to read.
            ArithmeticError: batch after batch cannot be computed.
        """
        for group in optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        terms: dict[str, Tensor] | None = None
        try:
            with nullcontext() if self.reads_all else checks.trusted():  # the gauge looks at what comes out
                terms = module(Sealed(sample))
        except checks.NotFinite as error:  # the data are finite
            if gauge.rows:
                self._read(gauge)  # it may have gone wrong earlier
            raise self._diverged(f"step {self.done + 1}: {str(error).partition(';')[0]}") from error
        except ArithmeticError:
            if gauge.rows:
                self._read(gauge)
            self.skipped += 1
            if self.skipped == PATIENCE or self.fabric.world_size > 1:
                raise
        self.done += 1
        for name, reason in (*sample.left_out, *objective.left_out):
            self._leave_out(name, reason)
        if terms is None:
            return None
        self.skipped = 0
        optimiser.zero_grad()
        self.fabric.backward(terms["total"])
        # fp16 scales its loss and skips a step whose gradients overflow: an infinite norm is no accident there
        norm: Any = self.fabric.clip_gradients(module, optimiser, max_norm=self.options.clip, error_if_nonfinite=False)
        gauge.see(self.done, terms, norm)
        reading = self._read(gauge) if self.reads_all else None  # before the weights take it in
        optimiser.step()
        if self.average is not None:
            self.average.update(self.solver)
        return reading

    def _read(self, gauge: Gauge) -> Reading | None:
        try:
            return gauge.read() if gauge.rows else None
        except Diverged as error:
            raise self._diverged(str(error)) from None

    def _diverged(self, what: str) -> Diverged:
        good = f"the last good checkpoint is {self.saved}" if self.saved else "no checkpoint was written before"
        return Diverged(f"{what}; {good}; start again from it with a lower rate")

    def _leave_out(self, name: str, reason: str) -> None:
        """Go on without a sample: its picture is named once, with a warning and in ``left_out.csv``."""
        if name not in self.left_out:
            self.left_out.add(name)
            warnings.warn(f"step {self.done}: {name} is left out: {reason}")
            if self.log is not None and self.folder is not None:
                with self.folder.guarded("left_out.csv"):
                    self.log.left_out(self.done, name, reason)

    def _asked_to_stop(self, telling: bool) -> bool:
        """Whether somebody wants the training to end here; several processes ask one another when they tell their losses anyway."""
        if self.stop is None or (self.fabric.world_size > 1 and not telling):
            return False
        if self.fabric.world_size == 1:
            return bool(self.stop())
        asked: Any = self.fabric.all_gather(torch.tensor(float(bool(self.stop())), device=self.fabric.device))
        return bool(asked.any())

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
                    self.folder.save_weights(solver, "best", self._convention())
        self.fabric.barrier()
        return scores

    def _hand_over(self) -> None:
        """The averaged weights become the solver's: later stages build on what was validated."""
        if self.average is not None and int(self.average.n_averaged):
            self.solver.load_state_dict(self.averaged.state_dict())

    def _write(self, record: Record) -> None:
        if self.log is not None and self.folder is not None:
            with self.folder.guarded(f"record of step {record.step}"):
                self.log.write(record)

    def _save(self, optimiser: Any) -> None:
        import pnpsr

        if self.folder is not None:
            state = {"step": self.done, "best": self.best, "solver": self.solver.state_dict()}
            state["optimiser"] = None if optimiser is None else optimiser.state_dict()
            state["average"] = None if self.average is None else self.average.state_dict()
            state["precision"] = self.fabric.strategy.precision.state_dict()  # the loss scale of fp16
            state["version"] = pnpsr.__version__
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
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.saved = self.folder.loaded if self.folder is not None else None

    def _release(self) -> None:
        """Parts that a stage froze may learn again, and are in the mode they were in: both are the stage's, not the solver's."""
        for parameter, learns in zip(self.solver.parameters(), self.learning, strict=True):
            parameter.requires_grad_(learns)
        for module, training in zip(self.solver.modules(), self.modes, strict=True):
            module.training = training
