"""The training loop: a generator of records. Devices, processes and precision are Lightning Fabric's business."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnpsr.data import BatchedStream, Stream
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
    stream: Stream | BatchedStream,
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
        stream: the data, drawn one by one on CPUs or in batch on the device; its rank and world are set to those of ``fabric``.
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
    if not stages:
        raise ValueError("stages must name at least one Stage")
    if resume and folder is None:
        raise ValueError("resume needs the folder of the run: pass folder=...")
    options = options or Options()
    return Run(
        solver, stream, stages, options, folder, resume, validation, fabric if fabric is not None else _fabric(options), note or {}
    ).records()


def _fabric(options: Options) -> "Fabric":
    from lightning.fabric import Fabric

    fabric = Fabric(precision=options.precision, devices=1)
    fabric.launch()
    return fabric
