"""From a protocol and pictures to rows of truth: (x, k, y), each with noise of its own."""

import hashlib
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from typing import Protocol as Interface

import torch
from torch import Tensor

from pnpsr.conventions import degrade
from pnpsr.data import Folder, Pictures
from pnpsr.data.pictures import Subset
from pnpsr.evaluate.digests import fingerprint
from pnpsr.evaluate.protocol import Protocol
from pnpsr.images import crop_to_multiple
from pnpsr.physics import gaussian_noise, quantise


class Key(NamedTuple):
    """Which row: picture, kernel (counted from 1), factor, noise level.

    Example:
        >>> from pnpsr.evaluate import Key
        >>> Key("butterfly", 3, 4, 0.01).kernel
        3
    """

    image: str
    kernel: int
    scale: int
    sigma: float


@dataclass(frozen=True, eq=False)
class Case:
    """One y with its truth.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.evaluate import Case, Key
        >>> from pnpsr.kernels import gaussian
        >>> x, k = torch.rand(1, 3, 16, 16), gaussian(5, 1.0)
        >>> Case(Key("mine", 0, 2, 0.0), x, k, Degradation(2)(x, k)).key.image
        'mine'
    """

    key: Key
    x: Tensor  # (1 c sh sw) in [0, 1]
    k: Tensor | None  # (1 1 p q), as the protocol's convention reads it; None: nobody knows it
    y: Tensor  # (1 c h w)
    mask: Tensor | None = None  # (1 1 h w) of ones and zeros: the pixels of y that count, where some do not

    def kernel(self) -> Tensor:
        """k, where there is one.

        Raises:
            ValueError: nobody knows it.
        """
        if self.k is None:
            raise ValueError(f"the kernel of {self.key.image} is not known")
        return self.k


@dataclass(frozen=True)
class Failure:
    """A row that could not be made or solved, and why.

    Example:
        >>> from pnpsr.evaluate import Failure, Key
        >>> str(Failure(Key("mine", 0, 2, 0.0), "too small").reason)
        'too small'
    """

    key: Key
    reason: str


class Source(Interface):
    """Where rows come from, in a fixed order.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.evaluate import Case, Key
        >>> from pnpsr.kernels import gaussian
        >>> class Two:
        ...     def __iter__(self):
        ...         x, k = torch.rand(1, 3, 16, 16), gaussian(5, 1.0)
        ...         yield Case(Key("one", 0, 2, 0.0), x, k, Degradation(2)(x, k))
        >>> next(iter(Two())).y.shape
        torch.Size([1, 3, 8, 8])
    """

    def keys(self) -> Sequence[Key]:
        """All rows."""

    def cases(self, wanted: Collection[Key]) -> Iterator["Case | Failure"]:
        """Those rows, in order; what cannot be made is handed out as a :class:`Failure`."""

    def pixels(self, key: Key) -> str:
        """Digest of the pictures that a row is made of: where they change, it is another row."""


class Synthetic:
    """y = degrade(x, k) + n for every picture, kernel and condition of a protocol.

    Raises:
        ValueError: a protocol whose kernels come with its pictures, or a picture's name that would break a line of a table.
    """

    def __init__(self, protocol: Protocol, pictures: Pictures) -> None:
        self.protocol, self.pictures = protocol, pictures
        self.remarks: dict[str, str] = {}  # on the pictures that were read
        self._pixels: dict[str, str] = {}
        self._places = {name: index for index, name in enumerate(pictures.names)}
        self.kernels = {scale: protocol.kernels_at(scale) for scale in protocol.scales}
        for name in pictures.names:
            if "\n" in name or "\r" in name:
                raise ValueError(f"the picture {name!r} has a line break in its name; rename it")

    def keys(self) -> Sequence[Key]:
        """Pictures, within them kernels, within them conditions."""
        return [key for name in self.pictures.names for key in self._of(name)]

    def cases(self, wanted: Collection[Key]) -> Iterator[Case | Failure]:
        """Each picture is read once, and only if a row of it is wanted."""
        for index, name in enumerate(self.pictures.names):
            keys = [key for key in self._of(name) if key in wanted]
            if not keys:
                continue
            try:
                picture = self.pictures.read(index)
            except Exception as error:  # decoders of damaged files raise almost anything
                yield from (Failure(key, str(error) or type(error).__name__) for key in keys)
                continue
            self.remarks[name] = remark(picture)
            if name not in self._pixels:
                self._pixels[name] = picture_digest(self.pictures, index, picture)
            for key in keys:
                try:
                    yield self._case(key, picture)
                except (ValueError, RuntimeError, ArithmeticError) as error:
                    yield Failure(key, str(error))

    def pixels(self, key: Key) -> str:
        """Digest of the picture; of its file where it has one, so that nothing is decoded for it."""
        if key.image not in self._pixels:
            self._pixels[key.image] = picture_digest(self.pictures, self._places[key.image])
        return self._pixels[key.image]

    def _of(self, name: str) -> Iterator[Key]:
        for number in range(1, max(len(k) for k in self.kernels.values()) + 1):
            for scale, sigma in self.protocol.conditions:
                if number <= len(self.kernels[scale]):
                    yield Key(name, number, scale, sigma)

    def _case(self, key: Key, picture: Tensor) -> Case:
        protocol = self.protocol
        x = crop_to_multiple(picture, math.lcm(key.scale, protocol.multiple))
        k = self.kernels[key.scale][key.kernel - 1 : key.kernel]
        if (model := protocol.model(key.scale, low(x, key.scale))) is not None:
            if model.multiple > 1:
                x = crop_to_multiple(x, math.lcm(key.scale * model.multiple, protocol.multiple))
                model = protocol.model(key.scale, low(x, key.scale)) or model
            y = model(x, k)
        else:
            y = degrade(x, k, key.scale, protocol.convention)
        if key.sigma > 0:
            y = gaussian_noise(y, key.sigma, generator=generator(protocol.seed, key))
            y = y if model is None else model.observed(y)
        return Case(key, x, k, quantise(y) if protocol.round_y else y)


def low(x: Tensor, scale: int) -> tuple[int, int]:
    """Rows and columns of the y of x."""
    return x.shape[-2] // scale, x.shape[-1] // scale


def generator(seed: int, key: Key) -> torch.Generator:
    """The noise's own source: seeded by the row, so that no other row, and no order of rows, can change it."""
    text = f"{seed}|{key.image}|{key.kernel}|{key.scale}|{key.sigma!r}"
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1)


def picture_digest(pictures: Pictures, index: int, picture: Tensor | None = None) -> str:
    """Eight hexadecimal digits that stand for the content of a picture; of its file where it has one, else of ``picture``."""
    if isinstance(pictures, Subset):
        return picture_digest(pictures.pictures, pictures.indices[index], picture)
    if isinstance(pictures, Folder):
        return file_digest(pictures.path / pictures.names[index], like=str(pictures.channels))
    try:
        return fingerprint({"": pictures.read(index) if picture is None else picture})[:8]
    except Exception:  # it cannot be read, which is said where its rows are due
        return "unread"


def file_digest(*files: Path, like: str = "") -> str:
    """Eight hexadecimal digits that stand for the content of files."""
    total = hashlib.sha256(like.encode())
    for file in files:
        try:
            total.update(file.read_bytes())
        except OSError:  # which is said where its rows are due
            total.update(b"unread")
    return total.hexdigest()[:8]


def remark(x: Tensor) -> str:
    """What is unusual about a picture: gray, or finer than 8 bits. It is evaluated as it is."""
    gray = "gray" if torch.equal(x[:, :1].expand_as(x), x) else ""
    fine = "finer than 8 bits" if bool((x * 255 - (x * 255).round()).abs().amax() > 1e-2) else ""
    return ", ".join(part for part in (gray, fine) if part)
