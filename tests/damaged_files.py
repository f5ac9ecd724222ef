"""Files to damage: weights of every kind that the library reads, small ones where it can choose; and how each is read."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from synthetic import kernels, pictures
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent / "released"))

from by_formula import invented
from dan_by_formula import dan_buffers, dan_shapes
from usrnet_by_formula import ikrnet_shapes, usrnet_shapes

from pnpsr import blind_hqs, load, load_released, save, usrnet, weights
from pnpsr.images import Picture, read_image, write_image
from pnpsr.kernels import load_kernels, save_kernels
from pnpsr.weights import preset_file, presets

Entry = tuple[Path, Callable[[Path], object], Callable[[object, object], bool]]
WIDTHS = (4, 6, 8, 10)


def same_solver(a: nn.Module, b: nn.Module) -> bool:
    """In everything: expression, names, values."""
    left, right = a.state_dict(), b.state_dict()
    return a.record == b.record and left.keys() == right.keys() and all(torch.equal(v, right[n]) for n, v in left.items())


def preset_files(folder: Path) -> Mapping[str, Entry]:
    """Copies of the presets where the package looks for them, so that they are found by name."""
    source, names = Path(weights.__file__).parent, tuple(presets())  # the index is read once, from the package
    weights.files = lambda _: folder  # type: ignore[assignment]
    found = {}
    for name in names:
        path = folder / f"{name}.safetensors"
        path.write_bytes((source / path.name).read_bytes())
        found[name] = (path, lambda p: _named(p.stem), lambda a, b: a == b)
    return found


def _named(name: str) -> bytes:
    try:
        return preset_file(name).read_bytes()
    except ValueError as error:
        raise ValueError(f"{name}.safetensors: {error}") from error


def saved_files(folder: Path) -> Mapping[str, Entry]:
    """What pnpsr.save writes."""
    torch.manual_seed(0)
    solvers = {"usrnet": usrnet(T=2, widths=WIDTHS, hidden=4), "blind_hqs": blind_hqs(5, T=1, finish=1)}
    for name, solver in solvers.items():
        save(solver, folder / f"{name}.safetensors")
    return {name: (folder / f"{name}.safetensors", load, same_solver) for name in solvers}


def released_files(folder: Path, *, legacy: bool) -> Mapping[str, Entry]:
    """Every official layout with invented weights, in the archive of today's torch.save or the stream of before 2020."""
    files = {
        "USRNet": invented(usrnet_shapes(WIDTHS, 3, 5)),
        "IKR-Net": invented(ikrnet_shapes(WIDTHS, 5)),
        "DANv1": invented(dan_shapes(1, 2, width=32, groups=0, blocks=4, size=5, code=4)) | dan_buffers(5, 4),
        "DANv2": invented(dan_shapes(2, 2, width=32, groups=1, blocks=1, size=5, code=4)) | dan_buffers(5, 4),
    }
    for name, tensors in files.items():
        torch.save(tensors, folder / f"{name}.pth", _use_new_zipfile_serialization=not legacy)
    alike = _same_networks if legacy else same_solver
    return {name: (folder / f"{name}.pth", load_released, alike) for name in files}


def _same_networks(a: nn.Module, b: nn.Module) -> bool:
    """The same networks, whatever their values, which nothing in such a stream vouches for; but finite.

    A name that is damaged in IKR-Net's first network makes a file without one, whose solver asks for the kernel.
    """
    left, right = a.state_dict(), b.state_dict()
    whole = any(name.startswith("first.k0.") for name in left)
    right = right if whole else {name: value for name, value in right.items() if not name.startswith("first.k0.")}
    shapes = [{name: value.shape for name, value in tensors.items()} for tensors in (left, right)]
    return shapes[0] == shapes[1] and all(bool(value.isfinite().all()) for value in left.values())


def picture_files(folder: Path) -> Mapping[str, Entry]:
    """Every format that pictures are written in."""
    x = pictures(1, 3, 24, 20, 0)
    for name, bits in (("a.png", 8), ("b.png", 16), ("c.tif", 8), ("d.tif", 32), ("e.jpg", 8), ("f.bmp", 8)):
        write_image(folder / name, x, bits=bits)
    return {path.name: (path, read_image, _a_picture) for path in sorted(folder.iterdir())}


def _a_picture(read: Picture, _: Picture) -> bool:
    """Other pixels, but a picture: no checksum is in most formats."""
    x = read.image
    return x.shape[:2] in ((1, 1), (1, 3)) and bool((x >= 0).all() and (x <= 1).all())


def kernel_files(folder: Path) -> Mapping[str, Entry]:
    """Every format that kernels are read from."""
    from scipy.io import savemat

    k = kernels(2, 9, 0)
    save_kernels(folder / "a.npz", k)
    save_kernels(folder / "b.npy", k)
    save_kernels(folder / "c.png", k[:1])
    torch.save({"kernels": k}, folder / "d.pth")
    for name, packed in (("e.mat", False), ("f.mat", True)):
        savemat(folder / name, {"first": k[0, 0].numpy(), "second": k[1, 0].numpy()}, do_compression=packed)
    return {path.name: (path, load_kernels, _some_kernels) for path in sorted(folder.iterdir())}


def _some_kernels(read: Tensor, _: Tensor) -> bool:
    return bool(read.isfinite().all()) and torch.allclose(read.sum((1, 2, 3)), torch.ones(len(read)), atol=1e-3)


def real_files(folder: Path) -> Mapping[str, Entry]:
    """Photographs, kernels and weights of others, from the folder that PNPSR_DATA names."""
    data = Path(os.environ["PNPSR_DATA"])
    found = {}
    for where, read, same in (
        ("real/*", read_image, _a_picture),
        ("kernels/*.npz", load_kernels, _some_kernels),
        ("weights/*.pth", load_released, lambda a, b: _same_networks(a, b)),
    ):
        for source in sorted(data.glob(where)):
            (folder / source.name).write_bytes(source.read_bytes())
            found[source.name] = (folder / source.name, read, same)
    return found


PACKED = ("pictures", "kernels", "real")
KINDS: Mapping[str, Callable[[Path], Mapping[str, Entry]]] = {
    "pictures": picture_files,
    "kernels": kernel_files,
    "real": real_files,
    "presets": preset_files,
    "saved": saved_files,
    "archives": lambda folder: released_files(folder, legacy=False),
    "legacy": lambda folder: released_files(folder, legacy=True),
}
