"""``pnpsr train``: a recipe on your pictures, resumable, on whatever hardware there is."""

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm import tqdm

from pnpsr.cli.training import DataChoice, Machine, build, pick_stages, take
from pnpsr.recipes import entry_of
from pnpsr.train import Options, Record, deepened
from pnpsr.train import train as steps


def train(
    recipe: Annotated[str, tyro.conf.Positional],
    images: Annotated[str, tyro.conf.Positional],
    options: Options,
    choice: DataChoice,
    machine: Machine,
    *,
    arguments: str = "{}",
    stages: tuple[str, ...] | None = None,
    deep: bool = False,
    init: tuple[str, ...] = (),
    out: Path = Path("runs/run"),
    resume: bool = False,
) -> None:
    """Train a recipe on a folder of pictures: writes checkpoints, weights, records, TensorBoard events and sample panels.

    With several devices or nodes start it under ``torchrun`` (``torchrun --nproc-per-node 2 -m pnpsr train ... --devices 2``).

    Args:
        recipe: what to train, by its name; in its own stages, those of its paper where it has one.
        images: folder with the sharp training pictures, searched with its subfolders; or deepinv:CLASS:FOLDER for a data set.
        options: steps, rate, precision, what is kept.
        choice: the training data.
        machine: where it runs.
        arguments: of the recipe, as JSON, for example '{"scale": 4, "width": 32}'.
        stages: names of the stages to run, in place of all of the recipe's; "all steps" of ikrnet runs only if named.
        deep: supervise all iterates instead of the last.
        init: weight files (or presets) to start from: every tensor of the same name and shape is taken, later files win.
        out: folder of the run.
        resume: go on with the run in that folder, if there is one.
    """
    fabric = machine.fabric(options.precision)
    torch.manual_seed(choice.seed)
    solver = build(recipe, arguments)
    chosen = [deepened(stage) if deep else stage for stage in pick_stages(solver, stages)]
    named = choice.setting(entry_of(recipe).data, solver)
    for name in init:
        count = take(solver, name)
        if fabric.is_global_zero:
            print(f"{name}: {count} tensors taken")
    stream, validation = choice.streams(images, named, solver)
    note = {"recipe": recipe, "arguments": arguments, **choice.note(named), "init": init, "deep": deep}
    records = steps(solver, stream, chosen, options, folder=out, resume=resume, validation=validation, fabric=fabric, note=note)
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "commands.txt").open("a") as file:
            file.write(shlex.join(["pnpsr", *sys.argv[1:]]) + "\n")
    with tqdm(total=options.steps, unit="step", disable=not fabric.is_global_zero) as bar:
        for record in records:
            bar.update(record.step - bar.n)
            _show(bar, record)


def _show(bar: "tqdm[None]", record: Record) -> None:
    """The record on the progress bar, and its validation on a line of its own."""
    losses = " ".join(f"{name} {value:.4g}" for name, value in record.losses.items())
    bar.set_postfix_str(f"{record.stage}: {losses}, {record.images_per_second:.3g} img/s")
    if record.scores is not None and not bar.disable:
        known = {name: value for name, value in asdict(record.scores).items() if value is not None}
        bar.write(f"step {record.step:>7} {record.stage}: " + ", ".join(f"{n} {v:.3f}" for n, v in known.items()))
