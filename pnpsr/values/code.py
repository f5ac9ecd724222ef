"""Digests of code: a function whose body, constants or helpers change is another function."""

import functools
import hashlib
import sys
import sysconfig
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pnpsr.values.imports import path_of
from pnpsr.values.structure import structure

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def code_digest(*things: Any) -> str:
    """SHA-256 over functions and classes, and over the functions, classes and constants that they use.

    Of installed packages, of the standard library and of pnpsr only names and versions count: their code does not change from
    one call to the next.

    Example:
        >>> from pnpsr.prox import simplex, tv
        >>> from pnpsr.values import code_digest
        >>> code_digest(tv) == code_digest(tv), code_digest(tv) == code_digest(simplex)
        (True, False)
    """
    total, seen = hashlib.sha256(), set[int]()
    for thing in things:
        for word in _words(thing, seen):
            total.update(word.encode() + b"\0")
    return total.hexdigest()


def _words(thing: Any, seen: set[int]) -> Iterator[str]:
    if id(thing) in seen:
        return
    if isinstance(thing, types.FunctionType | type):  # others may be made for the moment, and their numbers come again
        seen.add(id(thing))
    if isinstance(thing, types.MethodType):
        yield from _words(thing.__func__, seen)
        yield from _words(thing.__self__, seen)
    elif isinstance(thing, functools.partial):
        yield from _words(thing.func, seen)
        for value in (*thing.args, *sorted(thing.keywords.items())):
            yield from _used(value, (), seen)
    elif isinstance(thing, types.FunctionType) and (inner := getattr(thing, "__wrapped__", None)) is not None:
        yield from _words(inner, seen)
    elif not _ours(thing) and path_of(thing) is not None:
        top = str(getattr(thing, "__module__", "")).partition(".")[0]
        yield f"{path_of(thing)} {getattr(sys.modules.get(top), '__version__', '')}"
    elif isinstance(thing, types.FunctionType):
        yield from _function(thing, seen)
    elif isinstance(thing, type):
        yield thing.__qualname__
        for name, value in sorted(vars(thing).items()):
            if not name.startswith("__") or isinstance(value, types.FunctionType):
                yield name
                yield from _used(getattr(value, "__func__", getattr(value, "fget", None)) or value, (), seen)
        for base in thing.__bases__:
            yield from _words(base, seen)
    else:
        yield from _words(type(thing), seen)
        for name, value in sorted(getattr(thing, "__dict__", {}).items()):
            yield name
            yield from _used(value, (), seen)


def _function(thing: types.FunctionType, seen: set[int]) -> Iterator[str]:
    names: list[str] = []
    yield from _code(thing.__code__, names)
    for value in (*(thing.__defaults__ or ()), *sorted((thing.__kwdefaults__ or {}).items())):
        yield from _used(value, names, seen)
    for cell in thing.__closure__ or ():
        try:
            yield from _used(cell.cell_contents, names, seen)
        except ValueError:  # a name that is not bound yet
            yield "empty"
    for name in sorted(set(names)):
        if name in thing.__globals__:
            yield name
            yield from _used(thing.__globals__[name], names, seen)


def _code(code: types.CodeType, names: list[str]) -> Iterator[str]:
    names += code.co_names
    yield f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {code.co_argcount} {code.co_kwonlyargcount} {code.co_flags}"
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code(constant, names)
        elif not isinstance(constant, frozenset):
            yield repr(constant)
        else:
            yield repr(sorted(constant, key=repr))


def _used(value: Any, names: "list[str] | tuple[str, ...]", seen: set[int]) -> Iterator[str]:
    """A global, a default or a constant of a class."""
    if isinstance(value, types.ModuleType):
        yield f"{value.__name__} {getattr(value, '__version__', '')}"
        if _own_file(value.__name__):  # helpers that are called as module.helper
            for name in sorted(set(names)):
                if hasattr(value, name):
                    yield from _used(getattr(value, name), names, seen)
    elif isinstance(value, types.FunctionType | types.MethodType | functools.partial | type):
        yield from _words(value, seen)
    elif not isinstance(value, types.BuiltinFunctionType):
        if _ours(type(value)):
            yield from _words(type(value), seen)
        yield _repr(structure(value, contents=True))


def _repr(described: Any) -> str:
    """Without addresses, which differ from run to run."""
    if isinstance(described, dict):
        return "{" + ",".join(f"{name}:{_repr(one)}" for name, one in described.items()) + "}"
    if isinstance(described, list):
        return "[" + ",".join(_repr(one) for one in described) + "]"
    return (
        repr(described) if described is None or isinstance(described, bool | int | float | str) else type(described.value).__name__
    )


def _ours(thing: Any) -> bool:
    """Code that somebody may be writing on: of no installed package."""
    return _own_file(str(getattr(thing, "__module__", None)))


@functools.cache
def _own_file(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module == "__main__"
    path = Path(file).resolve()
    return not path.is_relative_to(_PACKAGE) and not any(path.is_relative_to(place) for place in _INSTALLED)
