"""``pnpsr restore``: photographs, blindly."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from pnpsr.cli.batch import Batch, Options, restore_all
from pnpsr.cli.inputs import inputs
from pnpsr.cli.measured import Measurement
from pnpsr.cli.report import Truth
from pnpsr.cli.shares import share_of
from pnpsr.images import read_image
from pnpsr.kernels import load_kernels
from pnpsr.photo.ask import Ask
from pnpsr.photo.plan import GIB, available


def restore(
    images: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    scale: int = 2,
    preset: str | None = None,
    size: int | None = None,
    sigma: float | None = None,
    iterations: int | None = None,
    kernel: Path | None = None,
    kernels_per: int | None = None,
    boundary: Literal["extend", "circular"] = "extend",
    physics: str | None = None,
    mask: Path | None = None,
    tile: int | None = None,
    memory: float | None = None,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    format: Literal["same", "png", "tif", "jpg", "webp", "bmp"] = "same",
    truth: Path | None = None,
    true_kernel: Path | None = None,
    out: Path = Path("restored"),
    overwrite: tyro.conf.UseCounterAction[int] = 0,
    report: tyro.conf.UseCounterAction[int] = 0,
    quiet: tyro.conf.UseCounterAction[int] = 0,
    json: tyro.conf.UseCounterAction[int] = 0,
    device: str = "cpu",
) -> int:
    """Restore photographs whose blur is not known: writes each picture, its kernel, and a figure.

    Under ``torchrun`` the processes share the pictures, and those of one machine its memory.

    Args:
        images: picture files and folders (PNG, TIFF, JPEG, WebP, BMP, GIF; gray, colour, 16 bits, floats, transparency).
        scale: enlargement; 1 removes blur only.
        preset: name of a solver that ships with pnpsr, or a checkpoint, pnpsr's or official (.pth); with +debiased behind its
            name it looks at its first kernel again, with +ensemble it restores twice; by default several methods look for the
            blur, and the one that explains the picture best is believed.
        size: side of the square kernel to estimate, by the classical method alone.
        sigma: noise standard deviation as a fraction of white (0.02 for 2 %), at most 0.5; estimated if left out.
        iterations: number of iterations, if not the solver's own.
        kernel: file of the kernel, if it is known; with a preset that estimates one, the kernel to begin from.
        kernels_per: a kernel of its own for every cell of so many pixels, for blur that differs over the picture; at least 256.
        boundary: extend for photographs, circular for periodic test images.
        physics: what made the pictures, by name, as for degrade: a convention (DAN) or one of your own (--use), such as a mosaic;
            the preset, or else the untrained method, inverts it, in one piece.
        mask: picture that is white where a pixel counts, and black where it is missing or wrong; as physics.
        tile: side of the tiles in pixels of the input; chosen by the memory if left out.
        memory: GiB that may be used; what is free if left out.
        precision: of the image networks; auto is bfloat16 where the processor has it.
        format: of the results; same is that of the input.
        truth: the true picture, where it is known, for scores; for one picture only.
        true_kernel: the true kernel, where it is known, for scores; for one picture only.
        out: folder for the results; made if it does not exist.
        overwrite: replace results that are there already; without it they are kept, and not computed again.
        report: write one HTML page for each picture: before and after, kernel, iterations, numbers.
        quiet: print nothing but errors.
        json: print one JSON object for each picture, and nothing else.
        device: cpu, cuda, cuda:1, mps.
    """
    share = share_of(device)
    if memory is None and share.local > 1:
        memory = available() / GIB / share.local
    k = None if kernel is None else load_kernels(kernel)[:1]
    options = Options(
        Ask.of(scale, preset, k, sigma, size, iterations, boundary, kernels_per, precision, share.device),
        tile, memory, None if format == "same" else f".{format}", bool(overwrite), bool(report), bool(quiet), bool(json),
        Measurement.of(physics, mask),
    )  # fmt: skip
    if options.measured is not None and (tile is not None or kernels_per is not None or report):
        raise ValueError("--physics and --mask restore in one piece, with one kernel: leave out --tile, --kernels-per and --report")
    found = inputs(images, out)
    if len(found) > 1 and (truth is not None or true_kernel is not None):
        raise ValueError(f"--truth and --true-kernel are for one picture, and there are {len(found)}")
    known = Truth(
        None if truth is None else read_image(truth, channels=options.complete(read_image(found[0].path).image).shape[1]).image,
        None if true_kernel is None else load_kernels(true_kernel)[:1],
    )
    return restore_all(Batch(tuple(found), options, known), share)
