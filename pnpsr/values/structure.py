"""What a value is made of, as JSON can hold it: functions and classes by their import paths, objects by their attributes."""

import functools
import hashlib
import math
import types
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from pnpsr.values.imports import path_of

MOST = 4096  # values of a tensor that is no weight; larger ones belong into a buffer
INTERNAL = frozenset((*nn.Module().__dict__, "record", "built", "_compiled_call_impl"))
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Undescribed(ValueError):
    """A part that cannot be written down; the message says which, and what to do.

    Example:
        >>> from pnpsr.values import Undescribed
        >>> issubclass(Undescribed, Exception)
        True
    """


class Opaque:
    """A part without a description, such as a lambda: equal to itself alone."""

    def __init__(self, value: Any, why: str) -> None:
        self.value, self.why = value, why

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]


def parts(root: nn.Module, *, contents: bool = False) -> dict[str, Any]:
    """A module as a flat table: dotted path -> class, attribute, or shape of a tensor. The root's class is at "".

    Weights count by their shapes, or with ``contents`` by their values. What has no description is :class:`Opaque`.
    """
    paths: dict[int, str] = {}
    for path, module in root.named_modules():
        paths.setdefault(id(module), path)
    table, twice = dict[str, Any](), list[str]()
    for path, module in root.named_modules(remove_duplicate=False):
        if any(path.startswith(f"{other}.") for other in twice):
            continue
        if (first := paths[id(module)]) != path:
            twice.append(path)
            table[path] = {"same": first}
            continue
        table[path] = _kind(module, "class")
        table |= {_join(path, name): value for name, value in _own(module, paths, contents)}
    return table


def structure(value: Any, paths: Mapping[int, str] | None = None, *, contents: bool = False) -> Any:
    """Any value: plain data as it is, everything else as a mapping whose first key says what it is.

    Example:
        >>> from pnpsr.values import structure
        >>> structure((1, 2.5, "word"))
        [1, 2.5, 'word']
    """
    return _Walk(paths or {}, contents).of(value)


def opaque(described: Any, at: str = "") -> tuple[str, Opaque] | None:
    """The first part of a description that has none: where it is, and what; None if all is described.

    Example:
        >>> from pnpsr.values import opaque, structure
        >>> opaque(structure((1, 2))) is None
        True
    """
    if isinstance(described, Opaque):
        return at, described
    items: Collection[tuple[object, Any]] = ()
    if isinstance(described, Mapping):
        items = described.items()
    elif isinstance(described, list):
        items = [("", one) for one in described]
    return next((found for name, one in items if (found := opaque(one, _join(at, str(name)))) is not None), None)


def _own(module: nn.Module, paths: Mapping[int, str], contents: bool) -> list[tuple[str, Any]]:
    """Attributes and tensors of one module, without those of the modules in it."""
    walk = _Walk(paths, contents)
    found = [(name, walk.of(value)) for name, value in module.__dict__.items() if name not in INTERNAL]
    found += [(name, _tensor("parameter", value, contents)) for name, value in module._parameters.items()]
    for name, value in module._buffers.items():
        kind = "hidden buffer" if name in module._non_persistent_buffers_set else "buffer"
        found.append((name, _tensor(kind, value, contents or kind == "hidden buffer")))
    found += [(name, None) for name, child in module._modules.items() if child is None]
    for name in HOOKS:
        if hooks := list(getattr(module, name).values()):
            found.append((name, [Opaque(hook, "a hook") for hook in hooks]))
    return found


def _tensor(kind: str, value: Tensor | None, contents: bool) -> Any:
    if value is None:
        return {kind: None}
    return {kind: list(value.shape), **({"sha256": digest(value)} if contents else {})}


def digest(value: Tensor) -> str:
    """SHA-256 of type, shape and values."""
    value = value.detach().cpu().contiguous()
    total = hashlib.sha256(f"{value.dtype} {tuple(value.shape)}".encode())
    total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return total.hexdigest()


class _Walk:
    """One pass over a value; knows where it is, so that a value that holds itself ends."""

    def __init__(self, paths: Mapping[int, str], contents: bool) -> None:
        self.paths, self.contents, self.above = paths, contents, list[int]()

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"float": repr(float(value))}
        if id(value) in self.above:
            return Opaque(value, "it holds itself")
        self.above.append(id(value))
        try:
            return self._compound(value)
        finally:
            self.above.pop()

    def _compound(self, value: Any) -> Any:
        if type(value) in (tuple, torch.Size):
            return [self.of(one) for one in value]
        if type(value) in (list, set, frozenset):
            return {type(value).__name__: [self.of(one) for one in (value if isinstance(value, list) else sorted(value, key=repr))]}
        if isinstance(value, Mapping):
            return {"dict": [[self.of(name), self.of(one)] for name, one in value.items()]}
        if isinstance(value, torch.dtype | torch.device):
            return {type(value).__name__: str(value).removeprefix("torch.")}
        if isinstance(value, Tensor):
            return self._values(value)
        if isinstance(value, functools.partial):
            keywords = {name: self.of(one) for name, one in value.keywords.items()}
            return {"partial": self.of(value.func), "args": [self.of(one) for one in value.args], "keywords": keywords}
        if isinstance(value, types.MethodType):
            return {"method": value.__name__, "of": self.of(value.__self__)}
        if isinstance(value, Enum):
            path = path_of(type(value))
            return Opaque(value, "its class cannot be imported") if path is None else {"function": f"{path}.{value.name}"}
        if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType) or (
            callable(value) and not isinstance(value, nn.Module) and path_of(value) is not None
        ):
            return _kind(value, "function")
        return self._module(value) if isinstance(value, nn.Module) else self._object(value)

    def _values(self, value: Tensor) -> Any:
        if self.contents:
            return {"sha256": digest(value)}
        if value.numel() > MOST or value.is_complex():
            return Opaque(value, f"a tensor of {value.numel()} values that is no weight: register it as a buffer")
        return {"tensor": value.tolist(), "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}

    def _module(self, value: nn.Module) -> Any:
        if id(value) in self.paths:
            return {"part": self.paths[id(value)]}
        made = getattr(value, "built", None)
        return {"module": parts(value, contents=self.contents)} if made is None else made.describe(value, self.contents)

    def _object(self, value: Any) -> Any:
        kind, state = _kind(type(value), "object"), getattr(value, "__dict__", None)
        slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
        if isinstance(kind, Opaque) or state is None or slots or type(value).__module__ == "builtins":
            return Opaque(value, f"a {type(value).__qualname__}")
        return {**kind, "state": {name: self.of(one) for name, one in state.items()}}


def _kind(thing: Any, word: str) -> Any:
    """The import path of a function or class, or of an object's class."""
    named = type(thing) if word == "class" else thing
    path = path_of(named)
    if path is not None:
        return {word: path}
    name = getattr(named, "__qualname__", repr(named))
    if "<lambda>" in name:
        return Opaque(thing, "a lambda: write a function in a module")
    return Opaque(thing, f"{name} is defined inside a function: put it at the top of a module")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
