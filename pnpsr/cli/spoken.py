"""Messages in the terms of the command line: the option that was typed, not the argument that it became."""

import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

OTHERS = {"T": "iterations", "solver": "preset"}  # what Python calls otherwise
LEADING = re.compile(r"([A-Za-z_]\w*)(?= (?:must|needs|is|of|has|holds|that|to)\b)")


def in_options(message: str, command: Callable[..., Any]) -> str:
    """A message that begins with the name of an argument, with the option of that ``command`` in its place."""
    found = LEADING.match(message)
    if found is None:
        return message
    if found[1] == "k":
        return f"the kernel{message[1:]}"
    name = OTHERS.get(found[1], found[1])
    return f"--{name.replace('_', '-')}{message[found.end() :]}" if name in options(command) else message


def options(command: Callable[..., Any]) -> set[str]:
    """Names of the options of a command, those in its groups of options too."""
    hints, names = get_type_hints(command), set[str]()
    for name, parameter in inspect.signature(command).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            names |= {field.name for field in dataclasses.fields(hints[name])}
        elif parameter.kind is parameter.KEYWORD_ONLY:
            names.add(name)
    return names
