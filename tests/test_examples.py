"""Every example runs, as a script and as a notebook, and the notebooks are what the scripts give."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))
each = pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])


def environment(**more: str) -> dict[str, str]:
    """The fast setting, one thread, no screen, and no data: every machine runs the same."""
    kept = {name: value for name, value in os.environ.items() if name != "PNPSR_DATA"}
    return {**kept, "PYTHONPATH": str(ROOT), "PNPSR_FAST": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", **more}


def run(*command: str | Path, folder: Path, **more: str) -> str:
    """Standard output of a command that must end well."""
    done = subprocess.run([str(part) for part in command], cwd=folder, env=environment(**more), capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@each
def test_the_script_runs_and_leaves_a_picture(script: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    printed = run(sys.executable, "-W", "error", script, tmp_path / "out", folder=tmp_path)
    assert len(printed.splitlines()) > 4
    assert any(path.stat().st_size > 10_000 for path in (tmp_path / "out").glob("*.png"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "an example writes into its folder only"


def test_released_weights_are_used_where_there_are_any(data: Path, tmp_path: Path) -> None:
    printed = run(sys.executable, "-W", "error", SCRIPTS[5], tmp_path, folder=tmp_path, PNPSR_DATA=str(data))
    assert "released weights" in printed


# Runs a notebook in a process of its own: Jupyter's threads and warnings stay out of pytest.
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], as_version=4), kernel_name="python3", timeout=120).execute()
"""


@each
def test_the_notebook_runs(script: Path, tmp_path: Path) -> None:
    kernel = tmp_path / "kernels" / "python3" / "kernel.json"  # this interpreter, whatever else is installed under that name
    kernel.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))
    book = ROOT / "notebooks" / f"{script.stem}.ipynb"
    run(sys.executable, "-c", EXECUTE, book, folder=tmp_path, JUPYTER_PATH=str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} <= {"kernels", "results"}


def test_notebooks_are_what_the_scripts_give() -> None:
    run(sys.executable, ROOT / "examples" / "make_notebooks.py", "--check", folder=ROOT)


def test_a_stale_notebook_is_noticed_and_remade(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    make = tmp_path / "examples" / "make_notebooks.py"
    make.write_text((ROOT / "examples" / "make_notebooks.py").read_text())
    (tmp_path / "examples" / "01_one.py").write_text(SCRIPTS[0].read_text())
    run(sys.executable, make, folder=tmp_path)
    book = tmp_path / "notebooks" / "01_one.ipynb"
    made = book.read_bytes()
    run(sys.executable, make, "--check", folder=tmp_path)
    book.write_bytes(made.replace(b"kernels", b"colonels", 1))
    (tmp_path / "notebooks" / "02_gone.ipynb").write_bytes(made)
    stale = subprocess.run([sys.executable, make, "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert stale.returncode == 1 and "01_one" in stale.stderr and "02_gone" in stale.stderr
    run(sys.executable, make, folder=tmp_path)
    assert book.read_bytes() == made and [path.name for path in book.parent.iterdir()] == [book.name]


@each
def test_the_notebook_holds_no_outputs(script: Path) -> None:
    for cell in nbformat.read(ROOT / "notebooks" / f"{script.stem}.ipynb", as_version=4).cells:
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)


@each
def test_the_example_can_be_read_in_one_sitting(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 130
    assert text.startswith("# %% [markdown]\n# # ")
    assert len(text.splitlines()) <= 40 or text.count("# %% [markdown]") >= 4  # what fits on a screen needs no headings
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert not {name for name in called if name.endswith("plt.show") or "ArgumentParser" in name}
