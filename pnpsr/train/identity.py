"""What functions, settings and stages are, in words and digests that stay the same as long as they do."""

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def digest(value: Any) -> str:
    """12 hex digits of what ``value`` is made of: values of data, code of functions with their constants and closures."""
    return hashlib.sha256(_describe(value, ()).encode()).hexdigest()[:12]


def called(function: Any) -> str:
    """A function by its name and :func:`digest`."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{name} #{digest(function)}"


def plain(value: Any) -> Any:
    """``value`` as JSON would give it back; functions by name and digest, data classes by their fields."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return called(value) if callable(value) else str(value)


def _describe(value: Any, above: tuple[int, ...]) -> str:
    """One line per kind of thing; ``above`` are those whose description this is a part of."""
    if isinstance(value, PLAIN):
        return repr(value)
    if id(value) in above:
        return "itself"
    above = (*above, id(value))
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{_describe(k, above)}: {_describe(v, above)}" for k, v in value.items())) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(_describe(v, above) for v in value)) + "}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(_describe(v, above) for v in value) + ")"
    if isinstance(value, Tensor):
        data = value.detach().cpu().contiguous().numpy().tobytes()
        return f"tensor {value.dtype} {tuple(value.shape)} {hashlib.sha256(data).hexdigest()}"
    if isinstance(value, nn.Module):
        return f"{_name(type(value))} {value!r} {_describe(value.state_dict(), above)}"
    if isinstance(value, functools.partial):
        return f"partial {_describe((value.func, value.args, value.keywords), above)}"
    if isinstance(value, MethodType):
        return f"{_describe(value.__self__, above)}.{_describe(value.__func__, above)}"
    if isinstance(value, FunctionType):
        return _function(value, above)
    if isinstance(value, type | ModuleType) or not hasattr(value, "__dict__"):
        return _name(value if hasattr(value, "__name__") else type(value))
    inside = {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else vars(value)
    return f"{_name(type(value))} {_describe(inside, above)}"


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"


def _function(f: FunctionType, above: tuple[int, ...]) -> str:
    """Text, default values, closure, and what it reads of its module: constants, and functions of the same file."""
    f = inspect.unwrap(f)
    cells = [cell.cell_contents for cell in f.__closure__ or () if _filled(cell)]
    found = {name: f.__globals__[name] for name in _names(f.__code__) if name in f.__globals__}
    read = {
        name: value
        for name, value in found.items()
        if isinstance(value, (*PLAIN, tuple)) or (isinstance(value, FunctionType) and value.__module__ == f.__module__)
    }
    return f"{_name(f)} {_text(f)} {_describe((f.__defaults__, f.__kwdefaults__, cells, read), above)}"


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None or True
    except ValueError:  # a function that is still being defined
        return False


def _names(code: CodeType) -> set[str]:
    """Global names that the code reads, and those inside it."""
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _text(f: FunctionType) -> str:
    """The source without comments and layout; what was compiled from it where there is none, or where it is part of a line."""
    try:
        return ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(f))))
    except (OSError, TypeError, SyntaxError):
        return _compiled(f.__code__)


def _compiled(code: CodeType) -> str:
    inner = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {code.co_varnames} {inner}"
