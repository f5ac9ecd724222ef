"""The project's own papers agree: one version, one list of floors, files that name what exists."""

import re
import tomllib
from pathlib import Path

import pytest

import pnpsr

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_written_once_and_cited_right() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"] and PROJECT["tool"]["hatch"]["version"]["path"] == "pnpsr/version.py"
    assert re.search(r"^version: (.+)$", text("CITATION.cff"), re.MULTILINE)[1] == pnpsr.__version__
    assert re.search(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)[1] == pnpsr.__version__


def test_the_citation_is_one() -> None:
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load(text("CITATION.cff"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)
    assert all("title" in work and "authors" in work for work in cited["references"])


def test_every_dependency_has_a_lowest_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from lowest import lowest

    pins = lowest()
    assert len(pins) == len(PROJECT["project"]["dependencies"]) + len(PROJECT["project"]["optional-dependencies"]["train"])
    assert "torch==2.9" in pins
    (tmp_path / "p.toml").write_text('[project]\ndependencies = ["torch"]\n[project.optional-dependencies]\ntrain = []\n')
    with pytest.raises(ValueError, match="no lowest version .* in 'torch'"):
        lowest(tmp_path / "p.toml")


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", ".github/pull_request_template.md", ".github/workflows/ci.yml"])
def test_what_is_named_exists(name: str) -> None:
    """Paths, targets of make, and the lists that new parts join."""
    written = text(name)
    for path in re.findall(r"\b((?:tests|docs|tools|pnpsr)/[\w/.]+\w)", written):
        assert (ROOT / path).exists(), f"{name} names {path}"
    targets = set(re.findall(r"^([\w/]+):", text("Makefile"), re.MULTILINE))
    for target in re.findall(r"(?:^|run: |`)make (\w+)", written, re.MULTILINE):
        assert target in targets, f"{name} says make {target}"
    for symbol, path in re.findall(r"`([A-Z]+)` in\s+`(tests/[\w/]+\.py)`", written):
        assert re.search(rf"^{symbol}\b.*=", text(path), re.MULTILINE), f"{path} has no {symbol}"


def test_the_workflow_covers_every_python_from_the_oldest_on() -> None:
    tested = re.search(r"python: \[(.+)\]", text(".github/workflows/ci.yml"))[1].replace('"', "").split(", ")
    assert f">={tested[0]}" == PROJECT["project"]["requires-python"] and tested == ["3.11", "3.12", "3.13", "3.14"]
    assert all(f"python{version}" in text("Makefile") for version in tested)
