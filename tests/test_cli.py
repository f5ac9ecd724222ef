"""The command line as a user meets it: results on disk, numbers on the screen, one line per mistake."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpsr.cli import main
from pnpsr.images import read_image, sample_picture, write_image
from pnpsr.kernels import load_kernels


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "cat.png"
    write_image(path, sample_picture("chelsea")[..., 100:148, 150:206])
    return path


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_degrade_keeps_transparency(tmp_path: Path) -> None:
    x, alpha = torch.rand(1, 3, 21, 24), (255 * torch.rand(1, 1, 21, 24)).round() / 255
    write_image(tmp_path / "a.png", x, alpha=alpha)
    assert run("degrade", tmp_path / "a.png", "--scale", 2, "--size", 5, "--out", tmp_path / "out") == 0
    y, truth = (read_image(tmp_path / "out" / f"a_{end}.png") for end in ("x2", "truth"))
    assert y.alpha is not None and torch.equal(y.alpha, alpha[..., :20:2, ::2])
    assert truth.alpha is not None and torch.equal(truth.alpha, alpha[..., :20, :])


def test_degrade_then_restore_with_scores(picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("degrade", picture, "--scale", 2, "--family", "isotropic", "--size", 7, "--out", tmp_path / "low") == 0
    low, truth, kernel = (tmp_path / "low" / f"cat{end}" for end in ("_x2.png", "_truth.png", "_kernel.npz"))
    assert read_image(low).image.shape == (1, 3, 24, 28)
    options = ("--size", 7, "--iterations", 3, "--truth", truth, "--true-kernel", kernel, "--out", tmp_path / "out")
    capsys.readouterr()
    assert run("restore", low, "--scale", 2, *options) == 0
    printed = capsys.readouterr().out
    assert "bicubic" in printed and "restored" in printed and "dB" in printed and "estimated" in printed
    assert read_image(tmp_path / "out" / "cat_x2_restored.png").image.shape == (1, 3, 48, 56)
    k = load_kernels(tmp_path / "out" / "cat_x2_kernel.npz")
    assert k.shape == (1, 1, 7, 7) and abs(float(k.sum()) - 1) < 1e-5
    assert (tmp_path / "out" / "cat_x2_figure.png").stat().st_size > 10_000


def test_gray_sixteen_bit_and_alpha_come_back_as_they_went(tmp_path: Path) -> None:
    x = sample_picture("camera")[..., 100:120, 200:231]
    write_image(tmp_path / "gray.png", x, bits=16)
    write_image(tmp_path / "clear.png", x.expand(-1, 3, -1, -1) * torch.tensor([1.0, 0.5, 0.2]).reshape(1, 3, 1, 1), alpha=x)
    for name in ("gray", "clear"):
        assert run("restore", tmp_path / f"{name}.png", "--size", 5, "--iterations", 1, "--out", tmp_path) == 0
    gray, clear = (read_image(tmp_path / f"{name}_restored.png") for name in ("gray", "clear"))
    assert gray.image.shape == (1, 1, 40, 62) and gray.bits == 16 and gray.alpha is None
    assert clear.image.shape == (1, 3, 40, 62) and clear.bits == 8 and clear.alpha is not None


def test_a_checkpoint_is_a_preset(picture: Path, tmp_path: Path) -> None:
    from pnpsr import ikrnet, save

    torch.manual_seed(0)
    save(ikrnet(7, T=2, widths=(4, 4, 4, 4)), tmp_path / "mine.safetensors")
    assert run("restore", picture, "--preset", tmp_path / "mine.safetensors", "--out", tmp_path / "out") == 0
    assert read_image(tmp_path / "out" / "cat_restored.png").image.shape == (1, 3, 96, 112)


def test_a_gray_picture_goes_through_a_colour_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pnpsr import ikrnet, save

    torch.manual_seed(0)
    save(ikrnet(7, T=1, widths=(4, 4, 4, 4)), tmp_path / "mine.safetensors")
    write_image(tmp_path / "gray.png", sample_picture("camera")[..., 100:120, 200:231])
    assert run("kernels", "--family", "disk", "--count", 1, "--size", 7, "--width", 2, "--out", tmp_path) == 0
    options = ("--preset", tmp_path / "mine.safetensors", "--true-kernel", tmp_path / "disk.npz", "--out", tmp_path)
    assert run("restore", tmp_path / "gray.png", *options) == 0, capsys.readouterr().err
    assert read_image(tmp_path / "gray_restored.png").image.shape == (1, 1, 40, 62)
    assert "of no blur" in capsys.readouterr().out


@pytest.mark.parametrize("family", ["isotropic", "anisotropic", "motion", "disk", "dirac"])
def test_kernels_of_every_family(family: str, tmp_path: Path) -> None:
    assert run("kernels", "--family", family, "--count", 3, "--size", 9, "--out", tmp_path) == 0
    assert load_kernels(tmp_path / f"{family}.npz").shape == (3, 1, 9, 9)
    assert run("kernels", "--kernel", tmp_path / f"{family}.npz", "--out", tmp_path / "again") == 0


def test_demo_writes_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    room = sys.modules["pnpsr.cli.demo"]  # the package exports the function under the same name
    monkeypatch.setattr(room, "sample_picture", lambda name: sample_picture(name)[..., 20:148, 160:288])
    assert run("demo", "--out", tmp_path / "demo", "--scale", 1) == 0
    names = {path.name for path in (tmp_path / "demo").iterdir()}
    expected = {
        f"astronaut_{end}" for end in ("input.png", "true_kernel.npz", "restored.png", "kernel.npz", "kernel.png", "figure.png")
    }
    assert names == expected
    assert capsys.readouterr().out.count("dB") == 3  # what is explained, bicubic, restored


BAD = {
    "no such picture": (["restore", "missing.png"], "missing.png"),
    "scale zero": (["restore", "{cat}", "--scale", "0"], "--scale must be at least 1"),
    "unknown preset": (["restore", "{cat}", "--preset", "magic"], "blind_hqs"),
    "negative noise": (["restore", "{cat}", "--sigma", "-1"], "--sigma must lie between 0 and 0.5"),
    "no iterations": (["restore", "{cat}", "--iterations", "0"], "--iterations must be at least 1"),
    "truth of another size": (["restore", "{cat}", "--truth", "{cat}"], "truth of (48, 56) is not 2 times"),
    "a scale of another preset": (
        ["restore", "{cat}", "--preset", "ikrnet-x4"],
        "ikrnet-x4 is for scale 4, not 2; take dan-setting2-x2",
    ),
    "a preset that wants a kernel": (["restore", "{cat}", "--preset", "usrnet"], "give it (k=, --kernel FILE)"),
    "noise beyond any picture": (["restore", "{cat}", "--sigma", "5"], "sigma must lie between 0 and 0.5"),
    "no such device": (["restore", "{cat}", "--device", "cuda:7"], "there is no CUDA device"),
    "a device of fantasy": (["restore", "{cat}", "--device", "gpu"], "--device must be cpu, cuda"),
    "too little memory": (["restore", "{cat}", "--memory", "0.1"], "GiB of memory, 0.1 may be used"),
    "a tile too small": (["restore", "{cat}", "--tile", "8"], "--tile must be at least"),
    "a file as folder": (["restore", "{cat}", "--out", "{text}"], "is a file; name a folder"),
    "a file above the folder": (["restore", "{cat}", "--out", "{text}/results"], "is a file; name a folder"),
    "nothing named": (["restore"], "name at least one picture"),
    "an empty folder": (["restore", "empty"], "there are no pictures"),
    "size and preset": (["restore", "{cat}", "--size", "9", "--preset", "ikrnet-x2"], "size is for the classical method"),
    "kernels too close": (["restore", "{cat}", "--kernels-per", "20"], "--kernels-per must be at least 256"),
    "one truth for two": (["restore", "{cat}", "{cat2}", "--truth", "{cat}"], "are for one picture"),
    "transparency in JPEG": (["restore", "{clear}", "--format", "jpg"], "holds no transparency"),
    "kernel larger than the picture": (["degrade", "{cat}", "--size", "99"], "the kernel of 99 x 99 is larger than the image"),
    "text for a picture": (["restore", "{text}"], "is not a whole picture"),
    "unknown sample": (["demo", "--picture", "mona"], "astronaut"),
    "no kernels": (["kernels", "--count", "0"], "--count must be at least 1"),
    "no kernel file": (["kernels", "--kernel", "missing.npz"], "missing.npz"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_line_and_leave_nothing(
    case: str, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.png").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    x = sample_picture("camera")[..., :9, :9]
    write_image(tmp_path / "two.png", x)
    write_image(tmp_path / "clear.png", x, alpha=x)
    words = {"cat": picture, "text": tmp_path / "notes.png", "cat2": tmp_path / "two.png", "clear": tmp_path / "clear.png"}
    before = sorted(tmp_path.rglob("*"))
    arguments, message = BAD[case]
    assert run(*(a.format(**words) for a in arguments)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("pnpsr: error:") and message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_messages_name_options_and_leave_the_rest_alone() -> None:
    from pnpsr.cli import COMMANDS
    from pnpsr.cli.spoken import in_options, options

    assert {"size", "out", "sigma"} <= options(COMMANDS["degrade"])
    for command in COMMANDS.values():
        assert in_options("there is no picture", command) == "there is no picture"
    assert in_options("width2 must be positive", COMMANDS["degrade"]) == "--width2 must be positive"
    assert in_options("gamma must be positive", COMMANDS["restore"]) == "gamma must be positive"
    assert in_options("solver must be a module", COMMANDS["restore"]) == "--preset must be a module"


@pytest.mark.parametrize("arguments", ["restore x.png --scale 2.5", "restore x.png --frobnicate", "paint"])
def test_unknown_or_missing_arguments_are_refused(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())
    assert stop.value.code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_shell_completes_commands_and_options(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--tyro-print-completion", "bash"])
    (tmp_path / "completion").write_text(capfd.readouterr().out)
    ask = (
        'source "$1"; COMP_WORDS=(pnpsr {words}); COMP_CWORD=$(({cursor})); "$(complete -p pnpsr | grep -o "F [^ ]*" | cut -c3-)"; '
        'echo "${{COMPREPLY[@]}}"'
    )
    for words, cursor, wanted in (("res", 1, "restore"), ("restore --over", 2, "--overwrite"), ("demo --w", 2, "--web")):
        call = ["bash", "-c", ask.format(words=words, cursor=cursor), "bash", str(tmp_path / "completion")]
        assert wanted in subprocess.run(call, capture_output=True, text=True, check=True).stdout.split(), words


def test_the_module_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pnpsr", "kernels", "--family", "disk", "--count", "1"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert np.load(tmp_path / "kernels" / "disk.npz")["kernels"].shape[0] == 1
