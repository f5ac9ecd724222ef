"""Finished tiles on disk: what was interrupted goes on where it stopped, and nothing is taken for what it is not."""

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnpsr.files import replace_file

NOTE = "identity.json"


class Kept:
    """Arrays by name in a folder that belongs to one picture and one way of restoring it; a folder of another is emptied first.

    Args:
        folder: where, made with the first array; None keeps nothing.
        identity: everything that the arrays depend on, as JSON can hold it.
    """

    def __init__(self, folder: Path | None, identity: dict[str, Any]) -> None:
        self.folder, mark = folder, json.dumps(identity, sort_keys=True)
        self.mark = mark
        if folder is not None and folder.is_dir():
            note = folder / NOTE
            if not (note.is_file() and note.read_text(encoding="utf-8") == mark):
                shutil.rmtree(folder)

    def get(self, name: str) -> Tensor | None:
        """The array, if it is there and whole."""
        if self.folder is None or not (path := self.folder / f"{name}.npy").is_file():
            return None
        try:
            return torch.from_numpy(np.load(path, allow_pickle=False))
        except (ValueError, OSError, EOFError):
            return None

    def put(self, name: str, array: Tensor) -> None:
        """Write the array, all or nothing."""
        if self.folder is not None:
            if not self.folder.is_dir():
                self.folder.mkdir(parents=True)
                replace_file(self.folder / NOTE, self.mark.encode())
            file = io.BytesIO()
            np.save(file, array.detach().cpu().numpy(), allow_pickle=False)
            replace_file(self.folder / f"{name}.npy", file.getvalue())

    def forget(self) -> None:
        """Remove the folder: the picture is finished."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def digest(y: Tensor) -> str:
    """Of the values of a picture."""
    return hashlib.sha256(y.contiguous().cpu().numpy().data).hexdigest()[:16]
