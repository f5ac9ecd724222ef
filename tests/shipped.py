"""What the presets that ship are tested on: kernels of the size that one knows, where its convention has them."""

from torch import Tensor

from pnpsr.conventions import NAMED
from pnpsr.evaluate import Method, bicubic, bicubic_centre
from pnpsr.kernels import gaussian, shift_kernel
from pnpsr.weights import presets


def kernel_for(name: str, scale: int, width: float) -> Tensor:
    """An isotropic Gaussian (1 1 p p)."""
    preset = presets()[name]
    k = gaussian(preset.arguments.get("size", 21), width)
    return shift_kernel(k, ((scale - 1) / 2,) * 2, tolerance=1.0) if preset.convention == "KERNELGAN" else k


def interpolation_for(name: str) -> Method:
    """The one that leaves the picture where the preset's convention has it."""
    convention = presets()[name].convention
    return bicubic_centre() if NAMED[convention].decimation == "bicubic" or convention == "KERNELGAN" else bicubic()
