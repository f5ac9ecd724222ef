"""The HTML page: complete in itself, and in a real browser its sliders do what they should."""

import base64
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from browser import Browser, opened
from PIL import Image

from pnpsr.cli.page import write_page
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian
from pnpsr.photo import restore
from pnpsr.physics import Degradation, quantise


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x, k = sample_picture("coffee")[..., 100:196, 150:246], gaussian(9, 1.5)
    y = quantise(Degradation(1, boundary="reflect")(x, k, 0.005, generator=torch.Generator().manual_seed(0)))
    r = restore(y, 1, k=k, watch=True, solver="usrnet", kernels_per=None, T=2)
    return write_page(tmp_path_factory.mktemp("page") / "a.html", y, r, "<cat> & dog.png", {"restored": "30.00 dB"})


class Parts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_beside_itself(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parts = Parts()
    parts.feed(text)
    images = [attrs["src"] for tag, attrs in parts.tags if tag == "img"]
    assert len(images) >= 6 and all(src.startswith("data:image/") for src in images if src)
    for src in images:
        Image.open(io.BytesIO(base64.b64decode(str(src).split(",")[1]))).load()
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:)""", text) and "http" not in text
    assert "&lt;cat&gt; &amp; dog.png" in text and "<cat>" not in text and "$" not in text
    assert "30.00 dB" in text and "blur of about" in text


@pytest.fixture
def browser() -> Iterator[Browser]:
    with opened() as one:
        yield one


@pytest.mark.slow
def test_a_browser_opens_it_and_the_sliders_move(page: Path, browser: Browser) -> None:
    browser.open(page.as_uri())
    assert browser.run("return [...document.images].every(i => i.complete && i.naturalWidth > 0 || i.style.display == 'none')")
    move = "const s = document.getElementById('{}'); s.value = {}; s.dispatchEvent(new Event('input'));"
    for share in (0, 30, 100):
        browser.run(move.format("slider", share))
        clip = browser.run("return getComputedStyle(document.getElementById('after')).clipPath")
        assert (f"{share}%" in clip) or share == 0
    width = browser.run("return [document.querySelector('.before').clientWidth, document.getElementById('after').clientWidth]")
    assert width[0] == width[1] > 50
    for t in (1, 2):
        browser.run(move.format("step", t))
        shown = browser.run("return [...document.querySelectorAll('.step')].map(e => e.style.display != 'none')")
        assert (
            shown == [i + 1 == t for i in range(2)]
            and browser.run("return document.getElementById('count').textContent") == f"t = {t}"
        )
