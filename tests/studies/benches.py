"""Two pictures, twelve kernels and solvers with tiny random weights: what any study can be run with in a second."""

from collections.abc import Sequence
from pathlib import Path

import torch
from synthetic import kernels, observed, pictures

from pnpsr import save
from pnpsr.images import write_image
from pnpsr.kernels import save_kernels
from pnpsr.recipes import dan, ikrnet, usrnet

TINY = (2, 2, 2, 2)
SIZE = (40, 44)


def solvers(folder: Path) -> dict[str, Path]:
    """Files of solvers by name: ``dan-x2``, ``dan-x4``, ``ikrnet-x2``, ``ikrnet-x4``, ``usrnet``."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(0)
    small = {"width": 8, "groups": 1, "blocks": 1, "code": 4, "T": 2}
    built = {f"dan-x{s}": dan(s, **small) for s in (2, 4)}
    built |= {f"ikrnet-x{s}": ikrnet(9, T=2, widths=TINY, hidden=8) for s in (2, 4)}
    built["usrnet"] = usrnet(T=2, widths=TINY, hidden=8)
    for name, solver in built.items():
        save(solver, folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in built}


def images(folder: Path) -> Path:
    """A folder of two pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    x = pictures(2, 3, *SIZE, seed=3, dtype=torch.float32)
    for i, name in enumerate(("a", "b")):
        write_image(folder / f"{name}.png", x[i : i + 1])
    return folder


def twelve(path: Path) -> Path:
    """A file of twelve kernels."""
    save_kernels(path, kernels(12, 9, seed=4, dtype=torch.float32))
    return path


def triples(folder: Path) -> Path:
    """Two pictures with y and k at ×2 and ×4, as DIV2KRK keeps them."""
    x, k = pictures(2, 3, *SIZE, seed=5, dtype=torch.float32), kernels(2, 11, seed=6, dtype=torch.float32)
    for name in ("gt", *(f"{kind}_x{s}" for kind in ("lr", "gt_k") for s in (2, 4))):
        (folder / name).mkdir(parents=True)
    for i in range(2):
        write_image(folder / "gt" / f"img_{i + 1}_gt.png", x[i : i + 1])
        for s in (2, 4):
            write_image(folder / f"lr_x{s}" / f"im_{i + 1}.png", observed(x[i : i + 1], k[i : i + 1], s))
            save_kernels(folder / f"gt_k_x{s}" / f"kernel_{i + 1}.npz", k[i : i + 1])
    return folder


def presets(files: dict[str, Path], names: Sequence[str]) -> list[str]:
    """Words of the command line for these files."""
    return [str(files[name]) for name in names]
