"""Non-blind USRNet with released weights on a folder of pictures and a file of kernels: mean RGB PSNR per kernel.

    PNPSR_DATA=folder python benchmarks/usrnet_table.py [scales] > table.md

Protocol: pictures cropped to a multiple of the scale, y = (x ⊗ k)↓s with circular boundary, upper-left decimation, floats, no
noise, no quantisation; the result clamped to [0, 1]; PSNR over RGB, no border left out. Beside it the bicubic enlargement
aligned to the grid of ↓s. The folder holds test/cbsd68, kernels/usrnet12.npz and weights/usrnet_tiny.pth.
"""

import os
import sys
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from pnpsr.evaluate import psnr
from pnpsr.images import crop_to_multiple, read_image
from pnpsr.kernels import load_kernels
from pnpsr.physics import Degradation
from pnpsr.released import load_released
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import upsample


def scores(solver: UnrolledSolver, pictures: list[Tensor], k: Tensor, scale: int, bar: tqdm) -> tuple[float, float]:
    """Mean PSNR of the aligned bicubic and of the solver over all pictures."""
    rows = []
    for picture in pictures:
        x = crop_to_multiple(picture, scale)
        y = Degradation(scale)(x, k)
        out = solver(y, scale, k=k, sigma=0.0)
        rows.append([float(psnr(z.clamp(0, 1), x)) for z in (upsample(y, scale), out.x)])
        bar.update()
    bicubic, restored = torch.tensor(rows).mean(0).tolist()
    return bicubic, restored


def main(data: Path, scales: list[int]) -> None:
    """Print a Markdown table: a row per scale and method, a column per kernel."""
    solver = load_released(data / "weights" / "usrnet_tiny.pth")
    kernels = load_kernels(data / "kernels" / "usrnet12.npz")
    pictures = [read_image(path, channels=3).image for path in sorted((data / "test" / "cbsd68").iterdir())]
    print(f"{len(pictures)} pictures, {len(kernels)} kernels, noise-free, mean RGB PSNR in dB\n")
    print("| scale, method | " + " | ".join(str(i + 1) for i in range(len(kernels))) + " | mean |")
    print("|---" * (len(kernels) + 2) + "|")
    with tqdm(total=len(scales) * len(kernels) * len(pictures)) as bar:
        for scale in scales:
            table = torch.tensor([scores(solver, pictures, k[None], scale, bar) for k in kernels]).T
            for name, row in zip(("bicubic, aligned", "usrnet, tiny"), table, strict=True):
                print(f"| ×{scale}, {name} | " + " | ".join(f"{v:.2f}" for v in row) + f" | {row.mean():.2f} |", flush=True)


if __name__ == "__main__":
    if "PNPSR_DATA" not in os.environ:
        sys.exit("set PNPSR_DATA to the folder of pictures, kernels and weights")
    torch.set_grad_enabled(False)
    main(Path(os.environ["PNPSR_DATA"]), [int(s) for s in sys.argv[1:]] or [4, 2])
