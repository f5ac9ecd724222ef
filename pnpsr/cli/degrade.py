"""``pnpsr degrade``: make a test image with a known truth."""

from pathlib import Path
from typing import Annotated

import torch
import tyro
from torch import Tensor

from pnpsr.checks import factors
from pnpsr.cli.choose import KernelChoice
from pnpsr.conventions import named_physics
from pnpsr.images import crop_to_multiple, read_image, write_image
from pnpsr.kernels import save_kernels
from pnpsr.physics import Degradation, Physics


def degrade(
    image: Annotated[Path, tyro.conf.Positional],
    choice: KernelChoice,
    *,
    scale: int = 2,
    sigma: float = 0.0,
    physics: str | None = None,
    bits: int = 8,
    out: Path = Path("degraded"),
) -> None:
    """Blur, decimate and disturb a picture, y = (x ⊗ k)↓s + n: writes y, the kernel, and the cropped truth.

    Transparency is kept in the truth, and in y at the pixels that ↓s keeps.

    Args:
        image: picture file.
        choice: which kernel.
        scale: factor between the picture and y.
        sigma: noise standard deviation as a fraction of white (0.02 for 2 %).
        physics: what makes y, by name: a convention (DAN, KERNELGAN), or one of your own (--use), such as a mosaic or a mask; by
            default a blur with a reflecting border. The same name goes with restore, train and evaluate.
        bits: of the written y, 8 or 16.
        out: folder for the results; made if it does not exist.
    """
    factors(scale)
    picture = read_image(image)
    k, alpha = choice.draw(), None
    x, model = _made_by(physics, crop_to_multiple(picture.image, scale), scale)
    y = model(x, k, sigma, generator=torch.Generator().manual_seed(choice.seed))
    out.mkdir(parents=True, exist_ok=True)
    degraded, truth, kernel = (out / f"{image.stem}{end}" for end in (f"_x{scale}.png", "_truth.png", "_kernel.npz"))
    if picture.alpha is not None:  # transparency is no part of the model: y has it where its pixels lie
        alpha = picture.alpha[..., : x.shape[-2], : x.shape[-1]]
    write_image(degraded, y, bits=bits, alpha=None if alpha is None else alpha[..., ::scale, ::scale])
    write_image(truth, x, bits=bits, alpha=alpha)
    save_kernels(kernel, k)
    print("wrote    ", degraded, truth, kernel)


def _made_by(name: str | None, x: Tensor, scale: int) -> tuple[Tensor, Physics]:
    """The physics of that name, and x cropped to what it makes y of."""
    if name is None:
        return x, Degradation(scale, boundary="reflect")
    for _ in range(2):  # how much is cropped depends on the physics, which may depend on the size
        model = named_physics(name, scale, (x.shape[-2] // scale, x.shape[-1] // scale))
        x = crop_to_multiple(x, scale * model.multiple)
    return x, model
