"""Ctrl-C in the first seconds of the command, while torch is loaded, is told in one line; other errors keep their traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("trouble", ["KeyboardInterrupt", "RuntimeError('broken')"])
def test_a_stop_while_torch_is_loaded_is_one_line(tmp_path: Path, trouble: str) -> None:
    (tmp_path / "torch.py").write_text(f"raise {trouble}")
    done = subprocess.run(
        [sys.executable, "-m", "pnpsr", "train", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode
    if trouble == "KeyboardInterrupt":
        assert done.stderr == "pnpsr: interrupted\n"
    else:
        assert "Traceback" in done.stderr and "broken" in done.stderr


def test_programs_that_use_the_library_keep_theirs(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise KeyboardInterrupt")
    done = subprocess.run(
        [sys.executable, "-c", "import pnpsr"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "Traceback" in done.stderr
