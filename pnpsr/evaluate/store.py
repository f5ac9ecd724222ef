"""Rows on disk: one CSV per method, open for appending, beside what it was made with."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pnpsr.evaluate.cases import Key
from pnpsr.evaluate.rows import COLUMNS, Row, line, read_rows, whole
from pnpsr.files import replace_file


class Table:
    """The CSV of one method, open for appending.

    Raises:
        ValueError: the file holds rows of something else.
    """

    def __init__(self, path: Path, method: str, protocol: str, metrics: Sequence[str], keys: Sequence[Key]) -> None:
        self.path, self.method, self.protocol, self.metrics, self.keys = path, method, protocol, tuple(metrics), tuple(keys)
        head = line((*COLUMNS, *metrics))
        content = whole(path.read_bytes()) if path.exists() else b""
        if not content:
            replace_file(path, content := head)
        if not content.startswith(head):
            raise ValueError(f"{path} has other columns than this protocol; take another folder, or remove the file")
        rows = read_rows(path)
        places = {key: place for place, key in enumerate(self.keys)}
        strange = [r for r in rows if r.key not in places or (r.method, r.protocol) != (method, protocol)]
        if strange or len({r.key for r in rows}) != len(rows):
            raise ValueError(f"{path} holds rows of another evaluation, or rows twice; take another folder, or remove the file")
        self.done: Collection[Key] = {r.key for r in rows}
        with path.open("r+b") as file:
            file.truncate(len(content))  # what a killed run left of a line
        self._file = path.open("ab", buffering=0)

    def add(self, key: Key, values: dict[str, float | None]) -> None:
        """Append one row in a single write."""
        numbers = ["" if values[name] is None else f"{values[name]:.7g}" for name in self.metrics]
        self._file.write(line((self.method, self.protocol, key.image, key.kernel, key.scale, repr(key.sigma), *numbers)))

    def sort(self) -> list[Row]:
        """All rows in the order of the keys, on disk too: rows that an earlier run could not make may have come late."""
        rows = read_rows(self.path)
        places = {key: place for place, key in enumerate(self.keys)}
        order = sorted(range(len(rows)), key=lambda i: places[rows[i].key])
        if order != list(range(len(rows))):
            head, *lines = whole(self.path.read_bytes()).splitlines(keepends=True)
            replace_file(self.path, head + b"".join(lines[i] for i in order))
        return [rows[i] for i in order]

    def __enter__(self) -> "Table":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


def agree(path: Path, record: dict[str, Any], what: str) -> None:
    """Store what rows depend on, or compare it with what is stored.

    Raises:
        ValueError: they differ; the message says where.
    """
    record = json.loads(json.dumps(record))
    if not path.exists():
        replace_file(path, (json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
        return
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}; take another folder") from error
    if stored != record:
        names = sorted(set(stored) | set(record)) if isinstance(stored, dict) else []
        parts = [f"{n} was {_short(stored.get(n))}, is {_short(record.get(n))}" for n in names if stored.get(n) != record.get(n)]
        raise ValueError(
            f"{path.parent} holds results of another {what}: {'; '.join(parts)}. Take another folder, or remove that one"
        )


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 90 else f"{text[:87]}..."
