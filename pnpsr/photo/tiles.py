"""A large picture as overlapping tiles, and back: what is restored in parts is blended where the parts overlap."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pnpsr.starts import upsample

CUBIC = 2  # rows on either side that a cubic reads
STRIDE = 8  # tiles begin at multiples of it: image priors halve three times, and see the same grid in every tile


@dataclass(frozen=True)
class Span:
    """One axis of a tile, in pixels of y: what is read (start .. stop), and where it fades into its neighbours (two ramps)."""

    start: int
    stop: int
    rise: tuple[int, int] | None  # the overlap with the tile before, (begin, end), None at the border of the picture
    fall: tuple[int, int] | None  # with the one after


@dataclass(frozen=True)
class Tile:
    """A part of the picture that is restored at once."""

    rows: Span
    columns: Span

    @property
    def inside(self) -> tuple[slice, slice]:
        """The part of y (.. h w) that is read."""
        return slice(self.rows.start, self.rows.stop), slice(self.columns.start, self.columns.stop)

    @property
    def centre(self) -> tuple[float, float]:
        """In pixels of y."""
        return (self.rows.start + self.rows.stop) / 2, (self.columns.start + self.columns.stop) / 2


def cut(n: int, side: int, context: int) -> list[Span]:
    """An axis of n pixels as spans of about ``side``, each with ``context`` more pixels that a neighbour has too.

    Neighbours overlap in 2 ``context`` pixels; the middle half of those is where one fades into the other, so that a quarter of
    the overlap on either side, where a tile is at its worst, is never seen.
    """
    count = max(1, -(-n // side))
    cuts = [0, *(round(n * i / count / STRIDE) * STRIDE for i in range(1, count)), n]
    spans = []
    for i, (a, b) in enumerate(pairwise(cuts)):
        first, last = i == 0, i == count - 1
        spans.append(
            Span(
                0 if first else max(0, a - context),
                n if last else min(n, b + context),
                None if first else (a - context // 2, a + context // 2),
                None if last else (b - context // 2, b + context // 2),
            )
        )
    return spans


def tiles(h: int, w: int, side: int, context: int) -> list[Tile]:
    """The tiles of a picture of h x w pixels, row by row.

    Args:
        h: rows of y.
        w: columns of y.
        side: of a tile without its context, at least four times the context.
        context: pixels of y that a tile reads beyond its part, a multiple of 8.

    Raises:
        ValueError: a side that is too short for the context, or a context that is no multiple of 8.
    """
    if context % STRIDE or context < STRIDE:
        raise ValueError(f"context must be a positive multiple of {STRIDE}, got {context}")
    if side < 2 * context:
        raise ValueError(f"tile must be at least {2 * context} pixels, twice what tiles share, got {side}")
    rows, columns = cut(h, side, context), cut(w, side, context)
    return [Tile(r, c) for r in rows for c in columns]


def weight(span: Span, scale: int) -> Tensor:
    """How much a tile counts at each pixel of x along one axis: 1 inside, linear ramps that add to 1 with the neighbour's."""
    n = torch.arange(span.start * scale, span.stop * scale, dtype=torch.float32) + 0.5
    w = torch.ones_like(n)
    for ramp, rising in ((span.rise, True), (span.fall, False)):
        if ramp is not None:
            share = ((n - ramp[0] * scale) / ((ramp[1] - ramp[0]) * scale)).clamp(0, 1)
            w = w * (share if rising else 1 - share)
    return w


class Canvas:
    """The restored picture as it fills: Σ weight · tile, with weights that sum to 1 everywhere."""

    def __init__(self, channels: int, h: int, w: int, scale: int) -> None:
        self.scale, self.x = scale, torch.zeros(1, channels, h * scale, w * scale)

    def add(self, tile: Tile, x: Tensor) -> None:
        """Put down the restored tile x (1 c sh' sw')."""
        s = self.scale
        mask = weight(tile.rows, s)[:, None] * weight(tile.columns, s)
        rows, columns = (slice(span.start * s, span.stop * s) for span in (tile.rows, tile.columns))
        self.x[..., rows, columns].addcmul_(x.to(self.x), mask)


def enlarged(y: Tensor, scale: int, rows: int = 256) -> Tensor:
    """y↑s (1 c sh sw), aligned bicubic and clamped to [0, 1], some rows at a time: never more memory than y and the result."""
    h, s = y.shape[-2], scale
    x = y.new_empty(*y.shape[:2], h * s, y.shape[-1] * s)
    for top in range(0, h, rows):
        first, last = max(0, top - CUBIC), min(h, top + rows + CUBIC)
        part = upsample(y[..., first:last, :], s).clamp_(0, 1)
        stop = min(h, top + rows)
        x[..., top * s : stop * s, :] = part[..., (top - first) * s : (stop - first) * s, :]
    return x
