"""``pnpsr train`` as a user meets it: a folder that says what was done, goes on when told to, and one line per mistake."""

import csv
import json
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
from pnpsr.cli.training import take
from pnpsr.data import settings
from pnpsr.images import write_image
from pnpsr.recipes import usrnet

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
    def run(*more: object, recipe: str = "usrnet", of: Path = images, arguments: object = TINY) -> int:
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        quiet = (
            "--steps 4 --log-every 1 --batch 2 --patch 24 --workers 0 --warmup 0 --hold-out 1 --validate-on 1 --validation-patch 24"
        )
        usual = {"--out": tmp_path / "run", "--scales": 2, "--accelerator": "cpu"}
        rest = [str(a) for a in more]
        given = [str(a) for pair in usual.items() if pair[0] not in rest for a in pair]
        words = quiet.split()
        pairs = [words[i : i + 2] for i in range(0, len(words), 2) if words[i] not in rest]
        try:
            return main(["train", recipe, str(of), "--arguments", text, *chain(*pairs), *given, *rest])
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
    count = take(net, str(tmp_path / "other.safetensors"))
    theirs = other.state_dict()
    taken = [name for name, value in net.state_dict().items() if theirs[name].shape == value.shape]
    assert count == len(taken) < len(before)
    for name, value in net.state_dict().items():
        assert torch.equal(value, theirs[name] if name in taken else before[name])
    assert train("--init", tmp_path / "other.safetensors", "--average", "0", "--rate", "1e-12") == 0
    assert f"{len(theirs)} tensors taken" in capsys.readouterr().out
    after = load(tmp_path / "run" / "last.safetensors").state_dict()
    assert all(torch.allclose(after[name], theirs[name], atol=1e-6) for name in theirs)


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
