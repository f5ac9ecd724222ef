"""``pnpsr demo``: degrade a sample picture, forget the kernel, and find both again."""

from pathlib import Path

import torch

from pnpsr.checks import factors
from pnpsr.cli.batch import Options, restore_one
from pnpsr.cli.choose import KernelChoice
from pnpsr.cli.inputs import Input
from pnpsr.cli.report import Truth
from pnpsr.images import Picture, crop_to_multiple, sample_picture, write_image
from pnpsr.kernels import save_kernels
from pnpsr.photo.ask import Ask
from pnpsr.physics import Degradation, quantise


def demo(
    choice: KernelChoice,
    *,
    picture: str = "astronaut",
    scale: int = 2,
    sigma: float = 0.005,
    preset: str | None = None,
    out: Path = Path("demo"),
    device: str = "cpu",
) -> None:
    """Degrade a sample picture with a kernel that is then not known, restore image and kernel blindly, and show how well.

    Args:
        choice: which kernel.
        picture: one of scikit-image's sample pictures.
        scale: factor of the degradation; 1 blurs only.
        sigma: noise standard deviation as a fraction of white; the result is stored in 8 bits as a camera would.
        preset: name of a solver that ships with pnpsr, or path of a checkpoint; by default the best of several methods.
        out: folder for the results; made if it does not exist.
        device: cpu, cuda, cuda:1, mps.
    """
    factors(scale)
    options = Options(Ask.of(scale, preset, None, None, None, None, "extend", None, "auto", device))
    x, k = crop_to_multiple(sample_picture(picture), scale), choice.draw()
    y = Degradation(scale, boundary="reflect")(x, k, sigma, generator=torch.Generator().manual_seed(choice.seed))
    y = quantise(y)
    out.mkdir(parents=True, exist_ok=True)
    write_image(out / f"{picture}_input.png", y)
    save_kernels(out / f"{picture}_true_kernel.npz", k)
    restore_one(Picture(y), Input(out / f"{picture}_input.png", out, picture), options, Truth(x, k), detailed=True)
