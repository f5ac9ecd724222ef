"""The command line: a table of functions. ``pnpsr COMMAND --help`` lists the arguments of each."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from pnpsr.cli.convert import convert
from pnpsr.cli.degrade import degrade
from pnpsr.cli.demo import demo
from pnpsr.cli.evaluate import evaluate
from pnpsr.cli.kernels import kernels
from pnpsr.cli.restore import restore
from pnpsr.cli.study import study
from pnpsr.cli.train import train

COMMANDS: dict[str, Callable[..., Any]] = {
    "restore": restore,
    "train": train,
    "degrade": degrade,
    "kernels": kernels,
    "demo": demo,
    "convert": convert,
    "evaluate": evaluate,
    "study": study,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of the user's making are one line on standard error and exit status 2."""
    import tyro

    try:
        status = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            prog="pnpsr",
            description="Plug-and-play blind inverse problems in imaging.",
            args=arguments,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff),
        )
    except (ValueError, TypeError, OSError, ArithmeticError) as error:
        print("pnpsr: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pnpsr: interrupted", file=sys.stderr)
        return 130
    return status if isinstance(status, int) else 0
