"""A module of one's own, for the commands: a kernel family, a physics, a protocol, a recipe with its data and its training.

pnpsr train gradient photos/ --use examples/my_lab.py --steps 400 --out runs/gradient
pnpsr evaluate --images photos/ --use examples/my_lab.py --protocol shaken --methods bicubic runs/gradient/last.safetensors
"""

import torch

from pnpsr import Degradation, UnrolledSolver
from pnpsr.conventions import PHYSICS
from pnpsr.data import SETTINGS, Setting
from pnpsr.evaluate import Protocol, grid, register_protocol
from pnpsr.kernels import family, line
from pnpsr.nets import ResUNet
from pnpsr.physics import Mosaic
from pnpsr.recipes import recipe
from pnpsr.starts import Gaussian
from pnpsr.steps import HQSEstimator, HQSRestorer, Schedule
from pnpsr.train import Stage
from pnpsr.train.losses import image_l1


@family("shaken")
def shaken(scale: int, size: int, generator: torch.Generator) -> torch.Tensor:
    return line(size, scale + 2 * torch.rand(1, generator=generator), 3.14 * torch.rand(1, generator=generator))


@register_protocol("shaken")
def tests() -> Protocol:
    kernels = torch.cat([shaken(2, 11, torch.Generator().manual_seed(i)) for i in range(2)])
    return Protocol("shaken", grid((2,), (0.01,)), kernels)


PHYSICS["camera"] = lambda scale: Mosaic(Degradation(scale))
SETTINGS["shaken"] = Setting("shaken", (2,), (shaken,), size=11, sigma=(0.0, 0.02))
STAGE = Stage("image prior", train=("restorer",), run=("tuner", "restorer", "estimator"), losses={"x": (1.0, image_l1)})


@recipe(stages=[STAGE], data="shaken", tiny={"T": 1})
def gradient(size: int = 11, *, T: int = 4) -> UnrolledSolver:
    image = HQSRestorer(ResUNet(3, strength=True, widths=(4, 4, 8, 8)))
    kernel = HQSEstimator(lambda v, _: v, 0.1, relative=True, project=True)
    return UnrolledSolver(kernel, image, T, tuner=Schedule(0.05, 0.05), k0=Gaussian(size))
