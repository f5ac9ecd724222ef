"""Where sharp pictures come from: a folder, a dataset of deepinv's or torchvision's; by name, one at a time."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.images import FORMATS, read_image

SUFFIXES = tuple(dict.fromkeys((*FORMATS, ".webp")))  # what is looked for in a folder


class Pictures(Protocol):
    """A finite collection of named pictures that are read when asked for.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, Pictures
        >>> pictures: Pictures = FromDataset([torch.rand(3, 8, 8)])
        >>> pictures.names
        ('list-00000',)
    """

    @property
    def names(self) -> Sequence[str]:
        """One name per picture, unique, in a fixed order."""

    def read(self, index: int) -> Tensor:
        """Picture ``index`` as (1 c h w) float32 in [0, 1].

        Raises:
            ValueError, OSError: it cannot be read; the message names it.
        """


class Named(Protocol):
    """Pictures, or pairs of them: what has names and can be read."""

    @property
    def names(self) -> Sequence[str]:
        """One per picture or pair."""

    def read(self, index: int) -> Any:
        """Picture or pair ``index``."""


class Folder:
    """The pictures of a folder and of those below it (PNG, JPEG, TIFF, BMP, WebP), by path, which is their name.

    Args:
        path: the folder.
        channels: 3 repeats gray pictures, 1 takes the luma of coloured ones.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: no pictures in it.

    Example:
        >>> import torch
        >>> from pnpsr.data import Folder
        >>> from pnpsr.images import write_image
        >>> write_image("one.png", torch.rand(1, 3, 8, 8))
        ()
        >>> pictures = Folder(".")
        >>> pictures.names
        ('one.png',)
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

    def stamp(self, index: int) -> tuple[int, int]:
        """Size in bytes and time of change (in ns) of picture ``index``: while they stay, its content is taken to stay."""
        found = (self.path / self.names[index]).stat()
        return found.st_size, found.st_mtime_ns

    def digest(self, index: int) -> str:
        """16 hex digits of the content of the file of picture ``index``.

        Raises:
            OSError: it cannot be read.
        """
        with (self.path / self.names[index]).open("rb") as file:
            return f"{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}-{self.channels}"


class FromDataset:
    """Any indexable dataset of pictures, such as ``deepinv.datasets.Set14HR``.

    Of tuples, as (picture, label), the first entry is the picture, of mappings (``use_dict_output``) that named ``x``. Pairs of
    pictures are refused: which of the two is sharp, nobody says (:class:`pnpsr.data.Pairs` takes both).

    Args:
        dataset: its items are (c h w) tensors of floats in [0, 1] or of 8 bits, or PIL pictures.
        channels: 3 repeats gray pictures; coloured ones in a gray collection are refused.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset
        >>> pictures = FromDataset([torch.rand(3, 8, 8)])
        >>> pictures.names
        ('list-00000',)
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
            ValueError: the item is no picture of that many channels with values in [0, 1], or it is two pictures.
        """
        item = self.dataset[index]
        pictures = [v for v in item if _pictorial(v)] if isinstance(item, tuple | list) else []
        if len(pictures) > 1:
            raise ValueError(
                f"{self.names[index]} is {len(pictures)} pictures, and nothing says which is the sharp one; hand over a dataset of "
                "sharp pictures, or train on the pairs: pnpsr.data.Pairs(blurred, sharp)"
            )
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
        self.mapped: bool = getattr(pictures, "mapped", False)  # decoded already, in memory that nobody need keep

    def read(self, index: int) -> Tensor:
        """Picture ``index`` of the subset."""
        return self.pictures.read(self.indices[index])

    def digest(self, index: int) -> str:
        """Of its content, see :func:`digest`."""
        return digest(self.pictures, self.indices[index])

    def raw(self, index: int) -> Tensor:
        """Its samples as they are stored, see :func:`raw`."""
        return raw(self.pictures, self.indices[index])


def digest(pictures: Named, index: int) -> str:
    """16 hex digits of the content of picture ``index``: of its file where it has one, else of its samples.

    Raises:
        ValueError, OSError: it cannot be read.
    """
    if hasattr(pictures, "digest"):
        return str(pictures.digest(index))
    x = pictures.read(index).contiguous()
    return hashlib.sha256(f"{x.dtype} {tuple(x.shape)}".encode() + x.numpy().tobytes()).hexdigest()[:16]


def raw(pictures: Pictures, index: int) -> Tensor:
    """Picture ``index`` (1 c h w) in 8 bits where these hold all of it, else as floats.

    Raises:
        ValueError, OSError: it cannot be read.
    """
    if hasattr(pictures, "raw"):
        found: Tensor = pictures.raw(index)
        return found
    x = pictures.read(index)
    levels = (x * 255).round()
    return levels.to(torch.uint8) if torch.equal(levels / 255, x) else x


def held_out(pictures: Pictures, count: int, seed: int = 0) -> tuple[Subset, Subset]:
    """(all but ``count`` pictures, those ``count``): which ones depends on the seed and the number of pictures only.

    Raises:
        ValueError: nothing would be left to train on.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, held_out
        >>> train, check = held_out(FromDataset([torch.rand(3, 8, 8) for _ in range(5)]), 2)
        >>> len(train.names), len(check.names)
        (3, 2)
    """
    rest, held = parted(len(pictures.names), count, seed)
    return Subset(pictures, rest), Subset(pictures, held)


def parted(total: int, count: int, seed: int) -> tuple[list[int], list[int]]:
    """(all but ``count`` of ``total`` indices, those ``count``), each in order. Raises as :func:`held_out`."""
    if not 0 <= checks.whole(count, "count", 0) < total:
        raise ValueError(
            f"count must leave something to train on: {count} of {total} pictures were to be held out; give more, or --hold-out 1"
        )
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed)).tolist()
    return sorted(order[count:]), sorted(order[:count])


def _pictorial(value: Any) -> bool:
    """Whether it may be a picture: a tensor of two axes or more, or what PIL hands out; a label is neither."""
    return (isinstance(value, Tensor) and value.ndim >= 2) or hasattr(value, "getbands")
