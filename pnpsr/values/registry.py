"""Things with names: one kind of table for recipes, settings, kernel families, metrics, protocols, methods, priors and studies."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import Generic, TypeVar

from torch import nn

from pnpsr.values.imports import plugins

T = TypeVar("T")


class Registry(MutableMapping[str, T], Generic[T]):
    """Name -> thing, open for one's own. What the commands know by name, they know from here.

    Args:
        kind: what the things are, for messages: "recipe".
        check: called as ``check(name, thing)`` before anything is added; raises what is wrong with it.

    Example:
        >>> from pnpsr.values import Registry
        >>> SHAPES = Registry("shape")
        >>> SHAPES["round"] = 1
        >>> SHAPES.find("round"), list(SHAPES)
        (1, ['round'])
    """

    def __init__(self, kind: str, check: Callable[[str, T], None] | None = None) -> None:
        self.kind, self._check = kind, check
        self._things: dict[str, T] = {}

    def find(self, name: object) -> T:
        """The thing of that name, looked for in installed packages too (entry points of the group ``pnpsr``).

        Raises:
            ValueError: there is none; the message lists those there are, and how one's own come in.
        """
        if isinstance(name, str):
            if name not in self._things:
                plugins()
            if name in self._things:
                return self._things[name]
        raise ValueError(
            f"{self.kind} must be one of {', '.join(sorted(self._things))}, got {name!r}; "
            "a module of your own brings in more: --use MODULE, or pnpsr.use('MODULE')"
        )

    def __getitem__(self, name: str) -> T:
        return self._things[name]

    def __setitem__(self, name: str, thing: T) -> None:
        """Add it; in place of the one of that name, if there is one.

        Raises:
            TypeError: a name that is no string.
            ValueError: an empty name, or what the registry's check says.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a {self.kind} must be a string, got {name!r}")
        if not name.strip() or name != name.strip():
            raise ValueError(f"the name of a {self.kind} must not be empty or begin or end with a space, got {name!r}")
        if self._check is not None:
            self._check(name, thing)
        self._things[name] = thing

    def __delitem__(self, name: str) -> None:
        del self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def __repr__(self) -> str:
        return f"Registry of {self.kind}s: {', '.join(sorted(self._things))}"


RECIPES: Registry[Callable[..., nn.Module]] = Registry("recipe")
