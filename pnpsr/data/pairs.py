"""Paired pictures: y and x are given, the kernel and the noise between them nobody knows."""

import re
from collections.abc import Generator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from pnpsr import checks
from pnpsr.data.pictures import Pictures, digest, parted, raw
from pnpsr.data.recent import Recent
from pnpsr.data.sample import Sample
from pnpsr.data.stream import CACHE, cropped, drawn, drawn_picture, seeded
from pnpsr.data.survey import content

MARKS = re.compile(r"[-_.]?(lr|hr|gt|lq|hq|x)\d*$", re.IGNORECASE)  # "Canon_003_LR4" and "Canon_003_HR" are a pair
MISPLACED = 1.0  # pixels of y
SURE = 0.05  # peak of the phase correlation below which nothing can be said: flat pictures


class Pairs:
    """Blurred y and sharp x of the same name, where x has ``scale`` times the sides of y.

    A name is the path in its collection without suffix and without a last ``_LR4``, ``_HR``, ``x2`` or the like.

    Args:
        y: observed pictures.
        x: sharp pictures.
        scale: integer factor between them; by default that of the first pair.

    Raises:
        ValueError: names without a partner, or twice; a first pair whose sizes have no integer factor.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, Pairs
        >>> pairs = Pairs(FromDataset([torch.rand(3, 8, 8)]), FromDataset([torch.rand(3, 16, 16)]))
        >>> pairs.names, pairs.scale
        (('list-00000',), 2)
    """

    def __init__(self, y: Pictures, x: Pictures, scale: int | None = None) -> None:
        mine, theirs = _named(y, "y"), _named(x, "x")
        alone = [*(f"{n} (no x)" for n in mine if n not in theirs), *(f"{n} (no y)" for n in theirs if n not in mine)]
        if alone:
            raise ValueError(f"{len(alone)} picture(s) without a partner of the same name: {', '.join(alone[:5])}")
        self.y, self.x, self.names = y, x, tuple(mine)
        self._at = [(mine[name], theirs[name]) for name in self.names]
        self.scale = self._factor() if scale is None else checks.whole(scale, "scale")

    def raw(self, index: int) -> tuple[Tensor, Tensor]:
        """y (1 c h w) and x (1 c sh sw) of pair ``index``, in 8 bits or floats.

        Raises:
            ValueError, OSError: one cannot be read, or their sizes do not fit.
        """
        i, j = self._at[index]
        y, x = raw(self.y, i), raw(self.x, j)
        (h, w), due = y.shape[-2:], tuple(self.scale * n for n in y.shape[-2:])
        if tuple(x.shape[-2:]) != due or x.shape[1] != y.shape[1]:
            raise ValueError(
                f"pair {self.names[index]}: y of {h} x {w} at scale {self.scale} belongs to an x of {due[0]} x {due[1]}, got "
                f"{x.shape[-2]} x {x.shape[-1]} (channels: {y.shape[1]} and {x.shape[1]}); crop them to the same area"
            )
        return y, x

    def read(self, index: int) -> tuple[Tensor, Tensor]:
        """y (1 c h w) and x (1 c sh sw) of pair ``index``, float32 in [0, 1]. Raises as :meth:`raw`."""
        y, x = (t.float() / 255 if t.dtype == torch.uint8 else t.contiguous() for t in self.raw(index))
        return y, x

    def check(self, index: int) -> tuple[Tensor, Tensor]:
        """:meth:`read`, once it is sure that the two pictures show the same area.

        Raises:
            ValueError, OSError: as :meth:`raw`; or they are shifted by more than a pixel of y.
        """
        y, x = self.read(index)
        (rows, columns), peak = shift(y, x, self.scale)
        if peak > SURE and max(abs(rows), abs(columns)) > MISPLACED:
            raise ValueError(
                f"pair {self.names[index]}: x lies {rows:+.1f} rows and {columns:+.1f} columns (pixels of y) beside y; "
                "register them"
            )
        return y, x

    def digest(self, index: int) -> str:
        """Of the contents of pair ``index``."""
        i, j = self._at[index]
        return f"{digest(self.y, i)} {digest(self.x, j)}"

    def part(self, indices: Sequence[int]) -> "Pairs":
        """Some of the pairs."""
        other = object.__new__(Pairs)
        other.y, other.x, other.scale = self.y, self.x, self.scale
        other.names, other._at = tuple(self.names[i] for i in indices), [self._at[i] for i in indices]
        return other

    def held_out(self, count: int, seed: int = 0) -> tuple["Pairs", "Pairs"]:
        """(all but ``count``, those ``count``). Raises as :func:`pnpsr.data.held_out`."""
        rest, held = parted(len(self.names), count, seed)
        return self.part(rest), self.part(held)

    def _factor(self) -> int:
        y, x = (raw(p, i) for p, i in zip((self.y, self.x), self._at[0], strict=True))
        rows, columns = (b / a for a, b in zip(y.shape[-2:], x.shape[-2:], strict=True))
        if rows != columns or rows != int(rows):
            raise ValueError(
                f"pair {self.names[0]}: y of {tuple(y.shape[-2:])} and x of {tuple(x.shape[-2:])} have no integer factor; crop them"
            )
        return int(rows)


def shift(y: Tensor, x: Tensor, scale: int) -> tuple[tuple[float, float], float]:
    """Rows and columns, in pixels of y, by which x lies beside y (1 c h w), and how sure that is (the peak, up to 1).

    The phase correlation of y with the means of x over scale x scale pixels, under a Hann window.
    """
    import cv2

    means = torch.nn.functional.avg_pool2d(x, scale)
    a, b = (t.mean((0, 1)).double().numpy() for t in (y, means))
    (columns, rows), peak = cv2.phaseCorrelate(a, b, cv2.createHanningWindow(a.shape[::-1], cv2.CV_64F))
    return (rows, columns), peak


class PairStream(Dataset[Sample]):
    """Batches of crops of pairs, a :class:`pnpsr.data.Source`: sample i of step n is a function of (seed, n, i) alone.

    Args:
        pairs: the pairs; crops of the two lie over one another, and are turned and flipped together.
        batch: samples per step, over all processes.
        patch: side of the crops of x, a multiple of the scale; smaller pictures are refused.
        seed: of everything.

    Raises:
        ValueError: a patch that the scale does not divide.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, Pairs, PairStream
        >>> pairs = Pairs(FromDataset([torch.rand(3, 8, 8)]), FromDataset([torch.rand(3, 16, 16)]))
        >>> sample = PairStream(pairs, batch=2, patch=8)[0]
        >>> sample.y.shape, sample.x.shape
        (torch.Size([2, 3, 4, 4]), torch.Size([2, 3, 8, 8]))
    """

    rank, world = 0, 1

    def __init__(self, pairs: Pairs, *, batch: int, patch: int, seed: int = 0) -> None:
        self.pairs, self.seed = pairs, seed
        self.batch, self.patch = checks.whole(batch, "batch"), checks.whole(patch, "patch")
        if patch % pairs.scale:
            raise ValueError(f"patch must be a multiple of the pairs' scale {pairs.scale}, got {patch}")
        self._kept = Recent(CACHE // 2), Recent(CACHE // 2)

    def __getitem__(self, step: int) -> Sample:
        """This process's share of the batch of ``step``, on the CPU."""
        share = self.batch // self.world
        parts = [self._one(step, i) for i in range(self.rank * share, (self.rank + 1) * share)]
        names, left_out = (sum((getattr(p, name) for p in parts), ()) for name in ("names", "left_out"))
        y, x = (torch.cat([getattr(p, name) for p in parts]) for name in ("y", "x"))
        return Sample(y, x, None, None, self.pairs.scale, names=names, left_out=left_out)

    def samples(self, start: int = 0, *, workers: int = 0, device: torch.device | str = "cpu") -> Generator[Sample, None, None]:
        """The batches of steps ``start``, ``start`` + 1, ... on ``device``.

        Raises:
            ValueError, OSError: too many pictures cannot be read; the message names one.
        """
        for sample in drawn(self, start, workers, torch.device(device).type == "cuda"):
            yield sample.to(device)

    def identity(self) -> dict[str, Any]:
        """Scale, batch, patch and seed."""
        return {"pairs": {"scale": self.pairs.scale}, "batch": self.batch, "patch": self.patch, "seed": self.seed}

    def content(self) -> dict[str, str]:
        """A digest of each pair, by its name."""
        return content(self.pairs)

    def _one(self, step: int, place: int) -> Sample:
        generator, scale = seeded(self.seed, step, place), self.pairs.scale
        (y, x), name, left_out = drawn_picture(self._pair, self.pairs.names, generator)
        low = self.patch // scale
        top, left = (int(torch.randint(n - low + 1, (), generator=generator)) for n in y.shape[-2:])
        turn, flip = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
        y = cropped(y, top, left, low, turn, flip)
        x = cropped(x, scale * top, scale * left, self.patch, turn, flip)
        return Sample(y, x, None, None, scale, names=(name,), left_out=left_out)

    def _pair(self, index: int) -> tuple[Tensor, Tensor]:
        kept = [one.kept.get(index) for one in self._kept]
        if any(t is None for t in kept):
            pair = self.pairs.raw(index)
            if min(pair[1].shape[-2:]) < self.patch:
                raise ValueError(
                    f"pair {self.pairs.names[index]}: x of {tuple(pair[1].shape[-2:])} is smaller than patch {self.patch}"
                )
            kept = [one.get(index, lambda _, t=t: t) for one, t in zip(self._kept, pair, strict=True)]  # type: ignore[misc]
        return kept[0], kept[1]  # type: ignore[return-value]


def _named(pictures: Pictures, what: str) -> dict[str, int]:
    """Place of each picture by the name it shares with its partner."""
    found = dict[str, int]()
    for i, name in enumerate(pictures.names):
        folder, _, file = name.rpartition("/")
        short = MARKS.sub("", file.rsplit(".", 1)[0]) or file
        if (key := f"{folder}/{short}".lstrip("/")) in found:
            raise ValueError(f"{what}: {pictures.names[found[key]]} and {name} are both called {key}; rename one")
        found[key] = i
    return found
