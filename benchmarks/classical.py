"""blind_hqs on sample pictures: how far above the aligned bicubic, how near the kernel, and where it breaks.

    python benchmarks/classical.py [pictures] > table.md

Each picture is blurred with a reflecting border, decimated, disturbed by 0.5 % noise and stored in 8 bits; the solver is told
the scale alone. PSNR over RGB with a border of ``scale`` pixels left out; kernel errors are mean squared errors × 1e5, of the
start and the estimate.
"""

import sys

import torch
from torch import Tensor
from tqdm import tqdm

from pnpsr import blind_hqs
from pnpsr.bordered import solve
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import crop_to_multiple, sample_picture
from pnpsr.kernels import disk, gaussian, line, random_motion
from pnpsr.physics import Degradation, quantise
from pnpsr.starts import Gaussian, upsample
from pnpsr.state import State


def motion(seed: int, length: float, nonlinearity: float) -> Tensor:
    """A camera-shake kernel of 21 x 21."""
    generator = torch.Generator().manual_seed(seed)
    return random_motion(1, 21, length=(length, length), nonlinearity=nonlinearity, generator=generator)


KERNELS = {
    "isotropic, width 1.6": gaussian(21, 1.6),
    "isotropic, width 2.4": gaussian(21, 2.4),
    "anisotropic, 2.4 x 1.0": gaussian(21, 2.4, width2=1.0, angle=0.5),
    "anisotropic, 3.2 x 1.2": gaussian(21, 3.2, width2=1.2, angle=-0.8),
    "motion, 8 px, crookedness 0.3": motion(0, 8, 0.3),
    "motion, 12 px, crookedness 0.5": motion(1, 12, 0.5),
    "motion, 20 px, crookedness 0.8": motion(2, 20, 0.8),
    "disk, radius 3": disk(21, 3.0),
    "straight line, 7 px": line(21, 7.0),
    "hardly any: width 0.6": gaussian(21, 0.6),
}


def case(x: Tensor, k: Tensor, scale: int) -> tuple[float, float, float, float]:
    """PSNR of bicubic and of the restored image, error of the first and of the estimated kernel."""
    x = crop_to_multiple(x, scale)
    y = quantise(Degradation(scale, boundary="reflect")(x, k, 0.005, generator=torch.Generator().manual_seed(0)))
    out = solve(blind_hqs(), y, scale)
    start = Gaussian(21, 1.0)(State(y, scale))
    quality = [float(psnr(z.clamp(0, 1), x, border=scale)) for z in (upsample(y, scale), out.known("x"))]
    errors = [1e5 * float(kernel_mse(z, k)) for z in (start, out.known("k"))]
    return quality[0], quality[1], errors[0], errors[1]


def main(pictures: list[str]) -> None:
    """Print a Markdown table, a row per picture, scale and kernel."""
    print("| picture, scale | kernel | bicubic, dB | blind_hqs, dB | gain | kernel error: start | estimate |")
    print("|---" * 7 + "|")
    rows = [(name, scale, kernel) for name in pictures for scale in (1, 2) for kernel in KERNELS]
    for name, scale, kernel in tqdm(rows):
        bicubic, restored, start, estimate = case(sample_picture(name), KERNELS[kernel], scale)
        quality = f"{bicubic:.2f} | {restored:.2f} | {restored - bicubic:+.2f}"
        print(f"| {name}, ×{scale} | {kernel} | {quality} | {start:.2f} | {estimate:.2f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["astronaut", "coffee", "chelsea"])
