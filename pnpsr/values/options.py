"""Arguments of a recipe that belong together, as one frozen object; in a call its fields may also be said one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from inspect import Signature
from typing import Any, ClassVar


@dataclass(frozen=True)
class Options:
    """Base of such objects. ``ikrnet(kernel=KernelStep(gamma=1.0))`` and ``ikrnet(gamma=1.0)`` are one call.

    What is remembered, compared and written to files are the single words: so files outlive a regrouping.

    Example:
        >>> from dataclasses import dataclass
        >>> from pnpsr.values import Options
        >>> @dataclass(frozen=True)
        ... class Size(Options):
        ...     WORDS = {"deep": "blocks"}
        ...     wide: int = 4
        ...     deep: int = 2
        >>> Size(deep=3).spread()
        {'wide': 4, 'blocks': 3}
    """

    WORDS: ClassVar[Mapping[str, str]] = {}  # the word of a field, where it is not the field's name

    @classmethod
    def words(cls) -> dict[str, str]:
        """Fields by their words."""
        return {cls.WORDS.get(one.name, one.name): one.name for one in fields(cls)}

    def spread(self) -> dict[str, Any]:
        """Values by their words."""
        return {word: getattr(self, name) for word, name in self.words().items()}


def gathered(signature: Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a call with single words put into the objects to which they belong.

    Raises:
        TypeError: something else where such an object is due.
    """
    found = dict(given)
    for name, parameter in signature.parameters.items():
        usual = parameter.default
        if not isinstance(usual, Options):
            continue
        if not isinstance(whole := found.get(name, usual), type(usual)):
            raise TypeError(f"{name} must be a {type(usual).__name__}, got {type(whole).__name__}")
        said = {field: found.pop(word) for word, field in usual.words().items() if word in found}
        found[name] = replace(whole, **said)
    return found


def spread(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with the words of such objects in their places."""
    words: dict[str, Any] = {}
    for name, value in arguments.items():
        words |= value.spread() if isinstance(value, Options) else {name: value}
    return words
