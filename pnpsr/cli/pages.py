"""A file of several pages: each is a picture of its own, and the results become one file again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pnpsr.cli.inputs import Input
from pnpsr.images import join_pages

Told = dict[str, Any]
KEPT = {"status": "kept", "words": "is there already", "notes": []}


def restore_pages(one: Input, restore: Callable[[int, Input], Told], *, overwrite: bool) -> Told:
    """``restore(number, part)`` for every page whose result is not there yet, then one TIFF of them all; what there is to say.

    A result in another format than TIFF stays in as many files as there are pages.
    """
    told = list[Told]()
    for number in range(one.pages):
        part = one.page(number)
        kept = not overwrite and part.finished() is not None
        told.append(KEPT | {"files": []} if kept else restore(number, part))
    results = [found for i in range(one.pages) if (found := one.page(i).finished()) is not None]
    files = [file for each in told for file in each["files"]]
    if results and all(path.suffix in (".tif", ".tiff") for path in results):
        whole = one.folder / f"{one.stem}_restored{results[0].suffix}"
        join_pages(whole, results)
        for path in results:
            path.unlink()
        files = [str(whole), *(file for file in files if Path(file).is_file())]
    status = next((s for s in ("restored", "unchanged") if any(each["status"] == s for each in told)), "kept")
    words = "; ".join(f"page {i}: {each['words']}" for i, each in enumerate(told, 1))
    notes = list(dict.fromkeys(note for each in told for note in each["notes"]))
    return {**told[-1], "status": status, "words": words, "notes": notes, "files": files, "pages": one.pages}
