"""The documentation is true: its Python blocks run, page by page, and its links lead somewhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pnpsr.cli import COMMANDS, main
from pnpsr.conventions import PHYSICS
from pnpsr.data import SETTINGS
from pnpsr.evaluate import METHODS, METRICS, PROTOCOLS
from pnpsr.kernels import FAMILIES
from pnpsr.recipes import RECIPES
from pnpsr.studies import STUDIES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("README.md")])
each = pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]\[]*\]\(([^)\s]+)\)")


def blocks(text: str) -> Iterator[tuple[int, str]]:
    """(number of the line before it, code) of every Python block."""
    for found in BLOCK.finditer(text):
        yield text.count("\n", 0, found.start(1)), found[1]


def anchors(text: str) -> set[str]:
    """What links into a page may point to: its headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", ANY_BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    wrong = []
    for link in LINK.findall(ANY_BLOCK.sub("", text)):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))):
            wrong.append(link)
    return wrong


@each
def test_the_code_on_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks of a page in order, in one namespace and an empty folder; a failure names the line of the page."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for table in (RECIPES, SETTINGS, FAMILIES, METRICS, PROTOCOLS, METHODS, STUDIES, PHYSICS):
        monkeypatch.setattr(table, "_things", dict(table))  # what a page registers is forgotten after it
    with torch.random.fork_rng(devices=[]):
        for line, code in blocks(page.read_text(encoding="utf-8")):
            exec(compile("\n" * line + code, str(page), "exec"), namespace)


def lines_here(text: str) -> Iterator[tuple[int, str]]:
    """(number of the line before it, code) of every "here" of a table whose columns are there, here and more."""
    inside = False
    for number, line in enumerate(text.splitlines()):
        inside = line.startswith("| there | here |") or (inside and line.startswith("|"))
        cells = [cell.strip() for cell in line.split(" | ")]
        if inside and not line.startswith(("| there", "|---")):
            found = re.fullmatch(r"`([^`]+)`", cells[1])
            if found is None:
                raise ValueError(f"line {number + 1}: no code under here, got {cells[1]!r}")
            yield number, found[1]


def released_files() -> None:
    """Files as the other projects released theirs, but small: invented weights under their names."""
    from by_formula import invented
    from dan_by_formula import dan_buffers, dan_shapes
    from usrnet_by_formula import ikrnet_shapes, usrnet_shapes

    dan = dan_shapes(2, 4, width=32, groups=1, blocks=1, size=5, code=4)
    torch.save(invented(usrnet_shapes((4, 6, 8, 10), 3, 5)), "usrnet.pth")
    torch.save(invented(dan) | dan_buffers(5, 4), "dan_x4.pth")
    torch.save(invented(ikrnet_shapes((4, 5, 6, 7), 7), gain=0.5), "ikrnet.pth")


def test_every_line_from_elsewhere_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables of the page in their places among its blocks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "released"))
    released_files()
    page = ROOT / "docs" / "coming-from.md"
    text = page.read_text(encoding="utf-8")
    parts = sorted([*blocks(text), *lines_here(text)])
    assert len(list(lines_here(text))) > 60
    namespace: dict[str, object] = {"__name__": "__main__"}
    with torch.random.fork_rng(devices=[]):
        for line, code in parts:
            exec(compile("\n" * line + code, str(page), "exec"), namespace)


def test_every_option_of_a_command_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """What a page types after ``pnpsr COMMAND`` is in the help of that command."""
    known = {}
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        known[command] = {"--use", "--help", *re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out)}
    wrong, found = [], 0
    for page in PAGES:
        for typed in re.finditer(r"\bpnpsr (\w+)((?:[^`\n]|\\\n)*)", page.read_text(encoding="utf-8")):
            options = re.findall(r"(?<![\w-])--[a-z][a-z-]*", typed[2]) if typed[1] in known else []
            found += len(options)
            wrong += [f"{page.name}: pnpsr {typed[1]} {option}" for option in options if option not in known[typed[1]]]
    assert not wrong and found > 100


@each
def test_links_lead_somewhere(page: Path) -> None:
    assert not broken(page, page.read_text(encoding="utf-8"))


@each
def test_the_index_knows_the_page(page: Path) -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert page.name in ("index.md", "README.md") or f"({page.name})" in index


def test_a_false_page_is_noticed(tmp_path: Path) -> None:
    text = "# A page\n\n[a](gone.md) [b](#a-page) [c](#no-such) [d](https://example.org)\n```python\nx = 1\n```\n```\n[e](f)\n```\n"
    (tmp_path / "page.md").write_text(text)
    assert broken(tmp_path / "page.md", text) == ["gone.md", "#no-such"]
    assert list(blocks(text)) == [(4, "x = 1\n")]
    assert list(lines_here("| there | here | note |\n|---|---|---|\n| a | `b(1)` | `c` |\n\n| d | `e` |")) == [(2, "b(1)")]
    with pytest.raises(ValueError, match="line 2: no code under here"):
        list(lines_here("| there | here | note |\n| a | b | c |"))


def test_every_promise_names_a_test_that_exists() -> None:
    """path::name of a test function, and no promise in a table about code without one."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)
    assert len(named) > 15
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file} has no {name}"
    code = text[: text.index("## Files")]
    rows = [line for line in code.splitlines() if line.startswith("| ") and not line.startswith("| promise")]
    assert all("::" in row for row in rows)


def test_fifty_questions_are_answered() -> None:
    text = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    asked = re.findall(r"^\*\*(.+?)\*\* \S", text, re.MULTILINE)
    assert len(asked) == len(set(asked)) >= 50
