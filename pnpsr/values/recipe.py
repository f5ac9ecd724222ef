"""Recipes: functions that build solvers, under their names, with all that belongs to them."""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, overload

from torch import nn

from pnpsr.values.expression import Built, Expression, expression, noted
from pnpsr.values.options import gathered, spread
from pnpsr.values.registry import RECIPES

P = ParamSpec("P")
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Entry:
    """What belongs to a recipe besides its function.

    Args:
        stages: its training, as :class:`pnpsr.train.Stage`: a list, a function solver -> list, or ``module:name`` of either.
        optional: stages that a run has only if it names them, in the same forms.
        data: the named setting that it trains on, unless told otherwise.
        tiny: arguments of a solver that is built and run in no time, for tests and trials.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.recipes import Entry
        >>> entry = Entry(data="ikrnet", tiny={"T": 1})
        >>> entry.stages_of(usrnet(T=1, widths=(2, 2, 2, 2)))
        []
    """

    stages: Any = ()
    optional: Any = ()
    data: str | None = None
    tiny: Mapping[str, Any] = field(default_factory=dict)

    def stages_of(self, solver: nn.Module) -> list[Any]:
        """The stages for a solver of this recipe; none where it has no training of its own."""
        return _resolved(self.stages, solver)

    def optional_of(self, solver: nn.Module) -> list[Any]:
        """The stages that must be asked for."""
        return _resolved(self.optional, solver)


@overload
def recipe(build: Callable[P, M]) -> Callable[P, M]: ...
@overload
def recipe(
    *, name: str | None = None, stages: Any = (), optional: Any = (), data: str | None = None, tiny: Mapping[str, Any] | None = None
) -> Callable[[Callable[P, M]], Callable[P, M]]: ...
def recipe(
    build: Callable[P, M] | None = None,
    *,
    name: str | None = None,
    stages: Any = (),
    optional: Any = (),
    data: str | None = None,
    tiny: Mapping[str, Any] | None = None,
) -> Any:
    """Make a function that builds a solver a recipe: known by its name, saved and loaded, trained by the command if it has stages.

    The solver carries ``solver.record``, the call as an :class:`Expression`.

    Args:
        build: the function; ``@recipe`` and ``@recipe(...)`` are both fine.
        name: that it is known by, if not its own.
        stages, optional, data, tiny: see :class:`Entry`.

    Raises:
        ValueError: another module's recipe has the name.

    Example:
        >>> from pnpsr import expression, UnrolledSolver, usrnet
        >>> from pnpsr.recipes import recipe, RECIPES
        >>> @recipe(tiny={"T": 1})
        ... def short_usrnet(T: int = 2) -> UnrolledSolver:
        ...     return usrnet(T=T, widths=(2, 2, 2, 2))
        >>> print(expression(short_usrnet(T=1)))
        short_usrnet(T=1)
        >>> del RECIPES["short_usrnet"]
    """
    entry = Entry(stages, optional, data, dict(tiny or {}))
    if build is None:
        return lambda function: _register(function, name or function.__name__, entry)
    return _register(build, name or build.__name__, entry)


def entry_of(name: str) -> Entry:
    """What belongs to a recipe of that name.

    Raises:
        ValueError: an unknown name.

    Example:
        >>> from pnpsr import dan
        >>> from pnpsr.recipes import entry_of
        >>> entry_of("ikrnet").data
        'ikrnet'
        >>> [stage.name for stage in entry_of("dan").stages_of(dan(2, size=5, code=4, T=1, width=4, groups=1, blocks=1))]
        ['both networks']
    """
    entry: Entry = getattr(RECIPES.find(name), "entry", Entry())
    return entry


def trainable() -> list[str]:
    """Names of the recipes that have stages of their own.

    Example:
        >>> from pnpsr.recipes import trainable
        >>> "ikrnet" in trainable()
        True
    """
    return sorted(name for name in RECIPES if entry_of(name).stages)


def _register(build: Callable[P, M], name: str, entry: Entry) -> Callable[P, M]:
    signature, taken = inspect.signature(build), RECIPES.get(name)
    if taken is not None and (taken.__module__, taken.__qualname__) != (build.__module__, build.__qualname__):
        raise ValueError(f"there is a recipe {name!r} already, of {taken.__module__}; call this one otherwise: @recipe(name=...)")

    @functools.wraps(build)
    def recorded(*args: P.args, **kwargs: P.kwargs) -> M:
        given = signature.bind(*args, **gathered(signature, kwargs))
        given.apply_defaults()
        arguments = {n: _kept(v) for n, v in spread(given.arguments).items()}
        call = Expression(name, arguments, noted(arguments))  # before the call: what it is given may change within
        solver = build(*given.args, **given.kwargs)
        solver.record, solver.built = call, Built(solver, call, build)  # type: ignore[assignment]  # plain attributes
        return solver

    recorded.entry = entry  # type: ignore[attr-defined]
    RECIPES[name] = recorded
    return recorded


def _kept(value: Any) -> Any:
    """An argument as it is remembered: lists as tuples, which nobody can change afterwards and which JSON does not keep apart."""
    if isinstance(value, list | tuple):
        return tuple(_kept(v) for v in value)
    return expression(value) if isinstance(value, nn.Module) and hasattr(value, "built") else value


def _resolved(stages: Any, solver: nn.Module) -> list[Any]:
    if isinstance(stages, str):
        module, _, name = stages.partition(":")
        stages = getattr(importlib.import_module(module), name)
    return list(stages(solver) if callable(stages) else stages)
