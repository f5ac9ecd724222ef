"""Scores on paired pictures, whose kernel and noise nobody knows: how near a method comes to the sharp ones."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pnpsr.data.pairs import Pairs
from pnpsr.evaluate.metrics import psnr, ssim


@dataclass(frozen=True)
class PairScore:
    """One pair's."""

    name: str
    psnr: float  # dB, RGB
    ssim: float


def evaluate_pairs(restore: Callable[[Tensor, int], Any], pairs: Pairs, *, border: int | None = None) -> list[PairScore]:
    """PSNR and SSIM of ``restore(y, scale)`` against x, for each pair; unrounded, clamped to [0, 1].

    Args:
        restore: y (1 c h w), scale -> x (1 c sh sw), or a state that holds it: any blind solver.
        pairs: the pairs.
        border: pixels of x at each side that do not count; by default the scale.

    Raises:
        ValueError, OSError: a pair cannot be read, or what was restored has another size.
    """
    border, rows = pairs.scale if border is None else border, list[PairScore]()
    for index, name in enumerate(pairs.names):
        y, x = pairs.read(index)
        with torch.no_grad():
            out = restore(y, pairs.scale)
        found = (out if isinstance(out, Tensor) else out.known("x")).detach().cpu().clamp(0, 1)
        rows.append(PairScore(name, float(psnr(found, x, border=border)), float(ssim(found, x, border=border))))
    return rows


def mean(rows: Sequence[PairScore]) -> PairScore:
    """Over all pairs that are not restored without any error, which has no finite PSNR.

    Raises:
        ValueError: there are none.
    """
    finite = [row for row in rows if math.isfinite(row.psnr)]
    if not finite:
        raise ValueError("there are no rows with a finite PSNR")
    return PairScore("mean", sum(r.psnr for r in finite) / len(finite), sum(r.ssim for r in finite) / len(finite))
