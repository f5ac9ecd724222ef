"""How fast training data are drawn from pictures too many to remember: decoded anew for every crop, or mapped from a cache.

    OMP_NUM_THREADS=1 python benchmarks/loading.py
    OMP_NUM_THREADS=1 python benchmarks/loading.py --images DIV2K/train --patch 192 --setting ikrnet

Samples per second of one core: the clock counts the processor's time, which on one thread other programs cannot lengthen. Without
``--images`` the pictures are photographs of scikit-image enlarged to 2040 x 1356, with noise, as PNG.
"""

import tempfile
from pathlib import Path
from time import process_time

import torch
import tyro

from pnpsr.data import Folder, Pictures, Stream, cached, setting
from pnpsr.data import stream as streams
from pnpsr.images import sample_picture, write_image

NAMES = ("astronaut", "chelsea", "coffee", "rocket")


def make(folder: Path, count: int) -> None:
    """``count`` pictures of the size of DIV2K's."""
    for i in range(count):
        x = torch.nn.functional.interpolate(sample_picture(NAMES[i % len(NAMES)]), (1356, 2040), mode="bicubic")
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(i))
        write_image(folder / f"{i:04d}.png", (x + 0.01 * noise).clamp(0, 1))


def speed(pictures: Pictures, name: str, batch: int, patch: int, steps: int) -> float:
    """Samples per second."""
    stream = Stream(pictures, setting(name, scales=(2,)), batch=batch, patch=patch)
    _ = stream[0]
    begin = process_time()
    for step in range(1, steps + 1):
        _ = stream[step]
    return batch * steps / (process_time() - begin)


def main(
    *,
    images: Path | None = None,
    setting: str = "ikrnet",
    batch: int = 8,
    patch: int = 192,
    steps: int = 4,
    count: int = 12,
) -> None:
    """Print a Markdown table.

    Args:
        images: folder of pictures.
        setting: of the degradations.
        batch: samples per step.
        patch: side of the crops.
        steps: that are timed.
        count: pictures that are made, where there is no folder.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as work:
        folder = images or Path(work)
        if images is None:
            make(folder, count)
        pictures = Folder(folder)
        begin = process_time()
        mapped = cached(pictures, Path(work) / "cache").whole
        spent = process_time() - begin
        size = sum(path.stat().st_size for path in (Path(work) / "cache").glob("*.bin"))
        streams.CACHE = 0
        anew = speed(pictures, setting, batch, patch, steps)
        fast = speed(mapped, setting, batch, patch, 10 * steps)
        print(f"| {patch} x {patch}, setting {setting} | samples/s of one core |\n|---|---|")
        print(f"| decoded for every crop | {anew:.1f} |\n| mapped from the cache | {fast:.1f} |\n")
        print(
            f"{len(pictures.names)} pictures, {size / 2**20:.0f} MiB, {spent / len(pictures.names):.2f} s each to write the cache"
        )


if __name__ == "__main__":
    tyro.cli(main)
