"""Every number on the pages that has a CSV file, a log or an entry of the index is that number; claims.py says how."""

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from claims import DOCS, LOGS, PAGES, RESULTS, ROOT, agrees, held, log, stale, study, tables, term, unheld

from pnpsr.weights import presets

STRICT = {  # from that heading on, no number of that form goes unheld
    ROOT / "README.md": "",
    DOCS / "recipes.md": "",
    DOCS / "limits.md": "",
    DOCS / "training.md": "## What pays",
}


@pytest.mark.parametrize("page", [*PAGES, *sorted(RESULTS.glob("*.md"))], ids=lambda page: page.stem)
def test_numbers_in_text_are_those_of_their_source(page: Path) -> None:
    assert not held(page.read_text(encoding="utf-8"))[0]


@pytest.mark.parametrize("page", STRICT, ids=lambda page: page.stem)
def test_no_result_goes_unheld(page: Path) -> None:
    assert not unheld(page.read_text(encoding="utf-8"), STRICT[page])


@pytest.mark.parametrize("name", sorted(path.stem for path in RESULTS.glob("*.md") if path.with_suffix(".csv").is_file()))
def test_a_study_s_page_has_the_numbers_of_its_csv(name: str) -> None:
    cells, shown = study(name), 0
    for line in next(tables((RESULTS / f"{name}.md").read_text(encoding="utf-8"))):
        for column, cell in line.items():
            if cell and column not in ("", "method", "from", "y"):
                assert agrees(cell, cells[line[""], line["method"], column]), (line, column)
                shown += 1
    assert shown == len(cells) > 0


@pytest.mark.parametrize("page", sorted(RESULTS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_of_results_names_no_folder_of_a_machine(page: Path) -> None:
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert not [word for block in blocks for word in block.split() if word.startswith("/")]


def test_the_index_of_results_is_what_its_script_makes_of_the_csv_files() -> None:
    """Other weights, other numbers or a forgotten ``benchmarks/results.py`` make it differ."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("results_page", ROOT / "benchmarks" / "results.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    assert (RESULTS / "index.md").read_text(encoding="utf-8") == module.index(RESULTS)
    told = {name: module.used(name, RESULTS) for name in (*module.STUDY, *module.EVALUATION)}
    words = {name: module.STUDY.get(name) or module.EVALUATION[name][1] for name in told}
    plain = [(name, preset) for name, some in told.items() for preset in some if "@" not in words[name]]  # others need the history
    assert all(module.version(name, preset) == presets()[preset].sha256 for name, preset in plain) and plain
    assert (told["ikrnet-table9"], told["ikrnet-fig13"]) == (["ikrnet-x2", "ikrnet-x4"], ["ikrnet-x4"])


@pytest.mark.parametrize("scale", [2, 4])
def test_the_index_of_weights_has_the_averages_of_the_studies(scale: int) -> None:
    """Where the studies are of the weights that ship; the page of these weights has them in any case."""
    scores, block = presets()[f"ikrnet-x{scale}"].scores, f"CBSD68 ×{scale}"
    for sigma, name in (("0", "ikrnet-table1" if scale == 4 else "ikrnet-table2"), ("0.02", "ikrnet-table3")):
        found = scores[f"ikrnet ×{scale} sigma={sigma}"]
        assert agrees(f"{term(f'presets | ikrnet-x{scale} | {sigma} | 816 | psnr'):.2f}", found["psnr"])
        assert term(f"presets | ikrnet-x{scale} | {sigma} | 816 | kernel_mse") == pytest.approx(found["kernel_mse"], abs=6e-8)
        if not stale(f"{name} | {block} | ikrnet | Av."):
            assert found["psnr"] == pytest.approx(study(name)[block, "ikrnet", "Av."], abs=2e-5), name
    if not stale(f"ikrnet-table5 | {block} | ikrnet | Av."):
        error = study("ikrnet-table5")[block, "ikrnet", "Av."]
        assert scores[f"ikrnet ×{scale} sigma=0"]["kernel_mse"] * 1e5 == pytest.approx(error, abs=6e-3)
    value = study("dan-table1")[f"×{scale}", "dan", "Set5 PSNR"]
    assert presets()[f"dan-x{scale}"].scores[f"dan-setting1 ×{scale} sigma=0"]["psnr"] == pytest.approx(value, abs=2e-5)


def test_usrnet_s_page_has_the_scores_of_the_index() -> None:
    lines = [
        line for line in next(tables((RESULTS / "usrnet-table1.md").read_text(encoding="utf-8"))) if line["method"] == "usrnet"
    ]
    scores = presets()["usrnet"].scores
    assert len(lines) == len(scores) == 5
    for line in lines:
        values = scores[f"usrnet-table1 {line['scale']} sigma={line['σ']}"]
        assert int(line["rows"]) == values["rows"]
        assert all(agrees(line[metric], values[metric]) for metric in ("psnr", "ssim", "data_psnr"))


@pytest.mark.parametrize("name", presets())
def test_a_preset_s_log_is_of_the_runs_of_its_commands(name: str) -> None:
    """Their names, in their order, each up to its last step; validated there. Two trainings may have one name."""
    commands = [shlex.split(command) for command in presets()[name].commands]
    where = "--part", "--out"  # the file of a part, and the folder of a training
    asked = [
        (Path(w[w.index(next(o for o in where if o in w)) + 1]).stem, int(w[w.index("--steps") + 1]))
        for w in commands
        if "--steps" in w
    ]
    runs = list[tuple[str, int]]()
    for row in log(name):
        if row["psnr"]:
            one = (row["run"], int(row["step"]))
            if runs and runs[-1][0] == one[0] and runs[-1][1] < one[1]:
                runs.pop()
            runs.append(one)
    assert [one for one in runs if one in asked] == asked
    assert sum(steps for _, steps in runs) == presets()[name].steps


@pytest.mark.parametrize("page", ["recipes", "concepts", "limits"])
def test_the_pages_name_the_iterations_that_presets_allow(page: str) -> None:
    """They say that both presets of IKR-Net hold values for five iterations and refuse a sixth."""
    assert "per_iteration" in (DOCS / f"{page}.md").read_text(encoding="utf-8")
    for name in ("ikrnet-x2", "ikrnet-x4"):
        assert (presets()[name].arguments["T"], presets()[name].arguments["per_iteration"]) == (5, True), name


def entries(text: str) -> Iterator[dict[str, str]]:
    """The lines of tables that have a preset and a protocol."""
    return (line for one in tables(text) for line in one if "preset" in line and "protocol" in line and line["PSNR"])


def test_tables_of_presets_have_the_scores_of_the_index() -> None:
    seen = list[tuple[str, str]]()
    for page in (ROOT / "README.md", DOCS / "training.md"):
        for line in entries(page.read_text(encoding="utf-8")):
            preset, key = line["preset"].strip("`"), re.findall(r"`([^`]+)`", line["protocol"])[0]
            values = presets()[preset].scores[key]
            assert agrees(line["PSNR"], values["psnr"]), (preset, key, values["psnr"])
            if line.get("rows"):
                assert int(line["rows"].split()[0].rstrip(",")) == values["rows"]
            if line.get("kernel"):
                assert agrees(line["kernel"], 1e5 * values["kernel_mse"]), (preset, key, values["kernel_mse"])
            seen.append((preset, key))
    assert {preset for preset, _ in seen} == presets().keys()
    assert {(name, key) for name, p in presets().items() for key in p.scores if "usrnet" not in key} <= set(seen)


RANKS = {  # study, block, column, ours, bicubic
    "`dan-x4`": ("dan-table1", "×4", "Set5 PSNR", "dan", "bicubic, centred"),
    "`dan-x3`": ("dan-table1", "×3", "Set5 PSNR", "dan", "bicubic, centred"),
    "`dan-x2`": ("dan-table1", "×2", "Set5 PSNR", "dan", "bicubic, centred"),
    "`ikrnet-x4`, no noise": ("ikrnet-table1", "CBSD68 ×4", "Av.", "ikrnet", "bicubic"),
    "`ikrnet-x4`, 2 % noise": ("ikrnet-table3", "CBSD68 ×4", "Av.", "ikrnet", "bicubic"),
    "`ikrnet-x2`, no noise": ("ikrnet-table2", "CBSD68 ×2", "Av.", "ikrnet", "bicubic"),
    "`ikrnet-x2`, 2 % noise": ("ikrnet-table3", "CBSD68 ×2", "Av.", "ikrnet", "bicubic"),
}


def score(label: str) -> float:
    """The PSNR that the index has for a line of the table of ranks, of weights newer than their study."""
    preset, _, noise = label.partition("`, ")
    preset = preset.strip("`")
    return presets()[preset].scores[f"ikrnet ×{preset[-1]} sigma={'0.02' if '2 %' in noise else '0'}"]["psnr"]


def test_the_table_of_ranks_leaves_no_better_method_out() -> None:
    (shown,) = (one for one in tables((DOCS / "training.md").read_text(encoding="utf-8")) if "above it" in one[0])
    assert [line["preset"] for line in shown] == list(RANKS)
    for line in shown:
        name, block, column, ours, bicubic = RANKS[line["preset"]]
        values = {m: v for (b, m, c), v in study(name).items() if (b, c) == (block, column) and not m.startswith("bicubic")}
        mine = score(line["preset"]) if stale(f"{name} | {block} | {ours} | {column}") else values[ours]
        del values[ours]
        order = sorted(values, key=values.__getitem__)
        above = [f"{m} {values[m]:.2f}" for m in order if values[m] > mine]
        below = [f"{m} {values[m]:.2f}" for m in order if values[m] <= mine]
        assert line["above it"] == ", ".join(above) and line["below it"] == below[-1], line["preset"]
        assert agrees(line["bicubic"], study(name)[block, bicubic, column])


def test_the_table_of_variants_is_that_of_its_run() -> None:
    measured = {line["variant"]: line for line in next(tables((LOGS / "variants.md").read_text(encoding="utf-8")))}
    (shown,) = (one for one in tables((DOCS / "training.md").read_text(encoding="utf-8")) if "variant" in one[0])
    names = {"PSNR, T = 4": "x, T = 4", "kernel error, T = 4": "k, T = 4", "steps": "steps", "taken": "taken"}
    count = 0
    for line in shown:
        variants = re.findall(r"`([^`]+)`", line["variant"].partition(":")[0])
        variants = [name for name in variants if name in measured]
        assert variants, line
        for column, source in names.items():
            assert line[column].split(", ") == [measured[name][source] for name in variants], (variants, column)
        count += len(variants)
    assert count == len(measured)


def test_gains_of_the_classical_page_are_differences() -> None:
    (rows,) = (one for one in tables((DOCS / "classical.md").read_text(encoding="utf-8")) if "gain" in one[0])
    assert len(rows) == 60
    for row in rows:
        assert float(row["blind_hqs, dB"]) - float(row["bicubic, dB"]) == pytest.approx(float(row["gain"]), abs=0.011)


def test_a_difference_within_its_spread_is_not_read_as_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.csv").write_text("block,method,column,value\nx,a,Av.,2.05\nx,b,Av.,2.01\n")
    head = "study,block,method,minus,column,pictures,value,low,high\n"
    monkeypatch.setattr("claims.RESULTS", tmp_path)
    (tmp_path / "weights.csv").write_text("result,preset,sha256\n")
    text = "It is 0.04 dB better.\n<!-- 0.04 = s | x | a | Av. - s | x | b | Av. -->\n"
    for interval, wrong in (("0.01,0.07", False), ("-0.01,0.09", True)):
        (tmp_path / "s.differences.csv").write_text(f"{head}s,x,a,b,Av.,5,0.04,{interval}\n")
        assert bool(held(text)[0]) == wrong
        assert not held(text.replace("better", "better, within the spread"))[0]
        assert bool(held(text.replace("a | Av. - s | x | b", "b | Av. - s | x | a").replace("0.04", "-0.04"))[0]) == wrong


def test_a_false_number_is_noticed() -> None:
    true = "It has 37.60 dB.\n<!-- 37.60 = dan-table1 | ×2 | DANv2 | Set5 PSNR -->\n"
    assert held(true)[0] == [] and unheld(true, "") == []
    assert "37.61" in held(true.replace("37.60", "37.61"))[0][0]
    assert "no 37.60" in held(true.replace("It has 37.60", "It has 37.7"))[0][0]
    assert unheld("It has 37.60 dB.\n", "") == ["37.60 in line 1"]
    assert not agrees("34.2", 34.26) and agrees("34.3", 34.26) and agrees("4.8e-05", 4.83e-5) and not agrees("4.8e-05", 4.7e-5)
    with pytest.raises(KeyError):
        held("1.00\n<!-- 1.00 = dan-table1 | ×2 | dan | Set6 PSNR -->\n")
