"""From one convention to another: the kernel that gives the same y."""

import math
from fractions import Fraction

from torch import Tensor
from torch.nn.functional import pad

from pnpsr import checks, kernels, precision
from pnpsr.checks import Scale
from pnpsr.conventions.convention import Convention
from pnpsr.conventions.degrade import named
from pnpsr.physics import bicubic


def convert_kernel(
    k: Tensor, source: Convention, target: Convention, scale: Scale, *, interior: bool = False, interpolate: bool = False
) -> Tensor:
    """k' with degrade(x, k', s, target) = degrade(x, k, s, source) for every x: flip, integer shift, zeros around.

    A decimation offset o equals a shift of the kernel by o. k' has the size of k where that will do, else the next odd size
    that holds it (``valid``: the only one). How y is stored (``quantised``) has no part in it.

    Args:
        k: kernels (b 1 p q).
        source: what k means now.
        target: what k' shall mean.
        scale: integer factor, or one per axis.
        interior: allow a k' that agrees only where no border is in play: for different boundaries, and for bicubic decimation,
            which becomes part of k' (k' = k ⊗ bicubic). ``source.border(size of k, scale)`` says how wide that border is.
        interpolate: allow a shift by half a pixel, which averages neighbours (as :func:`pnpsr.kernels.shift_kernel`, linear).

    Returns:
        k' (b 1 p' q'), differentiable in k.

    Raises:
        TypeError: no conventions, no kernels.
        ValueError: no kernel can do it, or only one that needs ``interior`` or ``interpolate``.

    Example:
        >>> import torch
        >>> from pnpsr.conventions import convert_kernel, degrade, IKRNET_TRAIN, PNPSR
        >>> from pnpsr.kernels import gaussian, shift_kernel
        >>> x, k = torch.rand(1, 1, 12, 12), shift_kernel(gaussian(7, 0.8), (1, 0))
        >>> ours = convert_kernel(k, IKRNET_TRAIN, PNPSR, 2)
        >>> torch.allclose(degrade(x, ours, 2, PNPSR), degrade(x, k, 2, IKRNET_TRAIN), atol=1e-6)
        True
    """
    checks.kernel(k, "k")
    pair = checks.factors(scale)
    _comparable(named(source, "source"), named(target, "target"), interior)
    g, starts = source.taps(k), source.starts((k.shape[-2], k.shape[-1]), pair)
    with precision.exact(k):
        if source.decimation != target.decimation:
            g, moved = bicubic.compose(g, pair)
            starts = starts[0] + moved[0], starts[1] + moved[1]
        for axis, start in enumerate(starts):
            g = _placed(g, axis, start, source, target, pair, interpolate)
    return target.taps(g)


def _comparable(source: Convention, target: Convention, interior: bool) -> None:
    """Refuse what no kernel can do, and what one can do only away from the border unless that is asked for."""
    if target.decimation == "bicubic" != source.decimation:
        raise ValueError(f"no kernel makes {target} equal to {source}: bicubic decimation blurs, and no further blur undoes it")
    if source.boundary != target.boundary and "valid" in (source.boundary, target.boundary):
        raise ValueError(f"{source} and {target} give y of different sizes: one is 'valid', which keeps no border; crop instead")
    if not interior and (source.boundary != target.boundary or source.decimation != target.decimation):
        raise ValueError(
            f"no kernel makes {target} ({target.boundary}, {target.decimation}) equal to {source} ({source.boundary}, "
            f"{source.decimation}) up to the border; interior=True gives the one that does so away from it"
        )


def _placed(
    g: Tensor, axis: int, start: Fraction, source: Convention, target: Convention, scale: tuple[int, int], interpolate: bool
) -> Tensor:
    """The taps g, which begin at ``start``, with zeros around along one axis so that they begin where ``target`` lets them."""
    n = g.shape[axis - 2]
    margins = _margins(n, axis, start, target, scale)
    if margins is None and all((start - target.starts((m, m), scale)[axis]).denominator == 2 for m in (n, n + 1)):
        if not interpolate:
            raise ValueError(
                f"from {source} to {target} at scale {scale} a kernel of this size moves by half a pixel; "
                "interpolate=True averages neighbours to do so"
            )
        room, half = ((0, 0, 0, 1), (0.5, 0.0)) if axis == 0 else ((0, 1, 0, 0), (0.0, 0.5))
        g = kernels.shift_kernel(pad(g, room), half)
        margins = _margins(n + 1, axis, start - Fraction(1, 2), target, scale)
    if margins is None:
        raise ValueError(f"no kernel makes {target} equal to {source}: 'valid' has no pixels before its first one")
    return pad(g, (0, 0, *margins) if axis == 0 else (*margins, 0, 0))


def _margins(n: int, axis: int, start: Fraction, target: Convention, scale: tuple[int, int]) -> tuple[int, int] | None:
    """Zeros before and after n taps that put them at ``start`` under ``target``; None if no size of kernel does so."""
    far = 2 * math.ceil(abs(start - target.starts((n, n), scale)[axis])) + 4
    for size in sorted(range(n, n + far), key=lambda size: (size != n, size % 2 == 0, size)):
        before = start - target.starts((size, size), scale)[axis]
        after = size - n - before
        if before.denominator == 1 and before >= 0 and (after == 0 if target.boundary == "valid" else after >= 0):
            return int(before), int(after)
    return None
