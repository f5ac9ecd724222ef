"""Every study on two synthetic pictures with tiny solvers: its files, its columns, and the same again, byte for byte."""

import csv
from pathlib import Path
from typing import Any

import pytest
from benches import images, presets, solvers, triples, twelve

from pnpsr.cli import main
from pnpsr.studies import STUDIES
from pnpsr.studies.table import columns_of

FIGURES = {"dan-fig8", "dan-fig9", "ikrnet-table8", "ikrnet-fig13"}
ORDER = sorted(STUDIES)
each = pytest.mark.parametrize("name", ORDER)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("studies")
    return {
        "root": root,
        "files": solvers(root / "solvers"),
        "images": images(root / "Set5"),
        "triples": triples(root / "DIV2KRK"),
        "kernels": twelve(root / "twelve.npz"),
    }


def run(*arguments: object) -> int:
    try:
        return main(["study", *(str(a) for a in arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)


def arguments(name: str, given: dict[str, Any]) -> list[object]:
    """What the study needs, and no more."""
    words: list[object] = [name, "--images", given["triples" if name == "dan-table2" else "images"]]
    if name == "dan-table4":
        return [*words, "--train-images", given["images"], "--train-steps", 2]
    words += ["--preset", *presets(given["files"], [n for n in STUDIES[name].presets if n in given["files"]])]
    words += ["--kernels", given["kernels"]] if name.startswith("ikrnet") and name != "ikrnet-table4" else []
    return [*words, "--input-size", 32, 32] if name == "dan-table5" else words


def measured(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@each
def test_it_runs_writes_its_files_and_repeats_itself(name: str, given: dict[str, Any], tmp_path: Path, capsys: Any) -> None:
    words = arguments(name, given)
    assert run(*words, "--out", tmp_path / "first", "--work", tmp_path / "work") == 0, capsys.readouterr().err
    expected = {f"{name}.md", f"{name}.csv"} | ({f"{name}.png"} if name in FIGURES else set())
    expected |= {f"{name}.timings.csv"} if name == "dan-table5" else set()
    assert {path.name for path in (tmp_path / "first").iterdir()} == expected
    once = (tmp_path / "first" / f"{name}.csv").read_bytes()
    assert run(*words, "--out", tmp_path / "again", "--work", tmp_path / "work") == 0  # from finished rows
    assert run(*words, "--out", tmp_path / "anew", "--work", tmp_path / "other") == 0  # from nothing
    assert once == (tmp_path / "again" / f"{name}.csv").read_bytes() == (tmp_path / "anew" / f"{name}.csv").read_bytes()
    rows = measured(tmp_path / "first" / f"{name}.csv")
    ours = [row for row in rows if row["source"] == "here"]
    assert ours and all(float(row["value"]) == float(row["value"]) for row in ours)
    assert {row["source"] for row in rows} == ({"here", "paper"} if STUDIES[name].paper else {"here"})
    text = (tmp_path / "first" / f"{name}.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert f"pnpsr study {name} --images" in text and "seed 0" in text
    assert all(column in table[0] for column in columns_of(STUDIES[name].paper))
    assert {row["method"] for row in ours} == {line.split("**")[1] for line in table if "**" in line}
    assert len({line.count("|") for line in table}) == 1


BESIDE = {  # where ours must stand in the paper's own columns and blocks
    "dan-table1": ({"×2", "×4"}, {"Set5 PSNR", "Set5 SSIM"}),
    "dan-table2": ({"DIV2KRK"}, {"×2 PSNR", "×2 SSIM", "×4 PSNR", "×4 SSIM"}),
    "dan-table3": ({"×4"}, {"Set5"}),
    "dan-table5": ({"×4"}, {"parameters, M", "multiply-adds, G"}),
}
TWELVE = {f"ikrnet-table{i}" for i in (1, 2, 3, 5, 6, 7, 8, 9)} | {"ikrnet-table4"}


@each
def test_our_numbers_stand_beside_those_of_the_paper(name: str, given: dict[str, Any], tmp_path: Path) -> None:
    if not STUDIES[name].paper or name in ("dan-table4", "dan-fig9"):
        pytest.skip("the paper has no lines for these pictures")
    words, folder = arguments(name, given), given["images"]
    if name in TWELVE:
        folder = images(tmp_path / "cbsd68")
        words[words.index("--images") + 1] = folder
    assert run(*words, "--out", tmp_path, "--work", tmp_path / "work") == 0
    rows = measured(tmp_path / f"{name}.csv")
    blocks, columns = ({row[kind] for row in rows if row["source"] == "paper"} for kind in ("block", "column"))
    ours = [row for row in rows if row["source"] == "here"]
    for row in ours:
        assert row["column"] in columns and (row["block"] in blocks)
    if name in BESIDE:
        assert {row["column"] for row in ours} == BESIDE[name][1] and {row["block"] for row in ours} >= BESIDE[name][0]
    else:
        assert {row["column"] for row in ours} == columns


def test_a_limit_is_said_aloud(given: dict[str, Any], tmp_path: Path) -> None:
    words = (*arguments("ikrnet-table1", given), "--limit", 1, "--out", tmp_path, "--work", tmp_path / "work")
    assert run(*words) == 0
    assert "Only the first 1 picture(s)" in (tmp_path / "ikrnet-table1.md").read_text(encoding="utf-8")
    assert {row["rows"] for row in measured(tmp_path / "ikrnet-table1.csv") if row["source"] == "here"} == {"12"}


def test_the_list_has_a_line_for_each(capsys: Any) -> None:
    assert run("list") == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split()[0] for line in lines] == list(STUDIES) and len(lines) == 17


ALL = ("--images", "IMAGES")
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no such study": (("dan-table9", *ALL), "the study must be one of"),
    "no solvers": (("dan-table3", *ALL), "dan-table3: needs solver that alternates an estimator and a restorer for ×4"),
    "no pictures": (("dan-table1", "--preset", "dan-x4"), "pictures are missing"),
    "no such preset": (("dan-table1", *ALL, "--preset", "magic"), "magic"),
    "no kernels": (("ikrnet-table1", *ALL, "--preset", "ikrnet-x4"), "--kernels FILE; got none"),
    "too few kernels": (("ikrnet-table1", *ALL, "--preset", "ikrnet-x4", "--kernels", "THREE"), "--kernels FILE; got 3"),
    "wrong scale": (("ikrnet-table2", *ALL, "--preset", "ikrnet-x4"), "for ×2: --preset FILE; got ikrnet"),
    "wrong kind": (("ikrnet-table6", *ALL, "--preset", "dan-x4"), "predicts the noise level for ×4, ×2: --preset FILE; got dan"),
    "not blind": (("dan-fig8", *ALL, "--preset", "usrnet"), "blind solver"),
    "no denoiser": (("ikrnet-table7", *ALL, "--preset", "ikrnet-x4", "--kernels", "TWELVE", "--denoiser", "magic"), "denoiser must be"),
    "no such convention": (("dan-table1", *ALL, "--preset", "dan-x4", "--convention", "MINE"), "convention must be one of"),
    "convention of a solver": (("dan-table1", *ALL, "--preset", "dan-x4+MINE"), "is no convention"),
    "twice the same": (("dan-table1", *ALL, "--preset", "dan-x4", "dan-x4"), "two solvers are called dan"),
    "no training": (("dan-table4", *ALL), "--train-images FOLDER --train-steps N"),
    "limit": (("dan-table1", *ALL, "--preset", "dan-x4", "--limit", "0"), "limit must be at least 1"),
    "nothing readable": (("dan-table1", "--images", "CORRUPT", "--preset", "dan-x4"), "nothing could be measured"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_missing_is_one_line(case: str, given: dict[str, Any], tmp_path: Path, capsys: Any) -> None:
    from synthetic import kernels

    from pnpsr.kernels import save_kernels

    save_kernels(tmp_path / "three.npz", kernels(3, 9, seed=0))
    (tmp_path / "corrupt").mkdir()
    (tmp_path / "corrupt" / "a.png").write_bytes(b"no picture")
    paths = {"IMAGES": given["images"], "TWELVE": given["kernels"], "THREE": tmp_path / "three.npz", "CORRUPT": tmp_path / "corrupt"}
    words, message = BAD[case]
    name, plus, convention = "", "", ""
    real = []
    for word in words:
        name, plus, convention = word.partition("+")
        real.append(paths.get(word, f"{given['files'][name]}{plus}{convention}" if name in given["files"] else word))
    assert run(*real, "--out", tmp_path / "out", "--work", tmp_path / "work") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("pnpsr: error:") and message in error
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_measured_is_named_and_the_rest_is(given: dict[str, Any], tmp_path: Path, capsys: Any) -> None:
    folder = images(tmp_path / "some")
    (folder / "corrupt.png").write_bytes(b"no picture")
    words = arguments("dan-fig9", given)
    words[2] = folder
    assert run(*words, "--out", tmp_path, "--work", tmp_path / "work") == 1
    assert "left out some, corrupt.png" in capsys.readouterr().err
    assert "left out: some, corrupt.png" in (tmp_path / "dan-fig9.md").read_text(encoding="utf-8")
