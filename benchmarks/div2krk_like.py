"""A test set made as DIV2KRK is: one anisotropic noisy Gaussian per picture; y, x and k in folders that ``pnpsr evaluate`` reads.

    python benchmarks/div2krk_like.py PICTURES --out krk
    pnpsr evaluate --images krk --protocol div2krk --methods dan-setting2-x4 bicubic_centre --scales 4

The kernels are those of the data setting ``div2krk``, by the picture's number: every call writes the same files.
"""

from pathlib import Path
from typing import Annotated

import torch
import tyro

from pnpsr.conventions import degrade
from pnpsr.data import Folder, setting
from pnpsr.images import crop_to_multiple, write_image
from pnpsr.kernels import save_kernels


def main(pictures: Annotated[Path, tyro.conf.Positional], *, out: Path, limit: int | None = None) -> None:
    """Write gt, lr_x2, gt_k_x2, lr_x4 and gt_k_x4.

    Args:
        pictures: folder of the sharp ones.
        out: where the folders go.
        limit: only so many pictures, the first by name.
    """
    named, sharp = setting("div2krk"), Folder(pictures)
    for folder in ("gt", *(f"{kind}_x{scale}" for kind in ("lr", "gt_k") for scale in named.scales)):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for i in range(len(sharp.names[:limit])):
        x = crop_to_multiple(sharp.read(i), max(named.scales))
        write_image(out / "gt" / f"{i}.png", x)
        for scale in named.scales:
            k, _ = named.draw(scale, torch.Generator().manual_seed(1000 * scale + i))
            write_image(out / f"lr_x{scale}" / f"{i}.png", degrade(x, k, scale, named.convention))
            save_kernels(out / f"gt_k_x{scale}" / f"{i}.npy", k)


if __name__ == "__main__":
    tyro.cli(main)
