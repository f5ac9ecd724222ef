"""Damaged files: one clear error or an equal result; no code of theirs runs, and no memory beyond what they hold is taken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 200  # of every file: three in four with one bit turned, one in four cut short


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("archives", "legacy")]


@pytest.mark.parametrize("kind", ["presets", "saved", "pictures", "kernels", *SLOW])
def test_a_damaged_file_is_refused_in_one_sentence_or_equal_to_the_whole_one(kind: str, tmp_path: Path) -> None:
    """In a program of its own, whose memory and whose calls of other programs are watched.

    Equal means: the same solver. For streams of before 2020, pictures and kernels, which have no checksums, it means one that is
    valid. Other kinds of exceptions, and a network of other values, would each have an entry of their own.
    """
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(here / "damaged.py"), kind, str(tmp_path), str(COUNT)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["ran"] == []
    for name, seen in report["outcomes"].items():
        assert sum(seen.values()) == COUNT and seen.keys() <= {"refused", "equal"}, (name, seen)
        assert seen["refused"] >= COUNT // 4 - 5, (name, seen)
