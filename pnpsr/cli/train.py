"""``pnpsr train``: a recipe on your pictures, resumable, on whatever hardware there is."""

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from torch import nn
from tqdm import tqdm

from pnpsr import checks
from pnpsr.checkpoint import load
from pnpsr.conventions import NAMED
from pnpsr.data import Folder, Setting, Stream, held_out, setting
from pnpsr.recipes import RECIPES
from pnpsr.solver import UnrolledSolver
from pnpsr.train.options import Options
from pnpsr.train.stages import Stage, deepened, stages_for

USUAL = {"dan": "dan-setting1", "ikrnet": "ikrnet", "mixed": "ikrnet", "usrnet": "usrnet", "two_step": "ikrnet"}


def train(
    recipe: Annotated[Literal["dan", "ikrnet", "mixed", "two_step", "usrnet"], tyro.conf.Positional],
    images: Annotated[Path, tyro.conf.Positional],
    options: Options,
    *,
    arguments: str = "{}",
    data: str | None = None,
    scales: tuple[int, ...] | None = None,
    sigma: tuple[float, float] | None = None,
    clean: float | None = None,
    convention: str | None = None,
    batch: int = 8,
    patch: int = 96,
    seed: int = 0,
    stages: tuple[str, ...] | None = None,
    deep: bool = False,
    init: tuple[str, ...] = (),
    hold_out: int = 20,
    validate_on: int = 8,
    validation_patch: int = 192,
    out: Path = Path("runs/run"),
    resume: bool = False,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    threads: int | None = None,
) -> None:
    """Train a recipe on a folder of pictures: writes checkpoints, weights, records, TensorBoard events and sample panels.

    With several devices or nodes start it under ``torchrun`` (``torchrun --nproc-per-node 2 -m pnpsr train ... --devices 2``).

    Args:
        recipe: what to train, in the stages of its paper.
        images: folder with the sharp training pictures (PNG, JPEG, TIFF, BMP), searched with its subfolders.
        options: steps, rate, precision, what is kept.
        arguments: of the recipe, as JSON, for example '{"scale": 4, "width": 32}'.
        data: named setting of the degradations: dan-setting1, dan-setting2, ikrnet, usrnet; by default the recipe's own.
        scales: in place of the setting's; one is drawn per batch.
        sigma: lowest and highest noise level, in place of the setting's.
        clean: share of noise-free samples, in place of the setting's.
        convention: how y is made, in place of the setting's: PNPSR, DAN, ... (see ``pnpsr.conventions``).
        batch: samples per step, over all devices.
        patch: side of the sharp crops in pixels.
        seed: of the first weights and of the data.
        stages: names of the stages to run, in place of all of the recipe's.
        deep: supervise all iterates instead of the last.
        init: weight files (or presets) to start from: every tensor of the same name and shape is taken, later files win.
        hold_out: number of pictures kept for validation.
        validate_on: validation samples per scale.
        validation_patch: side of their sharp crops.
        out: folder of the run.
        resume: go on with the run in that folder, if there is one.
        accelerator: auto, cpu, cuda, mps.
        devices: processes per node.
        nodes: number of nodes.
        threads: of each process on a CPU; left to torch if not given.
    """
    from lightning.fabric import Fabric

    from pnpsr.train.loop import train as steps
    from pnpsr.train.validation import Validation

    if threads is not None:
        torch.set_num_threads(checks.whole(threads, "threads"))
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=options.precision)
    fabric.launch()
    torch.manual_seed(seed)
    solver = _build(recipe, arguments)
    chosen = [deepened(stage) if deep else stage for stage in _stages(solver, stages)]
    named = _setting(data or USUAL[recipe], solver, scales, sigma, clean, convention)
    for name in init:
        count = take(solver, name)
        if fabric.is_global_zero:
            print(f"{name}: {count} tensors taken")
    training, validating = held_out(Folder(images, _channels(solver)), hold_out, seed)
    stream = Stream(training, named, batch=batch, patch=patch, seed=seed)
    # a non-blind recipe is validated with what each of its stages is given
    check = Validation(validating, named, count=validate_on, patch=validation_patch) if hold_out and validate_on else None
    note: dict[str, Any] = {"recipe": recipe, "arguments": arguments}
    note |= {"setting": named.name, "scales": named.scales, "sigma": named.sigma}
    note |= {
        "clean": named.clean,
        "convention": named.convention.name,
        "batch": batch,
        "patch": patch,
        "seed": seed,
        "init": init,
        "deep": deep,
    }
    records = steps(solver, stream, chosen, options, folder=out, resume=resume, validation=check, fabric=fabric, note=note)
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "commands.txt").open("a") as file:
            file.write(shlex.join(["pnpsr", *sys.argv[1:]]) + "\n")
    with tqdm(total=options.steps, unit="step", disable=not fabric.is_global_zero) as bar:
        for record in records:
            bar.update(record.step - bar.n)
            losses = " ".join(f"{name} {value:.4g}" for name, value in record.losses.items())
            bar.set_postfix_str(f"{record.stage}: {losses}, {record.images_per_second:.3g} img/s")
            if record.scores is not None and fabric.is_global_zero:
                known = {name: value for name, value in asdict(record.scores).items() if value is not None}
                bar.write(f"step {record.step:>7} {record.stage}: " + ", ".join(f"{n} {v:.3f}" for n, v in known.items()))


def take(solver: nn.Module, name: str) -> int:
    """Copy every tensor of the file or preset ``name`` that has the name and shape of one of the solver's; how many there were.

    Raises:
        ValueError: there is none.
    """
    mine, theirs = solver.state_dict(), load(name).state_dict()
    fitting = {key: value for key, value in theirs.items() if key in mine and mine[key].shape == value.shape}
    if not fitting:
        raise ValueError(f"init: no tensor of {name} has the name and shape of one of the solver's; was it built with other sizes?")
    solver.load_state_dict({**mine, **fitting})
    return len(fitting)


def _stages(solver: UnrolledSolver, names: Sequence[str] | None) -> list[Stage]:
    known = {stage.name: stage for stage in stages_for(solver)}
    for name in names or ():
        checks.choice(name, tuple(known), "stages")
    return [stage for name, stage in known.items() if names is None or name in names]


def _build(recipe: str, arguments: str) -> UnrolledSolver:
    try:
        given = json.loads(arguments)
    except json.JSONDecodeError as error:
        raise ValueError(f"arguments must be JSON such as '{{\"T\": 4}}', got {arguments!r}: {error}") from error
    if not isinstance(given, Mapping):
        raise ValueError(f"arguments must be a JSON object such as '{{\"T\": 4}}', got {arguments!r}")
    try:
        solver: Any = RECIPES[recipe](**given)
    except TypeError as error:
        raise ValueError(f"recipe {recipe!r} refuses the arguments {arguments}: {error}") from error
    return solver


def _setting(
    name: str,
    solver: UnrolledSolver,
    scales: tuple[int, ...] | None,
    sigma: tuple[float, float] | None,
    clean: float | None,
    convention: str | None,
) -> Setting:
    if convention is not None:
        checks.choice(convention, tuple(NAMED), "convention")
    if scales is None and solver.scale is not None:
        scales = (int(solver.scale),)  # type: ignore[arg-type]
    way = None if convention is None else NAMED[convention]
    named = setting(name, scales=scales, sigma=sigma, clean=clean, convention=way)
    return _sized(named, getattr(solver, "record").arguments.get("size"))  # noqa: B009  an attribute that no class declares


def _sized(named: Setting, size: int | None) -> Setting:
    """The setting with kernels of the size that the solver estimates, where it estimates any.

    Raises:
        ValueError: the setting has sizes of its own for its scales, and they are others.
    """
    if size is None or not isinstance(named.size, Mapping):
        return named if size is None else replace(named, size=size)
    for scale in named.scales:
        if (due := named.kernel_size(scale)) != size:
            raise ValueError(
                f"setting {named.name!r} has kernels of {due} pixels at scale {scale}, the solver is built for {size}; "
                f"give it their size: --arguments '{{\"size\": {due}}}' --scales {scale}"
            )
    return named


def _channels(solver: nn.Module) -> int:
    """3 if any network reads colours (kernel priors read one channel in either case)."""
    return max((n for part in solver.modules() if isinstance(n := getattr(part, "channels", None), int)), default=3)
