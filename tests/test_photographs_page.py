"""The page of what was tried on photographs: its quick rows are what comes out now, and its script writes what it was given."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "photographs-measured.md"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("photographs_page", ROOT / "benchmarks" / "photographs.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.mark.parametrize("name", ["messages", "names", "kinds", "profile"])
def test_the_page_says_what_comes_out(script: ModuleType, name: str) -> None:
    if name == "messages" and torch.cuda.is_available():
        pytest.skip("one of the mistakes is to ask for CUDA where there is none")
    tried, _ = script.ROWS[name]
    assert f"| {tried} | {script.outcome(name, None)} |" in PAGE.read_text(encoding="utf-8")


def test_rows_are_kept_and_those_of_other_code_say_so(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []

    def outcome(name: str, data: Path | None) -> str | None:
        counted.append(name)
        return None if name == "24mp" else f"a | b of {name}"

    monkeypatch.setattr(script, "outcome", outcome)
    monkeypatch.setattr(script, "SAMPLES", {})
    page = tmp_path / "docs" / "p.md"
    script.main(page=page, work=tmp_path / "work")
    text = page.read_text(encoding="utf-8")
    assert "| sharp pictures at ×1 | a / b of sharp |" in text and text.count("not measured yet") == 1 and "Real" not in text
    first = len(counted)
    script.main(page=page, work=tmp_path / "work")
    assert counted[first:] == ["24mp"] and page.read_text(encoding="utf-8") == text
    monkeypatch.setattr(script, "digest", lambda scale: f"another {scale}")
    script.main(page=page, work=tmp_path / "work", minutes=0)
    text = page.read_text(encoding="utf-8")
    assert "a / b of sharp (by another version) |" in text and len(counted) == first + 1
    assert "a / b of names |" in text and "a / b of names (" not in text


def test_panels_show_pictures_and_kernels_side_by_side(script: ModuleType, tmp_path: Path) -> None:
    from PIL import Image

    script.panel(tmp_path / "a.webp", [torch.zeros(1, 1, 30, 40), torch.ones(1, 3, 300, 300)], [torch.ones(1, 1, 5, 5)], side=50)
    with Image.open(tmp_path / "a.webp") as panel:
        assert panel.size == (150, 50) and panel.getpixel((25, 25)) == (0, 0, 0) and min(panel.getpixel((75, 25))) > 250
