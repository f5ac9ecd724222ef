"""The training loop: a generator of records. Devices, processes and precision are Lightning Fabric's business."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnpsr.data import Source
from pnpsr.solver import UnrolledSolver
from pnpsr.train.options import Options
from pnpsr.train.record import Diverged as Diverged
from pnpsr.train.record import Record as Record
from pnpsr.train.run import Run
from pnpsr.train.stages import Stage
from pnpsr.train.validation import Validation

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def train(
    solver: UnrolledSolver,
    stream: Source,
    stages: Sequence[Stage],
    options: Options | None = None,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    validation: Validation | None = None,
    fabric: "Fabric | None" = None,
    note: Mapping[str, Any] | None = None,
    stop: Callable[[], object] | None = None,
) -> Iterator[Record]:
    """Train ``solver`` in place through the stages; yield a :class:`Record` every few steps; early stop is the caller's.

    At the end of a stage the averaged weights replace the last ones, and after the last record they are the solver's.

    Args:
        solver: an :class:`UnrolledSolver`; other modules have no slots to train.
        stream: the data, drawn one by one on CPUs (:class:`pnpsr.data.Stream`), in batch on the device
            (:class:`pnpsr.data.BatchedStream`), or by whatever else is a :class:`pnpsr.data.Source`; its rank and world are set to
            those of ``fabric``.
        stages: one after another, each for its share of ``options.steps``.
        options: see :class:`Options`.
        folder: where checkpoints, CSV files, TensorBoard events and panels go; None keeps nothing.
        resume: go on with the run in ``folder`` if it has a checkpoint; bit for bit the same as an uninterrupted run on CPUs.
        validation: scored every ``options.validate_every`` steps and at the end of each stage, with the averaged weights.
        fabric: a launched ``lightning.Fabric``; by default one on this machine's best device, in ``options.precision``.
        note: what else identifies the run; resuming compares it. Solver, data, stages and options are compared anyway.
        stop: asked after every step (by several processes: at every record); once it returns something true, a
            checkpoint is written and the training ends.

    Raises:
        TypeError: a solver without slots, data that are no stream, a loss that returns no tensor.
        ValueError: no stages, resuming without a folder or another run, a folder in which a training is running, a stage that names
            parts which are not there, a loss that is no number, is constant or has no gradient.
        Diverged: the loss is no longer finite.
        OSError: a checkpoint could not be written.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.data import FromDataset, setting, Stream
        >>> from pnpsr.train import Options, stages_for, train
        >>> solver = usrnet(T=1, widths=(2, 2, 2, 2))
        >>> stream = Stream(FromDataset([torch.rand(3, 48, 48)]), setting("usrnet"), batch=2, patch=24)
        >>> [record.step for record in train(solver, stream, stages_for(solver), Options(steps=2, workers=0, log_every=1))]
        [1, 2]
    """
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"solver must be an UnrolledSolver, got {type(solver).__name__}: stages name its slots")
    if not callable(getattr(stream, "samples", None)):
        raise TypeError(
            f"stream must be a pnpsr.data.Stream, got {type(stream).__name__}; make one of sharp pictures: "
            "Stream(Folder('photos'), setting('ikrnet'), batch=8, patch=96), or Stream(FromDataset(dataset), ...)"
        )
    if isinstance(stages, Stage) or not all(isinstance(stage, Stage) for stage in stages):
        raise TypeError("stages must be a list of Stage, such as stages_for(solver) or [Stage(...)]")
    if not stages:
        raise ValueError("stages must name at least one Stage")
    if resume and folder is None:
        raise ValueError("resume needs the folder of the run: pass folder=...")
    options = options or Options()
    fabric = fabric if fabric is not None else _fabric(options)
    return Run(solver, stream, stages, options, folder, resume, validation, fabric, note or {}, stop).records()


def _fabric(options: Options) -> "Fabric":
    from lightning.fabric import Fabric

    fabric = Fabric(precision=options.precision, devices=1)
    fabric.launch()
    return fabric
