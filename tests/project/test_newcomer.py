"""The quick start, typed as it stands: each block in its turn, in an environment and a copy of their own, timed.

``PNPSR_NETWORK=1 pytest -m slow -s tests/project/test_newcomer.py`` types the installation too.
"""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INSTALL = "pip install '.[train]'"


def borrow(python: Path) -> None:
    """Let an environment see the packages of this one."""
    program = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True)
    (Path(site.stdout.strip()) / "borrowed.pth").write_text(str(Path(torch.__file__).parents[1]) + "\n")


@pytest.mark.slow
def test_the_path_of_a_newcomer(tmp_path: Path) -> None:
    """What pip would fetch, gigabytes of it, is borrowed from this environment unless asked for; all else is done as written."""
    fetched = os.environ.get("PNPSR_NETWORK") == "1"
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("pnpsr", "pyproject.toml", "README.md"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tree / name)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    bin_ = tmp_path / "env" / "bin"
    if not fetched:
        borrow(bin_ / "python")
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PNPSR_DATA")}
    env = {**kept, "PATH": f"{bin_}{os.pathsep}{kept['PATH']}", "OMP_NUM_THREADS": "1", "VIRTUAL_ENV": str(tmp_path / "env")}
    blocks = BLOCK.findall((ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8"))
    assert INSTALL in blocks[0][1] and [language for language, _ in blocks].count("python") == 1
    for language, block in blocks:
        if language == "python":
            (tree / "start" / "mine.py").write_text(block, encoding="utf-8")
            continue
        typed = block if fetched else block.replace(INSTALL, "python -m pip install -q --no-deps --no-index --no-build-isolation .")
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["bash", "-e", "-c", typed], cwd=tree, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        taken, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{taken:6.1f} s, of the processor {worked:6.1f} s  {block.strip().splitlines()[-1][:90]}")
    made = {path.relative_to(tree / "start").as_posix() for path in (tree / "start").rglob("*") if path.is_file()}
    assert {"restored/astronaut_x2_restored.png", "restored/astronaut_x2_report.html", "run/last.safetensors"} <= made
    assert "trained/astronaut_x2_restored.png" in made
    assert (tree / "pnpsr").is_dir() and not list(tree.glob("*.png")), "files stay in their folder"
