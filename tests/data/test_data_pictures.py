"""Folders and datasets: the same pictures by name and index, gray and 16-bit ones too; what is no picture is named."""

from pathlib import Path

import pytest
import torch
from synthetic import pictures
from torch.utils.data import TensorDataset

from pnpsr.data import Folder, FromDataset, held_out
from pnpsr.images import read_image, write_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Colour, gray, 16-bit TIFF, one in a subfolder, and a text file."""
    x = pictures(4, 3, 20, 24, seed=0, dtype=torch.float32)
    (tmp_path / "below").mkdir()
    write_image(tmp_path / "b.png", x[:1])
    write_image(tmp_path / "a.png", x[1:2, :1])
    write_image(tmp_path / "c.tif", x[2:3], bits=16)
    write_image(tmp_path / "below" / "d.bmp", x[3:])
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_is_its_files_in_order(folder: Path, channels: int) -> None:
    found = Folder(folder, channels)
    assert found.names == ("a.png", "b.png", "below/d.bmp", "c.tif")
    for i, name in enumerate(found.names):
        x = found.read(i)
        assert x.shape == (1, channels, 20, 24) and x.dtype == torch.float32
        assert torch.equal(x, read_image(folder / name, channels=channels).image)


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder of pictures at .*nowhere"):
        Folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"there are no pictures \(.png.*\) in"):
        Folder(tmp_path)
    with pytest.raises(ValueError, match="channels"):
        Folder(tmp_path, 2)


def test_corrupt_files_are_named_when_read(folder: Path) -> None:
    (folder / "bad.png").write_bytes((folder / "b.png").read_bytes()[:100])
    found = Folder(folder)
    with pytest.raises(ValueError, match=r"bad\.png"):
        found.read(found.names.index("bad.png"))


def test_tensors_of_a_torch_dataset(tmp_path: Path) -> None:
    x = pictures(3, 3, 12, 14, seed=1, dtype=torch.float32)
    floats, bytes_ = FromDataset(TensorDataset(x)), FromDataset(TensorDataset((x * 255).round().to(torch.uint8), torch.arange(3)))
    assert floats.names == tuple(f"TensorDataset-0000{i}" for i in range(3))
    assert torch.equal(floats.read(1), x[1:2])
    assert torch.equal(bytes_.read(2), (x[2:] * 255).round() / 255)
    assert torch.equal(FromDataset([x[0, :1]]).read(0), x[:1, :1].expand(-1, 3, -1, -1))
    assert FromDataset([x[0, :1]], channels=1).read(0).shape == (1, 1, 12, 14)


@pytest.mark.filterwarnings("ignore:The tuple format:DeprecationWarning")
def test_pictures_of_deepinv_and_pil(folder: Path) -> None:
    from deepinv.datasets import ImageFolder
    from PIL import Image
    from torchvision.transforms import ToTensor

    stored = read_image(folder / "b.png").image
    for form in (False, True):
        dataset = ImageFolder(folder, x_path="b.png", transform=ToTensor(), use_dict_output=form)
        assert torch.equal(FromDataset(dataset).read(0), stored)
    with Image.open(folder / "b.png") as picture:
        assert torch.equal(FromDataset([picture]).read(0), stored)


@pytest.mark.parametrize(
    "item",
    [torch.full((3, 4, 4), 2.0), torch.full((3, 4, 4), torch.nan), torch.zeros(2, 4, 4), torch.zeros(4, 4), "picture", torch.nan],
    ids=["too bright", "NaN", "two channels", "no channels", "text", "a number"],
)
def test_items_that_are_no_pictures_are_named(item: object) -> None:
    with pytest.raises(ValueError, match="list-00001 is no"):
        FromDataset([torch.zeros(3, 4, 4), item]).read(1)


@pytest.mark.parametrize("second", [torch.zeros(3, 4, 4), torch.zeros(3, 8, 8)], ids=["y of x", "x of y"])
def test_pairs_of_pictures_are_no_pictures(second: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"list-00000 is 2 pictures, and nothing says which is the sharp one; .*pnpsr.data.Pairs"):
        FromDataset([(torch.zeros(3, 4, 4), second)]).read(0)
    assert (
        FromDataset([(torch.zeros(3, 4, 4), 7)]).read(0).shape
        == FromDataset([(torch.zeros(3, 4, 4), torch.tensor(7))]).read(0).shape
    )


def test_colour_is_not_made_gray_behind_the_back() -> None:
    with pytest.raises(ValueError, match=r"1 channel"):
        FromDataset([torch.zeros(3, 4, 4)], channels=1).read(0)
    with pytest.raises(ValueError, match="the dataset list is empty"):
        FromDataset([])


def test_held_out_pictures_are_never_trained_on() -> None:
    every = FromDataset([torch.full((3, 4, 4), i / 20) for i in range(20)])
    rest, held = held_out(every, 6, seed=3)
    assert set(rest.names) | set(held.names) == set(every.names) and len(held.names) == 6 and len(rest.names) == 14
    assert list(rest.names) == sorted(rest.names)
    for part in (rest, held):
        assert all(torch.equal(part.read(i), every.read(every.names.index(name))) for i, name in enumerate(part.names))
    assert held_out(every, 6, seed=3)[1].names == held.names != held_out(every, 6, seed=4)[1].names
    assert held_out(every, 0)[0].names == every.names
    with pytest.raises(ValueError, match="20 of 20 pictures were to be held out"):
        held_out(every, 20)
