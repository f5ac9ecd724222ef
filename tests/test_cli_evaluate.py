"""``pnpsr evaluate`` as a user meets it: results on disk, what was left out on the screen, and goes on where it stopped."""

import csv
import errno
import os
import shutil
from pathlib import Path

import pytest
import torch
from synthetic import kernels, pictures

from pnpsr import save
from pnpsr.cli import main
from pnpsr.cli.methods import method_from
from pnpsr.evaluate import psnr
from pnpsr.images import read_image, write_image
from pnpsr.kernels import save_kernels
from pnpsr.recipes import dan, entry_of, ikrnet, two_step, usrnet
from pnpsr.starts import upsample


def run(*arguments: object) -> int:
    try:
        return main([str(a) for a in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two good pictures; a corrupt, a gray, a 16-bit and a small one beside them."""
    folder = tmp_path / "images"
    folder.mkdir()
    x = pictures(4, 3, 48, 52, seed=1, dtype=torch.float32)
    write_image(folder / "a.png", x[:1])
    write_image(folder / "b.png", x[1:2])
    return folder


@pytest.fixture
def mixed(images: Path) -> Path:
    x = pictures(2, 3, 48, 52, seed=2, dtype=torch.float32)
    (images / "corrupt.png").write_bytes((images / "a.png").read_bytes()[:200])
    write_image(images / "gray.png", x[:1, :1])
    write_image(images / "sixteen.png", x[1:], bits=16)
    write_image(images / "small.png", x[:1, :, :10, :12])
    return images


@pytest.fixture
def kernel_file(tmp_path: Path) -> Path:
    save_kernels(tmp_path / "kernels.npz", kernels(3, 9, seed=0, dtype=torch.float32))
    return tmp_path / "kernels.npz"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_methods_kernels_and_conditions_become_a_table(images: Path, kernel_file: Path, tmp_path: Path, capsys) -> None:
    torch.manual_seed(0)
    save(ikrnet(9, T=1, widths=(2, 2, 2, 2)), tmp_path / "mine.safetensors")
    save(usrnet(T=1, widths=(2, 2, 2, 2), hidden=2), tmp_path / "oracle.safetensors")
    out = tmp_path / "out"
    methods = (
        "bicubic",
        tmp_path / "mine.safetensors",
        f"told={tmp_path / 'oracle.safetensors'}",
        f"{tmp_path / 'mine.safetensors'}+sigma",
    )
    arguments = (
        "evaluate",
        "--images",
        images,
        "--protocol",
        "ikrnet",
        "--kernels",
        kernel_file,
        "--sigmas",
        0,
        0.02,
        "--scales",
        2,
    )
    assert run(*arguments, "--methods", *methods, "--out", out) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ikrnet@") and "3 kernels" in printed and "told was told k and sigma." in printed
    for name in ("bicubic", "mine", "told", "mine+sigma"):
        found = rows(out / f"{name}.csv")
        assert len(found) == 2 * 3 * 2 and {row["method"] for row in found} == {name}
        assert all(row["psnr"] and bool(row["kernel_psnr"]) == name.startswith("mine") for row in found)
    assert {path.suffix for path in out.iterdir() if path.is_file()} == {".csv", ".json", ".md", ".png"}
    assert (out / "table.md").read_text(encoding="utf-8").strip() in printed
    plain = rows(out / "bicubic.csv")[0]
    x = read_image(images / "a.png").image
    from pnpsr.conventions import degrade
    from pnpsr.kernels import load_kernels

    y = degrade(x, load_kernels(kernel_file)[:1], 2)
    assert (plain["image"], plain["kernel"], plain["scale"], plain["sigma"]) == ("a.png", "1", "2", "0.0")
    assert float(plain["psnr"]) == pytest.approx(float(psnr(upsample(y, 2).clamp(0, 1), x, border=4)), rel=1e-6)


def test_it_goes_on_where_it_stopped_and_refuses_what_differs(images: Path, kernel_file: Path, tmp_path: Path, capsys) -> None:
    arguments = ["evaluate", "--images", images, "--protocol", "ikrnet", "--kernels", kernel_file, "--out", tmp_path / "out"]
    arguments += ["--scales", 2, "--metrics", "psnr", "--methods", "bicubic"]
    assert run(*arguments) == 0
    whole = (tmp_path / "out" / "bicubic.csv").read_bytes()
    (tmp_path / "out" / "bicubic.csv").write_bytes(whole[: len(whole) // 2])
    assert run(*arguments) == 0
    assert (tmp_path / "out" / "bicubic.csv").read_bytes() == whole
    capsys.readouterr()
    for change in (("--seed", 1), ("--convention", "KAIR_CENTER")):
        assert run(*arguments, *change) == 2
        assert "holds results of another protocol" in capsys.readouterr().err
    assert run(*arguments, "--limit", 1) == 0  # fewer pictures are fewer lines of the table, and no row is lost
    assert (tmp_path / "out" / "bicubic.csv").read_bytes() == whole
    assert "| bicubic | ×2 | 0 | 3 |" in (tmp_path / "out" / "table.md").read_text()


def test_what_cannot_be_evaluated_is_named_and_the_rest_is_measured(mixed: Path, tmp_path: Path, capsys) -> None:
    arguments = ("evaluate", "--images", mixed, "--scales", 2, "--metrics", "psnr", "ssim", "--out", tmp_path / "out")
    assert run(*arguments, "--methods", "bicubic", "bicubic_centre") == 1
    captured = capsys.readouterr()
    named = [line for line in captured.err.splitlines() if line.startswith("pnpsr:")]
    assert len(named) == 4
    assert any("left out corrupt.png, 16 row(s)" in line and "not a whole picture" in line for line in named)
    assert any("left out small.png, 16 row(s)" in line for line in named)
    assert "pnpsr: note on gray.png: gray" in named and "pnpsr: note on sixteen.png: finer than 8 bits" in named
    for name in ("bicubic", "bicubic_centre"):
        assert {row["image"] for row in rows(tmp_path / "out" / f"{name}.csv")} == {"a.png", "b.png", "gray.png", "sixteen.png"}
    assert "left out corrupt.png" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    (mixed / "corrupt.png").unlink()
    (mixed / "small.png").unlink()
    assert run(*arguments[:-1], tmp_path / "clean", "--methods", "bicubic") == 0


def test_what_is_finished_is_not_even_decoded(mixed: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    options = ("--scales", 2, "--metrics", "psnr", "--methods", "bicubic")
    arguments = ("evaluate", "--images", mixed, "--out", tmp_path / "out", *options)
    for name in ("corrupt.png", "small.png"):
        (mixed / name).unlink()
    assert run(*arguments) == 0
    first, table = capsys.readouterr().err, (tmp_path / "out" / "table.md").read_text()

    def refuse(*given: object, **more: object) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr("pnpsr.data.pictures.read_image", refuse)
    assert run(*arguments) == 0
    notes = [line for line in first.splitlines() if line.startswith("pnpsr:")]
    assert len(notes) == 2 and [line for line in capsys.readouterr().err.splitlines() if line.startswith("pnpsr:")] == notes
    assert (tmp_path / "out" / "table.md").read_text() == table


def test_another_function_under_an_old_name_is_computed_anew_and_it_says_so(images: Path, tmp_path: Path, capsys) -> None:
    arguments = ("evaluate", "--images", images, "--scales", 2, "--metrics", "psnr", "--out", tmp_path / "out", "--methods")
    for number, body in enumerate(("upsample(y, scale)", "upsample(y, scale) * 0")):
        file = tmp_path / f"lab{number}.py"
        file.write_text(f"from pnpsr.starts import upsample\n\n\ndef mine(y, scale):\n    return {body}\n")
        assert run(*arguments, f"mine={file}:mine") == 0
        assert ("row(s) of mine on disk were computed anew" in capsys.readouterr().err) == bool(number)
    assert {float(row["psnr"]) < 20 for row in rows(tmp_path / "out" / "mine.csv")} == {True}
    assert run(*arguments, f"{file}:other") == 2 and "has no 'other'" in capsys.readouterr().err
    assert run(*arguments, f"{file}:upsample+sigma") == 2 and "no solver" in capsys.readouterr().err


def test_nothing_to_evaluate_is_an_error(tmp_path: Path, capsys) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.png").write_text("no picture")
    assert run("evaluate", "--images", tmp_path / "images", "--methods", "bicubic", "--out", tmp_path / "out") == 2
    assert "nothing could be evaluated: left out bad.png" in capsys.readouterr().err


BAD = {
    "no such folder": (["--images", "nowhere"], "nowhere"),
    "kernels missing": (["--protocol", "ikrnet"], "--kernels FILE"),
    "unknown protocol": (["--protocol", "magic"], "dan-setting1"),
    "unknown method": (["--methods", "magic"], "bicubic_centre"),
    "unknown option": (["--methods", "blind_hqs+magic"], "no option of a method"),
    "option of a baseline": (["--methods", "bicubic+sigma"], "takes no options"),
    "kernel for a blind method": (["--methods", "blind_hqs+dirac"], "finds the kernel itself"),
    "two conventions": (["--methods", "blind_hqs+DAN+IKRNET"], "one convention"),
    "scale of another protocol": (["--scales", "2", "5"], "its pairs are"),
    "unknown metric": (["--metrics", "beauty"], "metric must be one of"),
    "unknown convention": (["--convention", "MINE"], "DAN_PAPER"),
    "unknown colour": (["--colour", "ycbcr"], "colour must be one of"),
    "no pictures wanted": (["--limit", "0"], "limit must be at least 1"),
    "no data set": (["--images", "deepinv:Set99HR:x"], "deepinv:CLASS:FOLDER"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_line_and_leave_nothing(case: str, images: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments, message = BAD[case]
    before = sorted(tmp_path.rglob("*"))
    given = ["--images", str(images)] if "--images" not in arguments else []
    assert run("evaluate", *given, *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("pnpsr: error:") and message in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_solver_is_measured_at_its_scales_and_refused_before_any_is_run_where_there_are_none(
    images: Path, tmp_path: Path, capsys
) -> None:
    torch.manual_seed(0)
    save(dan(**{**entry_of("dan").tiny, "scale": 4, "size": 21}), tmp_path / "dan4.safetensors")
    given = ("evaluate", "--images", images, "--metrics", "psnr", "--methods", "bicubic", tmp_path / "dan4.safetensors")
    assert run(*given, "--scales", 2, 3, "--out", tmp_path / "out") == 2
    assert "dan4 can do ×4, the protocol asks for ×2, ×3" in capsys.readouterr().err
    assert not (tmp_path / "out" / "bicubic.csv").exists()
    assert run(*given, "--scales", 2, 4, "--out", tmp_path / "both") == 0
    assert "dan4 has no rows at ×2, which it cannot do" in capsys.readouterr().err
    assert {row["scale"] for row in rows(tmp_path / "both" / "dan4.csv")} == {"4"}


def test_words_for_methods(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save(usrnet(T=1, widths=(2, 2, 2, 2), hidden=2), tmp_path / "my net.safetensors")
    file = tmp_path / "my net.safetensors"
    assert method_from(str(file), circular=True).name == "my_net"
    assert method_from(f"u={file}", circular=True).needs == ("k", "sigma")
    wrong = method_from(f"u={file}+gaussian", circular=True)
    assert (wrong.name, wrong.needs) == ("u+gaussian", ("sigma",))
    told = method_from("blind_hqs+sigma+DAN", circular=False)
    assert (told.name, told.needs, told.convention.name) == ("blind_hqs+sigma+DAN", ("sigma",), "DAN")
    assert told.run.boundary == "extend" and method_from("blind_hqs+direct", circular=False).run.boundary == "circular"
    assert method_from("tv_hqs", circular=True).needs == ("k", "sigma") and method_from("kernel_first", circular=True).needs == ()
    steps = method_from(f"u={file}+kernel_first", circular=True)
    assert (steps.name, steps.needs) == ("u+kernel_first", ())
    assert steps(torch.rand(1, 3, 12, 14), 2, {}).k.shape == (1, 1, 21, 21)
    for word, reason in ((f"u={file}+kernel_first+sigma", "no option but"), ("blind_hqs+kernel_first", "must be given a kernel")):
        with pytest.raises(ValueError, match=reason):
            method_from(word, circular=True)
    save(two_step(size=5, widths=(2, 2, 2, 2)), tmp_path / "both.safetensors")
    both = method_from(str(tmp_path / "both.safetensors"), circular=True)  # it says that its tuner finds no noise level
    assert both.needs == ("sigma",) and both(torch.rand(1, 3, 12, 14), 2, {"sigma": 0.01}).k.shape == (1, 1, 5, 5)
    again = method_from("ikrnet-x1+debiased", circular=True)
    assert again.name == "ikrnet-x1+debiased" and "debiased" not in repr(method_from("ikrnet-x1", circular=True).run)
    assert again.digest != method_from("ikrnet-x1", circular=True).digest
    with pytest.raises(ValueError, match="no first kernel"):
        method_from("usrnet+debiased", circular=True)
    with pytest.raises(FileNotFoundError, match="without a file there are bicubic"):
        method_from("missing.safetensors", circular=True)


def test_a_checkpoint_is_evaluated_under_the_convention_of_its_training(tmp_path: Path) -> None:
    """As a preset is: the networks of DAN read its kernels and need no longer border; ikrnet keeps its border."""
    small = dan(2, size=5, code=4, width=8, groups=1, blocks=1)
    files = {name: tmp_path / f"{name}.safetensors" for name in ("plain", "trained", "closed")}
    save(small, files["plain"])
    save(small, files["trained"], convention="DAN")
    save(ikrnet(5, T=1, widths=(4, 4, 4, 4)), files["closed"], convention="KAIR_CENTER")
    found = {name: method_from(str(file), circular=False) for name, file in files.items()}
    assert {name: one.convention.name for name, one in found.items()} == {
        "plain": "PNPSR",
        "trained": "DAN",
        "closed": "KAIR_CENTER",
    }
    direct = method_from(f"{files['plain']}+DAN+direct", circular=False)
    assert found["trained"].digest == direct.digest != found["plain"].digest
    assert found["closed"].digest == method_from(f"{files['closed']}+KAIR_CENTER", circular=False).digest
    assert method_from(f"{files['trained']}+PNPSR", circular=False).convention.name == "PNPSR"
    with pytest.raises(ValueError, match="of the conventions DAN, PNPSR: evaluate them apart"):
        method_from(f"both={files['plain']},{files['trained']}", circular=False)


def test_a_data_set_of_deepinv(tmp_path: Path, capsys, monkeypatch) -> None:
    import deepinv

    class Tiny(torch.utils.data.Dataset):
        def __init__(self, root: str, download: bool) -> None:
            assert Path(root) == tmp_path and download is False
            self.x = pictures(2, 3, 40, 44, seed=0, dtype=torch.float32)

        def __len__(self) -> int:
            return len(self.x)

        def __getitem__(self, index: int) -> torch.Tensor:
            return self.x[index]

    monkeypatch.setattr(deepinv.datasets, "Set14HR", Tiny)
    arguments = ("--metrics", "psnr", "--methods", "bicubic_centre", "--scales", 2, "--out", tmp_path / "out")
    assert run("evaluate", "--images", f"deepinv:Set14HR:{tmp_path}", *arguments) == 0
    assert {row["image"] for row in rows(tmp_path / "out" / "bicubic_centre.csv")} == {"Tiny-00000", "Tiny-00001"}


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_conventions_of_dan_differ_by_decibels(scale: int, data: Path, tmp_path: Path) -> None:
    """Set5, Gaussian8: bicubic under the released convention and under Eq. 1; the figures of docs/evaluation.md."""
    expected = {
        ("DAN", "y", "bicubic"): (29.09, 25.99, 24.29),
        ("DAN", "y", "bicubic_centre"): (30.36, 27.52, 25.87),
        ("DAN", "y_full", "bicubic_centre"): (29.03, 26.20, 24.55),
        ("DAN_PAPER", "y", "bicubic"): (30.82, 27.85, 26.17),
        ("DAN_PAPER", "y", "bicubic_centre"): (29.27, 26.10, 24.36),
    }
    for (convention, colour, name), values in expected.items():
        out = tmp_path / f"{convention} {colour}"
        settings = ("--scales", scale, "--metrics", "psnr", "--convention", convention, "--colour", colour, "--out", out)
        assert run("evaluate", "--images", data / "test" / "set5", *settings, "--methods", name) == 0
        found = [float(row["psnr"]) for row in rows(out / f"{name}.csv")]
        assert len(found) == 40 and abs(sum(found) / 40 - values[scale - 2]) < 0.006


def test_a_full_disk_is_one_line_and_what_was_written_counts(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("evaluate", "--images", images, "--methods", "bicubic", "--scales", 2)
    assert run(*words, "--out", tmp_path / "whole") == 0
    with monkeypatch.context() as patch:
        written = []

        def full(descriptor: int) -> None:
            written.append(descriptor)
            if len(written) > 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(os, "fsync", full)
        capsys.readouterr()
        assert run(*words, "--out", tmp_path / "full") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("pnpsr: error: ") and "No space left on device" in last and str(tmp_path / "full") in last
    assert run(*words, "--out", tmp_path / "full") == 0
    for name in ("bicubic.csv", "table.md"):
        assert (tmp_path / "full" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_folder_that_disappears_is_one_line(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written, real = [], os.replace

    def gone(source: str, target: str) -> None:
        written.append(target)
        if len(written) == 3:
            shutil.rmtree(tmp_path / "out")
        real(source, target)

    monkeypatch.setattr(os, "replace", gone)
    assert run("evaluate", "--images", images, "--methods", "bicubic", "--scales", 2, "--out", tmp_path / "out") == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("pnpsr: error: ") and "No such file or directory" in last and str(tmp_path / "out") in last
