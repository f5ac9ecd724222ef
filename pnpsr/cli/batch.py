"""Pictures one after the other: progress, a line for each, what failed named at the end."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pnpsr.cli.bar import Bar
from pnpsr.cli.figure import write_figure
from pnpsr.cli.inputs import Input
from pnpsr.cli.measured import Measurement
from pnpsr.cli.page import write_page
from pnpsr.cli.pages import restore_pages
from pnpsr.cli.report import Truth, fits, scores, spoken, target, write_result
from pnpsr.cli.shares import Share
from pnpsr.images import Picture, read_image
from pnpsr.photo import Restoration
from pnpsr.photo import restore as restore_photo
from pnpsr.photo.ask import Ask
from pnpsr.photo.believe import quick
from pnpsr.photo.find import Progress, Seen
from pnpsr.photo.finish import finisher, with_kernel_given
from pnpsr.photo.plan import plan, seconds_per_pixel
from pnpsr.solver import UnrolledSolver

FAILURES = (ValueError, TypeError, OSError, ArithmeticError, MemoryError, RuntimeError)
NOTHING, ALL = Truth(), Share()


@dataclass(frozen=True)
class Options:
    """What holds for all pictures of a call."""

    ask: Ask
    tile: int | None = None
    memory: float | None = None
    suffix: str | None = None  # of the results; None is that of each input
    overwrite: bool = False
    report: bool = False
    quiet: bool = False
    json: bool = False
    measured: Measurement | None = None  # what made the pictures, where it is more than blur and ↓s
    progress: Progress | None = None  # who listens instead of the bar
    seen: Seen | None = None  # who watches the kernels

    def complete(self, y: Tensor) -> Tensor:
        """y as a picture without gaps, in the colours of the result."""
        return y if self.measured is None else self.measured.model(y, self.ask.scale).complete(y)


@dataclass(frozen=True)
class Batch:
    """The pictures of a call."""

    inputs: tuple[Input, ...]
    options: Options
    truth: Truth = NOTHING


def restore_all(batch: Batch, share: Share = ALL) -> int:
    """Restore every picture of this process's share: exit status 0, or 1 if some of several failed, which the first one says.

    Raises:
        ValueError, TypeError, OSError: what is wrong with the call, or with its only picture.
    """
    options, failed = batch.options, 0
    options.ask.opened()  # a preset that cannot be used is a mistake of the call, not of a picture
    for one in share.of(batch.inputs):
        began = time.perf_counter()
        there = None if options.overwrite else one.finished()
        if there is not None:
            _say(options, one, "kept", f"{there} is there already, whatever its call asked for; --overwrite replaces it", {})
            continue
        try:
            told = restore_file(one, options, batch.truth, detailed=len(batch.inputs) == 1)
        except FAILURES as error:
            reason = plainly(error)
            if len(batch.inputs) == 1:
                raise ValueError(reason) from error
            failed += 1
            _say(options, one, "failed", reason, {})
            continue
        seconds = time.perf_counter() - began
        _say(options, one, told.pop("status"), told.pop("words"), {**told, "seconds": round(seconds, 2)})
    failed = sum(share.last(failed)) if share.count > 1 else failed
    if not share.first:
        return 0
    if failed and not options.json:
        print(f"pnpsr: {failed} of {len(batch.inputs)} pictures could not be restored", file=sys.stderr)
    return 1 if failed else 0


def restore_file(one: Input, options: Options, truth: Truth, *, detailed: bool) -> dict[str, Any]:
    """Restore the picture of a file, or those of all its pages; what there is to say about it, by name.

    Raises:
        ValueError: a truth for one of several pages.
    """
    if one.pages == 1:
        return restore_one(read_image(one.path), one, options, truth, detailed=detailed)
    if truth.x is not None or truth.k is not None:
        raise ValueError(f"--truth and --true-kernel are for one picture, and {one.path} has {one.pages} pages")

    def of_page(number: int, part: Input) -> dict[str, Any]:
        return restore_one(read_image(one.path, page=number), part, options, truth, detailed=detailed)

    return restore_pages(one, of_page, overwrite=options.overwrite)


def plainly(error: BaseException) -> str:
    """An error as one line for the user."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        return "there was not enough memory; take a smaller --tile, or say with --memory how many GiB may be used"
    return text or type(error).__name__


def restore_one(picture: Picture, one: Input, options: Options, truth: Truth, *, detailed: bool) -> dict[str, Any]:
    """Restore one picture and write everything; what there is to say about it, by name."""
    ask, to = options.ask, target(one.folder, one.stem, picture, options.suffix)
    y, measured = options.complete(picture.image), options.measured
    fits(y, ask.scale, truth)
    loud = not (options.quiet or options.json)
    h, w = picture.image.shape[-2:]
    if loud and detailed:
        print(f"picture   {h} × {w} → {h * ask.scale} × {w * ask.scale}, {_expected(options, h, w, picture.image.shape[1])}")
    with Bar(f"{one.path.name} ×{ask.scale}", hidden=not loud) as bar:
        r = measured.restore(picture, ask, options.progress or bar.at) if measured is not None else restore_photo(
            picture, ask.scale, solver=ask.solver, k=ask.k, sigma=ask.sigma, size=ask.size, T=ask.T, boundary=ask.boundary,
            tile=options.tile, memory=options.memory, kernels_per=ask.kernels_per, precision=ask.precision, device=ask.device,
            keep=one.folder / f".{one.stem}_x{ask.scale}.tiles", watch=True, progress=options.progress or bar.at, seen=options.seen,
        )  # fmt: skip
    numbers = scores(y, r, truth)
    one.folder.mkdir(parents=True, exist_ok=True)
    said = spoken(numbers)
    short = {name: line for name, line in said.items() if name != "kernel"}
    shown = [write_figure(one.folder / f"{one.stem}_figure.png", y, r, truth, short)]
    if options.report:
        shown.append(write_page(one.folder / f"{one.stem}_report.html", y, r, one.path.name, said))
    written, notes = write_result(to, one.stem, picture, r)  # the picture last of all: where it is, everything is
    written += shown
    if loud and detailed:
        for name, line in {"found": r.words, **said}.items():
            print(f"{name:9} {line}")
        for note in (*picture.notes, *to.notes, *notes):
            print(f"note      {note}")
        print("wrote    ", *written, sep=" ")
    return _told(r, written, numbers, (*picture.notes, *to.notes, *notes), detailed)


def _expected(options: Options, h: int, w: int, channels: int) -> str:
    """What it will take, told before it starts: memory, and where there are tiles the time they need."""
    ask = options.ask
    cut = plan(h, w, channels, ask.scale, tile=options.tile, memory=options.memory)
    named = ask.opened()
    if len(cut.tiles) == 1 or options.measured is not None or not isinstance(named, UnrolledSolver | None):
        return cut.words()
    finish = finisher(ask.scale, known=ask.k is not None) if named is None else with_kernel_given(named)
    each = seconds_per_pixel(quick(finish, ask), channels, ask.scale) / finish.T * (ask.T or finish.T)
    pixels = sum((t.rows.stop - t.rows.start) * (t.columns.stop - t.columns.start) for t in cut.tiles) * ask.scale**2
    return cut.words(each * pixels)


def _told(r: Restoration, written: list[Path], numbers: dict[str, Any], notes: tuple[str, ...], detailed: bool) -> dict[str, Any]:
    return {
        "status": "restored" if r.touched else "unchanged",
        "words": r.words,
        "sigma": r.sigma,
        "height": r.x.shape[-2],
        "width": r.x.shape[-1],
        "tiles": len(r.plan.tiles),
        "files": [str(path) for path in written],
        "notes": list(notes),
        "scores": numbers,
        "detailed": detailed,
    }


def _say(options: Options, one: Input, status: str, words: str, more: dict[str, Any]) -> None:
    """The line of a picture: as JSON, in words, or only if it failed."""
    told_already = more.pop("detailed", False)
    if options.json:
        print(json.dumps({"picture": str(one.path), "status": status, "words": words, **more}, ensure_ascii=False), flush=True)
    elif status == "failed":
        print(f"{one.path}: {words}", file=sys.stderr, flush=True)
    elif not options.quiet and not told_already:
        pages = f"{more['pages']} pages, " if "pages" in more else ""
        size = f"{pages}{more['height']} × {more['width']}, {more['seconds']:.0f} s: " if "height" in more else ""
        notes = "".join(f"; {note}" for note in more.get("notes", ()))
        print(f"{one.path}: {status}, {size}{words}{notes}", flush=True)
