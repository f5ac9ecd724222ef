"""Damaged files: one clear error or an equal result; no code of theirs runs, and no memory beyond what they hold is taken."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = 200  # of every file: three in four with one bit turned, one in four cut short
MANY = {"pictures": 1000, "kernels": 1000, "real": 200, "saved": 1000, "presets": 200, "archives": 500, "legacy": 500}  # 20,000
SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("archives", "legacy")]


@pytest.mark.parametrize("kind", ["presets", "saved", "pictures", "kernels", *SLOW])
def test_a_damaged_file_is_refused_in_one_sentence_or_equal_to_the_whole_one(kind: str, tmp_path: Path) -> None:
    """In a program of its own, whose memory and whose calls of other programs are watched.

    Equal means: the same solver. For streams of before 2020, pictures and kernels, which have no checksums, it means one that is
    valid. Other kinds of exceptions, a hang, and a network of other values, would each have an entry of their own.
    """
    outcome(kind, tmp_path, COUNT)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MANY)
def test_twenty_thousand_damaged_files(kind: str, tmp_path: Path) -> None:
    if kind == "real" and not os.environ.get("PNPSR_DATA"):
        pytest.skip("PNPSR_DATA names no folder of real data")
    outcome(kind, tmp_path, MANY[kind])


def outcome(kind: str, folder: Path, count: int) -> None:
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(here / "damaged.py"), kind, str(folder), str(count)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == "", done.stderr[-2000:]  # no library says anything beside the one sentence
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["ran"] == []
    for name, seen in report["outcomes"].items():
        print(kind, name, seen)
        assert sum(seen.values()) == count and seen.keys() <= {"refused", "equal"}, (name, seen)
        assert seen["refused"] >= count // 4 - 5 or (kind == "real" and seen["refused"] >= 10), (name, seen)
