"""Where sharp pictures come from: a folder, a dataset of deepinv's or torchvision's; by name, one at a time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.images import FORMATS, read_image

SUFFIXES = tuple(dict.fromkeys((*FORMATS, ".webp")))  # what is looked for in a folder


class Pictures(Protocol):
    """A finite collection of named pictures that are read when asked for."""

    @property
    def names(self) -> Sequence[str]:
        """One name per picture, unique, in a fixed order."""

    def read(self, index: int) -> Tensor:
        """Picture ``index`` as (1 c h w) float32 in [0, 1].

        Raises:
            ValueError, OSError: it cannot be read; the message names it.
        """


class Folder:
    """The pictures of a folder and of those below it (PNG, JPEG, TIFF, BMP, WebP), by path, which is their name.

    Args:
        path: the folder.
        channels: 3 repeats gray pictures, 1 takes the luma of coloured ones.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no pictures in it.
    """

    def __init__(self, path: str | Path, channels: int = 3) -> None:
        self.path, self.channels = Path(path), channels
        checks.choice(channels, (1, 3), "channels")
        if not self.path.is_dir():
            raise FileNotFoundError(f"there is no folder of pictures at {path}")
        files = sorted(file for file in self.path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        self.names: Sequence[str] = tuple(file.relative_to(self.path).as_posix() for file in files)
        if not self.names:
            raise ValueError(f"there are no pictures ({', '.join(SUFFIXES)}) in {path}")

    def read(self, index: int) -> Tensor:
        """Picture ``index`` as (1 c h w) float32 in [0, 1]. Raises as :func:`pnpsr.images.read_image`."""
        return read_image(self.path / self.names[index], channels=self.channels).image


class FromDataset:
    """Any indexable dataset of pictures, such as ``deepinv.datasets.Set14HR``.

    Of tuples the first entry is the picture, of mappings (``use_dict_output``) that named ``x``.

    Args:
        dataset: its items are (c h w) tensors of floats in [0, 1] or of 8 bits, or PIL pictures.
        channels: 3 repeats gray pictures; coloured ones in a gray collection are refused.
    """

    def __init__(self, dataset: Any, channels: int = 3) -> None:
        self.dataset, self.channels = dataset, channels
        checks.choice(channels, (1, 3), "channels")
        name = type(dataset).__name__
        self.names: Sequence[str] = tuple(f"{name}-{index:05d}" for index in range(len(dataset)))
        if not self.names:
            raise ValueError(f"the dataset {name} is empty")

    def read(self, index: int) -> Tensor:
        """Picture ``index`` as (1 c h w) float32 in [0, 1].

        Raises:
            ValueError: the item is no picture of that many channels with values in [0, 1].
        """
        item = self.dataset[index]
        item = item[0] if isinstance(item, tuple | list) else item.get("x") if isinstance(item, Mapping) else item
        if not isinstance(item, Tensor):
            from torchvision.transforms.functional import to_tensor

            try:
                item = to_tensor(item)
            except TypeError as error:
                raise ValueError(f"{self.names[index]} is no picture, neither tensor nor PIL image: {error}") from error
        x = item.float() / 255 if item.dtype == torch.uint8 else item.float()
        if x.ndim != 3 or x.shape[0] not in (1, self.channels) or not (float(x.min()) >= 0 and float(x.max()) <= 1):
            raise ValueError(
                f"{self.names[index]} is no (c h w) picture in [0, 1] with {self.channels} channel(s): {tuple(x.shape)}"
            )
        return x.expand(self.channels, -1, -1)[None].contiguous()


class Subset:
    """Some of the pictures of another collection, in its order."""

    def __init__(self, pictures: Pictures, indices: Sequence[int]) -> None:
        self.pictures, self.indices = pictures, tuple(indices)
        self.names: Sequence[str] = tuple(pictures.names[i] for i in self.indices)

    def read(self, index: int) -> Tensor:
        """Picture ``index`` of the subset."""
        return self.pictures.read(self.indices[index])


def held_out(pictures: Pictures, count: int, seed: int = 0) -> tuple[Subset, Subset]:
    """(all but ``count`` pictures, those ``count``): which ones depends on the seed and the number of pictures only.

    Raises:
        ValueError: nothing would be left to train on.
    """
    total = len(pictures.names)
    if not 0 <= checks.whole(count, "count", 0) < total:
        raise ValueError(f"count must leave something to train on: {count} of {total} pictures were to be held out")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).tolist()
    return Subset(pictures, sorted(order[count:])), Subset(pictures, sorted(order[:count]))
