"""Rows on disk: one CSV per method, beside what it was made with. A row counts once its line is whole."""

import csv
import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pnpsr.evaluate.cases import Key
from pnpsr.files import replace_file

COLUMNS = ("method", "protocol", "image", "kernel", "scale", "sigma")


@dataclass(frozen=True)
class Row:
    """One line: method, digest of the protocol, key, and the metrics, None where one has no meaning."""

    method: str
    protocol: str
    key: Key
    values: dict[str, float | None]


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a CSV that :func:`evaluate` wrote; a last line that is not whole does not count.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, or a damaged line.
    """
    path = Path(path)
    lines = list(csv.reader(io.StringIO(_whole(path.read_bytes()).decode("utf-8"))))
    if not lines or tuple(lines[0][: len(COLUMNS)]) != COLUMNS:
        raise ValueError(f"{path} is no table of an evaluation: its first line should begin with {','.join(COLUMNS)}")
    metrics = lines[0][len(COLUMNS) :]
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            method, protocol, image, kernel, scale, sigma, *values = line
            numbers = [float(value) if value else None for value in values]
            rows.append(
                Row(
                    method,
                    protocol,
                    Key(image, int(kernel), int(scale), float(sigma)),
                    dict(zip(metrics, numbers, strict=True)),
                )
            )
        except ValueError as error:
            raise ValueError(f"{path}, line {number} is damaged ({error}); remove the file to measure again") from error
    return rows


class Table:
    """The CSV of one method, open for appending.

    Raises:
        ValueError: the file holds rows of something else.
    """

    def __init__(self, path: Path, method: str, protocol: str, metrics: Sequence[str], keys: Sequence[Key]) -> None:
        self.path, self.method, self.protocol, self.metrics, self.keys = path, method, protocol, tuple(metrics), tuple(keys)
        head = _line((*COLUMNS, *metrics))
        content = _whole(path.read_bytes()) if path.exists() else b""
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
        self._file.write(_line((self.method, self.protocol, key.image, key.kernel, key.scale, repr(key.sigma), *numbers)))

    def sort(self) -> list[Row]:
        """All rows in the order of the keys, on disk too: rows that an earlier run could not make may have come late."""
        rows = read_rows(self.path)
        places = {key: place for place, key in enumerate(self.keys)}
        order = sorted(range(len(rows)), key=lambda i: places[rows[i].key])
        if order != list(range(len(rows))):
            head, *lines = _whole(self.path.read_bytes()).splitlines(keepends=True)
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


def _whole(content: bytes) -> bytes:
    """Up to the last line break."""
    return content[: content.rfind(b"\n") + 1]


def _line(cells: Sequence[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")
