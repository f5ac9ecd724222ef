"""From a description back to the value: the inverse of :mod:`pnpsr.values.structure`."""

import functools
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from pnpsr.values.imports import fetch
from pnpsr.values.registry import RECIPES

ABSENT = {"absent": True}
_WRAPPER = "pnpsr.steps.phases:Afresh"  # gone; files of earlier versions may name it


def change(root: nn.Module, changes: Mapping[str, Any]) -> None:
    """Set what a table of ``pnpsr.values.structure.parts`` says, in place; paths that it does not name stay as they are.

    Raises:
        ValueError: a path that is not there, a class or function that may not be asked for, an entry of another form.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.values import change
        >>> solver = usrnet(T=1, widths=(2, 2, 2, 2))
        >>> change(solver, {})
    """
    later, changes = [], _as_now(root, changes)
    for path, entry in sorted(changes.items(), key=lambda item: item[0].count(".") if item[0] else -1):
        if path and isinstance(entry, dict) and {"same", "method"} & entry.keys():
            later.append((path, entry))
        elif path:
            _set(root, path, entry)
    for path, entry in later:
        _set(root, path, entry)


def built(described: Any, root: nn.Module | None = None) -> Any:
    """The value that a description means; ``root`` is the module that its paths count from.

    Raises:
        ValueError: as :func:`change`.

    Example:
        >>> from pnpsr.values import built, structure
        >>> built(structure((1, 2.5, "word")))
        (1, 2.5, 'word')
    """
    if described is None or isinstance(described, bool | int | float | str):
        return described
    if isinstance(described, list):
        return tuple(built(one, root) for one in described)
    if not isinstance(described, dict) or not described:
        raise ValueError(f"{str(described)[:60]!r} describes nothing")
    word, *_ = described
    try:
        return _BUILT[word](described, root)
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{str(described)[:60]!r} describes nothing: {error!r}") from error


def rebuilt(note: Mapping[str, Any]) -> nn.Module:
    """The solver of an :class:`pnpsr.values.Expression`'s note, with fresh weights.

    Raises:
        ValueError: an unknown recipe, arguments that it refuses, changes that do not fit.

    Example:
        >>> from pnpsr import expression, usrnet
        >>> from pnpsr.values import rebuilt
        >>> solver = usrnet(T=2, widths=(2, 2, 2, 2))
        >>> rebuilt(expression(solver).written()).T
        2
    """
    name, arguments, changes = note.get("recipe"), note.get("arguments"), note.get("changes", {})
    if not isinstance(name, str) or not isinstance(arguments, dict) or not isinstance(changes, dict):
        raise ValueError(f"asks for recipe {name!r}, whose call has another form here")
    build = RECIPES.find(name)
    given = {n: built(one) for n, one in arguments.items()}
    try:
        solver = build(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe {name!r} refuses the arguments it was saved with, {arguments}: {error}") from error
    change(solver, changes)
    return solver


def _as_now(root: nn.Module, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes of files of earlier versions: a wrapper at ``then`` held what is now ``then`` itself, and the ``x0`` beside it."""
    wrappers = {path for path, entry in changes.items() if isinstance(entry, dict) and entry.get("class") == _WRAPPER}

    def path_now(path: str) -> str:
        words = path.split(".")
        for i, (word, inner) in enumerate(pairwise(words)):
            if word != "then" or inner not in ("step", "x0"):
                continue
            at = ".".join(words[: i + 1])
            if at in wrappers or _wrapped(root, at, inner):
                return path_now(".".join((*words[:i], *(["then"] if inner == "step" else ["x0"]), *words[i + 2 :])))
        return path

    def entry_now(entry: Any) -> Any:
        known = isinstance(entry, dict) and isinstance(next(iter(entry.values()), None), str)
        return {w: path_now(v) if w in ("part", "same") else v for w, v in entry.items()} if known else entry

    return {path_now(path): entry_now(entry) for path, entry in changes.items() if path not in wrappers}


def _wrapped(root: nn.Module, path: str, inner: str) -> bool:
    """``then`` of a phase in the solver as it is now, which has nothing of that name in it."""
    try:
        above = root.get_submodule(path.rpartition(".")[0])
    except AttributeError:
        return False
    return hasattr(above, "then") and hasattr(above, "first") and not hasattr(above.then, inner)


def _set(root: nn.Module, path: str, entry: Any) -> None:
    above, _, name = path.rpartition(".")
    try:
        owner = root.get_submodule(above)
    except AttributeError as error:
        raise ValueError(f"{path!r} is no part of this solver: {error}") from error
    name = getattr(owner, "RENAMED", {}).get(name, name)  # as files of earlier versions call it
    for table in (owner._modules, owner._parameters, owner._buffers):
        if name in table:
            del table[name]
    owner.__dict__.pop(name, None)
    word = next(iter(entry), "") if isinstance(entry, dict) else ""
    if entry == ABSENT:
        return
    if word == "class":
        cls = fetch(entry["class"])
        if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
            raise ValueError(f"{entry['class']} is no module")
        owner.add_module(name, _bare(cls))
    elif word == "parameter":
        owner.register_parameter(name, None if entry[word] is None else nn.Parameter(torch.zeros(entry[word])))
    elif word in ("buffer", "hidden buffer"):
        owner.register_buffer(name, _buffer(owner, path, name, word, entry[word]), persistent=word == "buffer")
    else:
        value = built(entry, root)
        if isinstance(value, nn.Module):
            owner.add_module(name, value)
        else:
            owner.__dict__[name] = value


def _buffer(owner: nn.Module, path: str, name: str, word: str, shape: Any) -> Tensor | None:
    """A buffer to be filled from the file; or one that is not saved, as the ``HIDDEN`` of its class makes it."""
    if shape is None or word == "buffer":
        return None if shape is None else torch.zeros(shape)
    if (make := getattr(owner, "HIDDEN", {}).get(name)) is None:
        raise ValueError(f"{path!r} is a buffer that is not saved, and cannot be brought back")
    made: Tensor = make()
    return made


def _bare(cls: type) -> Any:
    """An instance whose constructor has not run: its attributes are set one by one."""
    new: Any = object.__new__(cls)
    if isinstance(new, nn.Module):
        nn.Module.__init__(new)
    return new


def _object(d: dict[str, Any], root: nn.Module | None) -> Any:
    new = _bare(fetch(d["object"]))
    new.__dict__.update({name: built(one, root) for name, one in d["state"].items()})
    return new


def _module(d: dict[str, Any], _: nn.Module | None) -> nn.Module:
    new: nn.Module = _bare(fetch(d["module"][""]["class"]))
    change(new, d["module"])
    return new


def _part(d: dict[str, Any], root: nn.Module | None, word: str) -> Any:
    if root is None:
        raise ValueError(f"{d[word]!r} is a part of nothing")
    return root.get_submodule(d[word])


def _partial(d: dict[str, Any], root: nn.Module | None) -> Any:
    keywords = {name: built(one, root) for name, one in d["keywords"].items()}
    return functools.partial(built(d["partial"], root), *(built(one, root) for one in d["args"]), **keywords)


def _tensor(d: dict[str, Any], _: nn.Module | None) -> Any:
    return torch.tensor(d["tensor"], dtype=getattr(torch, d["dtype"])).reshape(d["shape"])


_BUILT: dict[str, Any] = {
    "float": lambda d, _: float(d["float"]),
    "list": lambda d, root: [built(one, root) for one in d["list"]],
    "set": lambda d, root: {built(one, root) for one in d["set"]},
    "frozenset": lambda d, root: frozenset(built(one, root) for one in d["frozenset"]),
    "dict": lambda d, root: {built(name, root): built(one, root) for name, one in d["dict"]},
    "dtype": lambda d, _: getattr(torch, d["dtype"]),
    "device": lambda d, _: torch.device(d["device"]),
    "tensor": _tensor,
    "function": lambda d, _: fetch(d["function"]),
    "partial": _partial,
    "method": lambda d, root: getattr(built(d["of"], root), d["method"]),
    "object": _object,
    "module": _module,
    "recipe": lambda d, _: rebuilt(d),
    "part": lambda d, root: _part(d, root, "part"),
    "same": lambda d, root: _part(d, root, "same"),
}
