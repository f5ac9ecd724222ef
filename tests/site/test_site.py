"""The site: built strictly without a network, complete, and looked at in a browser at two widths."""

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from browser import opened
from PIL import Image

ROOT = Path(__file__).parents[2]
SEEN = ("index", "api/pnpsr.prox", "derivations", "examples/02_closed_forms", "examples/index")


def test_the_contents_have_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {line.strip() for block in re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL) for line in block.splitlines()}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} <= listed


@pytest.mark.parametrize("name", ["flow.svg", "rooms.svg"])
def test_the_drawings_are_what_the_code_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_site"))
    from drawings import DRAWINGS, SAYS, layers

    assert DRAWINGS[name]() == (ROOT / "docs" / name).read_text(encoding="utf-8"), "run python docs/_site/drawings.py"
    small = {"checks", "precision", "needs", "slots", "files", "filled", "version", "weights", "interrupt", "__main__", "__init__"}
    assert set(layers()) - small == set(SAYS), "a room is missing from the picture, or gone"


def test_formulas_become_mathml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every formula of the pages and of the notebooks can be set without a script."""
    pytest.importorskip("docutils.utils.math.latex2mathml", reason="no docutils: pip install 'pnpsr[docs]'")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_site"))
    from mathml import mathml, pieces

    texts = [page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md")]
    for book in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(book.read_text(encoding="utf-8"))["cells"]
        texts += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    formulas = [
        found[1] or found[2] for text in texts for found in re.finditer(r"\$\$(.+?)\$\$|\$([^$`\n]+)\$", strip(text), re.DOTALL)
    ]
    assert len(formulas) > 60
    for formula in formulas:
        for piece in pieces(formula):
            assert "<math" in mathml(piece, as_block=True), formula  # raises for what it does not know
    assert pieces(r"a \qquad b") == ["a ", " b"] and len(pieces(r"\text{a \qquad b}")) == 1
    with pytest.raises(ValueError, match="needs braces"):
        mathml(r"\tfrac12 x")


def strip(text: str) -> str:
    """Without code, in which a dollar is a dollar."""
    return re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)


def test_public_names_are_found_once_and_linked_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:

    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_site"))
    generated = pytest.importorskip("generated")
    found = generated.reference()
    assert ("UnrolledSolver", "pnpsr.UnrolledSolver") in found["pnpsr"]
    assert ("UnrolledSolver", "pnpsr.UnrolledSolver") in found["pnpsr.solver"]
    assert {name for name, _ in found["pnpsr.prox"]} >= {"prox_image", "prox_kernel", "tv", "simplex"}
    described = [where for room, names in found.items() for name, where in names if where == f"{room}.{name}"]
    assert len(described) == len(set(described)) > 150


def test_mathematics_in_docstrings_is_no_markup_and_code_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_site"))
    generated = pytest.importorskip("generated")
    lines = ["|x|² + A*(y), see :func:`f_` and ``a*b``::", "", "    a * b | c", "", "and x_ * y"]
    generated.plain(None, "function", "", None, None, lines)
    assert lines == [r"\|x\|² + A\*(y), see :func:`f_` and ``a*b``::", "", "    a * b | c", "", r"and x\_ \* y"]
    generated.plain(None, "property", "", None, None, held := ["That: the"])
    assert held[0] == ".."


def test_links_to_the_repository_lead_to_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_site"))
    from generated import inside

    inside(None, "index", held := ["[cli.md](cli.md), [here](cli.md), [cli.md](cli.md#files)"])
    assert held == ["[](cli.md), [here](cli.md), [](cli.md#files)"]
    inside(None, "index", said := ["[a](../notebooks/03_compose.ipynb) [b](../examples/04_dan.py) [c](../examples/my_lab.py)"])
    assert said == ["[a](examples/03_compose.ipynb) [b](examples/04_dan.ipynb) [c](../examples/my_lab.py)"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as ``make docs`` does, behind a proxy that does not exist."""
    for needed in ("sphinx", "myst_nb", "furo", "nbformat"):
        pytest.importorskip(needed, reason=f"no {needed}: pip install 'pnpsr[docs]'")
    out = tmp_path_factory.mktemp("site")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-E",
        "-W",
        "--keep-going",
        "-q",
        "-d",
        f"{out}.cache",
        "-b",
        "html",
        "docs",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **nowhere})
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_site"))
    from generated import reference
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.loads(file.read(), uri="")
    known = {name for kind, names in inventory.data.items() if kind.startswith("py:") for name in names}
    assert not {where for names in reference().values() for _, where in names} - known


@pytest.mark.slow
def test_pages_fetch_nothing_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"(\w+:)?//", text) + re.findall(
            r"<link\b[^>]*rel=\"stylesheet\"[^>]*href=\"(\w+:)?//", text
        )
        assert not fetched, page.name


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
def test_pages_look_right_in_a_browser(address: str, phone: bool, tmp_path: Path) -> None:
    """Five pages: no error in the console, all pictures there, nothing wider than the window, something in sight."""
    with opened(phone=phone) as browser:
        for page in SEEN:
            browser.open(f"{address}/{page}.html")
            assert not browser.errors(), page
            assert browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0)"), page
            low = "return [...document.querySelectorAll('math')].filter(m => m.getBoundingClientRect().height < 5).length"
            assert browser.run(low) == 0, page
            assert browser.run("return document.documentElement.scrollWidth - window.innerWidth") <= 0, page
            assert browser.run("return document.querySelector('h1').getBoundingClientRect().top") < 300, page
            shot = Image.open(BytesIO(browser.screenshot()))
            shot.save(tmp_path / f"{page.replace('/', '-')}.png")
            assert shot.width == (390 if phone else 1280) and len(shot.convert("RGB").getcolors(1 << 24)) > 50, page


@pytest.mark.slow
def test_the_search_finds_a_function(address: str) -> None:
    with opened() as browser:
        browser.open(f"{address}/search.html?q=prox_kernel")
        for _ in range(100):
            found = browser.run("return [...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href'))")
            if any("prox_kernel" in href for href in found):
                break
            time.sleep(0.1)
        assert any(href.endswith("#pnpsr.prox.prox_kernel") for href in found)
