"""A run that is killed and goes on is the run that was not: the same weights bit by bit, the same records."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training import DATA, STAGES, collection, losses, only, quick, run, same, solver, stream, weights

from pnpsr import load
from pnpsr.train import train
from pnpsr.train.validation import Validation

STAGED = ("kernel code", "image prior", "joint")
STEPS = 12
OPTIONS = {"steps": STEPS, "save_every": 3, "rate": 1e-2, "average": 0.9, "warmup": 2, "decay": "cosine"}


def options(**values: object) -> object:
    return quick(**{**OPTIONS, **values})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, torch.Tensor], list[list[str]]]:
    """The uninterrupted run: its weights and records."""
    folder, net = tmp_path_factory.mktemp("whole"), solver()
    run(net, only(*STAGED), options(), folder=folder)
    return weights(net), losses(folder)


def interrupted(folder: Path, after: list[int], workers: int = 0) -> dict[str, torch.Tensor]:
    """Stop after so many records, again and again; then run to the end."""
    for count in [*after, 10**6]:
        net = solver(seed=count % 7)  # whatever it was before it went on
        if not list(folder.glob("state-*.pt")):
            net = solver()
        records = train(net, stream(), only(*STAGED), options(workers=workers), folder=folder, resume=True)
        for _, _record in zip(range(count), records, strict=False):
            pass
        records.close()
    return weights(net)


@settings(max_examples=3)
@given(after=st.lists(st.integers(1, STEPS), min_size=1, max_size=2))
def test_closing_and_going_on_changes_nothing(after: list[int], whole, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("run")
    assert same(interrupted(folder, after), whole[0])
    assert losses(folder) == whole[1]


def test_nor_does_it_across_a_stage_or_with_loading_processes(whole, tmp_path: Path) -> None:
    at = next(i for i, row in enumerate(whole[1][1:]) if row[1] == "image prior")  # the last step of the first stage
    for name, count, workers in (("last", at, 0), ("first", at + 1, 0), ("loaded", 5, 2)):
        (tmp_path / name).mkdir()
        assert same(interrupted(tmp_path / name, [count], workers), whole[0])
        assert losses(tmp_path / name) == whole[1]


def test_a_finished_run_stays_finished(whole, tmp_path: Path) -> None:
    run(solver(), only(*STAGED), options(), folder=tmp_path)
    (tmp_path / "last.safetensors").unlink()  # killed between the last checkpoint and this file
    net = solver(seed=3)
    assert run(net, only(*STAGED), options(), folder=tmp_path, resume=True) == []
    assert same(weights(net), whole[0]) and same(weights(load(tmp_path / "last.safetensors")), whole[0])
    assert losses(tmp_path) == whole[1]


SCRIPT = """
import sys, pathlib
sys.path[:0] = {paths!r}
import torch
torch.set_num_threads(1)
from test_resume import STAGED, options
from training import only, solver, stream
from pnpsr.train import train
folder = pathlib.Path(sys.argv[1])
{patch}
for record in train(solver(), stream(), only(*STAGED), options(workers=int(sys.argv[2])), folder=folder, resume=True):
    print(record.step, flush=True)
"""
PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[1])]


def started(folder: Path, workers: int = 0, patch: str = "") -> subprocess.Popen[str]:
    code = SCRIPT.format(paths=PATHS, patch=patch)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_killing_the_process_at_random_moments_changes_nothing(workers: int, whole, tmp_path: Path) -> None:
    chance = random.Random(workers)
    for _ in range(2 if workers == 0 else 1):
        process = started(tmp_path, workers)
        assert process.stdout is not None
        for _ in range(chance.randint(1, 5)):
            process.stdout.readline()
        time.sleep(chance.random() * 0.05)  # in the middle of a step, a record, a checkpoint
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.communicate()
    net = solver(seed=5) if list(tmp_path.glob("state-*.pt")) else solver()
    run(net, only(*STAGED), options(), folder=tmp_path, resume=True)
    assert same(weights(net), whole[0]) and losses(tmp_path) == whole[1]


def test_killing_in_the_middle_of_a_checkpoint_loses_no_more_than_the_steps_since_the_last(whole, tmp_path: Path) -> None:
    """Killed when the file is written and not yet in place: it lies about half-named, and the one before is the newest."""
    patch = """
import os, signal
replace = os.replace
def killed(a, b):
    if "state-00000006" in str(b):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(a, b)
os.replace = killed
"""
    process = started(tmp_path, patch=patch)
    out, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL and out.split()[-1] == "5"
    assert sorted(p.name for p in tmp_path.glob("state-*.pt")) == ["state-00000001.pt", "state-00000003.pt"]  # 1 ends a stage
    rest = list(tmp_path.glob(".*.tmp"))
    assert len(rest) == 1 and rest[0].stat().st_size > 1000
    rest[0].write_bytes(rest[0].read_bytes()[:500])
    net = solver(seed=5)
    steps = [r.step for r in run(net, only(*STAGED), options(), folder=tmp_path, resume=True)]
    assert steps == list(range(4, STEPS + 1)) and same(weights(net), whole[0]) and losses(tmp_path) == whole[1]
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_best_and_the_last_weights_load(tmp_path: Path) -> None:
    net, check = solver(), Validation(collection(2), DATA, count=2, patch=24)
    records = run(net, only("image prior", "joint"), quick(steps=8, validate_every=2), folder=tmp_path, validation=check)
    assert same(weights(load(tmp_path / "last.safetensors")), weights(net))
    best = max(r.scores.psnr for r in records if r.scores is not None and r.stage == "joint")
    scores, _ = check.run(load(tmp_path / "best.safetensors"))
    assert scores.psnr == pytest.approx(best, abs=1e-4)
    assert len((tmp_path / "validation.csv").read_text().splitlines()) == 6 and len(list((tmp_path / "panels").glob("*.png"))) == 5


def test_the_best_is_remembered_by_a_resumed_run(tmp_path: Path) -> None:
    check = Validation(collection(2), DATA, count=1, patch=24)
    quiet = quick(steps=6, validate_every=1, save_every=1, rate=1e-12)
    records = train(solver("usrnet"), stream(), STAGES["usrnet"], quiet, folder=tmp_path, validation=check)
    for _ in range(3):
        next(records)
    records.close()
    torch.save({**torch.load(state := sorted(tmp_path.glob("state-*"))[-1]), "best": 99.0}, state)
    before = (tmp_path / "best.safetensors").read_bytes()
    run(solver("usrnet", seed=1), STAGES["usrnet"], quiet, folder=tmp_path, resume=True, validation=check)
    assert (tmp_path / "best.safetensors").read_bytes() == before
