"""``pnpsr convert`` writes what it recognised, and nothing where it recognised nothing; other commands open the file as it is."""

from pathlib import Path

import pytest
import torch
from by_formula import invented
from synthetic import kernels, pictures
from usrnet_by_formula import usrnet_shapes

from pnpsr import load, load_released
from pnpsr.cli import main
from pnpsr.images import write_image
from pnpsr.kernels import save_kernels
from pnpsr.released import open_solver


def test_a_released_file_becomes_one_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save(invented(usrnet_shapes((4, 6, 8, 10), 3, 5)), path)
    assert main(["convert", str(path), str(out)]) == 0
    assert "recognised usrnet(T=3, widths=(4, 6, 8, 10), hidden=5" in capsys.readouterr().out
    y, k = pictures(1, 3, 8, 8, seed=0), kernels(1, 5, seed=0)
    with torch.no_grad():
        assert torch.equal(load(out)(y, 2, k=k, sigma=0.01).x, load_released(path)(y, 2, k=k, sigma=0.01).x)


def test_an_unknown_file_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    assert main(["convert", str(path), str(out)]) == 2
    assert "holds no network that is known" in capsys.readouterr().err and not out.exists()


def test_commands_open_either_kind(tmp_path: Path) -> None:
    path, out = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({name: value.float() for name, value in invented(usrnet_shapes((4, 6, 8, 10), 3, 5)).items()}, path)
    main(["convert", str(path), str(out)])
    for name, value in open_solver(path).state_dict().items():
        assert torch.equal(value, open_solver(out).state_dict()[name])
    write_image(tmp_path / "y.png", pictures(1, 3, 12, 12, seed=1).float())
    save_kernels(tmp_path / "k.npz", kernels(1, 5, seed=0))
    restored = []
    for preset in (path, out):
        words = [f"--{name}={value}" for name, value in {"preset": preset, "kernel": tmp_path / "k.npz", "sigma": 0.01}.items()]
        assert main(["restore", str(tmp_path / "y.png"), *words, "--out", str(tmp_path / preset.suffix)]) == 0
        restored.append((tmp_path / preset.suffix / "y_restored.png").read_bytes())
    assert restored[0] == restored[1]
