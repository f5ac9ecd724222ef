"""The packages that are published: built, small, complete, and working where nothing else of the repository is."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import pnpsr

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> str:
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd, env=alone)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel built from the sdist, not from the tree; without a network, by the tools of ``dev``."""
    pytest.importorskip("build", reason="no module build: pip install 'pnpsr[dev]'")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return out


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"pnpsr-{pnpsr.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    here = {str(p.relative_to(ROOT)) for p in (ROOT / "pnpsr").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert {name for name in names if ".dist-info/" not in name} == here
    assert "pnpsr/py.typed" in names and "pnpsr/weights/index.json" in names and "pnpsr/cli/page.html" in names
    size = wheel.stat().st_size / 1e6
    print(f"wheel: {size:.1f} MB")
    assert size < 24


def test_the_sdist_holds_what_the_tests_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "Makefile", "CONTRIBUTING.md", "tools/lowest.py", "tests/conftest.py", "docs/index.md"} <= names
    assert not [name for name in names if name.startswith((".venv", "build/", "runs/"))]


def test_the_wheel_works_in_an_environment_of_its_own(built: Path, tmp_path: Path) -> None:
    """Installed by pip; what it depends on is borrowed from this environment, for torch is gigabytes."""
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "venv", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    import torch

    (site / "borrowed.pth").write_text(str(Path(torch.__file__).parents[1]) + "\n")
    code = "import torch, pnpsr; print(pnpsr.__file__); print(tuple(pnpsr.blind_hqs(7, T=1)(torch.rand(1, 1, 12, 12), 2).x.shape))"
    where, shape = run(python, "-c", code, cwd=tmp_path).splitlines()
    assert Path(where).is_relative_to(tmp_path) and shape == "(1, 1, 24, 24)"
    assert pnpsr.__version__ in run(python, "-m", "pip", "show", "pnpsr", cwd=tmp_path)
    assert "restore" in run(tmp_path / "env" / "bin" / "pnpsr", "--help", cwd=tmp_path)
