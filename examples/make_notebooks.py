"""Write notebooks/NN_name.ipynb from examples/NN_name.py: ``python examples/make_notebooks.py``; with ``--check`` only compare.

The scripts are the source. A notebook is the same cells without outputs; the same script always gives the same bytes.
"""

import re
import sys
from pathlib import Path

import jupytext
import nbformat

EXAMPLES = Path(__file__).parent
NOTEBOOKS = EXAMPLES.parent / "notebooks"
KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# A notebook has no command line
FOLDER = ('OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")', 'OUT = Path("results")')


def notebook(script: Path) -> str:
    """The notebook of a script, as text."""
    lines = script.read_text(encoding="utf-8").replace(*FOLDER).splitlines()
    if not any("sys." in line for line in lines):
        lines = [line for line in lines if line != "import sys"]
    lines = [re.sub(r"  # (noqa|fmt)\b.*", "", line) for line in lines]
    shown = [f"{line}\nfigure" if line.startswith("save_figure(figure, ") else line for line in lines]
    book = jupytext.reads("\n".join(shown) + "\n", fmt="py:percent")
    book.metadata = nbformat.from_dict(KERNEL)
    book.nbformat, book.nbformat_minor = 4, 5
    first = next(cell for cell in book.cells if cell.cell_type == "code")
    first.source = "%matplotlib inline\n" + first.source
    for i, cell in enumerate(book.cells):
        cell.id, cell.metadata = f"{script.stem}-{i}", nbformat.from_dict({})
    nbformat.validate(book)
    return nbformat.writes(book).rstrip("\n") + "\n"


def expected() -> dict[Path, str]:
    """Every notebook there should be, with its text."""
    return {NOTEBOOKS / f"{script.stem}.ipynb": notebook(script) for script in sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))}


def main(arguments: list[str]) -> int:
    """Write the notebooks, or with ``--check`` name those that are missing, stale or without a script; 1 if there are any."""
    if arguments not in ([], ["--check"]):
        print(f"usage: make_notebooks.py [--check]; got {' '.join(arguments)}", file=sys.stderr)
        return 2
    books, wrong = expected(), []
    for path in sorted({*books, *NOTEBOOKS.glob("*.ipynb")}):
        found = path.read_text(encoding="utf-8") if path.is_file() else None
        if found == books.get(path):
            continue
        wrong.append(path)
        if arguments:
            print(f"{path.name} is not what its script gives; run python examples/make_notebooks.py", file=sys.stderr)
        elif path in books:
            NOTEBOOKS.mkdir(exist_ok=True)
            path.write_text(books[path], encoding="utf-8")
        else:
            path.unlink()
    if not arguments:
        print(f"{len(books)} notebooks, {len(wrong)} changed")
    return 1 if arguments and wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
