"""The conventions of this library and of others, as their released code has them."""

import inspect
from collections.abc import Callable
from typing import TypeVar

from pnpsr.conventions.convention import Convention
from pnpsr.physics import Physics
from pnpsr.values import Registry

F = TypeVar("F", bound=Callable[..., Physics])

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

Build = Callable[..., Physics]  # (scale) -> physics; one with a mask asks for size=, which is (h, w) of y
PHYSICS: Registry[Build] = Registry("physics")


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


def register_physics(name: str) -> Callable[[F], F]:
    """Give a function ``(scale)`` or ``(scale, size)`` -> :class:`pnpsr.physics.Physics` a name, for ``--physics`` of the commands.

    ``size`` is (h, w) of y, for what depends on it: a mask.

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

    def add(build: F) -> F:
        taken = PHYSICS.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (build.__module__, build.__qualname__):
            raise ValueError(f"there is a physics {name!r} already; call this one otherwise")
        PHYSICS[name] = build
        return build

    return add


def build_of(physics: object) -> Build:
    """The function that builds a physics, which is given as it is or by its name.

    Raises:
        ValueError: an unknown name.
        TypeError: something that is neither.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.conventions import build_of
        >>> build_of(lambda scale: Degradation(scale))(2).scale
        (2, 2)
    """
    if isinstance(physics, str):
        return PHYSICS.find(physics)
    if isinstance(physics, Physics) or not callable(physics):
        raise TypeError(
            "physics must be a function (scale) -> Physics, such as lambda s: Mosaic(Degradation(s)), or the name of one, "
            f"got {physics!r}"
        )
    return physics


def name_of(build: Build) -> str:
    """The name under which a function that builds a physics is registered, or its own.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.conventions import name_of
        >>> name_of(Degradation)
        'Degradation'
    """
    return next((name for name, one in PHYSICS.items() if one == build), getattr(build, "__qualname__", type(build).__qualname__))


def physics_at(build: Build, scale: int, size: tuple[int, int] | None = None) -> Physics:
    """What ``build`` makes at a scale for a y of ``size`` (h, w).

    Raises:
        TypeError: something that is no physics.
        ValueError: it asks for the size, and nobody knows it.

    Example:
        >>> from pnpsr import Degradation
        >>> from pnpsr.conventions import physics_at
        >>> physics_at(lambda scale: Degradation(scale), 2).scale
        (2, 2)
    """
    wants = "size" in inspect.signature(build).parameters
    if wants and size is None:
        raise ValueError(f"the physics {name_of(build)!r} depends on the size of y: pass size=(h, w)")
    found = build(scale, size=size) if wants else build(scale)
    if not isinstance(found, Physics):
        raise TypeError(f"physics {name_of(build)!r} must be built as a Physics, its function returned {type(found).__name__}")
    return found


def model_of(physics: Build | str | None, scale: int, size: tuple[int, int], whose: str, asks: str) -> Physics | None:
    """The physics that something has in place of a convention, at ``scale`` for a y of ``size`` (h, w); None: it has none.

    ``whose`` it is and what ``asks`` for the scale is said in the error.

    Raises:
        ValueError: it has another scale; as :func:`build_of` and :func:`physics_at`.
    """
    if physics is None:
        return None
    found = physics_at(build_of(physics), scale, size)
    if found.scale != (scale, scale):
        raise ValueError(f"the physics of {whose} has scale {found.scale}, {asks} asks for {scale}")
    return found


def named_physics(name: str, scale: int, size: tuple[int, int] | None = None) -> Physics:
    """A physics by name at a scale, for a y of ``size``: of :func:`register_physics`, or that of a convention.

    Raises:
        ValueError: an unknown name, a scale that it does not do, no size where it needs one.
        TypeError: the function of that name built something else.

    Example:
        >>> from pnpsr.conventions import named_physics, PHYSICS
        >>> named_physics(next(iter(PHYSICS)), 2).scale
        (2, 2)
    """
    return physics_at(PHYSICS.find(name), scale, size)
