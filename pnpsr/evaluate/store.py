"""Rows on disk: one CSV per method, which every process completes from its own part; beside it what they were made with.

A process appends its rows to a file of its own below ``parts``, so that any number of them can share a folder. Whoever is done
merges what is there into ``METHOD.csv``, in the order of the rows' keys: the same rows give the same file.
"""

import hashlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from filelock import FileLock

from pnpsr.evaluate.cases import Key
from pnpsr.evaluate.rows import COLUMNS, Row, line, read_lines, whole
from pnpsr.files import replace_file
from pnpsr.version import VERSION

PARTS = ".parts"


@dataclass(frozen=True)
class Owner:
    """What rows belong to: a method, what it is made of (empty: nobody knows), a protocol with its metrics, and pictures."""

    method: str
    solver: str
    protocol: str
    metrics: tuple[str, ...]
    pixels: Callable[[Key], str]

    def owns(self, row: Row, keys: "dict[Key, int]") -> bool:
        """The row would come out the same now; of pictures that are not asked for it is taken to."""
        made = (row.method, row.solver, row.version, row.protocol) == (self.method, self.solver, VERSION, self.protocol)
        return bool(self.solver) and made and (row.key not in keys or row.pixels == self.pixels(row.key))


class Table:
    """The rows of one method, as a process that makes some of them sees them.

    Args:
        folder: of the results.
        owner: what the rows belong to.
        keys: all rows that are wanted, in their order.
    """

    def __init__(self, folder: Path, owner: Owner, keys: Sequence[Key]) -> None:
        self.folder, self.owner = folder, owner
        self.places = {key: place for place, key in enumerate(keys)}
        self.head = line((*COLUMNS, *owner.metrics))
        self.own: dict[Key, bytes] = {}  # of a method without a description no other rows count
        self.parts.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(self.parts / "lock")
        with self.lock:  # another process may be about to merge its part, which is gone then
            rows, stale = self._rows(self._files())
        self.stale = len(stale)
        self.done = {row.key for row, _ in rows} & self.places.keys()
        self.part = self.parts / f"{socket.gethostname()} {os.getpid()} {uuid4().hex[:8]}.csv"
        self._file = self.part.open("ab", buffering=0)
        self._file.write(self.head)

    @property
    def parts(self) -> Path:
        """Where every process has a file of its own."""
        return self.folder / PARTS / self.owner.method

    @property
    def path(self) -> Path:
        """The merged file."""
        return self.folder / f"{self.owner.method}.csv"

    def add(self, key: Key, values: dict[str, float | None]) -> None:
        """Append one row in a single write."""
        o = self.owner
        numbers = ["" if values[name] is None else f"{values[name]:.7g}" for name in o.metrics]
        place = (o.method, o.solver, VERSION, o.protocol, key.image, o.pixels(key), key.kernel, key.scale, repr(key.sigma))
        self.own[key] = text = line((*place, *numbers))
        self._file.write(text)

    def finish(self) -> list[Row]:
        """Merge all parts into the file of the method; its rows that are wanted, in their order. The own part is gone then."""
        self._file.close()
        with self.lock:
            files = self._files()
            rows, stale = self._rows(files)
            others = [text for row, text in rows if row.key not in self.places]
            wanted = sorted((row for row in rows if row[0].key in self.places), key=lambda row: self.places[row[0].key])
            content = self.head + b"".join((*(text for _, text in wanted), *others))
            if not self.path.exists() or self.path.read_bytes() != content:
                if any(row.solver or not row.version for row in stale):
                    self._set_aside(self.path.read_bytes())
                replace_file(self.path, content)
            for file in files:
                if file == self.part or (file != self.path and not _lives(file)):
                    file.unlink(missing_ok=True)
        return [row for row, _ in wanted]

    def _set_aside(self, content: bytes) -> None:
        """Rows that do not count any more are kept, where no table looks."""
        old = self.path.with_name(f"{self.owner.method}.{hashlib.sha256(content).hexdigest()[:8]}.old")
        replace_file(old, content)

    def _files(self) -> list[Path]:
        """The merged file and all parts, in a fixed order."""
        return [file for file in (self.path, *sorted(self.parts.glob("*.csv"))) if file.exists()]

    def _rows(self, files: Sequence[Path]) -> tuple[list[tuple[Row, bytes]], list[Row]]:
        """Rows that count with their lines, each key once; and those of the merged file that do not."""
        found, stale = dict[Key, tuple[Row, bytes]](), list[Row]()
        for file in files:
            if not whole(content := file.read_bytes()):
                continue
            same = content.startswith(self.head)
            for row, text in read_lines(file):
                if same and (self.owner.owns(row, self.places) or text == self.own.get(row.key)):
                    known = found.get(row.key)
                    found[row.key] = (row, text) if known is None else min(known, (row, text), key=lambda one: one[1])
                elif file == self.path:
                    stale.append(row)
        return list(found.values()), stale

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file.closed:
            return
        self._file.close()
        with suppress(OSError):  # what ended the work is what is raised; the part is there for the next call
            if self.own:
                self.finish()
                return
            with self.lock:
                self.part.unlink(missing_ok=True)


def _lives(part: Path) -> bool:
    """The process that writes this part may still be there; of another machine nobody knows."""
    host, pid, _ = part.stem.split(" ")
    if host != socket.gethostname() or os.name != "posix":  # elsewhere signal 0 is no question
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:  # there is one, of somebody else
        return True
    return True


def agree(path: Path, record: dict[str, Any], what: str) -> None:
    """Store what rows depend on, or compare it with what is stored.

    Raises:
        ValueError: they differ; the message says where.
    """
    record = json.loads(json.dumps(record))
    stored = _stored(path)
    if stored is None:
        remember(path, record)
    elif parts := _differences(stored, record):
        raise ValueError(f"{path.parent} holds results of another {what}: {parts}. Take another folder, or remove that one")


def remember(path: Path, record: dict[str, Any]) -> str:
    """Store what rows depend on; how it differs from what was stored before, in words, or nothing."""
    record = json.loads(json.dumps(record))
    stored = _stored(path)
    differences = "" if stored is None else _differences(stored, record)
    if stored is None or differences:
        replace_file(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return differences


def _stored(path: Path) -> Any:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; take another folder") from error


def _differences(stored: Any, record: dict[str, Any]) -> str:
    names = sorted(set(stored) | set(record)) if isinstance(stored, dict) else []
    parts = [f"{n} was {_short(stored.get(n))}, is {_short(record.get(n))}" for n in names if stored.get(n) != record.get(n)]
    return "; ".join(parts) or ("it was something else" if stored != record else "")


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 90 else f"{text[:87]}..."
