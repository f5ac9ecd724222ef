"""Decoded pictures in one file that all processes map into memory: every picture is decoded once, and crops cost what they read."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from torch import Tensor

from pnpsr.data.pictures import Pictures, Subset, digest, raw
from pnpsr.data.survey import Progress, Survey, content, in_turn, refuse
from pnpsr.files import replace_file

FORM = 1  # of the files


class Cached:
    """Pictures of another collection, decoded, in ``path`` and its index beside it. See :func:`cached`.

    Raises:
        ValueError: the index is damaged, or is not that of the file.
    """

    mapped = True  # decoded already, in memory that nobody need keep

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            index = json.loads(path.with_suffix(".json").read_text())
            self.entries: list[dict[str, Any]] = index["pictures"]
            self.broken: dict[str, str] = index["broken"]
            whole = index["form"] == FORM and path.stat().st_size == index["bytes"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"the index of {path} is damaged; remove both") from error
        if not whole:
            raise ValueError(f"{path} is not the file of its index; remove both")
        self.names = tuple(one["name"] for one in self.entries)
        self._map: np.memmap[Any, Any] | None = None

    def raw(self, index: int) -> Tensor:
        """Picture ``index`` (1 c h w), in 8 bits or floats; memory that is read only where it is used."""
        if self._map is None:  # a private view: nobody writes through it
            self._map = np.memmap(self.path, dtype=np.uint8, mode="c")
        one = self.entries[index]
        kind = np.dtype(one["dtype"])
        count = int(np.prod(one["shape"])) * kind.itemsize
        samples = self._map[one["offset"] : one["offset"] + count].view(kind).reshape(one["shape"])
        return torch.from_numpy(samples).permute(2, 0, 1)[None]

    def read(self, index: int) -> Tensor:
        """Picture ``index`` as (1 c h w) float32 in [0, 1]."""
        x = self.raw(index).contiguous()
        return x.float() / 255 if x.dtype == torch.uint8 else x

    def digest(self, index: int) -> str:
        """That of the picture it was made from."""
        return str(self.entries[index]["digest"])

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_map": None}  # other processes map the file anew


def cached(pictures: Pictures, folder: str | Path, progress: Progress | None = None) -> Survey:
    """The same pictures out of a file in ``folder``, which is written on the first call: 3 bytes per pixel of 8-bit colour.

    It is known by the names of the pictures and their sizes and times of change (or contents, where they are no files): other or
    changed pictures get another file. Training data are the same, bit by bit, with it and without.

    Args:
        pictures: the collection.
        folder: made if it does not exist; several collections can share it.
        progress: called with (done, in all) after each picture that is decoded.

    Returns:
        the pictures that can be read, mapped, and the others with the reason.

    Raises:
        ValueError: not one picture can be read, or the file is damaged.
        OSError: the disk is full, or the folder cannot be made.

    Example:
        >>> import torch
        >>> from pnpsr.data import cached, Folder
        >>> from pnpsr.images import write_image
        >>> write_image("one.png", torch.rand(1, 3, 16, 16))
        ()
        >>> len(cached(Folder("."), "cache").whole.names)
        1
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"pictures-{_key(pictures)}.bin"
    if not path.with_suffix(".json").exists():
        _write(pictures, path, progress)
    found = Cached(path)
    if not found.names:
        refuse(found.broken)
    return Survey(Subset(found, range(len(found.names))), found.broken)


def _key(pictures: Pictures) -> str:
    """16 hex digits of which pictures these are."""
    stamp = getattr(pictures, "stamp", None)
    if stamp is None:
        known: Any = content(pictures)
    else:
        known = [(name, stamp(i)) for i, name in enumerate(pictures.names)]
        known = [str(Path(getattr(pictures, "path", ".")).resolve()), getattr(pictures, "channels", None), known]
    return hashlib.sha256(json.dumps([FORM, known]).encode()).hexdigest()[:16]


def _write(pictures: Pictures, path: Path, progress: Progress | None) -> None:
    entries, broken, offset = list[dict[str, Any]](), dict[str, str](), 0

    def decoded(i: int) -> tuple[Tensor, str] | str:
        try:
            return raw(pictures, i), digest(pictures, i)
        except (ValueError, OSError) as error:
            return " ".join(str(error).split())

    with _fresh(path) as file:
        for i, one in in_turn(decoded, len(pictures.names)):
            if isinstance(one, str):
                broken[pictures.names[i]] = one
            else:
                samples = one[0][0].permute(1, 2, 0).contiguous().numpy()
                entry = {"name": pictures.names[i], "digest": one[1], "shape": samples.shape, "dtype": samples.dtype.name}
                entries.append({**entry, "offset": offset})
                data = samples.tobytes()
                data += bytes(-len(data) % 16)  # floats are read where they lie
                file.write(data)
                offset += len(data)
            if progress is not None:
                progress(i + 1, len(pictures.names))
        if not entries:
            file.write(bytes(16))  # an empty file cannot be mapped
            offset = 16
    index = {"form": FORM, "bytes": offset, "broken": broken, "pictures": entries}
    replace_file(path.with_suffix(".json"), json.dumps(index).encode())


@contextmanager
def _fresh(path: Path) -> Iterator[Any]:
    """A file that takes the place of ``path`` once it is whole.

    Raises:
        OSError: the disk said no; nothing is left.
    """
    temporary = path.with_name(f".{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"the cache {path} could not be written ({error.strerror or error}); is there room?") from error
    finally:
        temporary.unlink(missing_ok=True)
