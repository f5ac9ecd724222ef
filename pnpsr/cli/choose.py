"""An argument that several commands share: which kernel."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pnpsr.kernels import FAMILIES, load_kernels


@dataclass(frozen=True)
class KernelChoice:
    """A kernel: from a file, or drawn from a family."""

    kernel: Path | None = None
    """File with the kernel (.npz, .npy, .mat, .png, .pth); the first one in it is taken, and the other options are not used."""
    family: str = "anisotropic"
    """What to draw: isotropic, anisotropic, motion, disk, dirac, what settings train on, or a family of your own (--use)."""
    size: int = 21
    """Side of the square kernel in pixels."""
    width: float = 2.4
    """Standard deviation of a Gaussian (along its longer axis), or radius of a disk, in pixels."""
    width2: float = 1.0
    """Standard deviation along the shorter axis, for anisotropic Gaussians."""
    angle: float = 30.0
    """Direction of the longer axis in degrees, for anisotropic Gaussians."""
    nonlinearity: float = 0.5
    """Crookedness of motion kernels, 0 to 1."""
    seed: int = 0
    """Seed of random kernels (and of the noise, where there is any)."""

    def draw(self, count: int = 1, scale: int = 2) -> Tensor:
        """The kernels (count 1 p p); ``scale`` decides where the family depends on it.

        Raises:
            ValueError: an unknown family, or values that it refuses.
        """
        if self.kernel is not None:
            return load_kernels(self.kernel)[:1]
        draw, generator = FAMILIES.find(self.family), torch.Generator().manual_seed(self.seed)
        given = {"width": self.width, "width2": self.width2, "angle": self.angle, "nonlinearity": self.nonlinearity}
        options = {name: value for name, value in given.items() if name in inspect.signature(draw).parameters}
        return torch.cat([draw(scale, self.size, generator, **options) for _ in range(count)])
