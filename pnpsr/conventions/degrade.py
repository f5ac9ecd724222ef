"""Run any convention: the reference implementation, on the operators of :mod:`pnpsr.physics`."""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from pnpsr import checks, physics, precision
from pnpsr.checks import Scale
from pnpsr.conventions.convention import Convention
from pnpsr.conventions.named import PNPSR

Pair = tuple[int, int]
NEGLECTED = 2.0**-52  # scipy.ndimage leaves out weights up to the machine's epsilon


def degrade(x: Tensor, k: Tensor, scale: Scale, convention: Convention = PNPSR) -> Tensor:
    """Y of (x, k) as ``convention`` has it; for PNPSR (x ⊗ k)↓s, the same as :class:`pnpsr.physics.Degradation`.

    Args:
        x: images (b c sh sw) in [0, 1]; sides divisible by the scale unless the boundary is ``valid``.
        k: kernels (b 1 p q), or one for all (1 1 p q); of any sum, since estimates are tried here too.
        scale: integer factor, or one per axis.
        convention: see :class:`Convention`.

    Returns:
        y (b c h w), differentiable in x and k unless quantised.

    Raises:
        TypeError: no convention, tensors of different dtypes, a scale that is no integer.
        ValueError: sizes that do not fit; a kernel between pixels (see :func:`convert_kernel`); for ``truncate`` an x that is not
            on the 256 levels, or a result beyond them.

    Example:
        >>> import torch
        >>> from pnpsr.conventions import DAN, degrade
        >>> from pnpsr.kernels import gaussian
        >>> degrade(torch.rand(1, 3, 12, 12), gaussian(5, 1.0), 2, DAN).shape
        torch.Size([1, 3, 6, 6])
    """
    named(convention, "convention")
    pair, x = checks.factors(scale), checks.image(x, "x")
    k = checks.kernel(k, "k", within=(x.shape[-2], x.shape[-1]))
    checks.matching(x, k, "x and k")
    whole_starts(convention, (k.shape[-2], k.shape[-1]), pair)
    with precision.exact(x):
        if convention.quantised == "truncate":
            checks.divisible(x, scale if convention.boundary != "valid" else 1, "x")
            return _truncated(convention.at(pair).window((k.shape[-2], k.shape[-1]))(x), convention.taps(k), pair)
        y = _valid(x, k, pair, convention) if convention.boundary == "valid" else convention.at(pair).freeze(k=k)(x)
        return physics.quantise(y) if convention.quantised == "round" else y


def _valid(x: Tensor, k: Tensor, scale: Pair, convention: Convention) -> Tensor:
    """What needs no border: x without what the offset leaves out, then as many pixels as fit; zeros make the last patch whole."""
    rows, columns = (int(o) for o in convention.offsets(scale))
    x = x[..., rows:, columns:]
    down, right = (-(n - p + 1) % s for n, p, s in zip(x.shape[-2:], k.shape[-2:], scale, strict=True))
    return replace(convention, offset=0).at(scale).freeze(k=k)(pad(x, (0, right, 0, down)))


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
