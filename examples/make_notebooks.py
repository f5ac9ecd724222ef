"""Write notebooks/NN_name.ipynb from examples/NN_name.py, run them, and keep small outputs: ``python examples/make_notebooks.py``.

The scripts are the source; a notebook is the same cells with what they printed and drew. Only those whose code does something else
than when it was run are run again; ``--all`` runs all, ``04 05`` these as well; ``--check`` only compares, and runs nothing.
"""

import ast
import base64
import io
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

EXAMPLES = Path(__file__).parent
NOTEBOOKS = EXAMPLES.parent / "notebooks"
KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# A notebook has no command line
FOLDER = ('OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")', 'OUT = Path("results")')
WIDEST = 900  # pixels of a figure that is kept
SAVED = re.compile(r"^(save_figure\(figure, .*\))$", re.MULTILINE)


def notebook(script: Path) -> NotebookNode:
    """The notebook of a script, not yet run."""
    lines = script.read_text(encoding="utf-8").replace(*FOLDER).splitlines()
    if not any("sys." in line for line in lines):
        lines = [line for line in lines if line != "import sys"]
    lines = [re.sub(r"  # (noqa|fmt)\b.*", "", line) for line in lines]
    book = jupytext.reads("\n".join(lines) + "\n", fmt="py:percent")
    book.metadata = nbformat.from_dict(KERNEL)
    book.nbformat, book.nbformat_minor = 4, 5
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    code[0].source = "%matplotlib inline\n" + code[0].source
    for cell in code:
        drawn = SAVED.sub(r"\1\ndisplay(figure)", cell.source)
        cell.source = re.sub(r"display\(figure\)\Z", "figure", drawn)
    for i, cell in enumerate(book.cells):
        solution = "solution" in cell.metadata.get("tags", ())
        cell.id, cell.metadata = f"{script.stem}-{i}", nbformat.from_dict({"tags": ["hide-cell"]} if solution else {})
    nbformat.validate(book)
    return book


def with_outputs(book: NotebookNode, path: Path) -> bool:
    """Give the notebook the outputs of the file, if that has been run, in order, with code that does the same."""
    if not path.is_file():
        return False
    was, now = ([cell for cell in one.cells if cell.cell_type == "code"] for one in (nbformat.read(path, as_version=4), book))
    counts = [cell.execution_count for cell in was]
    if counts != list(range(1, len(now) + 1)) or any(meaning(a.source) != meaning(b.source) for a, b in zip(was, now, strict=True)):
        return False
    for old, new in zip(was, now, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
    return True


def meaning(source: str) -> str:
    """What a cell does, without its comments and its layout."""
    return ast.dump(ast.parse(source.replace("%matplotlib inline", "'matplotlib inline'")))


def executed(book: NotebookNode, *, timeout: int = 600) -> NotebookNode:
    """The notebook with its outputs, run in an empty folder by this interpreter, whatever else is called python3 here."""
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as folder:
        kernel = Path(folder, "kernels", "python3", "kernel.json")
        kernel.parent.mkdir(parents=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
        os.environ["JUPYTER_PATH"] = folder
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(EXAMPLES.parent), os.environ.get("PYTHONPATH"))))
        run = NotebookClient(
            book, kernel_name="python3", timeout=timeout, resources={"metadata": {"path": folder}}, record_timing=False
        )
        run.execute()
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = [small(output) for output in joined(cell.outputs) if shown(output)]
    book.metadata = nbformat.from_dict(KERNEL)
    return book


def worked() -> float:
    """Seconds that processors have worked for the notebooks that have ended: the same on a busy machine, unlike the clock's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def shown(output: NotebookNode) -> bool:
    """What a reader wants to see: not what notebooks alone say on standard error, nor an object by its address in memory."""
    return output.get("name") != "stderr" and " at 0x" not in output.get("data", {}).get("text/plain", "")


def text(book: NotebookNode) -> str:
    """A notebook as its file has it."""
    return nbformat.writes(book).rstrip("\n") + "\n"


def joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """What was printed in one piece, however the kernel sent it."""
    pieces: list[NotebookNode] = []
    for output in outputs:
        if pieces and output.output_type == pieces[-1].output_type == "stream" and output.name == pieces[-1].name:
            pieces[-1].text += output.text
        else:
            pieces.append(output)
    return pieces


def small(output: NotebookNode) -> NotebookNode:
    """An output with its figure in as few bytes as do: pictures as JPEG, drawings as PNG of few colours."""
    if "data" not in output or "image/png" not in output.data:
        return output
    from PIL import Image

    figure = Image.open(io.BytesIO(base64.b64decode(output.data.pop("image/png")))).convert("RGB")
    if figure.width > WIDEST:
        figure = figure.resize((WIDEST, round(figure.height * WIDEST / figure.width)), Image.Resampling.LANCZOS)
    forms = {}
    for mime, image, options in (
        ("image/jpeg", figure, {"format": "JPEG", "quality": 82, "optimize": True}),
        ("image/png", figure.quantize(64), {"format": "PNG", "optimize": True}),
    ):
        image.save(data := io.BytesIO(), **options)
        forms[mime] = data.getvalue()
    mime = min(forms, key=lambda name: len(forms[name]))
    output.data = nbformat.from_dict({mime: base64.b64encode(forms[mime]).decode(), "text/plain": "<Figure>"})
    output.metadata = nbformat.from_dict({})
    return output


def main(arguments: list[str]) -> int:
    """Make the notebooks, or with ``--check`` name those that are missing, stale or without a script; 1 if there are any."""
    books = {NOTEBOOKS / f"{s.stem}.ipynb": notebook(s) for s in sorted(EXAMPLES.glob("[0-9][0-9]_*.py"))}
    numbers = {path.name[:2] for path in books}
    if arguments not in (["--check"], ["--all"]) and not set(arguments) <= numbers:
        print(f"usage: make_notebooks.py [--check | --all | NUMBER ...]; got {' '.join(arguments)}", file=sys.stderr)
        return 2
    again = numbers if arguments == ["--all"] else set(arguments)
    kept = {path for path, book in books.items() if path.name[:2] not in again and with_outputs(book, path)}
    if arguments == ["--check"]:
        there = sorted({*books, *NOTEBOOKS.glob("*.ipynb")})
        wrong = [path.name for path in there if path not in kept or text(books[path]) != path.read_text(encoding="utf-8")]
        for name in wrong:
            print(f"{name} is not what its script gives; run python examples/make_notebooks.py", file=sys.stderr)
        return 1 if wrong else 0
    for path in set(NOTEBOOKS.glob("*.ipynb")) - set(books):
        path.unlink()
    NOTEBOOKS.mkdir(exist_ok=True)
    todo = [path for path in books if path not in kept]
    spent = 0.0
    for path in todo:
        began, before = time.perf_counter(), worked()
        path.write_text(text(executed(books[path])), encoding="utf-8")
        spent += (own := worked() - before)
        print(f"{path.stem:20} {time.perf_counter() - began:6.1f} s, of the processor {own:6.1f} s", flush=True)
    for path in kept:
        path.write_text(text(books[path]), encoding="utf-8")
    print(f"{len(books)} notebooks, {len(todo)} run, {spent:.0f} s of the processor together")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
