"""The oldest releases that pnpsr supports, as pip constraints: ``python tools/lowest.py > lowest.txt``.

They are the floors in pyproject.toml (``torch>=2.6`` becomes ``torch==2.6``), so that there is one place to write them.
"""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
FLOOR = re.compile(r"([\w.-]+)>=([\w.]+)")


def lowest(project: Path = PROJECT, extras: tuple[str, ...] = ("train",)) -> list[str]:
    """``name==version`` of every dependency of the package and of these extras.

    Raises:
        ValueError: a dependency without a floor.
    """
    table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    wanted = [*table["dependencies"], *(line for extra in extras for line in table["optional-dependencies"][extra])]
    found = [FLOOR.fullmatch(line) for line in wanted]
    if None in found:
        raise ValueError(f"no lowest version (name>=version) in {wanted[found.index(None)]!r}")
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    print("\n".join(lowest()))
