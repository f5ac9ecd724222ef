"""Solvers as words of a command line: ``NAME``, ``FILE``, ``LABEL=FILE,FILE``, each with options ``+OPTION``."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Word:
    """What a word says.

    Args:
        label: the name before ``=``; None: it has none.
        names: presets, files, ``module:name``: what stands after ``=``, or the whole word.
        options: in their order, without ``+``.

    Example:
        >>> from pnpsr.released import read_word
        >>> read_word("mine=a.safetensors", ()).label
        'mine'
    """

    label: str | None
    names: tuple[str, ...]
    options: tuple[str, ...] = ()


def read_word(word: str, options: Collection[str], what: str = "option") -> Word:
    """Take a word apart. A file may be called anything: what exists is never taken apart.

    Args:
        word: as typed.
        options: those that may follow ``+``.
        what: an option is called in the message.

    Raises:
        ValueError: something else follows ``+``.

    Example:
        >>> from pnpsr.released import read_word
        >>> read_word("mine=a.pth,b.pth+sigma", ("sigma",))
        Word(label='mine', names=('a.pth', 'b.pth'), options=('sigma',))
    """
    rest, found = word, list[str]()
    while not _exists(rest) and "+" in rest and (last := rest.rpartition("+")[2]) in options:
        found.insert(0, last)
        rest = rest.rpartition("+")[0]
    label, equals, files = ("", "", rest) if _is_file(rest) else rest.partition("=")
    names = tuple(files.split(",")) if equals else (rest,)
    if "+" in rest and not _exists(rest):
        last = rest.rpartition("+")[2]
        raise ValueError(f"{last!r} in {word!r} is no {what}; known are {', '.join(options)}; more come with --use MODULE")
    return Word(label if equals else None, names, tuple(found))


def label_of(name: str) -> str:
    """What tables call a preset, a file or a ``module:name`` that has no label: letters, digits, ``_.-``.

    Example:
        >>> from pnpsr.released import label_of
        >>> label_of("runs/mine.safetensors")
        'runs_mine.safetensors'
    """
    if _is_file(name):
        name = Path(name).stem
    elif ":" in name:
        return re.sub(r"[^A-Za-z0-9_-]", "_", name.rpartition(":")[2])
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).strip(".-")


def _exists(word: str) -> bool:
    """The word without options is complete: a file, or a label and files."""
    return _is_file(word) or ("=" in word and all(_is_file(name) for name in word.partition("=")[2].split(",")))


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a file, or not a path at all
        return False
