"""An argument that several commands share: which kernel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from pnpsr import kernels as sources

Family = Literal["isotropic", "anisotropic", "motion", "disk", "dirac"]


@dataclass(frozen=True)
class KernelChoice:
    """A kernel: from a file, or drawn from a family."""

    kernel: Path | None = None
    """File with the kernel (.npz, .npy, .mat, .png, .pth); the first one in it is taken, and the other options are not used."""
    family: Family = "anisotropic"
    """What to draw."""
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

    def draw(self, count: int = 1) -> Tensor:
        """The kernels (count 1 p p)."""
        if self.kernel is not None:
            return sources.load_kernels(self.kernel)[:1]
        if self.family == "motion":
            generator = torch.Generator().manual_seed(self.seed)
            return sources.random_motion(count, self.size, nonlinearity=self.nonlinearity, generator=generator)
        angle = torch.deg2rad(torch.tensor(self.angle)).item()
        one = {
            "isotropic": lambda: sources.gaussian(self.size, self.width),
            "anisotropic": lambda: sources.gaussian(self.size, self.width, width2=self.width2, angle=angle),
            "disk": lambda: sources.disk(self.size, self.width),
            "dirac": lambda: sources.dirac(self.size),
        }[self.family]()
        return one.expand(count, -1, -1, -1)
