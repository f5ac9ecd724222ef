"""A solver as a value: the recipe's call that built it and every difference from it, for equality, files and results alike."""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from pnpsr.values.code import code_digest
from pnpsr.values.rebuild import ABSENT
from pnpsr.values.structure import Opaque, Undescribed, digest, opaque, parts, structure


@dataclass(frozen=True, eq=False)
class Expression:
    """``recipe(arguments)``, then ``changes``. Equal expressions, with equal weights, are equal solvers.

    Args:
        recipe: its name.
        arguments: as they were given, defaults included; a solver that a recipe built is its own expression.
        noted: the same as JSON can hold them.
        changes: what was set afterwards, by dotted path, as JSON can hold it.

    Example:
        >>> from pnpsr.values import Expression
        >>> Expression("usrnet", {"T": 2}).arguments["T"]
        2
    """

    recipe: str
    arguments: Mapping[str, Any]
    noted: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def note(self) -> dict[str, Any]:
        """All of it as JSON can hold it; parts that have no description are in it as they are."""
        return {"recipe": self.recipe, "arguments": dict(self.noted), **({"changes": dict(self.changes)} if self.changes else {})}

    def written(self) -> dict[str, Any]:
        """All of it as JSON can hold it.

        Raises:
            Undescribed: a part that cannot be written down, such as a lambda; the message names it.
        """
        named = {**{f"argument {name}": one for name, one in self.noted.items()}, **self.changes}
        for path, one in named.items():
            if (found := opaque(one, path)) is not None:
                raise Undescribed(f"{found[0]} cannot be written down: {found[1].why}")
            if (here := next((name for name in _paths(one) if name.startswith("__main__:")), None)) is not None:
                where = "defined in the program that runs: put it in a module that can be imported"
                raise Undescribed(f"{path} cannot be written down: {here.partition(':')[2]} is {where}")
        return dict(json.loads(json.dumps(self.note())))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.note() == other.note()

    def __hash__(self) -> int:
        return hash(self.recipe)

    def __repr__(self) -> str:
        call = f"{self.recipe}({', '.join(f'{name}={_shown(value)}' for name, value in self.arguments.items())})"
        return ", ".join((call, *(f"{path} = {_brief(value)}" for path, value in self.changes.items())))


class Built:
    """What a recipe left on its solver: the call, and what the solver was made of at that moment.

    Example:
        >>> from pnpsr import usrnet
        >>> usrnet(T=1, widths=(2, 2, 2, 2)).built.call.recipe
        'usrnet'
    """

    def __init__(self, solver: nn.Module, call: Expression, function: Any) -> None:
        self.call, self.function, self.table = call, function, parts(solver)

    def changes(self, solver: nn.Module) -> dict[str, Any]:
        """By path, what is other now than when it was built; below a module of another class, all that is in it."""
        now, changed = parts(solver), dict[str, Any]()
        swapped = [path for path, entry in now.items() if _is_class(entry) and self.table.get(path) != entry]
        for path, entry in now.items():
            if any(path == other or path.startswith(f"{other}.") for other in swapped) or self.table.get(path, ABSENT) != entry:
                changed[path] = entry
        gone = [path for path in self.table if path not in now and not any(path.startswith(f"{other}.") for other in swapped)]
        tops = [path for path in gone if path.rpartition(".")[0] in now and _is_class(now[path.rpartition(".")[0]])]
        return {path: changed[path] if path in changed else dict(ABSENT) for path in (*changed, *tops)}

    def describe(self, solver: nn.Module, contents: bool = False) -> dict[str, Any]:
        """Of a solver in a description of something else; with ``contents`` its weights and the recipe's code count too."""
        note = expression(solver).note()
        if contents:
            note |= {"weights": weights_digest(solver), "code": code_digest(self.function)}
        return note


def expression(solver: nn.Module) -> Expression:
    """The recipe's call that built a solver, and every difference of the solver from what it built.

    Raises:
        ValueError: no recipe built it.

    Example:
        >>> from pnpsr import expression, usrnet
        >>> print(expression(usrnet(T=2, widths=(2, 2, 2, 2))))
        usrnet(T=2, widths=(2, 2, 2, 2), hidden=64, channels=3, start='nearest')
    """
    built = getattr(solver, "built", None)
    if not isinstance(built, Built):
        raise ValueError(f"{type(solver).__name__} was not built by a recipe: decorate its function with pnpsr.recipes.recipe")
    call = built.call
    return Expression(call.recipe, call.arguments, call.noted, built.changes(solver))


def identity(thing: Any) -> tuple[str, str]:
    """(digest, "") of everything that decides what a callable returns; ("", why) for one that has no description.

    Its attributes and arguments, weights by their values, functions and classes by their code.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.values import identity
        >>> len(identity(usrnet(T=1, widths=(2, 2, 2, 2))))
        2
    """
    if (found := opaque(structure(thing, contents=True))) is not None:
        return "", f"{found[0].strip('. ')}: {found[1].why}".removeprefix(": ")
    return content_digest(thing), ""


def content_digest(thing: Any) -> str:
    """SHA-256 of everything a value is made of: values of data, code of functions and classes with their constants and closures.

    Unlike :func:`identity` it also takes what has no description, such as a lambda, by its code.

    Example:
        >>> from pnpsr.values import content_digest
        >>> content_digest((1, 2)) == content_digest((1, 2))
        True
    """
    described = structure(thing, contents=True)
    total = hashlib.sha256(json.dumps(described, sort_keys=True, default=lambda one: code_digest(one.value)).encode())
    for path in sorted(set(_paths(described))):
        total.update(_code(path).encode())
    return total.hexdigest()


def weights_digest(solver: nn.Module) -> str:
    """SHA-256 over names, shapes, types and values of all weights.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.values import weights_digest
        >>> one = usrnet(T=1, widths=(2, 2, 2, 2))
        >>> weights_digest(one) == weights_digest(one)
        True
    """
    total = hashlib.sha256()
    for name, value in solver.state_dict().items():
        total.update(f"{name} {digest(value)}".encode())
    return total.hexdigest()


def noted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a recipe as JSON can hold them, parts without a description as they are."""
    return {name: one.note() if isinstance(one, Expression) else structure(one) for name, one in arguments.items()}


def _paths(described: Any) -> list[str]:
    """Import paths of all functions and classes in a description."""
    if isinstance(described, list):
        return [path for one in described for path in _paths(one)]
    if not isinstance(described, dict):
        return []
    own = [one for word, one in described.items() if word in ("class", "function", "object") and isinstance(one, str)]
    return own + [path for one in described.values() for path in _paths(one)]


def _code(path: str) -> str:
    """Digest of the code at an import path, which is this program's own: it has it."""
    module, _, name = path.partition(":")
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part)
    return code_digest(found)


def _is_class(entry: Any) -> bool:
    return isinstance(entry, Opaque) or (isinstance(entry, dict) and "class" in entry)


def _shown(value: Any) -> str:
    return f"{type(value).__name__}(...)" if isinstance(value, nn.Module) else repr(value)


def _brief(entry: Any) -> str:
    """A change as its author would have written it, about."""
    if isinstance(entry, Opaque):
        return entry.why
    if isinstance(entry, dict):
        word, *_ = entry
        inner = entry[word]
        return "removed" if word == "absent" else inner.rpartition(":")[2] if isinstance(inner, str) else f"{word} {inner}"
    return repr(tuple(entry) if isinstance(entry, list) else entry)
