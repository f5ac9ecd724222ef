"""DAN's released weights: recognised at every scale and kernel size, and computing what their code computes."""

from pathlib import Path

import pytest
import torch
from by_formula import invented
from dan_by_formula import dan, dan_buffers, dan_shapes
from synthetic import pictures
from torch import Tensor

from pnpsr import dan as ours
from pnpsr import load, load_released, save

COUNTS = {
    1: (4_071_015, 4_181_799, 4_366_439, 4_329_511),
    2: (4_386_940, 4_540_028, 4_733_116, 4_707_708),
}
SETTINGS = {"21 x 21, 10": (21, 10), "11 x 11, 10": (11, 10), "31 x 31, 15": (31, 15)}
versions = pytest.mark.parametrize("version", [1, 2])


def small(version: int, scale: int, size: int = 5, code: int = 4, channels: int = 3) -> dict[str, Tensor]:
    """A small released network of random weights. Version 1 can have a multiple of four blocks only."""
    groups, blocks = (2, 3) if version == 2 else (0, 4)
    shapes = dan_shapes(version, scale, width=32, groups=groups, blocks=blocks, size=size, code=code, channels=channels)
    return invented(shapes) | dan_buffers(size, code)


def saved(weights: object, folder: Path) -> Path:
    torch.save(weights, folder / "a.pth")
    return folder / "a.pth"


def agree(a: Tensor, b: Tensor, digits: float) -> bool:
    return a.shape == b.shape and float((a - b).abs().max()) <= digits * float(b.abs().max())


@versions
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_the_solver_computes_what_the_released_code_does(version: int, scale: int, tmp_path: Path) -> None:
    w, y = small(version, scale), pictures(2, 3, 9, 8, seed=0)
    net = load_released(saved(w, tmp_path))
    assert not net.training and next(net.parameters()).dtype == torch.float64
    with torch.no_grad():
        for T in (1, 4, 6):
            x, code, k = dan(w, y, T)
            out = net(y, scale, T=T)
            assert x.std() > 1e-3 and code.std() > 1e-3  # something to compare
            assert agree(out.x, x, 1e-11) and agree(out.k, k, 1e-11)
            assert agree(net.restorer.basis.encode(out.k), code, 1e-11)
    assert net.T == 4


@versions
@pytest.mark.parametrize(("size", "code"), SETTINGS.values(), ids=SETTINGS.keys())
def test_the_setting_is_read_off_the_basis(version: int, size: int, code: int, tmp_path: Path) -> None:
    w, y = small(version, 2, size, code), pictures(1, 3, 16, 17, seed=1)
    net = load_released(saved(w, tmp_path))
    assert (net.record.arguments["size"], net.record.arguments["code"]) == (size, code)
    with torch.no_grad():
        assert agree(net(y).x, dan(w, y)[0], 1e-11) and agree(net(y).k, dan(w, y)[2], 1e-11)


@versions
@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_released_sizes_have_the_released_number_of_weights(version: int, scale: int, tmp_path: Path) -> None:
    groups, blocks = (5, 10) if version == 2 else (0, 40)
    shapes = dan_shapes(version, scale, width=64, groups=groups, blocks=blocks, size=21, code=10)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == COUNTS[version][scale - 1]
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    weights |= {name: value.float() for name, value in dan_buffers(21, 10).items()}
    net = load_released(saved(weights, tmp_path))
    assert sum(p.numel() for p in net.parameters()) == COUNTS[version][scale - 1]
    skip = "released" if version == 2 else "paper"
    assert net.record == ours(scale, version=version, skip=skip).record and net.scale == scale


def test_single_precision_agrees_to_single_precision(tmp_path: Path) -> None:
    for version in (1, 2):
        w = {name: value.float() for name, value in small(version, 2, 21, 10).items()}
        y = pictures(1, 3, 16, 17, seed=0, dtype=torch.float32)
        net = load_released(saved(w, tmp_path))
        with torch.no_grad():
            assert agree(net(y).x, dan(w, y)[0], 1e-5)


def test_the_doubling_of_the_released_groups_is_not_a_detail(tmp_path: Path) -> None:
    w, y = small(2, 2), pictures(1, 3, 8, 8, seed=0)
    net = load_released(saved(w, tmp_path))
    as_printed = ours(**{**net.record.arguments, "skip": "paper"}).double()
    as_printed.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert not agree(as_printed(y).x, net(y).x, 0.01)


@versions
def test_gray_networks(version: int, tmp_path: Path) -> None:
    w, y = small(version, 3, channels=1), pictures(1, 1, 6, 7, seed=0)
    with torch.no_grad():
        assert agree(load_released(saved(w, tmp_path))(y).x, dan(w, y)[0], 1e-11)


@versions
def test_what_was_recognised_can_be_saved_and_loaded(version: int, tmp_path: Path) -> None:
    net, y = load_released(saved(small(version, 2), tmp_path)), pictures(1, 3, 8, 8, seed=0)
    save(net, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert again.record == net.record
    with torch.no_grad():
        assert torch.equal(again(y).x, net(y).x) and torch.equal(again(y).k, net(y).k)


@versions
def test_another_start_than_a_dirac_is_refused(version: int, tmp_path: Path) -> None:
    w = small(version, 2)
    for change in (
        {"init_kernel": w["init_kernel"].roll(1, -1)},
        {"init_kernel": w["init_kernel"] / 2},
        {"init_ker_map": w["init_ker_map"] + 0.1},
    ):
        with pytest.raises(ValueError, match=f"variant of DANv{version} that is not known: .*start from a Dirac"):
            load_released(saved(w | change, tmp_path))


def test_variants_are_refused_by_what_is_wrong(tmp_path: Path) -> None:
    w = small(1, 2)
    with pytest.raises(ValueError, match="orthonormal columns"):
        load_released(saved(w | {"encoder": 2 * w["encoder"], "init_ker_map": 2 * w["init_ker_map"]}, tmp_path))
    with pytest.raises(ValueError, match="3 blocks, which must be a multiple of 4"):
        load_released(saved({n: v for n, v in w.items() if "Restorer.body.3." not in n}, tmp_path))
    for version in (1, 2):
        w = small(version, 2)
        for change in (
            {"Estimator.extra.weight": torch.zeros(1).double()},
            {"Restorer.fusion.bias": torch.zeros(3).double()},
            {"encoder": w["encoder"][:, :-1]},
            {"encoder": w["encoder"][0]},
        ):
            with pytest.raises(ValueError, match=f"variant of DANv{version} that is not known"):
                load_released(saved(w | change, tmp_path))


def test_the_published_bases_are_taken(data: Path, tmp_path: Path) -> None:
    """The three matrices that come with DANv2: 21 x 21, and 11 x 11 and 31 x 31 of setting 2."""
    found = set()
    for path in sorted((data / "pca").glob("*.pth")):
        matrix = torch.load(path, weights_only=True)
        size = round(len(matrix) ** 0.5)
        w = {name: value.float() for name, value in small(1, 2, size, matrix.shape[1]).items()}
        w |= {"encoder": matrix[None], "init_ker_map": matrix[len(matrix) // 2][None]}
        net, y = load_released(saved(w, tmp_path)), pictures(1, 3, 16, 17, seed=0, dtype=torch.float32)
        with torch.no_grad():
            assert agree(net(y).x, dan(w, y)[0], 1e-5)
        found.add(tuple(matrix.shape))
    assert found == {(441, 10), (121, 10), (961, 15)}
