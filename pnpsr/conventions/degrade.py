"""Run any convention: the reference implementation, on the operators of :mod:`pnpsr.physics`."""

import torch
from torch import Tensor

from pnpsr import checks, physics, precision
from pnpsr.checks import Scale
from pnpsr.conventions import bicubic
from pnpsr.conventions.convention import Convention
from pnpsr.conventions.named import PNPSR
from pnpsr.physics.blur import extend

Pair = tuple[int, int]
NEGLECTED = 2.0**-52  # scipy.ndimage leaves out weights up to the machine's epsilon


def degrade(x: Tensor, k: Tensor, scale: Scale, convention: Convention = PNPSR) -> Tensor:
    """Y of (x, k) as ``convention`` has it; for PNPSR (x ⊗ k)↓s, the same as :class:`pnpsr.physics.Degradation`.

    Args:
        x: images (b c sh sw) in [0, 1]; sides divisible by the scale unless the boundary is ``valid``.
        k: kernels (b 1 p q), or one for all (1 1 p q).
        scale: integer factor, or one per axis.
        convention: see :class:`Convention`.

    Returns:
        y (b c h w), differentiable in x and k unless quantised.

    Raises:
        TypeError: no convention, tensors of different dtypes, a scale that is no integer.
        ValueError: sizes that do not fit; a kernel between pixels (see :func:`convert_kernel`); for ``truncate`` an x that is not
            on the 256 levels, or a result beyond them.
    """
    named(convention, "convention")
    pair, x = checks.factors(scale), checks.image(x, "x")
    k = checks.kernel(k, "k", within=(x.shape[-2], x.shape[-1]))
    checks.matching(x, k, "x and k")
    start = whole_starts(convention, (k.shape[-2], k.shape[-1]), pair)
    if convention.boundary != "valid":
        checks.divisible(x, scale, "x")
    with precision.exact(x):
        return _degrade(x, k, pair, start, convention)


def _degrade(x: Tensor, k: Tensor, scale: Pair, start: Pair, convention: Convention) -> Tensor:
    (p, q), g = k.shape[-2:], convention.taps(k)
    down, right = (0, 0) if convention.boundary == "valid" else (start[0] + p - 1, start[1] + q - 1)
    window = _extended(x, (-start[0], down, -start[1], right), convention.boundary)
    if convention.quantised == "truncate":
        return _truncated(window, g, scale)
    blurred = physics.Blur(g.flip(-2, -1), "valid")(window)
    y = bicubic.reduce(blurred, scale) if convention.decimation == "bicubic" else blurred[..., :: scale[0], :: scale[1]]
    return physics.quantise(y) if convention.quantised == "round" else y


def named(convention: object, name: str) -> Convention:
    """``convention`` if it is one.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(convention, Convention):
        raise TypeError(f"{name} must be a Convention, such as pnpsr.conventions.PNPSR, got {convention!r}")
    return convention


def whole_starts(convention: Convention, size: Pair, scale: Pair) -> Pair:
    """The starts of :meth:`Convention.starts` as integers.

    Raises:
        ValueError: they are halves, so the kernel lies between pixels.
    """
    rows, columns = convention.starts(size, scale)
    if rows.denominator != 1 or columns.denominator != 1:
        raise ValueError(
            f"under {convention} at scale {scale} a kernel of {size[0]} x {size[1]} lies half a pixel off the grid of x; "
            "move it first: convert_kernel(k, source, target, scale, interpolate=True)"
        )
    return int(rows), int(columns)


def _extended(x: Tensor, margins: tuple[int, int, int, int], boundary: str) -> Tensor:
    """x with ``margins`` (top, bottom, left, right) more rows and columns, by any boundary rule; negative margins crop."""
    if boundary != "symmetric":
        return extend(x, margins, boundary)
    return bicubic.mirror(bicubic.mirror(x, -2, *margins[:2]), -1, *margins[2:])


def _truncated(window: Tensor, g: Tensor, scale: Pair) -> Tensor:
    """⌊Σ_j g(j) X(s i + j)⌋ / 255 for X = 255 x, added up row by row in float64.

    On flat regions the sum is an integer up to rounding, so the order of the additions decides which one: it is scipy's.
    """
    grey = window.to("cpu", torch.float64) * 255
    levels = grey.round()
    if bool(((grey - levels).abs() > 1e-2).any()) or float(levels.min()) < 0 or float(levels.max()) > 255:
        raise ValueError("truncation is what becomes of 8-bit pictures: x must be n / 255; use .stored(None) for other images")
    h, w = (n - p + 1 for n, p in zip(window.shape[-2:], g.shape[-2:], strict=True))
    weights = g.to("cpu", torch.float64)
    weights = torch.where(weights.abs() > NEGLECTED, weights, 0.0)
    total = levels.new_zeros(())
    for i in range(g.shape[-2]):
        for j in range(g.shape[-1]):
            part = levels[..., i : i + h : scale[0], j : j + w : scale[1]]
            total = total + weights[..., i : i + 1, j : j + 1] * part
    if float(total.min()) <= -1 or float(total.max()) >= 256:
        raise ValueError("the blurred picture leaves 0 .. 255, where truncation to uint8 has no meaning; normalise k to sum 1")
    return (total.trunc() / 255).to(window)
