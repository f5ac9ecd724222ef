"""What a solver needs: said by its parts, put together by the solver, read by everyone who calls one."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce


@dataclass(frozen=True)
class Needs:
    """What a part cannot do without, and what it can do; the default is a part that needs nothing and can do all.

    A step, start, tuner or network says so by an attribute or property ``needs``; one that has none needs nothing (an estimator or
    restorer: no more than that a border be cared for). ``a & b`` is what a part needs that holds both.

    Example:
        >>> from pnpsr.needs import Needs
        >>> both = Needs(kernel=True) & Needs(sigma=True)
        >>> both.kernel, both.sigma, both.periodic
        (True, True, False)
    """

    sigma: bool = False  # the noise level must be given
    kernel: bool = False  # the kernel must be given
    periodic: bool = False  # closed forms in it take y as periodic unless the physics says otherwise
    channels: int | None = None  # colours of the images that its networks read; None: any
    kernel_size: int | None = None  # the longer side of its kernels; None: any
    scales: tuple[int, ...] | None = None  # factors that it can do; None: any
    longest: int | None = None  # iterations that it has weights for; None: any number
    finds_sigma: bool = False  # a network in it finds the noise level where nobody gives it

    def __and__(self, other: "Needs") -> "Needs":
        return Needs(
            self.sigma or other.sigma,
            self.kernel or other.kernel,
            self.periodic or other.periodic,
            max(self.channels or 0, other.channels or 0) or None,
            max(self.kernel_size or 0, other.kernel_size or 0) or None,
            _common(self.scales, other.scales),
            min((n for n in (self.longest, other.longest) if n is not None), default=None),
            self.finds_sigma or other.finds_sigma,
        )


def needs_of(part: object) -> Needs:
    """What ``part`` says it needs; nothing where it says nothing.

    Raises:
        TypeError: its ``needs`` is something else.

    Example:
        >>> from pnpsr import blind_hqs, usrnet
        >>> from pnpsr.needs import needs_of
        >>> needs_of(usrnet(T=1, widths=(2, 2, 2, 2))).kernel, needs_of(blind_hqs(5)).kernel
        (True, False)
    """
    said = getattr(part, "needs", None)
    if said is not None and not isinstance(said, Needs):
        raise TypeError(f"needs of {type(part).__name__} must be a Needs, got {said!r}")
    return said or Needs()


def needs_of_step(step: object) -> Needs:
    """What a step says it needs; one that says nothing may hold closed forms, so its y is not taken to be periodic unseen.

    Example:
        >>> from pnpsr.needs import needs_of_step
        >>> from pnpsr.prox import tv
        >>> from pnpsr.steps import HQSRestorer
        >>> needs_of_step(None).periodic, needs_of_step(HQSRestorer(tv)).periodic
        (False, True)
    """
    return Needs(periodic=step is not None) if getattr(step, "needs", None) is None else needs_of(step)


def reads_image(step: object) -> bool:
    """Whether a step reads the image of the iteration before: it does, unless its ``reads`` names its fields and x is not one.

    Example:
        >>> from pnpsr.needs import reads_image
        >>> from pnpsr.prox import tv
        >>> from pnpsr.steps import HQSRestorer
        >>> reads_image(HQSRestorer(tv))
        True
    """
    return "x" in getattr(step, "reads", ("x",))


def together(parts: Iterable[object]) -> Needs:
    """What a part needs that holds all of these; empty slots (None) need nothing.

    Example:
        >>> from pnpsr.needs import together
        >>> from pnpsr.prox import tv
        >>> from pnpsr.steps import HQSRestorer, HyperNet
        >>> together([HQSRestorer(tv), HyperNet()]).sigma
        True
    """
    return reduce(lambda a, b: a & b, map(needs_of, parts), Needs())


def _common(a: tuple[int, ...] | None, b: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if a is None or b is None:
        return b if a is None else a
    return tuple(scale for scale in a if scale in b)
