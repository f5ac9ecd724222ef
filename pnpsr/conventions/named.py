"""The conventions of this library and of others, as their released code has them."""

from collections.abc import Callable

from pnpsr.conventions.convention import Convention
from pnpsr.physics import Physics
from pnpsr.values import Registry

# What every solver and closed form of this library takes for granted.
PNPSR = Convention("PNPSR")

# deepinv 0.5, Blur and Downsampling with padding="circular"; its docstring puts the centre of even kernels elsewhere.
DEEPINV = Convention("DEEPINV")

# cszn/USRNet: p2o rolls the kernel by -(p // 2); main_test_table1.py: scipy.ndimage.convolve(mode="wrap")[::s, ::s].
USRNET = Convention("USRNET")
# Kernels before main_test_realapplication.py moves them by (s - 1) / 2 towards the upper left with shift_pixel.
USRNET_UNSHIFTED = Convention("USRNET_UNSHIFTED", offset="(s-1)/2")
# cszn/KAIR, utils_sisr.py: G_np(..., center=True). (G, the torch twin of G_np, correlates: IKRNET_TRAIN.)
KAIR_CENTER = Convention("KAIR_CENTER", offset="(s-1)//2")

# hfates/IKR-Net: test pictures by scipy.ndimage.convolve(mode="wrap")[::s, ::s]; training by F.conv2d after circular padding.
IKRNET = Convention("IKRNET")
IKRNET_TRAIN = Convention("IKRNET_TRAIN", correlation=True)
# JingyunLiang/FKP, prepare_dataset.py: F.conv2d after circular padding, on kernels moved to (p - s) / 2.
FKP = Convention("FKP", correlation=True)

# greatlog/DAN, deg_utils.py: ReflectionPad2d, F.conv2d, imresize(1/s). Eq. 1 of the paper has ⊗ and ↓s, and names no border.
DAN = Convention("DAN", correlation=True, boundary="reflect", decimation="bicubic")
DAN_PAPER = Convention("DAN_PAPER", boundary="reflect")

# sefibk/KernelGAN, imresize.py: scipy.ndimage.correlate (its default border), every s-th pixel; kernels as kernel_shift left them.
KERNELGAN = Convention("KERNELGAN", correlation=True, boundary="symmetric")
# Kernels before kernel_shift, their mass balanced on the exact middle, meant to fall on the middle of every s x s patch.
KERNELGAN_UNSHIFTED = Convention("KERNELGAN_UNSHIFTED", centre="(p-1)/2", offset="(s-1)/2", correlation=True, boundary="symmetric")

PHYSICS: Registry[Callable[[int], Physics]] = Registry("physics")  # each a function of the scale


class Conventions(Registry[Convention]):
    """Conventions by name. Each is a physics of that name, too: what it is at a scale."""

    def __setitem__(self, name: str, thing: Convention) -> None:
        """Add it, in place of the one of that name if there is one.

        Raises:
            TypeError, ValueError: as for every registry; something that is no convention.
        """
        if not isinstance(thing, Convention):
            raise TypeError(f"convention {name!r} must be a Convention, got {type(thing).__name__}; a physics is registered as one")
        super().__setitem__(name, thing)
        PHYSICS[name] = thing.at


NAMED = Conventions("convention")
for _one in (
    *(PNPSR, DEEPINV, USRNET, USRNET_UNSHIFTED, KAIR_CENTER, IKRNET),
    *(IKRNET_TRAIN, FKP, DAN, DAN_PAPER, KERNELGAN, KERNELGAN_UNSHIFTED),
):
    NAMED[_one.name] = _one


def register_physics(name: str) -> Callable[[Callable[[int], Physics]], Callable[[int], Physics]]:
    """Give a function from the scale to a :class:`pnpsr.physics.Physics` a name, for ``pnpsr degrade --physics``.

    Raises:
        ValueError: another function has the name.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.conventions import named_physics, PHYSICS, register_physics
        >>> from pnpsr.physics import Mosaic
        >>> @register_physics("my camera")
        ... def camera(scale):
        ...     return Mosaic(Degradation(scale))
        >>> named_physics("my camera", 1).scale
        (1, 1)
        >>> del PHYSICS["my camera"]
    """

    def add(build: Callable[[int], Physics]) -> Callable[[int], Physics]:
        taken = PHYSICS.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (build.__module__, build.__qualname__):
            raise ValueError(f"there is a physics {name!r} already; call this one otherwise")
        PHYSICS[name] = build
        return build

    return add


def named_physics(name: str, scale: int) -> Physics:
    """A physics by name at a scale: of :func:`register_physics`, or that of a convention.

    Raises:
        ValueError: an unknown name, or a scale that it does not do.
        TypeError: the function of that name built something else.

    Example:
        >>> from pnpsr.conventions import named_physics, PHYSICS
        >>> named_physics(next(iter(PHYSICS)), 2).scale
        (2, 2)
    """
    found = PHYSICS.find(name)(scale)
    if not isinstance(found, Physics):
        raise TypeError(f"physics {name!r} must be built as a Physics, its function returned {type(found).__name__}")
    return found
