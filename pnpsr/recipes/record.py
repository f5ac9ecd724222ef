"""A solver remembers the expression that built it, so that ``save`` can write it beside the weights."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from torch import nn

P = ParamSpec("P")
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Record:
    """Name and arguments of the recipe that built a solver; an argument that is itself a recorded solver is a ``Record``."""

    recipe: str
    arguments: dict[str, Any]


def recipe(build: Callable[P, M]) -> Callable[P, M]:
    """Make ``build`` leave a :class:`Record` on the solver it returns, as ``solver.record``."""
    signature = inspect.signature(build)

    @functools.wraps(build)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> M:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        solver = build(*args, **kwargs)
        arguments = {n: _noted(v) for n, v in given.arguments.items()}
        solver.record = Record(build.__name__, arguments)  # type: ignore[assignment]  # a plain attribute, not a parameter
        return solver

    return recorded


def _noted(value: Any) -> Any:
    """An argument as it is remembered: lists as tuples, which nobody can change afterwards and which JSON does not keep apart."""
    if isinstance(value, list | tuple):
        return tuple(_noted(v) for v in value)
    return getattr(value, "record", value)
