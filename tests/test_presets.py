"""What every shipped preset keeps: whole files, an index that tells how it was made, and results better than interpolation."""

from pathlib import Path

import pytest
import torch
from shipped import kernel_for
from torch import Tensor

import pnpsr
from pnpsr import load, weights
from pnpsr.conventions import NAMED, degrade
from pnpsr.data import SETTINGS
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian
from pnpsr.physics import quantise
from pnpsr.starts import upsample
from pnpsr.weights import preset_file, presets

FOLDER = Path(weights.__file__).parent
LIMIT = 22 * 2**20  # bytes of all weights together
COMMANDS = ("pnpsr train ", *(f"python benchmarks/{name}.py " for name in ("presets", "earlier", "changed", "kernel_step")))
each = pytest.mark.parametrize("name", presets())


def scale_of(name: str) -> int:
    return int(name.rpartition("-x")[2]) if "-x" in name else 2


def observe(name: str, x: Tensor, k: Tensor) -> Tensor:
    """y as the preset's setting makes it."""
    y = degrade(x, k, scale_of(name), NAMED[presets()[name].convention])
    return quantise(y) if name.startswith("dan") else y


def test_index_and_files_agree() -> None:
    files = {path.stem for path in FOLDER.glob("*.safetensors")}
    assert files == presets().keys()
    assert sum(path.stat().st_size for path in FOLDER.glob("*.safetensors")) <= LIMIT


@each
def test_the_index_tells_how_a_preset_was_made(name: str) -> None:
    preset, solver = presets()[name], load(name)
    assert solver.record.recipe == preset.recipe
    made = {n: list(v) if isinstance(v, tuple) else v for n, v in solver.record.arguments.items()}
    assert {n: made[n] for n in preset.arguments} == preset.arguments  # what a recipe learned since has its default
    assert preset.setting in SETTINGS and preset.steps > 0 and preset.hardware
    assert preset.commands and all(command.startswith(COMMANDS) for command in preset.commands)
    assert not any(word.startswith("/") for command in preset.commands for word in command.split())
    assert preset.scores and all(values["rows"] > 0 for values in preset.scores.values())
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in solver.parameters()) and not solver.training


@each
@torch.no_grad()
def test_a_preset_beats_interpolation(name: str) -> None:
    s = scale_of(name)
    x, k = sample_picture("astronaut")[..., 40:232, 140:332], kernel_for(name, s, 1.4 if s == 2 else 2.2)
    y = observe(name, x, k)
    solver = load(name)
    out = solver(y, s, k=k, sigma=0.0) if name == "usrnet" else solver(y, s)
    for base in (upsample(y, s), torch.nn.functional.interpolate(y, scale_factor=s, mode="bicubic")):
        assert float(psnr(out.x.clamp(0, 1), x, border=8)) > float(psnr(base, x, border=8)) + 0.5
    if name != "usrnet":
        none = dirac(k.shape[-1])
        assert float((out.k - k).square().sum()) < 0.5 * float((none - k).square().sum())


@pytest.mark.parametrize("name", [*presets(), "blind_hqs"])
@torch.no_grad()
def test_a_preset_is_the_same_whatever_torchs_default_dtype(name: str) -> None:
    y, s = sample_picture("astronaut")[..., 40:64, 140:164], scale_of(name)
    known = {"k": gaussian(21, 1.4), "sigma": 0.0} if name == "usrnet" else {}
    expected = load(name)(y, s, **known)
    torch.set_default_dtype(torch.float64)
    try:
        solver = load(name)
        found = solver(y, s, **known)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {value.dtype for value in solver.state_dict().values()} <= {torch.float32}
    assert torch.allclose(found.x, expected.x, atol=1e-4) and found.x.dtype == torch.float32


@each
def test_a_damaged_preset_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray((FOLDER / f"{name}.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / f"{name}.safetensors").write_bytes(data)
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="damaged"):
        preset_file(name)


def test_an_unknown_name_lists_the_presets() -> None:
    with pytest.raises(FileNotFoundError, match="blind_hqs"):
        load("no-such-preset")
    assert pnpsr.load("blind_hqs").T > 0


@each
def test_a_preset_is_refused_at_a_scale_it_was_not_trained_for(name: str) -> None:
    solver, y = load(name), torch.full((1, 3, 32, 32), 0.5)
    assert solver.needs.scales == ((scale_of(name),) if "-x" in name else None)
    if solver.needs.scales is not None:
        with pytest.raises(ValueError, match=f"solver (is|was built) for scale {scale_of(name)}, got 5"):
            solver(y, 5, sigma=0.0)
