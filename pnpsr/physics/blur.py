"""x ⊗ k with any boundary, and its exact adjoint; k ↦ x ⊗ k is the same map frozen in the other argument."""

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics import polyphase
from pnpsr.physics.operator import LinearOperator

Margins = tuple[int, int, int, int]
BOUNDARIES = ("circular", "valid", "reflect", "symmetric", "replicate", "zero")


def source_index(n: int, before: int, after: int, boundary: str) -> Tensor:
    """For n samples extended by ``before`` and ``after``: which sample each extended one repeats; -1 stands for zero.

    ``reflect`` does not repeat the edge (d c b | a b c d | c b a), ``symmetric`` does (c b a | a b c d | d c b); any extension
    length is possible, also beyond the image, and a negative one crops.
    """
    i = torch.arange(-before, n + after)
    if boundary == "circular":
        return i % n
    if boundary == "replicate":
        return i.clamp(0, n - 1)
    if boundary == "reflect":
        period = max(2 * (n - 1), 1)
        return n - 1 - (i % period - (n - 1)).abs()
    if boundary == "symmetric":
        i = i % (2 * n)
        return torch.minimum(i, 2 * n - 1 - i)
    return torch.where((i >= 0) & (i < n), i, -1)


def extend(x: Tensor, margins: Margins, boundary: str) -> Tensor:
    """x (b c h w) with ``margins`` (top, bottom, left, right) more rows and columns; a linear map of x."""
    for axis, before, after in ((-2, *margins[:2]), (-1, *margins[2:])):
        index = source_index(x.shape[axis], before, after, boundary).to(x.device)
        x = _keep(x.index_select(axis, index.clamp_min(0)), index, axis)
    return x


def extend_adjoint(u: Tensor, margins: Margins, boundary: str) -> Tensor:
    """The adjoint of :func:`extend`: every extended sample is added back to the one it repeats."""
    for axis, before, after in ((-2, *margins[:2]), (-1, *margins[2:])):
        n = u.shape[axis] - before - after
        index = source_index(n, before, after, boundary).to(u.device)
        shape = list(u.shape)
        shape[axis] = n
        u = u.new_zeros(shape).index_add(axis, index.clamp_min(0), _keep(u, index, axis))
    return u


def _keep(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """x where the index points at a sample, zero where it is -1."""
    if bool((index >= 0).all()):
        return x
    return x * (index >= 0).to(x.dtype).reshape([-1 if a == x.ndim + axis else 1 for a in range(x.ndim)])


class Extend(LinearOperator):
    """x ↦ x with ``margins`` (top, bottom, left, right) more rows and columns by a boundary rule; negative margins crop."""

    def __init__(self, margins: Margins, boundary: str) -> None:
        checks.choice(boundary, tuple(name for name in BOUNDARIES if name != "valid"), "boundary")
        self.margins, self.boundary = margins, boundary

    def __call__(self, v: Tensor) -> Tensor:
        """(b c h w) -> (b c top+h+bottom left+w+right)."""
        return extend(checks.image(v, "v"), self.margins, self.boundary)

    def adjoint(self, u: Tensor) -> Tensor:
        """Every extended sample is added back to the one it repeats."""
        return extend_adjoint(checks.image(u, "u"), self.margins, self.boundary)

    def __repr__(self) -> str:
        return f"Extend({self.margins}, {self.boundary})"


class Blur(LinearOperator):
    """x ↦ x ⊗ k: true convolution, (x ⊗ k)(n) = Σ_m k(m) x(n + p // 2 - m), one kernel per sample, the same for all channels.

    Args:
        k: kernels (b 1 p q) of any size and parity; a batch of 1 serves any batch of images.
        boundary: how x goes on beyond its border: ``circular``, ``reflect`` (edge not repeated), ``symmetric`` (repeated),
            ``replicate``, ``zero``; or ``valid``, which keeps only the (h - p + 1) x (w - q + 1) outputs that need no border.

    Raises:
        ValueError: unknown boundary, kernel of more than one channel, or (on a call) larger than the image.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Blur
        >>> A = Blur(gaussian(5, 1.0), boundary="valid")
        >>> A(torch.rand(1, 3, 9, 9)).shape
        torch.Size([1, 3, 5, 5])
        >>> A.adjoint(torch.rand(1, 3, 5, 5)).shape
        torch.Size([1, 3, 9, 9])
    """

    def __init__(self, k: Tensor, boundary: str = "circular") -> None:
        checks.choice(boundary, BOUNDARIES, "boundary")
        self.k, self.boundary = checks.kernel(k, "k"), boundary

    def __call__(self, v: Tensor) -> Tensor:
        """v ⊗ k: (b c h w) -> (b c h w), smaller by the kernel's size less one where ``valid``."""
        v = checks.image(v, "v")
        checks.matching(v, self.k, "v and k")
        checks.kernel(self.k, "k", within=(v.shape[-2], v.shape[-1]))
        return convolve(v, self.k, self.boundary)

    def adjoint(self, u: Tensor) -> Tensor:
        """A* u: correlation with k; what a border repeated is added back to where it came from."""
        u = checks.image(u, "u")
        checks.matching(u, self.k, "u and k")
        margins = reach(self.k)
        if self.boundary == "circular":
            checks.kernel(self.k, "k", within=(u.shape[-2], u.shape[-1]))
            return _circular(u, self.k, adjoint=True)
        v = _circular(extend(u, margins, "zero"), self.k, adjoint=True)
        return v if self.boundary == "valid" else extend_adjoint(v, margins, self.boundary)

    def __repr__(self) -> str:
        return f"Blur({self.k.shape[-2]} x {self.k.shape[-1]}, {self.boundary})"


class KernelBlur(LinearOperator):
    """k ↦ x ⊗ k: the same bilinear map with the image frozen; the unknown is (b 1 p q), the result has the channels of x.

    Args:
        x: images (b c h w).
        size: p, or (p, q), of the kernels.
        boundary: as in :class:`Blur`.

    Raises:
        ValueError: unknown boundary, or kernels larger than the image.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Blur, KernelBlur
        >>> x, k = torch.rand(1, 3, 9, 9), gaussian(5, 1.0)
        >>> torch.allclose(KernelBlur(x, 5)(k), Blur(k)(x), atol=1e-6)
        True
    """

    def __init__(self, x: Tensor, size: Scale, boundary: str = "circular") -> None:
        checks.choice(boundary, BOUNDARIES, "boundary")
        self.x, self.size, self.boundary = checks.image(x, "x"), checks.size(size, "size"), boundary
        if self.size[0] > x.shape[-2] or self.size[1] > x.shape[-1]:
            raise ValueError(
                f"size {self.size} is larger than the image of {x.shape[-2]} x {x.shape[-1]}; ask for a smaller kernel"
            )

    def __call__(self, v: Tensor) -> Tensor:
        """x ⊗ v (b c h w) for kernels v (b 1 p q)."""
        v = checks.kernel(v, "v")
        checks.matching(v, self.x, "v and x")
        if v.shape[-2:] != self.size:
            raise ValueError(f"v must be kernels of size {self.size}, got {tuple(v.shape)}")
        return convolve(self.x, v, self.boundary)

    def adjoint(self, u: Tensor) -> Tensor:
        """A* u (b 1 p q): the correlation of u with x at the lags of the kernel, summed over channels."""
        u = checks.image(u, "u", channels=self.x.shape[1])
        checks.matching(u, self.x, "u and x")
        x, margins = self.x, reach(u.new_empty(1, 1, *self.size))
        if self.boundary != "circular":
            x, u = _outside(x, margins, self.boundary), extend(u, margins, "zero")
        if x.shape[-2:] != u.shape[-2:]:
            raise ValueError(f"u of {tuple(u.shape)} is no output of this operator on x of {tuple(self.x.shape)}")
        spectrum = (torch.fft.rfft2(x).conj() * torch.fft.rfft2(u)).sum(1, keepdim=True)
        return polyphase.crop(torch.fft.irfft2(spectrum, s=u.shape[-2:]), self.size)

    def __repr__(self) -> str:
        return f"KernelBlur({self.size[0]} x {self.size[1]}, {self.boundary})"


def reach(k: Tensor) -> Margins:
    """How far x ⊗ k at n reaches beyond n: (up, down, left, right) = (p - 1 - p // 2, p // 2, ...)."""
    p, q = k.shape[-2:]
    return p - 1 - p // 2, p // 2, q - 1 - q // 2, q // 2


def convolve(x: Tensor, k: Tensor, boundary: str) -> Tensor:
    """x ⊗ k without checks: extend x, convolve on that grid by FFT, keep what did not wrap around."""
    if boundary == "circular":
        return _circular(x, k)
    up, down, left, right = reach(k)
    full = _circular(_outside(x, (up, down, left, right), boundary), k)
    return full[..., up : full.shape[-2] - down, left : full.shape[-1] - right]


def _outside(x: Tensor, margins: Margins, boundary: str) -> Tensor:
    return x if boundary == "valid" else extend(x, margins, boundary)


def _circular(x: Tensor, k: Tensor, adjoint: bool = False) -> Tensor:
    grid = (x.shape[-2], x.shape[-1])
    transfer = torch.fft.rfft2(polyphase.embed(k, grid))
    return torch.fft.irfft2(torch.fft.rfft2(x) * (transfer.conj() if adjoint else transfer), s=grid)
