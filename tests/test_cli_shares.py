"""Two processes that share restoring and evaluating leave the files that one leaves, also when one of them was killed before."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pnpsr.cli.shares import Share, share_of
from pnpsr.images import sample_picture, write_image

LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m")
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(__file__).parent.parent)}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    for i, name in enumerate("abc"):
        write_image(folder / f"{name}.png", sample_picture("camera")[..., 100 + 8 * i : 124 + 8 * i, 200:226])
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:-300])
    return folder


def commands(images: Path, out: Path) -> dict[str, list[str]]:
    evaluated = ["--images", str(images), "--methods", "bicubic", "tv_hqs+gaussian", "--scales", "2", "--limit", "3"]
    return {
        "restore": ["restore", str(images), "--size", "5", "--iterations", "1", "--memory", "1", "--out", str(out / "restore")],
        "evaluate": ["evaluate", *evaluated, "--out", str(out / "evaluate")],
    }


def files(folder: Path) -> dict[str, bytes]:
    """By name, but for what is not a result: locks, and what the killed process was about to put in its place."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "lock" and p.suffix != ".tmp")
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def begin(words: tuple[str, ...]) -> subprocess.Popen[str]:
    return subprocess.Popen(words, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.parametrize("which", ["restore", "evaluate"])
def test_two_processes_end_what_a_killed_one_began_and_leave_the_files_of_one(which: str, images: Path, tmp_path: Path) -> None:
    words = commands(images, tmp_path / "two")[which]
    killed, results = begin((sys.executable, "-m", "pnpsr", *words)), tmp_path / "two" / which
    while killed.poll() is None and not any(name.endswith((".csv", "_figure.png")) for name in files(results)):
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    two = begin((*LAUNCH, "pnpsr", *words))
    one = begin((sys.executable, "-m", "pnpsr", *commands(images, tmp_path / "one")[which]))
    (_, said), _ = two.communicate(timeout=400), one.communicate(timeout=400)
    assert one.returncode == 1
    assert two.returncode == 1 and "broken.png" in said, said  # as one process says it
    assert "Signal" not in said, said  # each process came to its own end
    due = files(tmp_path / "one" / which)
    assert len(due) >= 6 and files(results) == due


def test_without_a_launch_all_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert share_of("cuda:1") == Share(device="cuda:1") and share_of("cpu").of("abc") == ["a", "b", "c"]
    assert Share(1, 2).of("abc") == ["b"] and not Share(1, 2).first and Share().gathered(3) == [3]
    monkeypatch.setenv("WORLD_SIZE", "8")  # of a cluster's own, without torchrun
    assert share_of("cpu").count == 1


ALONE = """
import os, sys, torch.distributed as d
from lightning.fabric import Fabric
from pnpsr.cli.shares import launched
if sys.argv[1] == "ours":
    d.init_process_group("gloo", store=d.HashStore(), rank=0, world_size=1)
fabric = Fabric(accelerator="cpu", devices=1, strategy="ddp")
assert launched(launched(fabric)) is fabric and d.is_initialized()
import atexit
atexit._run_exitfuncs()
print(d.is_initialized())
"""


@pytest.mark.parametrize(("group", "stands"), [("ours", "True"), ("made", "False")])
def test_a_group_is_left_at_the_end_by_who_made_it(group: str, stands: str) -> None:
    program = (sys.executable, "-W", "ignore", "-c", ALONE, group)
    done = subprocess.run(program, env=ENV, capture_output=True, text=True, timeout=400)
    assert done.stdout.split()[-1:] == [stands], done.stderr


LEAVING = """
import sys, time
sys.argv[0] = "pnpsr"
from pnpsr.cli.shares import share_of
share = share_of("cpu")
share.last(None)
if share.first:
    sys.exit(1)
time.sleep(1.5)
open(sys.argv[1], "w").close()
"""


def test_a_process_that_has_done_its_work_leaves_by_itself_when_the_first_one_fails(tmp_path: Path) -> None:
    (tmp_path / "leaving.py").write_text(LEAVING)
    two = begin((*LAUNCH[:-1], str(tmp_path / "leaving.py"), str(tmp_path / "left")))
    _, said = two.communicate(timeout=400)
    assert two.returncode == 1 and "Signal" not in said, said
    assert (tmp_path / "left").exists()
