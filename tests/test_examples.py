"""Every example runs, as a script and as a notebook; the notebooks are what the scripts give, with what they printed and drew."""

import ast
import json
import os
import re
import resource
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
    usrnet = ROOT / "examples" / "11_usrnet_two_step.py"
    printed = run(sys.executable, "-W", "error", usrnet, tmp_path, folder=tmp_path, PNPSR_DATA=str(data))
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


SMALL = "# %% [markdown]\n# # 1. One\n\n# %%\nfrom pathlib import Path\n\nprint(1 + 1)\n"


def test_a_stale_notebook_is_noticed_and_only_changed_code_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    make, script = tmp_path / "examples" / "make_notebooks.py", tmp_path / "examples" / "01_one.py"
    make.write_text((ROOT / "examples" / "make_notebooks.py").read_text())
    script.write_text(SMALL)
    assert "1 run" in run(sys.executable, make, folder=tmp_path)
    book = tmp_path / "notebooks" / "01_one.ipynb"
    made = book.read_bytes()
    assert b'"2\\n"' in made
    run(sys.executable, make, "--check", folder=tmp_path)
    script.write_text(SMALL.replace("# # 1. One", "# # 1. Two").replace("print(1 + 1)", "print(1+1)  # as before"))
    (tmp_path / "notebooks" / "02_gone.ipynb").write_bytes(made)
    stale = subprocess.run([sys.executable, make, "--check"], cwd=tmp_path, capture_output=True, text=True)
    assert stale.returncode == 1 and "01_one" in stale.stderr and "02_gone" in stale.stderr
    assert "0 run" in run(sys.executable, make, folder=tmp_path)
    assert b"1. Two" in book.read_bytes() and b'"2\\n"' in book.read_bytes()
    assert [path.name for path in book.parent.iterdir()] == [book.name]
    sys.path.insert(0, str(ROOT / "examples"))
    from make_notebooks import notebook, with_outputs

    script.write_text(SMALL.replace("1 + 1", "1 + 2"))
    assert not with_outputs(notebook(script), book)


@each
def test_the_notebook_shows_what_it_printed_and_drew_and_stays_small(script: Path) -> None:
    path = ROOT / "notebooks" / f"{script.stem}.ipynb"
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}, "an error"
    assert all(output.get("name", "stdout") == "stdout" for output in outputs), "a warning or a progress bar"
    assert any("image/jpeg" in output.data or "image/png" in output.data for output in outputs if "data" in output)
    assert any(output.output_type == "stream" for output in outputs)
    assert path.stat().st_size < 500_000
    assert "/tmp/" not in path.read_text() and str(ROOT) not in path.read_text()


def test_the_notebooks_stay_small_together() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "notebooks").glob("*.ipynb")) < 2_500_000


@pytest.mark.slow
def test_all_tutorials_together_take_less_than_ten_minutes(tmp_path: Path) -> None:
    """As a reader runs them, not in the fast setting; seconds of one processor, which are the same on a busy machine."""
    spent = {}
    for script in SCRIPTS:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(sys.executable, "-W", "error", script, tmp_path / "out", folder=tmp_path, PNPSR_FAST="0")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent[script.stem] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{script.stem:20} {spent[script.stem]:6.1f} s")
    assert sum(spent.values()) < 600


@each
def test_the_example_can_be_read_alone_and_in_one_sitting(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 210
    assert text.startswith(f"# %% [markdown]\n# # {int(script.stem[:2])}. ")
    assert len(text.splitlines()) <= 40 or text.count("# %% [markdown]") >= 4  # what fits on a screen needs no headings
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert not {name for name in called if name.endswith("plt.show") or "ArgumentParser" in name}
    if int(script.stem[:2]) <= 8:
        opening = text[: text.index("# %%\n")]
        assert all(re.search(rf"\b{word}\b", opening) for word in "xky") and ("nois" in opening or "smaller" in opening)
        exercises = text[text.index("# ## Exercises") :]
        assert exercises.count('# %% tags=["solution"]') == 2 and "# 1. " in exercises and "# 2. " in exercises
