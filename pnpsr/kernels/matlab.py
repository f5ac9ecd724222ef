"""Numbers in MATLAB files (Level 5, what ``save -v6`` and ``-v7`` write): real arrays, and cells of them.

scipy reads these files too, but a single wrong bit in one can end the whole process there. Here every length is checked against the
bytes that are there, and nothing but numbers is made of them. Layout: "MAT-File Format", MathWorks, chapter 1.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADER = 128
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}  # element types
CELL, FIRST, LAST = 1, 6, 15  # classes: cells, and from double to uint64
COMPLEX = 0x0800  # flag
LARGEST = 2**28  # bytes, packed in one variable
DEEPEST = 4  # cells in cells


@dataclass(frozen=True)
class Element:
    """A type and its bytes."""

    kind: int
    body: memoryview


def matlab_arrays(data: bytes) -> dict[str, object]:
    """The variables of a MATLAB file by name: real arrays, cell arrays (dtype object), and a word in place of what is neither.

    Raises:
        ValueError: no such file, a damaged one, or one of another version.
    """
    if len(data) < HEADER or data[126:128] not in (b"IM", b"MI"):
        raise ValueError("no MATLAB file of version 5 to 7; save it with -v7")
    order = "<" if data[126:128] == b"IM" else ">"
    if struct.unpack_from(order + "H", data, 124)[0] != 0x0100:
        raise ValueError("a MATLAB file of version 7.3; save it with -v7")
    found: dict[str, object] = {}
    for element in _elements(memoryview(data)[HEADER:], order):
        if element.kind == COMPRESSED:
            inside = _unpacked(element.body)
            element = next(_elements(memoryview(inside), order))
        name, value = _variable(element, order, 0)
        if name:  # what has none is MATLAB's own
            found[name] = value
    return found


def _elements(body: memoryview, order: str) -> Iterator[Element]:
    """The elements in a row of bytes; each begins at a multiple of 8, but those that are compressed follow one another."""
    at = 0
    while at < len(body):
        if at + 8 > len(body):
            raise ValueError("it ends within a tag")
        kind, size = struct.unpack_from(order + "II", body, at)
        start = at + 8
        if kind >> 16:  # up to four bytes, packed into the tag
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
        stop = start + size
        if stop > len(body) or (start == at + 4 and size > 4):
            raise ValueError(f"it says that {size} bytes follow where {len(body) - start} are left")
        yield Element(kind, body[start:stop])
        at = at + 8 if start == at + 4 else stop + (0 if kind == COMPRESSED else -size % 8)


def _unpacked(body: memoryview) -> bytes:
    stream = zlib.decompressobj()
    try:
        inside = stream.decompress(body, LARGEST)
    except zlib.error as error:
        raise ValueError(f"its compressed part is damaged: {error}") from error
    if not stream.eof:
        raise ValueError("its compressed part is cut short, or larger than any kernels are")
    return inside


def _variable(element: Element, order: str, depth: int) -> tuple[str, NDArray[np.generic] | str]:
    """Name and value of a matrix element; of other classes only the number of the class."""
    if element.kind != MATRIX:
        raise ValueError(f"an element of type {element.kind} where a variable should be")
    if not element.body:
        return "", np.empty((0, 0))  # an empty cell
    parts = _elements(element.body, order)
    try:
        flags, shape, name = (_numbers(next(parts), order) for _ in range(3))
        kind = int(flags[0]) & 0xFF
        label, sizes = bytes(name.astype(np.uint8)).decode("latin-1"), [int(n) for n in shape]
        if kind == CELL:
            value: NDArray[np.generic] = _cells([_variable(part, order, depth + 1)[1] for part in parts] if depth < DEEPEST else [])
        elif FIRST <= kind <= LAST and not int(flags[0]) & COMPLEX:
            value = _numbers(next(parts), order)
        else:
            return label, f"class {kind}"
    except (StopIteration, IndexError, RuntimeError) as error:
        raise ValueError("a variable ends before its values") from error
    if min(sizes, default=-1) < 0 or np.prod(sizes, dtype=object) != len(value):
        raise ValueError(f"a variable of shape {tuple(sizes)} holds {len(value)} values")
    return label, value.reshape(sizes, order="F")


def _cells(values: list[NDArray[np.generic] | str]) -> NDArray[np.object_]:
    cells = np.empty(len(values), object)
    for i, value in enumerate(values):
        cells[i] = value
    return cells


def _numbers(element: Element, order: str) -> NDArray[np.generic]:
    if element.kind not in NUMBERS:
        raise ValueError(f"an element of type {element.kind} where numbers should be")
    return np.frombuffer(element.body, np.dtype(order + NUMBERS[element.kind]))
