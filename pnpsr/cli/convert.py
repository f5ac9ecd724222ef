"""``pnpsr convert``: released weights into a file of this library."""

from pathlib import Path
from typing import Annotated

import tyro

from pnpsr.checkpoint import save
from pnpsr.released import load_released
from pnpsr.values import expression


def convert(released: Annotated[Path, tyro.conf.Positional], out: Annotated[Path, tyro.conf.Positional]) -> None:
    """Read an official checkpoint of DAN, USRNet or IKR-Net and write it as ``pnpsr.save`` does: weights, recipe and arguments.

    Args:
        released: the .pth file.
        out: where to write; an existing file is replaced.
    """
    solver = load_released(released)
    save(solver, out)
    print(f"recognised {expression(solver)}, {sum(p.numel() for p in solver.parameters()):,} weights")
    print("wrote    ", out)
