"""Weights on disk with the expression that rebuilds their solver: ``save(solver, path)``, ``load(path)``."""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from pnpsr.files import replace_file
from pnpsr.filled import Unfit, filled
from pnpsr.recipes import RECIPES, Record
from pnpsr.solver import UnrolledSolver
from pnpsr.weights import preset_file, presets

_KEY, _SEAL = "pnpsr", "sha256"
UNTRAINED = ("blind_hqs",)  # recipes that work without weights, and so are presets by their name alone


def save(solver: nn.Module, path: str | Path, *, half: bool = False) -> None:
    """Write weights, recipe name and arguments of ``solver`` to one safetensors file; all or nothing is left on disk.

    ``half`` rounds the parameters (not the buffers) to float16, which :func:`load` widens to float32 again: half the size.

    Raises:
        ValueError: the solver was not built by a recipe in ``RECIPES``, or an argument of it cannot be written as JSON.
        FileNotFoundError: the folder does not exist.
    """
    record = getattr(solver, "record", None)
    if not isinstance(record, Record):
        raise ValueError(
            "solver was not built by a recipe: decorate its function with pnpsr.recipes.recipe, or save its state_dict yourself"
        )
    if record.recipe not in RECIPES:
        raise ValueError(
            f"recipe {record.recipe!r} is not in RECIPES and could not be loaded again; add it: RECIPES[{record.recipe!r}] = ..."
        )
    note = json.dumps(_plain(record, record.recipe))
    tensors = {name: value.detach().contiguous().cpu().clone() for name, value in solver.state_dict().items()}
    if half:
        tensors |= {name: tensors[name].half() for name, _ in solver.named_parameters()}
    replace_file(path, to_bytes(tensors, metadata={_KEY: note, _SEAL: _seal(note, tensors)}))


def load(name: str | Path, *, device: str | torch.device = "cpu") -> nn.Module:
    """The solver in a file written by :func:`save`, or a preset by name; in evaluation mode, in the dtype of the file.

    Args:
        name: a path, or the name of a preset: trained weights that come with the package (``ikrnet-x2``; see
            :func:`pnpsr.weights.presets`), or a recipe that needs none (``blind_hqs``).
        device: where the weights go.

    Raises:
        FileNotFoundError: no such file or preset; the message lists the presets.
        ValueError: a truncated or foreign file, an unknown recipe, or weights that do not fit the recipe.
    """
    path = Path(name)
    if not path.is_file():
        if str(name) in UNTRAINED:
            return RECIPES[str(name)]().to(device, torch.float32).eval()
        if str(name) not in presets():
            known = ", ".join((*presets(), *UNTRAINED))
            raise FileNotFoundError(f"no checkpoint at {path}, and no preset of that name; presets: {known}")
        path = preset_file(str(name))
    note, tensors = _read(path)
    try:
        solver = filled(partial(_build, note, path), tensors)
    except Unfit as error:
        raise ValueError(
            f"{path} does not fit recipe {note.get('recipe')!r} with arguments {note.get('arguments')}: {error}"
        ) from error
    if not Path(name).is_file() and isinstance(solver, UnrolledSolver):
        solver.scales = presets()[str(name)].scales  # a preset is refused where it was not trained to be
    return solver.to(device).eval()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            note, seal = metadata.get(_KEY), metadata.get(_SEAL)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file: {error}; pnpsr.save writes them") from error
    if note is None:
        found = ", ".join(list(tensors)[:4])
        raise ValueError(
            f"{path} was not written by pnpsr.save: it holds {len(tensors)} tensors ({found}, ...) and names no recipe"
        )
    if seal is not None and seal != _seal(note, tensors):  # files of earlier versions have none
        raise ValueError(f"{path} is damaged: its content is not what pnpsr.save wrote (sha256); take another copy")
    try:
        return dict(json.loads(note)), tensors
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} names its recipe in a form this version cannot read: {note[:80]!r}") from error


def _seal(note: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the expression and every tensor's name, type, shape and bytes."""
    total = hashlib.sha256(note.encode())
    for name, value in sorted(tensors.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.contiguous().reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
    return total.hexdigest()


def _build(note: Mapping[str, Any], path: Path) -> nn.Module:
    name, arguments = note.get("recipe"), note.get("arguments")
    if not isinstance(name, str) or name not in RECIPES or not isinstance(arguments, dict):
        raise ValueError(f"{path} asks for recipe {name!r}; known are {', '.join(sorted(RECIPES))}")
    nested = {n: _build(v, path) if isinstance(v, dict) and "recipe" in v else v for n, v in arguments.items()}
    try:
        return RECIPES[name](**nested)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: recipe {name!r} refuses the arguments it was saved with, {arguments}: {error}") from error


def _plain(value: Any, name: str) -> Any:
    if isinstance(value, Record):
        return {"recipe": value.recipe, "arguments": {n: _plain(v, n) for n, v in value.arguments.items()}}
    try:
        return json.loads(json.dumps(value))
    except TypeError as error:
        raise ValueError(
            f"argument {name} is a {type(value).__name__} and cannot be written beside the weights; "
            "build it inside a recipe of your own"
        ) from error
