"""Kernel families by name: what ``--family`` draws from, and what settings train on. All have one signature."""

import inspect
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from pnpsr.kernels.gaussian import gaussian
from pnpsr.kernels.motion import random_motion
from pnpsr.kernels.simple import dirac, disk
from pnpsr.values import Registry

Family = Callable[..., Tensor]  # (scale, size, generator) -> one kernel (1 1 p p)
F = TypeVar("F", bound=Family)
TOLERANCE = 1e-3  # of a kernel's sum, which is 1
TRIED = (2, 11)  # scale and size of the test draw


def checked_draw(name: str, draw: Family, scale: int, size: int, generator: torch.Generator) -> Tensor:
    """One kernel (1 1 p p) of a family.

    Raises:
        TypeError: it cannot be called so, or returned no tensor of floats.
        ValueError: another shape, negative values, or another sum than 1.
    """
    what = f"the family {name!r}"
    try:
        inspect.signature(draw).bind(scale, size, generator)
    except TypeError as error:
        raise TypeError(f"{what} is called as (scale, size, generator), but takes {inspect.signature(draw)}: {error}") from error
    k = draw(scale, size, generator)
    if not isinstance(k, Tensor) or not k.dtype.is_floating_point:
        raise TypeError(f"{what} must return a tensor of floats (1 1 p p), got {type(k).__name__} {getattr(k, 'dtype', '')}")
    if k.shape != (1, 1, size, size):
        raise ValueError(f"{what} must return one kernel (1 1 {size} {size}), got {tuple(k.shape)}")
    if not abs(total := float(k.sum()) - 1) < TOLERANCE or float(k.min()) < -TOLERANCE:  # NaN is not, either
        raise ValueError(f"{what} returned values from {float(k.min()):g} that sum to {total + 1:g}; normalise it: k / k.sum()")
    return k


def _trial(name: str, draw: Family) -> None:
    if not callable(draw):
        raise TypeError(f"the family {name!r} must be a function (scale, size, generator) -> kernel, got {draw!r}")
    if not str(draw.__module__).startswith("pnpsr."):  # ours are tried by the tests, not on every import
        first, again = (checked_draw(name, draw, *TRIED, torch.Generator().manual_seed(0)) for _ in range(2))
        if not torch.equal(first, again):
            raise ValueError(f"the family {name!r} draws another kernel from the same generator; take all chance from it")


FAMILIES: Registry[Family] = Registry("family", _trial)


def family(name: str) -> Callable[[F], F]:
    """Make a function ``(scale, size, generator) -> kernel (1 1 p p)`` a kernel family that commands know by its name.

    Keyword-only arguments called as the options of ``pnpsr kernels`` (width, width2, angle, nonlinearity) are filled from them.
    A test draw, at scale 2 and of 11 pixels, shows at once what is wrong with it.

    Raises:
        TypeError, ValueError: as ``checked_draw``; or draws that the generator does not decide.

    Example:
        >>> from pnpsr.kernels import FAMILIES, family, line
        >>> @family("short line")
        ... def short(scale, size, generator):
        ...     return line(size, 2.0 * scale)
        >>> "short line" in FAMILIES
        True
        >>> del FAMILIES["short line"]
    """

    def added(draw: F) -> F:
        FAMILIES[name] = draw
        return draw

    return added


@family("isotropic")
def _isotropic(_: int, size: int, __: torch.Generator, *, width: float = 2.4) -> Tensor:
    return gaussian(size, width)


@family("anisotropic")
def _anisotropic(_: int, size: int, __: torch.Generator, *, width: float = 2.4, width2: float = 1.0, angle: float = 30.0) -> Tensor:
    return gaussian(size, width, width2=width2, angle=torch.deg2rad(torch.tensor(angle)).item())


@family("motion")
def _motion(_: int, size: int, generator: torch.Generator, *, nonlinearity: float = 0.5) -> Tensor:
    return random_motion(1, size, nonlinearity=nonlinearity, generator=generator)


@family("disk")
def _disk(_: int, size: int, __: torch.Generator, *, width: float = 2.4) -> Tensor:
    return disk(size, width)


@family("dirac")
def _dirac(_: int, size: int, __: torch.Generator) -> Tensor:
    return dirac(size)
