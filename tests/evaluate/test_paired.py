"""Evaluation on paired pictures: rows as any others, what does not fit is left out, and no method is told what nobody knows."""

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnpsr import blind_hqs
from pnpsr.cli import main
from pnpsr.data import Folder, FromDataset, Pairs
from pnpsr.evaluate import Method, bicubic_centre, difference, evaluate, from_solver, paired_protocol, psnr, ssim, table
from pnpsr.images import sample_picture, write_image
from pnpsr.recipes import tv_hqs

NAMES = ("astronaut", "chelsea", "coffee")


def sharp() -> list[Tensor]:
    return [(sample_picture(name)[0, :, 60:156, 60:164] * 255).round() / 255 for name in NAMES]


def halved(x: Tensor) -> Tensor:
    return (torch.nn.functional.avg_pool2d(x, 2) * 255).round() / 255


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    y, x = tmp_path / "LR", tmp_path / "HR"
    for name, picture in zip(NAMES, sharp(), strict=True):
        for folder, file, one in ((x, f"{name}_HR.png", picture), (y, f"{name}_LR2.png", halved(picture))):
            folder.mkdir(exist_ok=True)
            write_image(folder / file, one[None])
    return y, x


def run(*words: object) -> int:
    try:
        return main(["evaluate", *map(str, words)])
    except SystemExit as stop:
        return int(stop.code or 0)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_rows_are_the_metrics_of_the_pairs(tmp_path: Path) -> None:
    pairs = Pairs(FromDataset([halved(x) for x in sharp()]), FromDataset(sharp()))
    done = evaluate(bicubic_centre(), paired_protocol(2), pairs, tmp_path)
    assert [row.key for row in done.rows] == [(f"list-0000{i}", 1, 2, 0.0) for i in range(3)] and not done.failures
    for row, x in zip(done.rows, sharp(), strict=True):
        found = bicubic_centre().run(halved(x)[None], 2).clamp(0, 1)
        assert row.values["psnr"] == pytest.approx(float(psnr(found, x[None], border=2)), abs=1e-4)
        assert row.values["ssim"] == pytest.approx(float(ssim(found, x[None], border=2)), abs=1e-5)
    again = evaluate(bicubic_centre(), paired_protocol(2), pairs, tmp_path)
    assert again.rows == done.rows and not again.notes
    darker = Pairs(FromDataset([halved(x) / 2 for x in sharp()]), FromDataset(sharp()))
    assert "computed anew: of other pictures" in evaluate(bicubic_centre(), paired_protocol(2), darker, tmp_path).notes[0]


def test_a_blind_solver_is_compared_with_interpolation(tmp_path: Path) -> None:
    pairs = Pairs(FromDataset([halved(x) for x in sharp()]), FromDataset(sharp()))
    solver = from_solver("blind", blind_hqs(7, T=2, finish=1), boundary="extend")
    protocol = paired_protocol(2, metrics=("psnr", "kernel_mse", "data_psnr"))
    a, b = (evaluate(m, protocol, pairs, tmp_path).rows for m in (solver, bicubic_centre()))
    assert all(row.values["kernel_mse"] is None and (row.values["data_psnr"] or 0) > 20 for row in a)  # the truth is unknown
    assert difference(a, b).pictures == 3 and "| blind − bicubic_centre | ×2 | 0 | 3 |" in table([*b, *a], protocol)


def test_what_nobody_knows_is_told_to_no_method(tmp_path: Path) -> None:
    pairs = Pairs(FromDataset([halved(x) for x in sharp()]), FromDataset(sharp()))
    for method, secret in ((from_solver("tv", tv_hqs()), "k and sigma"), (from_solver("b", blind_hqs(5), sigma=True), "sigma")):
        with pytest.raises(ValueError, match=f"{method.name} must be told {secret}, which nobody knows of these pictures"):
            evaluate(method, paired_protocol(2), pairs, tmp_path)
    with pytest.raises(
        ValueError, match="pairs at scale 2 come with their y: evaluate them under paired_protocol\\(2\\), not pairs@"
    ):
        evaluate(bicubic_centre(), paired_protocol(3), pairs, tmp_path / "other")
    with pytest.raises(TypeError, match="must return a State, a Result or x as a tensor"):
        evaluate(Method("m", lambda y, scale: None, identity="none"), paired_protocol(2), pairs, tmp_path)


def test_the_command_measures_pairs(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--pairs", *folders, "--methods", "bicubic_centre", "bicubic", "--out", tmp_path / "out")
    assert run(*words) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("pairs@") and "| bicubic − bicubic_centre | ×2 | 0 | 3 | -" in printed
    found = rows(tmp_path / "out" / "bicubic_centre.csv")
    assert [row["image"] for row in found] == sorted(NAMES)
    pairs = Pairs(Folder(folders[0]), Folder(folders[1]))
    same = evaluate(bicubic_centre(), paired_protocol(2), pairs, tmp_path / "python")
    assert [float(row["psnr"]) for row in found] == [row.values["psnr"] for row in same.rows]
    assert run(*words, "--limit", 2) == 0 and "| bicubic | ×2 | 0 | 2 |" in capsys.readouterr().out


def test_pairs_that_do_not_fit_are_left_out_by_name(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = sharp()[1]
    write_image(folders[1] / "chelsea_HR.png", picture.roll(12, -1)[None])
    write_image(folders[1] / "coffee_HR.png", sharp()[2][None, :, :-4])
    assert run("--pairs", *folders, "--methods", "bicubic", "--out", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert "left out chelsea, 1 row(s): pair chelsea: x lies" in error and "register them" in error
    assert "left out coffee, 1 row(s): pair coffee: y of 48 x 52 at scale 2 belongs to" in error
    assert [row["image"] for row in rows(tmp_path / "out" / "bicubic.csv")] == ["astronaut"]


BAD = {
    "neither": ((), "name a folder of sharp pictures, --images FOLDER, or --pairs OBSERVED SHARP, and not both"),
    "both": (("--images", "LR", "--pairs", "LR", "HR"), "and not both"),
    "made": (
        ("--pairs", "LR", "HR", "--protocol", "ikrnet", "--seed", 1),
        "pairs have their y as it is: leave out --protocol, --seed",
    ),
    "scale": (("--pairs", "LR", "HR", "--scales", 4), "the pairs are at scale 2, got --scales 4"),
    "told": (("--pairs", "LR", "HR", "--methods", "bicubic", "tv_hqs"), "tv_hqs must be told k and sigma, which nobody knows"),
    "metric": (("--pairs", "LR", "HR", "--metrics", "beauty"), "beauty"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_one_line(case: str, folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = BAD[case]
    at = {"LR": folders[0], "HR": folders[1]}
    assert run(*(at.get(w, w) for w in words), "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
