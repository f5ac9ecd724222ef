"""The folder of a run: whole files or none, refusals that say what differs, a full disk that costs nothing that was there."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training import losses, only, quick, run, solver, stream, weights

from pnpsr.checkpoint import convention_of
from pnpsr.conventions import DAN, PNPSR
from pnpsr.train import Log, Record, RunFolder, lock, train

NOTE = {"recipe": "ikrnet", "batch": 8, "sigma": (0.0, 0.03)}


def test_the_last_few_states_are_kept(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run", keep=3)
    assert folder.load_state() is None
    for step in range(1, 8):
        assert folder.save_state(step, {"step": step, "t": torch.full((2,), step)}).exists()
        names = [p.name for p in folder.states()]
        assert names == [f"state-{n:08d}.pt" for n in range(max(1, step - 2), step + 1)]
        state = folder.load_state()
        assert state is not None and state["step"] == step and torch.equal(state["t"], torch.full((2,), step))


def test_the_loop_keeps_as_many_as_it_was_told(tmp_path: Path) -> None:
    run(solver(), only("kernel code"), quick(steps=7, save_every=2, keep=2), folder=tmp_path)
    assert [p.name for p in RunFolder(tmp_path).states()] == ["state-00000006.pt", "state-00000007.pt"]


def test_a_run_is_resumed_by_its_like_only(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(NOTE, resume=True)  # nothing to go on with: it begins
    folder.begin(dict(NOTE), resume=True)
    with pytest.raises(ValueError, match=r"already holds a run; go on with it \(resume\) or choose another folder"):
        folder.begin(NOTE, resume=False)
    with pytest.raises(ValueError, match=r"holds another run; batch: 8 then, 4 now; sigma: \[0.0, 0.03\] then, \[0.0, 0.1\] now"):
        folder.begin({**NOTE, "batch": 4, "sigma": (0.0, 0.1)}, resume=True)
    folder.begin({**NOTE, "added later": 1}, resume=True)  # which an older version did not know


def test_weights_bear_the_convention_of_their_data(tmp_path: Path) -> None:
    for convention in (PNPSR, DAN):
        data = stream()
        data.setting = replace(data.setting, convention=convention)
        list(train(solver(), data, only("kernel code"), quick(steps=1), folder=tmp_path / convention.name))
    assert convention_of(tmp_path / "PNPSR" / "last.safetensors") is None
    assert convention_of(tmp_path / "DAN" / "last.safetensors") == "DAN"


def test_checkpoints_alone_are_a_run(tmp_path: Path) -> None:
    RunFolder(tmp_path).save_state(1, {"step": 1})
    with pytest.raises(ValueError, match="already holds a run"):
        RunFolder(tmp_path).begin(NOTE, resume=False)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rate": 2e-3}, r"rate: 0.001 then, 0.002 now; .*begin another folder from its weights \(--init .*last.safetensors\)"),
        ({"steps": 3}, r"steps: 4 then, 3 now \(fewer\)"),
        ({"steps": 9, "decay": "cosine"}, r"steps: 4 then, 9 now \(a cosine decay is laid over all steps"),
        ({"average": 0.5}, "average: 0.999"),
    ],
)
def test_another_run_is_not_gone_on_with(values: dict[str, float], message: str, tmp_path: Path) -> None:
    stages = only("kernel code")
    run(solver(), stages, quick(steps=4), folder=tmp_path)
    with pytest.raises(ValueError, match=message):
        train(solver(), stream(), stages, quick(**{"steps": 4, **values}), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="stages: "):
        train(solver(), stream(), only("joint"), quick(steps=4), folder=tmp_path, resume=True)
    with pytest.raises(ValueError, match="already holds a run"):
        train(solver(), stream(), stages, quick(steps=4), folder=tmp_path)
    free = quick(steps=4, workers=1, save_every=1, keep=1, validate_every=2, log_every=2)
    assert list(train(solver(), stream(), stages, free, folder=tmp_path, resume=True)) == []


def test_half_written_files_are_cleared(tmp_path: Path) -> None:
    (tmp_path / ".0123.tmp").write_bytes(b"half")
    (tmp_path / "mine.tmp").write_bytes(b"the user's")
    RunFolder(tmp_path).begin(NOTE, resume=False)
    assert not (tmp_path / ".0123.tmp").exists() and (tmp_path / "mine.tmp").exists()


def test_a_damaged_checkpoint_falls_back_to_the_one_before_with_a_word(tmp_path: Path) -> None:
    stages, net = only("kernel code"), solver()
    run(net, stages, quick(steps=4, save_every=1), folder=tmp_path)
    newest = RunFolder(tmp_path).states()[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    again = solver(seed=1)
    with pytest.warns(UserWarning, match=r"state-00000004\.pt cannot be read .*; going on from .*state-00000003\.pt"):
        records = train(again, stream(), stages, quick(steps=4, save_every=1), folder=tmp_path, resume=True)
    assert [r.step for r in records] == [4]
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in weights(net).items())
    assert (tmp_path / "state-00000004.pt.damaged").exists() and newest.exists()


def test_damaged_checkpoints_alone_are_nothing_to_go_on_from(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_state(1, {"step": 1}).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"state-00000001\.pt cannot be read .*no state is left to go on from"):
        folder.load_state()


def test_two_trainings_in_one_folder_refuse_the_second(tmp_path: Path) -> None:
    """In this process and from another; half-written files of the living one are left alone; afterwards the folder is free."""
    stages = only("kernel code")
    records = train(solver(), stream(), stages, quick(steps=4), folder=tmp_path)
    next(records)
    (tmp_path / ".0123.tmp").write_bytes(b"being written")
    with pytest.raises(ValueError, match=r"a training is running there already \(this process\); wait for its end, or choose"):
        train(solver(), stream(), stages, quick(steps=4), folder=tmp_path, resume=True)
    code = f"import pathlib, runpy; runpy.run_path({lock.__file__!r})['Lock'](pathlib.Path({str(tmp_path)!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.returncode and f"a training is running there already (process {os.getpid()} on " in other.stderr
    assert (tmp_path / ".0123.tmp").exists()
    records.close()
    assert [r.step for r in run(solver(), stages, quick(steps=4), folder=tmp_path, resume=True)] == [1, 2, 3, 4]
    assert not (tmp_path / ".0123.tmp").exists()


def test_a_training_that_never_began_does_not_keep_the_folder(tmp_path: Path) -> None:
    train(solver(), stream(), only("kernel code"), quick(steps=4), folder=tmp_path)
    with pytest.raises(ValueError, match="holds another run"):
        train(solver(), stream(), only("joint"), quick(steps=4), folder=tmp_path, resume=True)
    assert len(run(solver(), only("kernel code"), quick(steps=4), folder=tmp_path, resume=True)) == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # TensorBoard's own thread misses it, too
def test_a_folder_that_disappears_is_said(tmp_path: Path) -> None:
    records = train(solver(), stream(), only("kernel code"), quick(steps=6, save_every=2), folder=tmp_path / "run")
    next(records)
    (tmp_path / "run").rename(tmp_path / "gone")  # at once, whoever else is writing into it
    with pytest.raises(OSError, match=r"record of step 2 could not be written \(.*the folder .*run is gone"):
        list(records)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_costs_nothing_that_was_there(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = only("kernel code")
    records = train(solver(), stream(), stages, quick(steps=6, save_every=2), folder=tmp_path)
    for _ in range(3):
        next(records)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.pt")}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(
            OSError, match=r"state-00000004\.pt could not be written \(No space left.*\); .*state-00000002\.pt"
        ) as e:
            list(records)
    assert e.value.errno == errno.ENOSPC
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.pt")} == before and not list(tmp_path.glob(".*.tmp"))
    again = run(solver(seed=1), stages, quick(steps=6, save_every=2), folder=tmp_path, resume=True)
    assert [r.step for r in again] == [3, 4, 5, 6]


def test_a_full_disk_while_a_record_is_written_names_the_checkpoint_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = train(solver(), stream(), only("kernel code"), quick(steps=6, save_every=1), folder=tmp_path)
    next(records)

    def full(self: Log, record: Record) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Log, "write", full)
    with pytest.raises(OSError, match=r"record of step 2 could not be written \(No space.*\); the last good .*state-00000001\.pt"):
        next(records)


def test_nothing_to_lose_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="no checkpoint was written before"):
        folder.save_state(1, {"step": 1})


def rows(path: Path, *lines: str) -> None:
    path.write_text("step,stage\n" + "".join(lines))


def test_rows_behind_the_checkpoint_and_torn_ones_are_dropped(tmp_path: Path) -> None:
    rows(tmp_path / "records.csv", "1,a\n", "2,a\r\n", "3,a\n", "\0\0\0\n", "4,")
    Log(tmp_path, 2, tensorboard=False)
    assert (tmp_path / "records.csv").read_text() == "step,stage\n1,a\n2,a\n"
    (tmp_path / "records.csv").write_text("step,st")  # killed in the header
    log = Log(tmp_path, 0, tensorboard=False)
    log.write(Record(1, "a", {"total": 0.5}, 1e-3, 1.0, 10.0))
    assert [row[0] for row in losses(tmp_path)] == ["step", "1"]


def test_events_and_csv_tell_the_same(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records = run(solver(), only("kernel code"), quick(steps=3), folder=tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    told = [(e.step, e.value) for e in events.Scalars("loss/total")]
    assert told == [(r.step, pytest.approx(r.losses["total"])) for r in records]
    assert [row[4] for row in losses(tmp_path)[1:]] == [" ".join(f"{n}={v:.6g}" for n, v in r.losses.items()) for r in records]
