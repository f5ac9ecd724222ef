"""Every study on two synthetic pictures with tiny solvers: its files, its columns, and the same again, byte for byte."""

import csv
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benches import images, presets, solvers, triples, twelve

from pnpsr.cli import main
from pnpsr.studies import STUDIES
from pnpsr.studies.table import columns_of

FIGURES = {"dan-fig8", "dan-fig9", "ikrnet-table8", "ikrnet-fig13"}
COMPARED = {  # several lines of the same rows in a block; of one picture or one line there is nothing to compare
    *("dan-table1", "dan-table2", "dan-table3", "dan-table4", "dan-fig9"),
    *(f"ikrnet-table{n}" for n in (1, 2, 3, 4, 6, 7, 8, 9)),
}
ORDER = sorted(STUDIES)
each = pytest.mark.parametrize("name", ORDER)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("studies")
    return {
        "root": root,
        "files": solvers(root / "solvers"),
        "set5": images(root / "Set5"),
        "cbsd68": images(root / "CBSD-68"),
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
    kind = "triples" if name == "dan-table2" else "cbsd68" if name.startswith("ikrnet") else "set5"
    words: list[object] = [name, "--images", given[kind]]
    if name == "dan-table4":
        return [*words, "--train-images", given["set5"], "--train-steps", 2, "--train-batch", 1, "--train-patch", 48]
    words += ["--preset", *presets(given["files"], [n for n in STUDIES[name].presets if n in given["files"]])]
    words += ["--kernels", given["kernels"]] if name.startswith("ikrnet") and name != "ikrnet-table4" else []
    words += ["--denoiser", "median"] if name == "ikrnet-table7" else []
    return [*words, "--input-size", 32, 32] if name == "dan-table5" else words


@pytest.fixture(scope="module")
def result(given: dict[str, Any]) -> Callable[[str], Path]:
    """The folder of a study that was run once."""

    @functools.cache
    def folder(name: str) -> Path:
        out = given["root"] / "results" / name
        assert run(*arguments(name, given), "--out", out, "--work", given["root"] / "work") == 0
        return out

    return folder


def measured(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@each
def test_it_writes_its_files(name: str, result: Callable[[str], Path]) -> None:
    expected = {f"{name}.md", f"{name}.csv"} | ({f"{name}.webp"} if name in FIGURES else set())
    expected |= {f"{name}.timings.csv"} if name == "dan-table5" else set()
    expected |= {f"{name}.differences.csv"} if name in COMPARED else set()
    assert {path.name for path in result(name).iterdir()} == expected
    rows = measured(result(name) / f"{name}.csv")
    ours = [row for row in rows if row["source"] == "here"]
    assert ours and all(math.isfinite(float(row["value"])) for row in rows)
    assert {row["source"] for row in rows} == ({"here", "paper"} if STUDIES[name].paper else {"here"})
    text = (result(name) / f"{name}.md").read_text(encoding="utf-8")
    text, _, differences = text.partition("Differences on the same rows.")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert bool(differences) == (name in COMPARED)
    assert f"pnpsr study {name} --images" in text and STUDIES[name].source in text
    assert "seed 0" in text or name == "dan-table5"
    assert all(column in table[0] for column in columns_of(STUDIES[name].paper))
    assert {row["method"] for row in ours} == {line.split("**")[1] for line in table if "**" in line}
    assert len({line.count("|") for line in table}) == 1


@each
def test_a_repeated_study_takes_finished_rows(
    name: str, given: dict[str, Any], result: Callable[[str], Path], tmp_path: Path
) -> None:
    once = (result(name) / f"{name}.csv").read_bytes()
    before = {path: path.read_bytes() for path in (given["root"] / "work").rglob("*.csv")}
    assert run(*arguments(name, given), "--out", tmp_path, "--work", given["root"] / "work") == 0
    assert (tmp_path / f"{name}.csv").read_bytes() == once
    assert {path: path.read_bytes() for path in (given["root"] / "work").rglob("*.csv")} == before


QUICK = ("dan-table4", "dan-table5", "dan-fig9", "ikrnet-table7", "ikrnet-fig13")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ORDER])
def test_from_nothing_it_is_the_same_byte_for_byte(
    name: str, given: dict[str, Any], result: Callable[[str], Path], tmp_path: Path
) -> None:
    once = (result(name) / f"{name}.csv").read_bytes()
    assert run(*arguments(name, given), "--out", tmp_path / "out", "--work", tmp_path / "work") == 0
    assert (tmp_path / "out" / f"{name}.csv").read_bytes() == once


PARTLY = {  # studies of one set of pictures among the paper's columns
    "dan-table1": {"Set5 PSNR", "Set5 SSIM"},
    "dan-table3": {"Set5"},
    "dan-table5": {"parameters, M", "multiply-adds, G"},
}
ADDED = {"ikrnet-table5": {"Av."}}  # columns that the paper leaves to its reader
APART = {"dan-table4": "trained here", "dan-fig9": "printed for Set14 alone"}


@pytest.mark.parametrize("name", [name for name in ORDER if STUDIES[name].paper and name not in APART])
def test_our_numbers_stand_beside_those_of_the_paper(name: str, result: Callable[[str], Path]) -> None:
    rows = measured(result(name) / f"{name}.csv")
    paper, ours = ([row for row in rows if row["source"] == source] for source in ("paper", "here"))
    columns = {row["column"] for row in paper}
    assert {row["column"] for row in ours} - ADDED.get(name, set()) == PARTLY.get(name, columns) <= columns
    assert {row["block"] for row in ours} & {row["block"] for row in paper}
    if name not in ("dan-table3", "dan-table5", "ikrnet-table5"):  # which have one block in the paper, and ours of ×2 as well
        assert {row["block"] for row in ours} <= {row["block"] for row in paper}


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
SEVEN = ("ikrnet-table7", *ALL, "--preset", "ikrnet-x4", "--kernels", "TWELVE")
BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no such study": (("dan-table9", *ALL), "study must be one of"),
    "no solvers": (("dan-table3", *ALL, "--preset", "usrnet"), "needs a solver that alternates an estimator and a restorer for ×4"),
    "no pictures": (("dan-table1", "--preset", "dan-x4"), "pictures are missing"),
    "no such preset": (("dan-table1", *ALL, "--preset", "magic"), "magic"),
    "no kernels": (("ikrnet-table1", *ALL, "--preset", "ikrnet-x4"), "--kernels FILE; got none"),
    "too few kernels": (("ikrnet-table1", *ALL, "--preset", "ikrnet-x4", "--kernels", "THREE"), "--kernels FILE; got 3"),
    "wrong scale": (("ikrnet-table2", *ALL, "--preset", "ikrnet-x4"), "for ×2: --preset FILE; got ikrnet"),
    "wrong kind": (("ikrnet-table6", *ALL, "--preset", "dan-x4"), "predicts the noise level for ×4, ×2: --preset FILE; got dan"),
    "not blind": (("dan-fig8", *ALL, "--preset", "usrnet"), "blind solver"),
    "no denoiser": ((*SEVEN, "--denoiser", "magic"), "denoiser must be one of bm3d, median, tgv, tv"),
    "no such convention": (("dan-table1", *ALL, "--preset", "dan-x4", "--convention", "MINE"), "convention must be one of"),
    "convention of a solver": (("dan-table1", *ALL, "--preset", "dan-x4+MINE"), "is no convention; known are"),
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
    paths = {"IMAGES": given["set5"], "TWELVE": given["kernels"]}
    paths |= {"THREE": tmp_path / "three.npz", "CORRUPT": tmp_path / "corrupt", **given["files"]}
    words, message = BAD[case]
    parts = (word.partition("+") for word in words)
    real = [f"{paths.get(name, name)}{plus}{convention}" for name, plus, convention in parts]
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
