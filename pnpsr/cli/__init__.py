"""The command line: a table of functions. ``pnpsr COMMAND --help`` lists the arguments of each."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from pnpsr.cli.convert import convert
from pnpsr.cli.degrade import degrade
from pnpsr.cli.demo import demo
from pnpsr.cli.evaluate import evaluate
from pnpsr.cli.export import export
from pnpsr.cli.kernels import kernels
from pnpsr.cli.restore import restore
from pnpsr.cli.spoken import in_options
from pnpsr.cli.study import study
from pnpsr.cli.train import train
from pnpsr.values import plugins, use

COMMANDS: dict[str, Callable[..., Any]] = {
    "restore": restore,
    "train": train,
    "degrade": degrade,
    "kernels": kernels,
    "demo": demo,
    "convert": convert,
    "export": export,
    "evaluate": evaluate,
    "study": study,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of the user's making are one line on standard error and exit status 2.

    ``--use MODULE`` goes with every command, before or after its name, and more than once: an importable module or a .py file
    whose recipes, settings, families, metrics, protocols, methods and studies the command then knows. Modules that installed
    packages name in the entry-point group ``pnpsr`` need no such word.

    Example:
        >>> from pnpsr.cli import main
        >>> main(["kernels", "--family", "motion", "--count", "2", "--out", "drawn"]) == 0
        motion 1: centre of mass (-0.00, -0.00) from p // 2, largest 0.0627
        motion 2: centre of mass (-0.00, -0.00) from p // 2, largest 0.0793
        wrote     drawn/motion.npz drawn/motion.png
        True
    """
    import tyro

    words = list[str]()
    try:
        words, modules = split_use(sys.argv[1:] if arguments is None else arguments)
        plugins()
        for module in modules:
            use(module)
        status = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="pnpsr",
            description="Plug-and-play blind inverse problems in imaging. --use MODULE (or FILE.py) goes with every command: "
            "what the module registers is known by its name.",
            args=words,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
        )
    except (ValueError, TypeError, OSError, ArithmeticError) as error:
        said, command = " ".join(str(error).split()), next((COMMANDS[word] for word in words if word in COMMANDS), None)
        print("pnpsr: error:", said if command is None else in_options(said, command), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pnpsr: interrupted", file=sys.stderr)
        return 130
    return status if isinstance(status, int) else 0


def split_use(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words without every ``--use MODULE``, and the modules.

    Raises:
        ValueError: nothing after ``--use``.

    Example:
        >>> from pnpsr.cli import split_use
        >>> split_use(["demo", "--use", "mine.py"])
        (['demo'], ['mine.py'])
    """
    words, modules, rest = list[str](), list[str](), list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--use":
            if not rest or rest[0].startswith("--"):
                raise ValueError("--use needs a module or a .py file")
            modules.append(rest.pop(0))
        elif word.startswith("--use="):
            modules.append(word.removeprefix("--use="))
        else:
            words.append(word)
    return words, modules
