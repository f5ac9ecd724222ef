"""``pnpsr train``: a recipe on your pictures, resumable, on whatever hardware there is."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm import tqdm

from pnpsr.cli.look import channels_of, looked_at, pairs_that_fit
from pnpsr.cli.pictures import pictures_at
from pnpsr.cli.training import DataChoice, Machine, began, build, pick_stages, take
from pnpsr.data import Pairs, Source
from pnpsr.recipes import entry_of
from pnpsr.solver import UnrolledSolver
from pnpsr.train import Options, Record, RunFolder, deepened, paired_stages, stopping
from pnpsr.train import train as steps


def train(
    recipe: Annotated[str, tyro.conf.Positional],
    images: Annotated[str | None, tyro.conf.Positional] = None,
    options: Options = Options(),  # noqa: B008  frozen
    choice: DataChoice = DataChoice(),  # noqa: B008
    machine: Machine = Machine(),  # noqa: B008
    *,
    pairs: tuple[str, str] | None = None,
    arguments: str | None = None,
    stages: tuple[str, ...] | None = None,
    deep: bool = False,
    init: tuple[str, ...] = (),
    partial: bool = False,
    out: Path = Path("runs/run"),
    resume: bool = False,
) -> None:
    """Train a recipe on a folder of pictures: writes checkpoints, weights, records, TensorBoard events and sample panels.

    With several devices or nodes start it under ``torchrun`` (``torchrun --nproc-per-node 2 -m pnpsr train ... --devices 2``).
    SIGTERM and Ctrl-C end the step, save the state and say how to go on.

    Args:
        recipe: what to train, by its name; in its own stages, those of its paper where it has one.
        images: folder with the sharp training pictures, searched with its subfolders; or deepinv:CLASS:FOLDER for a data set.
        options: steps, rate, precision, what is kept.
        choice: the training data.
        machine: where it runs.
        pairs: in place of images, two folders: observed pictures and the sharp ones of the same names. Kernel and noise are
            unknown, so the image's loss alone is minimised.
        arguments: of the recipe, as JSON, for example '{"scale": 4, "width": 32}'; what it leaves open is as in ``init``.
        stages: names of the stages to run, in place of all of the recipe's; "all steps" of ikrnet runs only if named.
        deep: supervise all iterates instead of the last.
        init: weight files (or presets) to start from: every tensor of the same name and shape is taken, later files win.
        partial: let a file of ``init`` be one of which most tensors do not fit.
        out: folder of the run.
        resume: go on with the run in that folder, if there is one.
    """
    if (images is None) == (pairs is None):
        raise ValueError("name a folder of sharp pictures, or --pairs OBSERVED SHARP, and not both")
    if pairs is not None and (stages is not None or choice.degrades()):
        raise ValueError(f"pairs have one stage, and y as it is: leave out {', '.join(choice.degrades() or ['--stages'])}")
    fabric = machine.fabric(options.precision)
    torch.manual_seed(choice.seed)
    solver = build(recipe, arguments, init)
    for name in init:
        count = take(solver, name, partial=partial)
        if fabric.is_global_zero:
            print(f"{name}: {count} tensors taken, of {len(solver.state_dict())} of the solver's")
    named = choice.setting(entry_of(recipe).data, solver) if images is not None else None
    usual = pick_stages(solver, stages) if pairs is None else paired_stages(solver)
    chosen = [deepened(stage) if deep else stage for stage in usual]
    stream: Source
    if named is not None and images is not None:
        pictures = pictures_at(images, channels_of(solver))
        choice.stream(pictures, named)  # what does not fit shows before every picture is looked at
        stream, validation = choice.streams(looked_at(pictures, choice, fabric), named)
    elif pairs is not None:
        observed, sharp = (pictures_at(where, channels_of(solver)) for where in pairs)
        stream, validation = choice.paired(pairs_that_fit(Pairs(observed, sharp, _scale(solver)), choice, fabric))
    note = {
        "recipe": recipe,
        "arguments": arguments or "{}",
        **choice.note(named),
        "init": init,
        "began": began(init),
        "deep": deep,
    }
    with stopping() as asked:
        records = steps(
            solver, stream, chosen, options, folder=out, resume=resume, validation=validation, fabric=fabric, note=note, stop=asked
        )
        if fabric.is_global_zero:
            with (out / "commands.txt").open("a") as file:
                file.write(shlex.join(["pnpsr", *sys.argv[1:]]) + "\n")
        with tqdm(total=options.steps, unit="step", disable=not fabric.is_global_zero) as bar:
            for record in records:
                bar.update(record.step - bar.n)
                _show(bar, record)
        if asked() and fabric.is_global_zero and (saved := RunFolder(out).states()[-1]).stem != f"state-{options.steps:08d}":
            print(f"stopped; {saved} is saved: go on with the same command and --resume True", file=sys.stderr)
            sys.exit(128 + asked())


def _scale(solver: UnrolledSolver) -> int | None:
    """The only one that the solver can do, if there is one."""
    return None if solver.scale is None else int(solver.scale)  # type: ignore[arg-type]


def _show(bar: "tqdm[None]", record: Record) -> None:
    """The record on the progress bar, and its validation on a line of its own."""
    losses = " ".join(f"{name} {value:.4g}" for name, value in record.losses.items())
    bar.set_postfix_str(f"{record.stage}: {losses}, {record.images_per_second:.3g} img/s")
    if record.scores is not None and not bar.disable:
        known = {name: value for name, value in asdict(record.scores).items() if value is not None}
        bar.write(f"step {record.step:>7} {record.stage}: " + ", ".join(f"{n} {v:.3f}" for n, v in known.items()))
