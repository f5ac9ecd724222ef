"""Rows as lines of a CSV: written in one piece, counted once they are whole."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pnpsr.evaluate.cases import Key

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
    lines = list(csv.reader(io.StringIO(whole(path.read_bytes()).decode("utf-8"))))
    if not lines or tuple(lines[0][: len(COLUMNS)]) != COLUMNS:
        raise ValueError(f"{path} is no table of an evaluation: its first line should begin with {','.join(COLUMNS)}")
    metrics = lines[0][len(COLUMNS) :]
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        try:
            method, protocol, image, kernel, scale, sigma, *values = cells
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


def whole(content: bytes) -> bytes:
    """Up to the last line break."""
    return content[: content.rfind(b"\n") + 1]


def line(cells: Sequence[object]) -> bytes:
    """One line, its break included."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")
