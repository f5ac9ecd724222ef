"""Rows as lines of a CSV: written in one piece, counted once they are whole."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pnpsr.evaluate.cases import Key

NEEDED = ("method", "protocol", "image", "kernel", "scale", "sigma")
COLUMNS = ("method", "solver", "version", "protocol", "image", "pixels", "kernel", "scale", "sigma")


@dataclass(frozen=True)
class Row:
    """One line: method, digest of the protocol, key, and the metrics, None where one has no meaning; and what it belongs to.

    Example:
        >>> from pnpsr.evaluate import Key, Row
        >>> Row("bicubic", "mine", Key("one", 0, 2, 0.0), {"psnr": 25.0}).values["psnr"]
        25.0
    """

    method: str
    protocol: str
    key: Key
    values: dict[str, float | None]
    solver: str = ""  # digest of all that the method is made of; empty where that has no description
    version: str = ""  # of pnpsr
    pixels: str = ""  # digest of the picture


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a CSV that :func:`evaluate` wrote; a last line that is not whole does not count.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind of file, or a damaged line.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset
        >>> from pnpsr.evaluate import bicubic, evaluate, grid, Protocol, read_rows
        >>> from pnpsr.kernels import gaussian
        >>> protocol = Protocol("mine", grid((2,)), gaussian(5, 1.0))
        >>> done = evaluate(bicubic(), protocol, FromDataset([torch.rand(3, 32, 32)]), "results")
        >>> len(read_rows("results/bicubic.csv"))
        1
    """
    return [row for row, _ in read_lines(Path(path))]


def read_lines(path: Path) -> list[tuple[Row, bytes]]:
    """Every row with its line as it stands in the file. Raises as :func:`read_rows`."""
    head, *lines = whole(path.read_bytes()).splitlines(keepends=True) or [b""]
    names = next(csv.reader([head.decode("utf-8")]), [])
    if any(name not in names for name in NEEDED):
        raise ValueError(f"{path} is no table of an evaluation: its first line should begin with {','.join(COLUMNS)}")
    metrics = [name for name in names if name not in COLUMNS]
    found = []
    for number, text in enumerate(lines, start=2):
        try:
            cells = dict(zip(names, next(csv.reader([text.decode("utf-8")])), strict=True))
            key = Key(cells["image"], int(cells["kernel"]), int(cells["scale"]), float(cells["sigma"]))
            values = {name: float(cells[name]) if cells[name] else None for name in metrics}
        except (ValueError, StopIteration) as error:
            raise ValueError(f"{path}, line {number} is damaged ({error}); remove the file to measure again") from error
        others = {name: cells.get(name, "") for name in ("solver", "version", "pixels")}
        found.append((Row(cells["method"], cells["protocol"], key, values, **others), text))
    return found


def whole(content: bytes) -> bytes:
    """Up to the last line break."""
    return content[: content.rfind(b"\n") + 1]


def line(cells: Sequence[object]) -> bytes:
    """One line, its break included."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")
