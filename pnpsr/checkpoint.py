"""Weights on disk with the expression that rebuilds their solver: ``save(solver, path)``, ``load(path)``."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from pnpsr import checks, packed
from pnpsr.files import replace_file
from pnpsr.filled import Unfit, filled
from pnpsr.recipes import RECIPES
from pnpsr.solver import UnrolledSolver
from pnpsr.values import expression, rebuilt
from pnpsr.version import VERSION
from pnpsr.weights import preset_file, presets

_KEY, _SEAL = "pnpsr", "sha256"
UNTRAINED = ("blind_hqs",)  # recipes that work without weights, and so are presets by their name alone


def save(
    solver: nn.Module,
    path: str | Path,
    *,
    half: bool = False,
    bits: Mapping[str, int] = MappingProxyType({}),
    convention: str | None = None,
) -> None:
    """Write weights and expression of ``solver`` to one safetensors file; all or nothing is left on disk.

    The expression is the recipe's call and every difference from it: what was set after building, other priors or slots, functions
    and classes by their import paths. :func:`load` gives an equal solver.

    ``half`` rounds the parameters (not the buffers) to float16, which :func:`load` widens to float32 again: half the size.
    ``bits`` names parts (``{"k0": 8, "restorer.prior": 12}``) whose matrices and filters are rounded to integers of 8 or 12 bits
    instead, each row by a scale of its own: a quarter or three eighths of the size. What that costs is to be measured before it is
    shipped: 12 bits next to nothing, 8 bits some tenths of a decibel in an image prior. 16 bits are float16, deflated: a tenth
    less than half the size.

    ``convention`` is the name of the one that the solver was trained under (:mod:`pnpsr.conventions`), where it is not pnpsr's own:
    evaluating reads it with :func:`pnpsr.checkpoint.convention_of`.

    Raises:
        TypeError: ``bits`` is no mapping.
        ValueError: ``bits`` names a part that has no parameters, or another number than 8, 12 and 16.
        ValueError: the solver was not built by a recipe, or a part of it cannot be written down, such as a lambda.
        FileNotFoundError: the folder does not exist.

    Example:
        >>> from pnpsr import load, save, usrnet
        >>> save(usrnet(T=1, widths=(2, 2, 2, 2)), "small.safetensors")
        >>> load("small.safetensors").T
        1
    """
    if not isinstance(bits, Mapping):
        raise TypeError(f"bits must say how many for which part, as {{'k0': 8}}; got {bits!r}")
    call = expression(solver)
    if call.recipe not in RECIPES:
        raise ValueError(f"recipe {call.recipe!r} has left RECIPES, and could not be loaded again")
    note = json.dumps({**call.written(), "version": VERSION, **({} if convention is None else {"convention": convention})})
    tensors = {name: value.detach().contiguous().cpu().clone() for name, value in solver.state_dict().items()}
    names = [name for name, _ in solver.named_parameters(remove_duplicate=False)]  # what is shared has several
    for many in bits.values():
        checks.choice(many, packed.BITS, "bits")
    inside = {name: many for part, many in bits.items() for name in _below(part, names)}
    if half:
        tensors |= {name: tensors[name].half() for name in names if name not in inside}
    for name, many in inside.items():
        tensors |= packed.rounded(name, tensors[name], many)
    # one entry, since a file's entries come in any order, and equal solvers should be equal files
    replace_file(path, to_bytes(tensors, metadata={_KEY: json.dumps({**json.loads(note), _SEAL: _seal(note, tensors)})}))


def load(name: str | Path, *, device: str | torch.device = "cpu") -> nn.Module:
    """The solver in a file written by :func:`save`, or a preset by name; in evaluation mode, in the dtype of the file.

    Args:
        name: a path, or the name of a preset: trained weights that come with the package (``ikrnet-x2``; see
            :func:`pnpsr.weights.presets`), or a recipe that needs none (``blind_hqs``).
        device: where the weights go.

    Raises:
        FileNotFoundError: no such file or preset; the message lists the presets.
        ValueError: a truncated or foreign file, an unknown recipe, weights that do not fit the recipe, or functions of a module
            that nobody brought in (:func:`pnpsr.use`): a file alone never decides what code runs.

    Example:
        >>> import torch
        >>> from pnpsr import load
        >>> solver = load("dan-x2")
        >>> with torch.no_grad():
        ...     print(solver(torch.rand(1, 3, 24, 24)).x.shape)
        torch.Size([1, 3, 48, 48])
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


def convention_of(path: str | Path) -> str | None:
    """The name of the convention that :func:`pnpsr.save` was told; None: pnpsr's own, or a file that says nothing.

    Raises:
        ValueError: a truncated or foreign file.

    Example:
        >>> from pnpsr import save, usrnet
        >>> from pnpsr.checkpoint import convention_of
        >>> save(usrnet(T=1, widths=(2, 2, 2, 2)), "small.safetensors")
        >>> convention_of("small.safetensors") is None
        True
    """
    told = _read(Path(path))[0].get("convention")
    return None if told is None else str(told)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            note = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is truncated or no safetensors file: {error}; pnpsr.save writes them") from error
    if note is None:
        found = ", ".join(list(tensors)[:4])
        raise ValueError(
            f"{path} was not written by pnpsr.save: it holds {len(tensors)} tensors ({found}, ...) and names no recipe"
        )
    try:
        told = dict(json.loads(note))
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} names its recipe in a form this version cannot read: {note[:80]!r}") from error
    seal = told.pop(_SEAL, None)  # files of earlier versions have none
    if seal is not None and seal != _seal(json.dumps(told), tensors):
        raise ValueError(f"{path} is damaged: its content is not what pnpsr.save wrote (sha256); take another copy")
    return told, packed.widened(tensors, path)


def _below(part: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if f"{name}.".startswith(f"{part}.")]
    if not found:
        raise ValueError(f"bits names {part!r}, which has no parameters; some are {', '.join(names[:3])}")
    return found


def _seal(note: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the expression and every tensor's name, type, shape and bytes."""
    total = hashlib.sha256(note.encode())
    for name, value in sorted(tensors.items()):
        total.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        total.update(value.contiguous().reshape(-1).view(torch.uint8).numpy())  # type: ignore[arg-type]
    return total.hexdigest()


def _build(note: Mapping[str, Any], path: Path) -> nn.Module:
    try:
        return rebuilt(note)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
