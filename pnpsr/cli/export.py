"""``pnpsr export``: a solver as one file that runs without pnpsr."""

from pathlib import Path
from typing import Annotated

import torch
import tyro

from pnpsr import checks
from pnpsr.export import export as traced
from pnpsr.export import to_onnx
from pnpsr.needs import needs_of
from pnpsr.released import open_solver

SUFFIXES = (".pt2", ".onnx")


def export(
    solver: Annotated[str, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional],
    *,
    scale: int | None = None,
    iterations: int | None = None,
    given: tuple[str, ...] | None = None,
    size: tuple[int, int] = (96, 80),
    batch: int = 1,
    channels: int | None = None,
    kernel: int | None = None,
    dynamic: bool = True,
) -> None:
    """Write a solver with its scale and number of iterations fixed as a torch.export program (.pt2) or as ONNX (.onnx).

    Args:
        solver: name of a preset, or a checkpoint, pnpsr's or official (.pth).
        out: where to write; an existing file is replaced.
        scale: enlargement; may be left out where the solver does only one.
        iterations: number of iterations, if not the solver's own.
        given: what calls give beside the picture: k, sigma, both; what the solver needs if left out.
        size: rows and columns of the picture that it is traced with.
        batch: number of pictures in a call.
        channels: of the pictures, where the solver takes any.
        kernel: side of the kernels that calls give, where the solver takes any.
        dynamic: for pictures of any height and width; without it of those of size alone.
    """
    checks.choice(checks.writable(out).suffix, SUFFIXES, "the suffix of out")
    opened = open_solver(solver)
    if scale is None and (able := needs_of(opened).scales) is not None and len(able) == 1:
        scale = able[0]
    program = traced(
        opened, scale, T=iterations, given=given, batch=batch, size=size, channels=channels, kernel=kernel, dynamic=dynamic
    )
    if out.suffix == ".onnx":
        to_onnx(program, out)
    else:
        torch.export.save(program, out)
    sizes = "any height and width" if dynamic else f"{size[0]} x {size[1]}"
    print(f"{', '.join(program.graph_signature.user_inputs)} -> x, k; {batch} picture(s) of {sizes}")
    print("wrote    ", out)
