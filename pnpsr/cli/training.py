"""What ``pnpsr train`` is asked for: the data, the machine, and how their words become a solver and its setting."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pnpsr import checks
from pnpsr.cli.shares import launched
from pnpsr.conventions import NAMED
from pnpsr.conventions.named import build_of, name_of
from pnpsr.data import Pairs, PairStream, Pictures, Setting, Stream, held_out, setting
from pnpsr.recipes import RECIPES
from pnpsr.released import open_solver
from pnpsr.solver import UnrolledSolver
from pnpsr.train.options import Precision
from pnpsr.train.paired import centres
from pnpsr.train.stages import Stage, optional_stages, stages_for
from pnpsr.train.validation import Validation
from pnpsr.weights import preset_file


@dataclass(frozen=True)
class DataChoice:
    """What the training data are."""

    data: str | None = None
    """Named setting of the degradations, the recipe's own if left out: dan-setting1, dan-setting2, div2krk, ikrnet, photograph or
    usrnet, or one of yours."""
    scales: tuple[int, ...] | None = None
    """In place of the setting's; one is drawn per batch."""
    sigma: tuple[float, float] | None = None
    """Lowest and highest noise level, in place of the setting's."""
    clean: float | None = None
    """Share of noise-free samples, in place of the setting's."""
    convention: str | None = None
    """How y is made, in place of the setting's: PNPSR, DAN, ... (see ``pnpsr.conventions``)."""
    physics: str | None = None
    """What makes y in place of a convention, by name, and what the solver inverts: a convention's or your own (--use)."""
    batch: int = 8
    """Samples per step, over all devices."""
    patch: int = 96
    """Side of the sharp crops in pixels."""
    seed: int = 0
    """Of the first weights and of the data."""
    skip_broken: bool = False
    """Leave out pictures that cannot be read, in place of stopping before the first step."""
    cache: Path | None = None
    """Folder for the decoded pictures, which all processes then map into memory; 3 bytes per pixel."""
    hold_out: int = 20
    """Number of pictures kept for validation."""
    validate_on: int = 8
    """Validation samples per scale."""
    validation_patch: int = 192
    """Side of their sharp crops."""

    def degrades(self) -> list[str]:
        """The options given that say how y is made."""
        return [
            f"--{name}" for name in ("data", "scales", "sigma", "clean", "convention", "physics") if getattr(self, name) is not None
        ]

    def setting(self, usual: str | None, solver: UnrolledSolver) -> Setting:
        """The named setting with what was replaced, at the scale and the kernel size that the solver is built for.

        Raises:
            ValueError: unknown names, or values the setting or the solver refuses.
        """
        if self.data is None and usual is None:
            raise ValueError("the recipe names no data to train on: give a setting, --data ikrnet, or @recipe(data=...)")
        scales = self.scales
        if scales is None and solver.scale is not None:
            scales = (int(solver.scale),)  # type: ignore[arg-type]
        way = None if self.convention is None else NAMED.find(self.convention)
        named = setting(
            self.data or str(usual), scales=scales, sigma=self.sigma, clean=self.clean, convention=way, physics=self.physics
        )
        return _sized(named, getattr(solver, "record").arguments.get("size"))  # noqa: B009  an attribute that no class declares

    def streams(self, pictures: Pictures, named: Setting) -> tuple[Stream, Validation | None]:
        """The training data, and the validation on pictures that they leave out."""
        stream, rest = self.stream(pictures, named)
        if not self.hold_out or not self.validate_on:
            return stream, None
        return stream, Validation(rest, named, count=self.validate_on, patch=self.validation_patch)

    def stream(self, pictures: Pictures, named: Setting) -> tuple[Stream, Pictures]:
        """The training data, and the pictures that they leave out; none has been read yet.

        Raises:
            ValueError: sizes that do not fit, or nothing is left to train on.
        """
        training, rest = held_out(pictures, self.hold_out, self.seed)
        return Stream(training, named, batch=self.batch, patch=self.patch, seed=self.seed), rest

    def paired(self, pairs: Pairs) -> tuple[PairStream, Validation | None]:
        """The training pairs, and the validation on the centres of those that they leave out."""
        training, rest = pairs.held_out(self.hold_out, self.seed)
        stream = PairStream(training, batch=self.batch, patch=self.patch, seed=self.seed)
        if not self.hold_out or not self.validate_on:
            return stream, None
        return stream, Validation.of(centres(rest, self.hold_out, self.validation_patch))

    def note(self, named: Setting | None) -> dict[str, Any]:
        """What a resumed run must agree in, beside what its stream says of itself."""
        chosen = {"hold_out": self.hold_out, "validate_on": self.validate_on, "validation_patch": self.validation_patch}
        if named is None:
            return {**chosen, "seed": self.seed}
        drawn = {"setting": named.name, "scales": named.scales, "sigma": named.sigma, "clean": named.clean}
        made = {} if named.physics is None else {"physics": name_of(build_of(named.physics))}
        return {
            **drawn,
            **made,
            "convention": named.convention.name,
            "batch": self.batch,
            "patch": self.patch,
            "seed": self.seed,
            **chosen,
        }


@dataclass(frozen=True)
class Machine:
    """Where the training runs."""

    accelerator: str = "auto"
    """auto, cpu, cuda, mps."""
    devices: int = 1
    """Processes per node."""
    nodes: int = 1
    """Number of nodes."""
    threads: int | None = None
    """Of each process on a CPU; left to torch if not given."""

    def fabric(self, precision: Precision) -> Any:
        """A launched Lightning Fabric.

        Raises:
            ValueError: Lightning is not installed, or fewer than one thread.
        """
        try:
            from lightning.fabric import Fabric
        except ImportError as error:
            raise ValueError("training needs Lightning and TensorBoard: pip install 'pnpsr[train]'") from error
        if self.threads is not None:
            torch.set_num_threads(checks.whole(self.threads, "threads"))
        return launched(Fabric(accelerator=self.accelerator, devices=self.devices, num_nodes=self.nodes, precision=precision))


def build(recipe: str, arguments: str | None, init: Sequence[str] = ()) -> UnrolledSolver:
    """The recipe's solver, its arguments given as JSON; what they leave open is as in the last of ``init`` of the same recipe.

    Raises:
        ValueError: no JSON object, or arguments the recipe refuses.
    """
    given = {**_brought(recipe, init), **_parsed(arguments)}
    try:
        solver: Any = RECIPES.find(recipe)(**given)
    except TypeError as error:
        raise ValueError(f"recipe {recipe!r} refuses the arguments {json.dumps(given)}: {error}") from error
    return solver


def _parsed(arguments: str | None) -> Mapping[str, Any]:
    if arguments is None:
        return {}
    try:
        given = json.loads(arguments)
    except json.JSONDecodeError as error:
        raise ValueError(f"arguments must be JSON such as '{{\"T\": 4}}', got {arguments!r}: {error}") from error
    if not isinstance(given, Mapping):
        raise ValueError(f"arguments must be a JSON object such as '{{\"T\": 4}}', got {arguments!r}")
    return given


def _brought(recipe: str, init: Sequence[str]) -> Mapping[str, Any]:
    """Arguments of the last file or preset of the same recipe."""
    records = [getattr(open_solver(name), "record", None) for name in init]
    same = [record.arguments for record in records if record is not None and record.recipe == recipe]
    return dict(same[-1]) if same else {}


def take(solver: nn.Module, name: str, *, partial: bool = False) -> int:
    """Copy every tensor of the file or preset ``name`` that has the name and shape of one of the solver's; how many there were.

    Args:
        solver: whose weights are replaced.
        name: a file or a preset.
        partial: a minority is enough.

    Raises:
        ValueError: there is none, or not even half of the file's are (unless ``partial``).
    """
    mine, theirs = solver.state_dict(), open_solver(name).state_dict()
    fitting = {key: value for key, value in theirs.items() if key in mine and mine[key].shape == value.shape}
    if not fitting:
        raise ValueError(f"init: no tensor of {name} has the name and shape of one of the solver's; was it built with other sizes?")
    if 2 * len(fitting) < len(theirs) and not partial:
        unlike = [key for key in theirs if key in mine and key not in fitting]
        other = f" ({unlike[0]}: {tuple(theirs[unlike[0]].shape)}, here {tuple(mine[unlike[0]].shape)})" if unlike else ""
        raise ValueError(
            f"init: only {len(fitting)} of {len(theirs)} tensors of {name} fit the solver{other}: it was "
            "built with other arguments; give its own (leave out --arguments), or take what fits: --partial True"
        )
    solver.load_state_dict({**mine, **fitting})
    return len(fitting)


def began(init: Sequence[str]) -> dict[str, str]:
    """12 digits of the SHA-256 of every file or preset that a run begins with, by its word: a name may mean other weights later."""
    files = {name: Path(name) if Path(name).is_file() else preset_file(name) for name in init}
    return {name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for name, file in files.items()}


def pick_stages(solver: UnrolledSolver, names: Sequence[str] | None) -> list[Stage]:
    """The stages of the solver's recipe, or those of the given names (optional ones too), in the recipe's order.

    Raises:
        ValueError: unknown names.
    """
    usual = list(stages_for(solver))
    if names is None:
        return usual
    known = {stage.name: stage for stage in (*usual, *optional_stages(solver))}
    for name in names:
        checks.choice(name, tuple(known), "stages")
    return [stage for name, stage in known.items() if name in names]


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
