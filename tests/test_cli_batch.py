"""Many pictures in one call: a line each, names that never clash, what is there kept, what is broken named."""

import json
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from pnpsr.cli import main
from pnpsr.cli.bar import Bar
from pnpsr.cli.inputs import inputs
from pnpsr.cli.report import target
from pnpsr.images import Picture, join_pages, pages_in, read_image, sample_picture, write_image
from pnpsr.starts import upsample

QUICK = ("--size", 5, "--iterations", 1)


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good pictures, one of them below, and a broken one."""
    x = sample_picture("camera")[..., 100:124, 200:226]
    (tmp_path / "in" / "trip").mkdir(parents=True)
    write_image(tmp_path / "in" / "a.png", x)
    write_image(tmp_path / "in" / "trip" / "b.jpg", x.expand(-1, 3, -1, -1))
    (tmp_path / "in" / "broken.png").write_bytes((tmp_path / "in" / "a.png").read_bytes()[:-300])
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path / "in"


def test_a_folder_with_a_broken_picture(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("restore", folder, *QUICK, "--out", out) == 1
    said = capsys.readouterr()
    lines = [line for line in said.out.splitlines() if ": " in line]
    assert len(lines) == 2 and any("a.png: restored, 48 × 52" in line for line in lines)
    assert "broken.png is not a whole picture" in said.err and "1 of 3 pictures could not be restored" in said.err
    assert read_image(out / "a_restored.png").image.shape == (1, 1, 48, 52)
    assert read_image(out / "trip" / "b_restored.jpg").suffix == ".jpg"
    assert not list(out.rglob("broken*")) and not list(out.rglob(".*"))


@pytest.mark.slow
def test_ten_broken_ones_in_a_thousand_are_named_and_the_rest_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for i in range(1000):
        write_image(tmp_path / "in" / f"{i:03}.png", torch.full((1, 1, 6, 7), i / 999))
    broken = {f"{i:03}.png" for i in range(5, 1000, 100)}
    for name in broken:
        data = (tmp_path / "in" / name).read_bytes()
        (tmp_path / "in" / name).write_bytes(data[: len(data) // 2])
    assert run("restore", tmp_path / "in", *QUICK, "--json", "--out", tmp_path / "out") == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {Path(one["picture"]).name for one in told if one["status"] == "failed"} == broken and len(broken) == 10
    assert len(told) == 1000 and len(list((tmp_path / "out").glob("*_restored.png"))) == 990


def test_results_are_kept_unless_overwriting_is_asked_for(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call, result = ("restore", folder / "a.png", *QUICK, "--out", tmp_path / "out"), tmp_path / "out" / "a_restored.png"
    assert run(*call) == 0
    write_image(result, torch.zeros(1, 1, 2, 2))
    capsys.readouterr()
    assert run(*call) == 0 and "--overwrite replaces it" in capsys.readouterr().out
    assert read_image(result).image.shape == (1, 1, 2, 2)
    assert run(*call, "--overwrite") == 0 and read_image(result).image.shape == (1, 1, 48, 52)


def test_json_is_one_object_a_line_and_quiet_is_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("restore", folder, *QUICK, "--json", "--out", tmp_path / "out") == 1
    said = capsys.readouterr()
    told = {Path(one["picture"]).name: one for one in map(json.loads, said.out.splitlines())}
    assert {name: one["status"] for name, one in told.items()} == {"a.png": "restored", "b.jpg": "restored", "broken.png": "failed"}
    assert said.err == "" and all(Path(file).is_file() for file in told["a.png"]["files"])
    assert run("restore", folder / "a.png", *QUICK, "--quiet", "--out", tmp_path / "quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_names_never_clash(tmp_path: Path) -> None:
    for name in ("photo.jpg", "photo.png", "other.png"):
        (tmp_path / name).touch()
    assert [i.stem for i in inputs([tmp_path], tmp_path / "out")] == ["other", "photo_jpg", "photo_png"]
    (tmp_path / "photo_jpg.tif").touch()
    with pytest.raises(ValueError, match="would have one name"):
        inputs([tmp_path], tmp_path / "out")
    with pytest.raises(ValueError, match="would have one name"):
        inputs([tmp_path / "other.png", tmp_path / "other.png"], tmp_path / "out")


def test_results_are_no_input(folder: Path) -> None:
    assert run("restore", folder / "a.png", *QUICK, "--out", folder) == 0
    assert sorted(i.stem for i in inputs([folder], folder)) == ["a", "b", "broken"]


def test_profile_transparency_and_depth_go_all_the_way(tmp_path: Path) -> None:
    from PIL import ImageCms

    x, profile = (
        sample_picture("astronaut")[..., 40:56, 200:220],
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    )
    write_image(tmp_path / "deep.tif", x, alpha=x[:, :1], bits=16, icc=profile)
    assert run("restore", tmp_path / "deep.tif", *QUICK, "--quiet", "--out", tmp_path) == 0
    back = read_image(tmp_path / "deep_restored.tif")
    assert back.bits == 16 and back.icc == profile and back.alpha is not None and back.image.shape == (1, 3, 32, 40)
    assert run("restore", tmp_path / "deep.tif", *QUICK, "--quiet", "--format", "png", "--out", tmp_path / "png") == 0
    assert read_image(tmp_path / "png" / "deep_restored.png").bits == 16


@pytest.mark.parametrize(
    "pixels", [torch.zeros(1, 3, 40, 40), torch.full((1, 1, 40, 40), 0.3), torch.rand(1, 3, 5, 5), torch.rand(1, 1, 1, 5000)]
)
@pytest.mark.parametrize("options", [(), QUICK])
def test_black_constant_and_tiny_pictures_come_back_enlarged(
    tmp_path: Path, pixels: torch.Tensor, options: tuple[object, ...]
) -> None:
    write_image(tmp_path / "a.png", pixels)
    assert run("restore", tmp_path / "a.png", *options, "--quiet", "--out", tmp_path) == 0
    back = read_image(tmp_path / "a_restored.png").image
    assert back.shape == (1, pixels.shape[1], 2 * pixels.shape[2], 2 * pixels.shape[3])
    if pixels.min() == pixels.max():
        assert (back - pixels.mean()).abs().max() < 1 / 255


def test_an_animation_becomes_png_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert run("restore", tmp_path / "a.gif", *QUICK, "--out", tmp_path) == 0
    assert "the first of 2 frames" in capsys.readouterr().out and (tmp_path / "a_restored.png").is_file()


def test_depth_that_a_format_cannot_hold_is_reduced_with_a_word() -> None:
    floats = Picture(torch.zeros(1, 3, 4, 4), bits=32, suffix=".tif")
    assert target(Path("o"), "a", floats).bits == 32 and target(Path("o"), "a", floats, ".png").notes == ("floats become 16 bits",)
    clear = Picture(torch.zeros(1, 3, 4, 4), alpha=torch.zeros(1, 1, 4, 4), suffix=".bmp")
    assert target(Path("o"), "a", clear).path.suffix == ".png" and "transparency" in target(Path("o"), "a", clear).notes[0]
    with pytest.raises(ValueError, match="holds no transparency"):
        target(Path("o"), "a", clear, ".jpg")


def test_memory_and_time_are_told_before_it_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "a.png", sample_picture("camera")[..., :136, :72])
    from pnpsr.kernels import gaussian, save_kernels

    save_kernels(tmp_path / "k.npz", gaussian(5, 0.8))
    options = ("--scale", 2, "--tile", 64, "--kernel", tmp_path / "k.npz", "--iterations", 1, "--out", tmp_path)
    assert run("restore", tmp_path / "a.png", *options) == 0
    told = capsys.readouterr().out.splitlines()[0]
    assert "136 × 72 → 272 × 144, in 6 tiles; needs about" in told and "GiB and about" in told
    assert not list(tmp_path.glob(".*"))


def test_all_pages_of_a_tiff_come_back_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = [sample_picture("camera")[..., top : top + 24, 200:226] for top in (60, 160, 300)]
    parts = [tmp_path / f"{i}.tif" for i in range(3)]
    for i, (part, bits) in enumerate(zip(parts, (8, 16, 32), strict=True)):
        write_image(part, shown[i], bits=bits, alpha=shown[0] if i == 1 else None)
    join_pages(tmp_path / "scan.tif", parts)
    assert [read_image(tmp_path / "scan.tif", page=i).bits for i in range(3)] == [8, 16, 32]
    out, call = tmp_path / "out", ("restore", tmp_path / "scan.tif", *QUICK, "--out", tmp_path / "out")
    assert run(*call) == 0 and "EXIF" not in capsys.readouterr().out
    assert pages_in(out / "scan_restored.tif") == 3 and not list(out.glob("scan_page*_restored*"))
    for i, bits in enumerate((8, 16, 32)):
        back = read_image(out / "scan_restored.tif", page=i)
        assert back.bits == bits and back.image.shape[-2:] == (48, 52) and (back.alpha is None) == (i != 1)
        far = [float((back.image - upsample(x, 2)).square().mean()) for x in shown]
        assert far[i] == min(far)
    capsys.readouterr()
    assert run(*call) == 0 and "scan_restored.tif is there already" in capsys.readouterr().out
    assert run(*call, "--overwrite", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["pages"] == 3 and told["words"].count("page ") == 3 and all(Path(file).is_file() for file in told["files"])


def test_pages_that_are_there_are_not_restored_again_and_another_format_means_a_file_for_each(tmp_path: Path) -> None:
    x = sample_picture("camera")[..., 100:112, 200:213]
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.tif", x)
    join_pages(tmp_path / "scan.tif", [tmp_path / "a.tif", tmp_path / "b.tif"])
    out, marked = tmp_path / "out", torch.full((1, 1, 3, 4), 0.2)
    out.mkdir()
    write_image(out / "scan_page1_restored.png", marked)
    assert run("restore", tmp_path / "scan.tif", *QUICK, "--format", "png", "--quiet", "--out", out) == 0
    assert read_image(out / "scan_page1_restored.png").image.shape == (1, 1, 3, 4)
    assert read_image(out / "scan_page2_restored.png").image.shape == (1, 1, 24, 26) and not (out / "scan_restored.png").exists()


def test_names_of_pages_never_clash(tmp_path: Path) -> None:
    x = torch.rand(1, 1, 4, 5)
    write_image(tmp_path / "a.tif", x)
    join_pages(tmp_path / "scan.tif", [tmp_path / "a.tif"] * 2)
    write_image(tmp_path / "Scan_page2.png", x)
    with pytest.raises(ValueError, match=r"scan_page2.*would have one name|would have one name.*scan_page2"):
        inputs([tmp_path], tmp_path / "out")


def test_a_truth_for_pages_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / "a.tif", torch.rand(1, 1, 4, 5))
    join_pages(tmp_path / "scan.tif", [tmp_path / "a.tif"] * 2)
    assert run("restore", tmp_path / "scan.tif", "--truth", tmp_path / "a.tif", "--out", tmp_path / "out") == 2
    assert "has 2 pages" in capsys.readouterr().err


def test_a_bar_moves_while_nothing_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pnpsr.cli.bar.EVERY", 0.02)
    with Bar("a picture", hidden=False) as bar:
        bar.at("looking", 1, 4)
        before = len(capsys.readouterr().err)
        time.sleep(0.3)
        assert before > 0 and capsys.readouterr().err.count("a picture, looking") > 3
    with Bar("a picture", hidden=True) as bar:
        bar.at("looking", 1, 4)
    assert capsys.readouterr().err.strip() == ""


def test_a_folder_that_cannot_be_written_to_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "a.png", torch.rand(1, 1, 4, 5))
    monkeypatch.setattr("os.access", lambda path, mode: False)  # the tests may run as root, who may write anywhere
    with pytest.raises(ValueError, match="nothing can be written there"):
        inputs([tmp_path / "a.png"], tmp_path / "out")
