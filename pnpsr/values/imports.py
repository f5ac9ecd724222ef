"""Code from outside by its name: which modules were brought in, and ``module:function`` to the function and back."""

import importlib
import importlib.util
import sys
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

GROUP = "pnpsr"  # of entry points: a package that names its module there need not be brought in by hand
# Parts of solvers, and nothing that writes files: a checkpoint may ask for these by name.
ROOMS = (
    *(
        f"pnpsr.{room}"
        for room in ("needs", "state", "starts", "physics", "conventions", "prox", "nets", "steps", "solver", "recipes")
    ),
    *("pnpsr.interop", "pnpsr.kernels", "pnpsr.debiased", "pnpsr.ensemble", "torch.nn"),
)
CLOSED = ("pnpsr.kernels.files",)
_used: dict[str, str] = {}  # module -> the word it was brought in by


def use(name: str | Path) -> ModuleType:
    """Bring in a module of one's own: what it registers is known by name from now on, and checkpoints may ask for its code.

    Args:
        name: an importable module (``my_lab.priors``), or the path of a ``.py`` file, which is imported under its stem.

    Raises:
        ValueError: no such module or file, or a file whose stem is the name of another module.

    Example:
        >>> import pathlib
        >>> from pnpsr import use
        >>> pathlib.Path("mine.py").write_text("def half(y, scale):\\n    return y / 2\\n")
        37
        >>> use("mine.py").half(1.0, 2)
        0.5
    """
    word, path = str(name), Path(name)
    if path.suffix == ".py":
        module = _from_file(path)
    else:
        try:
            module = importlib.import_module(word)
        except ModuleNotFoundError as error:
            if error.name is not None and (word + ".").startswith(error.name + "."):
                raise ValueError(
                    f"there is no module {word!r} to use; give an importable name or the path of a .py file"
                ) from error
            raise
    _used[module.__name__] = word
    return module


def used() -> tuple[str, ...]:
    """The words by which modules were brought in, in their order.

    Example:
        >>> from pnpsr.values import used
        >>> isinstance(used(), tuple)
        True
    """
    return tuple(_used.values())


@cache
def plugins() -> tuple[str, ...]:
    """Import the modules that installed packages name in the entry-point group ``pnpsr``, once; their names.

    Example:
        >>> from pnpsr.values import plugins
        >>> isinstance(plugins(), tuple)
        True
    """
    modules = [point.load() for point in entry_points(group=GROUP)]
    names = [module.__name__ if isinstance(module, ModuleType) else module.__module__ for module in modules]
    _plugged.update(names)
    return tuple(names)


_plugged: set[str] = set()


def fetch(path: str) -> Any:
    """The function or class at ``module:name``, from a part of pnpsr or of torch.nn, or from a module that was brought in.

    Raises:
        ValueError: code from elsewhere, which a file may not ask for; no such name.
    """
    name, _, inner = path.partition(":")
    plugins()
    if not _allowed(name):
        raise ValueError(
            f"{path} is code from outside; if you trust it bring its module in: --use {name}, or pnpsr.use({name!r}) in Python"
        )
    try:
        found: Any = sys.modules[name] if name in _used else importlib.import_module(name)
        for part in inner.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no {path}: {error}") from error
    if (home := getattr(found, "__module__", name)) != name and not _allowed(home):
        raise ValueError(f"{path} is code of {home}, which a file may not ask for")
    return found


def by_words(path: str) -> Any:
    """What ``module:name`` or ``file.py:name`` means on a command line, whose author is trusted.

    Raises:
        ValueError: no such module or name.

    Example:
        >>> from pnpsr.values import by_words
        >>> by_words("math:sqrt")(4.0)
        2.0
    """
    word, _, inner = path.rpartition(":")
    found: Any = use(word)
    for part in inner.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{word} has no {inner!r}")
        found = getattr(found, part)
    return found


def path_of(thing: Any) -> str | None:
    """``module:name`` of a function, class or enumeration member that can be imported again; None for all others."""
    if isinstance(thing, ModuleType):
        return None
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module not in sys.modules:
        return None
    found: Any = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is thing else None


def _allowed(module: str) -> bool:
    def below(some: "set[str] | tuple[str, ...] | dict[str, str]") -> bool:
        return any(module == one or module.startswith(one + ".") for one in some)

    return (below(ROOMS) and not below(CLOSED)) or below(_used) or below(_plugged)


def _from_file(path: Path) -> ModuleType:
    known = sys.modules.get(path.stem)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "").resolve() == path.resolve():
            return known
        raise ValueError(f"{path} cannot be used under the name {path.stem}, which is another module's; rename the file")
    if not path.is_file():
        raise ValueError(f"there is no file {path} to use")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise
    return module
