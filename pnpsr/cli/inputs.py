"""Which pictures a call means, and what their results will be called: settled before anything is computed."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pnpsr.images import FORMATS, READS, pages_in

ENDINGS = ("_restored", "_kernel", "_figure", "_report")


@dataclass(frozen=True)
class Input:
    """A picture file, and where its results go: ``folder / (stem + "_restored.png")`` and so on."""

    path: Path
    folder: Path
    stem: str
    pages: int = 1

    def page(self, number: int) -> "Input":
        """One page of several, from 0, as an input with a name of its own."""
        return replace(self, stem=f"{self.stem}_page{number + 1}", pages=1)

    def names(self) -> list[tuple[Path, str]]:
        """Folder and stem of everything that will be written, in small letters: not every disk knows capitals."""
        parts = [self.page(i) for i in range(self.pages)] if self.pages > 1 else []
        return [(one.folder, one.stem.lower()) for one in (self, *parts)]

    def finished(self) -> Path | None:
        """The result that is there already."""
        return next((p for s in FORMATS if (p := self.folder / f"{self.stem}_restored{s}").is_file()), None)


def inputs(paths: Sequence[Path], out: Path) -> list[Input]:
    """The pictures at ``paths``, files and folders with all below them, each with a name of its own below ``out``.

    Two pictures that differ only in their suffix get it as part of the name. Results of earlier calls are no input.

    Raises:
        FileNotFoundError: nothing there.
        ValueError: no pictures, ``out`` is a file, or two pictures whose results would have one name.
    """
    if not paths:
        raise ValueError("name at least one picture or folder")
    there = next((p for p in (out, *out.parents) if p.exists()), out)
    if there.is_file():
        raise ValueError(f"--out {out} is a file; name a folder")
    if not os.access(there, os.W_OK):
        raise ValueError(f"--out {out}: nothing can be written there; name another folder")
    found = [(f, f.parent.relative_to(p if p.is_dir() else p.parent)) for p in paths for f in _files(p, out)]
    if not found:
        raise ValueError(f"there are no pictures ({', '.join(READS)}) in {' '.join(map(str, paths))}")
    shared = Counter((below, file.stem.lower()) for file, below in found)
    result = []
    for file, below in found:
        alone = shared[below, file.stem.lower()] == 1
        stem = file.stem if alone else f"{file.stem}_{file.suffix[1:].lower()}"
        result.append(Input(file, out / below, stem, _pages(file)))
    names = Counter(name for i in result for name in i.names())
    (folder, stem), count = names.most_common(1)[0]
    if count > 1:
        which = ", ".join(str(i.path) for i in result if (folder, stem) in i.names())
        raise ValueError(f"the results of {which} would have one name, {folder / stem}; rename one, or restore them by themselves")
    return result


def _pages(file: Path) -> int:
    try:
        return pages_in(file)
    except OSError:  # it will be said when it is restored
        return 1


def _files(path: Path, out: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"there is no picture or folder at {path}")
    return sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in READS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and not (out in file.parents and file.stem.endswith(ENDINGS))
    )
