"""Ctrl-C in the seconds in which torch is loaded: one line, as at any later moment."""

import sys
from pathlib import Path
from types import TracebackType


def as_command() -> bool:
    """Whether this process is ``pnpsr`` or ``python -m pnpsr``, and not a program that uses the library."""
    if not sys.argv:
        return False
    said = Path(sys.argv[0])  # with -m it is "-m" until the module is found, and then its file
    return sys.argv[0] == "-m" or said.stem == "pnpsr" or said.parts[-2:] == ("pnpsr", "__main__.py")


def say_in_one_line() -> None:
    """From now on a KeyboardInterrupt that nobody catches is told in one line; the exit status stays that of the signal."""

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("pnpsr: interrupted", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = told


if as_command():
    say_in_one_line()
