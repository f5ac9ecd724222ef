"""The forward model of all methods here: blur with k, keep every s-th pixel. Its conventions are its arguments.

All of them meet in one number per axis. With g = k (correlation) or k flipped (convolution) every pixel that is kept is

    y(i) = Σ_j g(j) x(s i + start + j),        start = offset - centre              (correlation)
                                               start = offset + centre - (p - 1)    (convolution)
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics import polyphase
from pnpsr.physics.bicubic import Bicubic
from pnpsr.physics.blur import BOUNDARIES, Blur, Extend, KernelBlur, Margins
from pnpsr.physics.cg import Map
from pnpsr.physics.edges import cut, differences, pair_weights
from pnpsr.physics.gram import circular_gram, weighted_gram
from pnpsr.physics.gram_inside import valid_gram
from pnpsr.physics.image_step import image_step
from pnpsr.physics.kernel_step import as_unit, gram_scale, kernel_step, size_of, weighted_on_grid
from pnpsr.physics.operator import Composition, LinearOperator
from pnpsr.physics.physics import Fit, Physics, Shape
from pnpsr.physics.sampling import Downsample, Flip

Pair = tuple[int, int]
CENTRES: dict[str, Callable[[int], Fraction]] = {
    "p//2": lambda p: Fraction(p // 2),
    "(p-1)//2": lambda p: Fraction((p - 1) // 2),
    "(p-1)/2": lambda p: Fraction(p - 1, 2),
}
OFFSETS: dict[str, Callable[[int], Fraction]] = {
    "(s-1)//2": lambda s: Fraction((s - 1) // 2),
    "(s-1)/2": lambda s: Fraction(s - 1, 2),
}
DECIMATIONS = ("pick", "bicubic")


class Degradation(Physics):
    """(x, k) ↦ (x ⊗ k)↓s (DAN Eq. 1, IKR-Net Eq. 1).

    Both data steps are in closed form where the border is circular and ↓s picks a pixel, at any offset, centre and direction.
    Other borders: the kernel step by normal equations, the image step by conjugate gradients around the closed form.

    Args:
        scale: integer factor, or one per axis.
        offset: which pixel of every s x s patch ↓s keeps, 0 is the upper left: a number (or one per axis), ``(s-1)//2``, or
            ``(s-1)/2``, the exact middle, which for even s lies between two pixels.
        boundary: how x goes on beyond its border, see :class:`Blur`.
        centre: which entry of k stands for "no displacement": ``p//2``, ``(p-1)//2``, or ``(p-1)/2``, the exact middle.
        correlation: k is laid onto the image as it is stored; else (convolution) turned by 180 degrees.
        decimation: ``pick``; or ``bicubic``, MATLAB's imresize(1/s) with antialiasing, centred on the patch, after the blur.

    Raises:
        TypeError: a scale that is no integer (2.5 is refused, never rounded).
        ValueError: scale below 1, offset outside the patch, unknown rules, bicubic decimation with an offset or without a border;
            on a call: sizes that do not fit, a kernel that lies between two pixels or does not sum to 1.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> D = Degradation(2)
        >>> y = D(torch.ones(1, 3, 8, 8), gaussian(5, 1.0), sigma=0.0)
        >>> y.shape, round(float(y.mean()), 4)
        (torch.Size([1, 3, 4, 4]), 1.0)
        >>> D.freeze(k=gaussian(5, 1.0)).adjoint(y).shape
        torch.Size([1, 3, 8, 8])
    """

    def __init__(
        self,
        scale: Scale,
        *,
        offset: Scale | str = 0,
        boundary: str = "circular",
        centre: str = "p//2",
        correlation: bool = False,
        decimation: str = "pick",
    ) -> None:
        checks.choice(boundary, BOUNDARIES, "boundary")
        checks.choice(centre, CENTRES, "centre")
        checks.choice(decimation, DECIMATIONS, "decimation")
        checks.choice(correlation, (False, True), "correlation")
        if decimation == "bicubic" and (offset not in (0, (0, 0)) or boundary == "valid"):
            raise ValueError("bicubic decimation is centred on the patch and has a border: leave offset at 0")
        self._scale = checks.factors(scale)
        self.offset: Pair | str = offset if isinstance(offset, str) else checks.offsets(offset, scale)
        if isinstance(self.offset, str):
            checks.choice(self.offset, OFFSETS, "offset")
        self.boundary, self.centre, self.correlation, self.decimation = boundary, centre, bool(correlation), decimation

    @property
    def scale(self) -> Pair:
        """The factor of each axis."""
        return self._scale

    @property
    def closed(self) -> bool:
        """Both data steps are in closed form."""
        return self.boundary == "circular" and self.decimation == "pick"

    @property
    def image_solver(self) -> str:  # type: ignore[override]  # here it depends on the border
        """How the image step is solved."""
        return "closed form" if self.closed else "conjugate gradients"

    @property
    def kernel_solver(self) -> str:  # type: ignore[override]
        """How the kernel step is solved."""
        return "closed form" if self.closed else "normal equations"

    @property
    def plain(self) -> bool:
        """The library's own reading of kernels: centre p // 2, convolution, a whole offset."""
        return self.decimation == "pick" and self.centre == "p//2" and not self.correlation and not isinstance(self.offset, str)

    @property
    def position(self) -> tuple[float, float]:
        """Where the first pixel of y sits on the grid of x: the offset, or the middle of the patch for bicubic decimation."""
        rows, columns = ((s - 1) / 2 for s in self.scale) if self.decimation == "bicubic" else self.offsets()
        return float(rows), float(columns)

    def offsets(self) -> tuple[Fraction, Fraction]:
        """The pixel (row, column) of every patch that ↓s keeps; halves where it lies between two."""
        if isinstance(self.offset, str):
            rule = OFFSETS[self.offset]
            return rule(self.scale[0]), rule(self.scale[1])
        return Fraction(self.offset[0]), Fraction(self.offset[1])

    def starts(self, size: Pair) -> tuple[Fraction, Fraction]:
        """``start`` of the equation above, for (rows, columns) of a kernel of ``size``; halves where the kernel is off the grid."""
        rows, columns = (self._start(p, o) for p, o in zip(size, self.offsets(), strict=True))
        return rows, columns

    def _start(self, p: int, offset: Fraction) -> Fraction:
        if self.boundary == "valid":
            return offset  # the first output needs exactly the first p pixels, wherever the centre is
        centre = CENTRES[self.centre](p)
        return offset - centre if self.correlation else offset + centre - (p - 1)

    def whole_starts(self, size: Pair) -> Pair:
        """:meth:`starts` as integers.

        Raises:
            ValueError: they are halves, so the kernel lies between pixels.
        """
        rows, columns = self.starts(size)
        if rows.denominator != 1 or columns.denominator != 1:
            raise ValueError(
                f"under {self!r} a kernel of {size[0]} x {size[1]} lies half a pixel off the grid of x; "
                "move it first: convert_kernel(k, source, target, scale, interpolate=True)"
            )
        return int(rows), int(columns)

    def taps(self, k: Tensor) -> Tensor:
        """``g`` of the equation above, (b 1 p q); applied to g it gives k back."""
        return k if self.correlation else k.flip(-2, -1)

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """The linear operator in the other argument: ``freeze(k=k)`` acts on images, ``freeze(x=x, size=p)`` on p x p kernels.

        Raises:
            ValueError: both or neither of k and x, or x without the size of the kernels.
        """
        if (k is None) == (x is None):
            raise ValueError("freeze exactly one of k= and x=")
        if k is not None:
            if self.plain:
                # not by @, which older torch.compile does not follow into objects
                return Composition(Downsample(self.scale, self.offset), Blur(k, self.boundary))  # type: ignore[arg-type]
            kept = Blur(self.taps(k).flip(-2, -1), "valid") @ self.window(size_of(checks.kernel(k, "k")))
            return self._decimate() @ kept
        if size is None:
            raise ValueError("freeze(x=...) needs the size of the kernels it will act on: freeze(x=x, size=21)")
        if self.plain:
            return Downsample(self.scale, self.offset) @ KernelBlur(x, size, self.boundary)  # type: ignore[arg-type]
        pair = checks.size(size, "size")
        fitted = KernelBlur(self.window(pair)(x), pair, "valid")  # type: ignore[arg-type]
        return self._decimate() @ (fitted @ Flip() if self.correlation else fitted)

    def image_shape(self, y: Tensor) -> Shape:
        """The shape (b c sh sw) of the x that belongs to y.

        Raises:
            ValueError: the border ``valid``, which leaves the size of x to the kernel.
        """
        if self.boundary == "valid":
            raise ValueError("boundary='valid' cannot be solved for: y does not say how large x is; extend y, mask what was added")
        return super().image_shape(y)

    def prox_image(self, y: Tensor, k: Tensor, x0: Tensor, alpha: float | Tensor) -> Tensor:
        """argmin_x |y - (x ⊗ k)↓s|² + alpha |x - x0|², as :func:`pnpsr.prox.prox_image`; other borders as :class:`Physics`."""
        if not self.closed:
            return super().prox_image(y, k, x0, alpha)
        if self.plain:
            return image_step(y, k, x0, alpha, self.scale, self.offset)  # type: ignore[arg-type]
        taps = self.taps(checks.kernel(k, "k")).flip(-2, -1)
        return image_step(y, taps, x0, alpha, self.scale, self._shift(size_of(k)))

    def prox_kernel(
        self,
        y: Tensor,
        x: Tensor,
        k0: Tensor,
        gamma: float | Tensor,
        *,
        domain: str = "support",
        constraint: str | None = None,
        relative: bool = False,
        edges: bool = False,
        gray: bool = False,
        inside: bool = False,
    ) -> Tensor:
        """argmin_k |y - (x ⊗ k)↓s|² + gamma |k - k0|², see :meth:`pnpsr.physics.Physics.prox_kernel`."""
        options: dict[str, Any] = {"domain": domain, "constraint": constraint}
        if not self.closed:
            options |= {"relative": relative, "edges": edges, "gray": gray, "inside": inside}
            return super().prox_kernel(y, x, k0, gamma, **options)
        if gray:
            y, x = y.mean(1, keepdim=True), x.mean(1, keepdim=True)
        if edges:
            y, x = differences(y, 1), differences(x, self.scale)
            if inside:
                y, x = cut(y, (1, 1)), cut(x, self.scale)
        if relative:
            gamma = checks.per_sample(gamma, checks.of_more(y, k0), "gamma", positive=True) * as_unit(gram_scale(x, self.scale))
        options["boundary"] = "valid" if inside else "circular"
        if self.plain:
            return kernel_step(y, x, k0, gamma, self.scale, self.offset, **options)  # type: ignore[arg-type]
        shift, k0 = self._shift(size_of(checks.kernel(k0, "k0"))), self.taps(k0).flip(-2, -1)
        return self.taps(kernel_step(y, x, k0, gamma, self.scale, shift, **options)).flip(-2, -1)

    def normal_equations(self, y: Tensor, x: Tensor, size: Pair, fit: Fit, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """G and b as in :meth:`pnpsr.physics.Physics.normal_equations`, from the windows of x that the kernel touches."""
        if self.decimation == "bicubic":
            return super().normal_equations(y, x, size, fit, weights)
        if fit.gray:
            y, x = y.mean(1, keepdim=True), x.mean(1, keepdim=True)
        weights = None if weights is None else weights.expand(-1, y.shape[1], -1, -1)
        near, far = (fit.edges, fit.edges), (fit.edges * self.scale[0], fit.edges * self.scale[1])
        shift, circular = self._shift(size), self.boundary == "circular" and not fit.inside
        if not fit.inside and not circular:
            x, shift = self.window(size)(x), (size[0] - 1 - size[0] // 2, size[1] - 1 - size[1] // 2)
        if fit.edges:
            weights = None if weights is None else pair_weights(weights, near)
            y, x = differences(y, near), differences(x, far)
            if not circular:
                y, x, weights = cut(y, near), cut(x, far), None if weights is None else cut(weights, near)
        if circular and weights is None:
            G, b = circular_gram(y, x, size, self.scale, shift)
        else:
            if circular:
                x, shift = self.window(size)(x), (size[0] - 1 - size[0] // 2, size[1] - 1 - size[1] // 2)
            inner = (y, x, size, self.scale, shift)
            G, b = valid_gram(*inner) if weights is None else weighted_gram(*inner, weights)
        return (G.flip(1, 2), b.flip(1)) if self.correlation else (G, b)

    def _on_grid(
        self, y: Tensor, x: Tensor, k0: Tensor, gamma: Tensor, fit: Fit, relative: bool, weights: Tensor | None = None
    ) -> Tensor | None:
        if not self.closed or weights is None:
            return None
        if fit.gray:
            y, x = y.mean(1, keepdim=True), x.mean(1, keepdim=True)
        weights = weights.expand(-1, y.shape[1], -1, -1)
        if fit.edges:
            near, far = (fit.edges, fit.edges), (fit.edges * self.scale[0], fit.edges * self.scale[1])
            y, x, weights = differences(y, near), differences(x, far), pair_weights(weights, near)
        if relative:
            each = x.square().sum((2, 3), keepdim=True) * weights.mean((2, 3), keepdim=True)
            gamma = gamma * as_unit(each.sum(1, keepdim=True) / (self.scale[0] * self.scale[1]))
        start = self.taps(k0).flip(-2, -1)
        k = weighted_on_grid(y, x, start, gamma, self.scale, self._shift(size_of(k0)), weights, self.tolerance)
        return self.taps(k).flip(-2, -1)

    def spectrum(self, k: Tensor, low: Pair) -> Tensor:
        """A A* per frequency of a y of size ``low``, (b 1 h w/2+1), as if y were periodic; where it is, A A* is nothing else.

        Raises:
            ValueError: bicubic decimation, which has no spectrum.
        """
        if self.decimation == "bicubic":
            raise ValueError("bicubic decimation mirrors its border, and has no spectrum")
        grid, taps = (self.scale[0] * low[0], self.scale[1] * low[1]), self.taps(k).flip(-2, -1)
        return polyphase.power(polyphase.kernel_row(taps, grid, self.scale, self._shift(size_of(k))))

    def rescaled(self, scale: Scale) -> "Degradation":
        """The same conventions at another scale."""
        return self._with(scale, self.offset)

    @property
    def transposed(self) -> "Degradation":
        """The same with the factors and offsets of the axes exchanged."""
        return self._with(self.scale[::-1], self.offset if isinstance(self.offset, str) else self.offset[::-1])

    def _with(self, scale: Scale, offset: Scale | str) -> "Degradation":
        rules: dict[str, Any] = {"boundary": self.boundary, "centre": self.centre, "decimation": self.decimation}
        other = Degradation(scale, offset=offset, correlation=self.correlation, **rules)
        other.tolerance = self.tolerance
        return other

    def _square(self, y: Tensor, k: Tensor) -> Map | None:
        if not self.closed:
            return None
        gain = self.spectrum(k, (y.shape[-2], y.shape[-1]))  # on the grid of y, which is s² times smaller than that of x
        return lambda u: torch.fft.irfft2(gain * torch.fft.rfft2(u), s=u.shape[-2:])

    def _inverse(self, y: Tensor, k: Tensor, alpha: Tensor) -> Map | None:
        if self.decimation == "bicubic":
            return None
        gain = 1 / (self.spectrum(k, (y.shape[-2], y.shape[-1])) + alpha)
        return lambda r: torch.fft.irfft2(gain * torch.fft.rfft2(r), s=r.shape[-2:])

    def _shift(self, size: Pair) -> Pair:
        """The offset at which a convolution around p // 2 does the same, any integer."""
        rows, columns = (start + p - 1 - p // 2 for start, p in zip(self.whole_starts(size), size, strict=True))
        return rows, columns

    def window(self, size: Pair) -> Extend:
        """x with all that the kernel touches beyond its border, and without what it does not."""
        (top, left), (p, q) = self.whole_starts(size), size
        margins: Margins = (-top, 0, -left, 0) if self.boundary == "valid" else (-top, top + p - 1, -left, left + q - 1)
        return Extend(margins, "zero" if self.boundary == "valid" else self.boundary)

    def _decimate(self) -> LinearOperator:
        return Bicubic(self.scale) if self.decimation == "bicubic" else Downsample(self.scale)

    def __repr__(self) -> str:
        words = [f"{self.scale[0]} x {self.scale[1]}", f"offset {self.offset}", self.boundary]
        words += [f"centre {self.centre}"] * (self.centre != "p//2") + ["correlation"] * self.correlation
        return f"Degradation({', '.join(words + ['bicubic'] * (self.decimation == 'bicubic'))})"
