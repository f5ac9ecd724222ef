"""``pnpsr train`` as a user meets it: a folder that says what was done, goes on when told to, and one line per mistake."""

import csv
import hashlib
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import torch
from synthetic import pictures

from pnpsr import load
from pnpsr.checkpoint import save
from pnpsr.cli import main
from pnpsr.cli.training import began, build, take
from pnpsr.data import settings
from pnpsr.images import read_image, write_image
from pnpsr.recipes import usrnet
from pnpsr.train.run import Run
from pnpsr.weights import presets

TINY = {"T": 1, "widths": [4, 4, 4, 4], "hidden": 4}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, x in enumerate(pictures(4, 3, 32, 32, seed=0)):
        write_image(folder / f"{i}.png", x[None])
    return folder


@pytest.fixture
def train(images: Path, tmp_path: Path) -> Callable[..., int]:
    def run(*more: object, recipe: str = "usrnet", of: Path | None = images, arguments: object = TINY) -> int:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        first = [recipe, *([] if of is None else [str(of)]), *([] if arguments is None else ["--arguments", text])]
        quiet = (
            "--steps 4 --log-every 1 --batch 2 --patch 24 --workers 0 --warmup 0 --hold-out 1 --validate-on 1 --validation-patch 24"
        )
        usual = {"--out": tmp_path / "run", "--scales": 2, "--accelerator": "cpu"}
        rest = [str(a) for a in more]
        given = [str(a) for pair in usual.items() if pair[0] not in rest for a in pair]
        words = quiet.split()
        pairs = [words[i : i + 2] for i in range(0, len(words), 2) if words[i] not in rest]
        try:
            return main(["train", *first, *chain(*pairs), *given, *rest])
        except SystemExit as stop:
            return int(stop.code or 0)

    return run


@pytest.fixture(autouse=True)
def small_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels of 21 pixels would not leave much of such small pictures."""
    small = {name: replace(one, size=5) for name, one in settings.SETTINGS.items()}
    monkeypatch.setattr(settings.SETTINGS, "_things", small)


def steps(folder: Path) -> list[str]:
    return [row["step"] for row in csv.DictReader((folder / "records.csv").read_text().splitlines())]


def test_a_run_leaves_weights_records_and_panels_and_goes_on(train: Callable[..., int], tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train() == 0
    for name in ("run.json", "commands.txt", "records.csv", "validation.csv", "best.safetensors", "last.safetensors"):
        assert (out / name).stat().st_size > 0, name
    assert steps(out) == ["1", "2", "3", "4"] and list((out / "panels").glob("*.png")) and list((out / "tensorboard").iterdir())
    note = json.loads((out / "run.json").read_text())
    assert note["recipe"] == "usrnet" and note["scales"] == [2] and note["steps"] == 4
    x = torch.rand(1, 3, 8, 8)
    k = torch.full((1, 1, 5, 5), 1 / 25)
    assert load(out / "best.safetensors")(x, 2, k=k, sigma=0.01).x.shape == (1, 3, 16, 16)
    (out / "state-00000004.pt").unlink()
    assert train("--resume", "True") == 0
    assert steps(out) == ["1", "2", "3", "4"]


def test_weights_are_taken_from_a_file(train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(9)
    other = usrnet(**TINY)
    save(other, tmp_path / "other.safetensors")
    net = usrnet(**{**TINY, "hidden": 8})
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ValueError, match=r"init: only \d+ of \d+ tensors of .* fit the solver \(.*here.*\): .*--partial True"):
        take(usrnet(**{**TINY, "widths": [8, 8, 8, 8], "hidden": 8}), str(tmp_path / "other.safetensors"))
    count = take(net, str(tmp_path / "other.safetensors"), partial=True)
    theirs = other.state_dict()
    taken = [name for name, value in net.state_dict().items() if theirs[name].shape == value.shape]
    assert count == len(taken) < len(before)
    for name, value in net.state_dict().items():
        assert torch.equal(value, theirs[name] if name in taken else before[name])
    assert train("--init", tmp_path / "other.safetensors", "--average", "0", "--rate", "1e-12") == 0
    assert f"{len(theirs)} tensors taken, of {len(theirs)} of the solver's" in capsys.readouterr().out
    digest = hashlib.sha256((tmp_path / "other.safetensors").read_bytes()).hexdigest()[:12]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["began"] == {str(tmp_path / "other.safetensors"): digest}
    assert began(["usrnet"]) == {"usrnet": presets()["usrnet"].sha256[:12]}
    after = load(tmp_path / "run" / "last.safetensors").state_dict()
    assert all(torch.allclose(after[name], theirs[name], atol=1e-6) for name in theirs)


def test_a_file_brings_its_own_arguments(train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without any; with some that do not change a size; and with others, which is an error unless asked for."""
    save(usrnet(**TINY), file := tmp_path / "other.safetensors")
    tensors = len(usrnet(**TINY).state_dict())
    quiet = ("--init", file, "--validate-on", 0, "--steps", 1)
    assert train(*quiet, "--out", tmp_path / "a", arguments=None) == 0
    assert f"{tensors} tensors taken, of {tensors}" in capsys.readouterr().out
    assert load(tmp_path / "a" / "last.safetensors").record.arguments == usrnet(**TINY).record.arguments
    assert train(*quiet, "--out", tmp_path / "b", arguments={"start": "bicubic"}) == 0
    assert load(tmp_path / "b" / "last.safetensors").record.arguments["start"] == "bicubic"
    capsys.readouterr()
    larger = {"widths": [8, 8, 8, 8], "hidden": 8}
    assert train(*quiet, "--out", tmp_path / "c", arguments=larger) == 2
    assert f"of {tensors} tensors of {file} fit the solver" in capsys.readouterr().err and not (tmp_path / "c").exists()
    assert train(*quiet, "--partial", "True", "--out", tmp_path / "c", arguments=larger) == 0


def test_presets_bring_theirs(train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solver = build("ikrnet", None, ["ikrnet-x2"])
    assert solver.record.arguments == load("ikrnet-x2").record.arguments
    assert take(solver, "ikrnet-x2") == len(solver.state_dict())
    with pytest.raises(ValueError, match=r"init: only \d+ of \d+ tensors of ikrnet-x1 fit the solver"):
        take(build("ikrnet", json.dumps({"widths": [4, 4, 4, 4], "first_width": 8}), ["ikrnet-x1"]), "ikrnet-x1")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--patch", 25), "patch must be a multiple of scale 2"),
        (("--stages", "image pior"), "stages must be one of"),
        (("--data", "ours"), "setting must be one of"),
        (("--convention", "OURS"), "convention must be one of"),
        (("--hold-out", 4), "count must leave something to train on"),
        (("--batch", 0), "batch must be at least 1"),
        (("--init", "nowhere.safetensors"), "no checkpoint at nowhere.safetensors"),
    ],
    ids=str,
)
def test_mistakes_are_one_line(
    train: Callable[..., int], more: tuple[object, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(*more) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("pnpsr: error:") and error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 3}, "recipe 'usrnet' refuses the arguments"),
        ("{T: 4}", "arguments must be JSON such as"),
        ("[1]", "arguments must be a JSON object"),
        ({"T": 0.5}, "must be an integer, got 0.5"),
    ],
    ids=str,
)
def test_arguments_that_are_none_of_the_recipe(
    train: Callable[..., int], arguments: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(arguments=arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_kernels_are_as_large_as_the_solver_estimates_them(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = {"scale": 2, "width": 8, "groups": 1, "blocks": 1, "code": 4, "T": 1}
    assert train("--validate-on", 0, recipe="dan", arguments={**tiny, "size": 7}) == 0
    assert load(tmp_path / "run" / "last.safetensors").k0.size == 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(settings.SETTINGS, "dan-setting2", replace(settings.SETTINGS["dan-setting2"], size={2: 11, 4: 31}))
        assert train("--data", "dan-setting2", "--out", tmp_path / "other", recipe="dan", arguments={**tiny, "size": 7}) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "has kernels of 11 pixels at scale 2, the solver is built for 7" in error and '{"size": 11}' in error


def test_options_out_of_range(train: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--steps", 0) == 2
    assert "steps must be at least 1, got 0" in " ".join(capsys.readouterr().err.split())


def test_pictures_that_are_not_there(train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for folder, message in (
        (tmp_path / "nowhere", "there is no folder of pictures"),
        (tmp_path / "empty", "there are no pictures"),
    ):
        assert train(of=folder) == 2
        error = capsys.readouterr().err
        assert message in error and str(folder) in error and error.count("\n") == 1


def test_a_corrupt_picture_is_named(train: Callable[..., int], images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in images.glob("*.png"):
        path.write_bytes(path.read_bytes()[:50])
    assert train("--hold-out", 0) == 2
    assert "is not a whole picture" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("more", [(), ("--cache", "cache")], ids=["decoded", "cached"])
def test_damaged_pictures_are_all_named_before_the_first_step_or_left_out(
    train: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    more = tuple(str(tmp_path / m) if m == "cache" else m for m in more)
    for name in ("broken.png", "empty.jpg"):
        (images / name).write_bytes(b"")
    assert train(*more, "--validate-on", 0) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("pnpsr: error: 2 picture(s) cannot be used") and "broken.png: " in error and "empty.jpg: " in error
    assert not (tmp_path / "run").exists()
    assert train(*more, "--validate-on", 0, "--skip-broken", "True") == 0
    assert "2 picture(s) left out: broken.png: " in capsys.readouterr().err
    assert len(json.loads((tmp_path / "run" / "pictures.json").read_text())) == 3
    (images / "broken.png").unlink()
    assert train(*more, "--validate-on", 0, "--skip-broken", "True", "--resume", "True") == 0  # the same pictures are left


def test_with_a_cache_the_run_is_the_same(train: Callable[..., int], tmp_path: Path) -> None:
    assert train("--out", tmp_path / "a") == 0 and train("--out", tmp_path / "b", "--cache", tmp_path / "cache") == 0
    for name in ("pictures.json", "last.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_hold_out_is_another_run(train: Callable[..., int], images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("--validate-on", 0) == 0
    assert train("--validate-on", 0, "--resume", "True", "--hold-out", 2) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "holds another run; pictures: 1 gone (" in error and "hold_out: 1 then, 2 now" in error
    for path in images.glob("*.png"):
        write_image(path, torch.zeros(1, 3, 32, 32))
    assert train("--validate-on", 0, "--resume", "True") == 2
    assert "pictures: 3 changed (" in capsys.readouterr().err.splitlines()[-1]


DAN = {"scale": 2, "width": 8, "groups": 1, "blocks": 1, "code": 4, "T": 1, "size": 5}


def test_pairs_train_with_the_images_loss_alone(
    train: Callable[..., int], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "y").mkdir()
    for path in sorted(images.glob("*.png")):
        write_image(tmp_path / "y" / path.name, torch.nn.functional.avg_pool2d(read_image(path).image, 2))
    pairs = ("--pairs", tmp_path / "y", images)
    scale = ("--scales", 2)
    assert train(*pairs, *scale, of=None, recipe="dan", arguments=DAN) == 2
    assert "pairs have one stage, and y as it is: leave out --scales" in capsys.readouterr().err
    assert main_train("dan", *pairs, "--arguments", json.dumps(DAN), out=tmp_path / "run") == 0
    records = list(csv.DictReader((tmp_path / "run" / "records.csv").read_text().splitlines()))
    assert [row["stage"] for row in records] == ["pairs"] * 4 and records[0]["losses"].startswith("image=")
    scores = list(csv.DictReader((tmp_path / "run" / "validation.csv").read_text().splitlines()))
    assert float(scores[-1]["psnr"]) > 5 and scores[-1]["kernel_error"] == "" and list((tmp_path / "run" / "panels").glob("*.png"))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["pairs"] == {"scale": 2}
    capsys.readouterr()
    assert main_train("usrnet", *pairs, "--arguments", json.dumps(TINY), out=tmp_path / "other") == 2
    assert "the solver is not blind: it needs the kernel" in capsys.readouterr().err
    write_image(tmp_path / "y" / "2.png", torch.zeros(1, 3, 15, 16))
    assert main_train("dan", *pairs, "--arguments", json.dumps(DAN), out=tmp_path / "other") == 2
    assert "pair 2: y of 15 x 16 at scale 2 belongs to an x of 30 x 32, got 32 x 32" in capsys.readouterr().err
    assert main_train("dan", images, *pairs, out=tmp_path / "other") == 2
    assert "name a folder of sharp pictures, or --pairs OBSERVED SHARP, and not both" in capsys.readouterr().err


def main_train(recipe: str, *more: object, out: Path) -> int:
    quiet = (
        "--steps 4 --log-every 1 --batch 2 --patch 24 --workers 0 --warmup 0 --hold-out 1 --validation-patch 24 --accelerator cpu"
    )
    return main(["train", recipe, *(str(m) for m in more), *quiet.split(), "--out", str(out)])


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_signals_save_and_say_how_to_go_on(
    train: Callable[..., int],
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    status: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    step = Run._step

    def signalled(self: Run, *rest: object) -> object:
        if self.done == 2:
            os.kill(os.getpid(), getattr(signal, name))
        return step(self, *rest)  # type: ignore[arg-type]

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_step", signalled)
        assert train("--validate-on", 0) == status
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"stopped; {tmp_path}/run/state-00000003.pt is saved: go on with the same command and --resume True"
    assert steps(tmp_path / "run") == ["1", "2", "3"] and not (tmp_path / "run" / "last.safetensors").exists()
    assert train("--validate-on", 0, "--resume", "True") == 0
    assert train("--validate-on", 0, "--out", tmp_path / "whole") == 0
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == (tmp_path / "whole" / "last.safetensors").read_bytes()


def test_a_run_is_not_overwritten_nor_mixed_with_another(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--validate-on", 0) == 0
    capsys.readouterr()
    assert train("--validate-on", 0) == 2
    assert "already holds a run; go on with it (resume)" in capsys.readouterr().err
    assert train("--validate-on", 0, "--resume", "True", "--batch", 4) == 2
    assert "holds another run; batch: 2 then, 4 now" in capsys.readouterr().err
    assert len((tmp_path / "run" / "commands.txt").read_text().splitlines()) == 1


def test_divergence_is_one_line_with_the_checkpoint(
    train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--steps", 40, "--rate", "1e30", "--clip", "1e30", "--save-every", 1, "--validate-on", 0) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("pnpsr: error: step ") and "the last good checkpoint is" in line
    assert str(sorted((tmp_path / "run").glob("state-*.pt"))[-1]) in line
