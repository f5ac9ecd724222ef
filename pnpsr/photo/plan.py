"""How a picture will be cut so that it fits, and what that will need: told before anything is computed."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from pnpsr.bordered import solve
from pnpsr.photo.tiles import STRIDE, Tile, tiles
from pnpsr.solver import UnrolledSolver

GIB = 2**30
LIBRARIES = 0.7 * GIB  # the process before it reads a picture
PER_PIXEL = 640  # bytes per pixel of an enlarged tile while it is restored, measured with the shipped presets
LARGEST = 1536  # side of a tile in pixels of x: larger ones save little time
SMALLEST = 256
CONTEXT = 64  # pixels of x that a tile reads around itself: what the networks carry that far, with a kernel of 15 pixels


@dataclass(frozen=True)
class Plan:
    """The tiles of a picture, and the memory that restoring them takes at its peak."""

    tiles: tuple[Tile, ...]
    side: int  # of a tile, in pixels of y
    bytes: float
    scale: int

    def words(self, seconds: float | None = None) -> str:
        """For the user."""
        parts = "in one piece" if len(self.tiles) == 1 else f"in {len(self.tiles)} tiles"
        long = "" if seconds is None else f" and about {duration(seconds)}"
        return f"{parts}; needs about {self.bytes / GIB:.1f} GiB{long}"


def plan(
    h: int, w: int, channels: int, scale: int, *, tile: int | None = None, memory: float | None = None, reach: int = 15
) -> Plan:
    """Tiles of y (h x w) for ``scale``: as large as ``tile`` says, or as ``memory`` allows.

    Args:
        h: rows.
        w: columns.
        channels: of the picture.
        scale: enlargement.
        tile: side of a tile in pixels of y.
        memory: GiB that may be used; what is free, if left out.
        reach: side of the kernel in pixels of x; the wider, the more tiles share, and none is smaller than twice that.

    Raises:
        ValueError: a tile that is too small, too little memory.
    """
    context = shared(scale, reach)
    if tile is not None and tile < 2 * shared(scale, 15):
        raise ValueError(f"tile must be at least {2 * shared(scale, 15)} pixels at scale {scale}, got {tile}")
    free = available() if memory is None else memory * GIB
    whole = LIBRARIES + channels * h * w * (4 + 6 * scale**2)  # y, x, and the samples that are written
    sides = [tile] if tile is not None else [side // scale for side in range(LARGEST, SMALLEST - 1, -256)]
    needed = 0.0
    for side in sides:
        cut = tiles(h, w, max(side, 2 * context), context)
        needed = whole + PER_PIXEL * scale**2 * max(
            (t.rows.stop - t.rows.start + 48) * (t.columns.stop - t.columns.start + 48) for t in cut
        )
        if needed <= free:
            return Plan(tuple(cut), side, needed, scale)
    raise ValueError(
        f"{h} x {w} pixels at scale {scale} need about {needed / GIB:.1f} GiB of memory, {free / GIB:.1f} may be used; "
        f"take a smaller scale{' or a smaller tile' if tile is not None else ''}, or allow more"
    )


def shared(scale: int, reach: int) -> int:
    """Pixels of y that a tile reads beyond its part, for kernels of ``reach`` pixels of x: 4 more for each pixel above 15."""
    return -(-(CONTEXT + 4 * max(0, reach - 15)) // (scale * STRIDE)) * STRIDE


def available() -> float:
    """Bytes of memory that can be had: of the machine, or of the container where that is less."""
    free = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) if hasattr(os, "sysconf") else 8 * GIB
    for path, read in ((Path("/proc/meminfo"), _meminfo), (Path("/sys/fs/cgroup/memory.max"), _cgroup)):
        if path.is_file():
            free = min(free, read(path) or free)
    return free


def seconds_per_pixel(solver: UnrolledSolver, channels: int, scale: int) -> float:
    """The time that the solver takes per pixel of x, from a small flat picture."""
    side = 128 // scale
    parameter = next(solver.parameters(), torch.empty(0))
    y, k = torch.full((1, channels, side, side), 0.5, device=parameter.device), torch.ones(1, 1, 1, 1, device=parameter.device)
    solve(solver, y, scale, k=k, sigma=0.01, T=1)  # the first call also sets libraries up
    began = time.perf_counter()
    x = solve(solver, y, scale, k=k, sigma=0.01, T=1).known("x")
    return solver.T * (time.perf_counter() - began) / (1.5 * x.shape[-1] * x.shape[-2])  # 1.5: the margin of so small a picture


def duration(seconds: float) -> str:
    """ "40 s", "3 min", "2 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _meminfo(path: Path) -> float | None:
    for line in path.read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return 1024.0 * int(line.split()[1])
    return None


def _cgroup(path: Path) -> float | None:
    text = path.read_text().strip()
    return float(text) if text.isdigit() else None
