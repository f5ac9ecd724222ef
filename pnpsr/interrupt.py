"""Ctrl-C in the seconds in which torch is loaded: one line, as at any later moment."""

import sys
from pathlib import Path
from types import TracebackType


def as_command() -> bool:
    """Whether this process is ``pnpsr`` or ``python -m pnpsr``, and not a program that uses the library."""
    return bool(sys.argv) and (sys.argv[0] == "-m" or Path(sys.argv[0]).stem == "pnpsr")


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
