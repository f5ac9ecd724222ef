"""Pixels of y that count more, less or not at all: around any physics, with its closed form as the guess of the solver."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics.around import Around
from pnpsr.physics.cg import Map
from pnpsr.physics.operator import LinearOperator
from pnpsr.physics.physics import Fit, Physics, Shape


class Weigh(LinearOperator):
    """v ↦ w v, pixel by pixel; self-adjoint. ``weights`` (b c h w), where b and c may be 1."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = checks.image(weights, "weights")

    def __call__(self, v: Tensor) -> Tensor:
        """w v."""
        return checks.image(v, "v") * self.weights.to(v)

    def adjoint(self, u: Tensor) -> Tensor:
        """w u."""
        return self(u)

    def __repr__(self) -> str:
        return f"Weigh({tuple(self.weights.shape)})"


class Weighted(Around, Physics):
    """The physics of ``base`` where pixel n of y counts w(n): both steps fit Σ_n w(n) |y(n) - (A_k x)(n)|².

    A known noise map is w = 1 / σ², see :func:`noise_weights`. The image step runs conjugate gradients around the closed form of
    ``base``, the kernel step solves its normal equations on the support. Not differentiable in the weights.

    Args:
        base: any physics.
        weights: (b 1 h w) or (b c h w), zero or more; a batch of 1 serves any batch.

    Raises:
        ValueError: negative weights, or none at all.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Weighted
        >>> physics = Weighted(Degradation(1), torch.full((1, 1, 8, 8), 0.5))
        >>> physics(torch.rand(1, 1, 8, 8), gaussian(3, 0.8)).shape
        torch.Size([1, 1, 8, 8])
    """

    image_solver: ClassVar[str] = "conjugate gradients around the closed form"

    def __init__(self, base: Physics, weights: Tensor) -> None:
        self.base, self.weights = base, checks.image(weights, "weights").detach()
        self.tolerance = base.tolerance
        if bool((self.weights < 0).any()) or not bool((self.weights > 0).any()):
            raise ValueError("weights must be zero or positive, and some of them positive")

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """That of the base: weights say what counts, they change no pixel."""
        return self.base.freeze(k=k, x=x, size=size)

    def image_shape(self, y: Tensor) -> Shape:
        """That of the base.

        Raises:
            ValueError: weights that do not fit y.
        """
        for axis, (w, n) in enumerate(zip(self.weights.shape, y.shape, strict=True)):
            if w != n and not (axis < 2 and (w == 1 or (axis == 0 and n == 1))):
                raise ValueError(f"weights of {tuple(self.weights.shape)} do not fit y of {tuple(y.shape)}")
        return self.base.image_shape(y)

    @property
    def multiple(self) -> int:
        """That of the base."""
        return self.base.multiple

    def observed(self, y: Tensor) -> Tensor:
        """What the base says."""
        return self.base.observed(y)

    def complete(self, y: Tensor) -> Tensor:
        """y with the pixels that do not count filled in from their neighbours, layer by layer."""
        return self.base._complete_where(y, self.weights.to(y))

    def noise_level(self, y: Tensor) -> Tensor | None:
        """The noise level (b 1 1 1) that y shows where it counts; None where the base can see none."""
        return self.base._noise_where(y, self.weights)

    def masked(self, mask: Tensor) -> Physics:
        """The same with ``mask`` on top."""
        return type(self)(self.base, self.weights * mask.to(self.weights))

    @property
    def whole(self) -> Physics:
        """That of the base."""
        return self.base.whole

    @property
    def transposed(self) -> Physics:
        """The same around that of the base, weights with it."""
        return type(self)(self.base.transposed, self.weights.mT)

    def count(self, y: Tensor) -> Tensor:
        """The sum of the weights beside the largest, (b 1 1 1)."""
        w = self.weights.to(y).mean(1, keepdim=True)
        return (
            (w / w.amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(w.dtype).tiny))
            .sum((2, 3), keepdim=True)
            .expand(len(y), 1, 1, 1)
        )

    def padded(self, margin: tuple[int, int], y: Tensor) -> Physics:
        """The same for y continued by (rows, columns) on each side: what was added does not count."""
        return type(self)(self.base.padded(margin, y), framed(self.weights, margin))

    def normal_equations(
        self, y: Tensor, x: Tensor, size: tuple[int, int], fit: Fit, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Those of the base under the weights; ``gray`` where all channels count alike, each channel where they do not."""
        return self.base.normal_equations(y, x, size, *self._counted(y, fit, weights))

    def _on_grid(
        self, y: Tensor, x: Tensor, k0: Tensor, gamma: Tensor, fit: Fit, relative: bool, weights: Tensor | None = None
    ) -> Tensor | None:
        fit, own = self._counted(y, fit, weights)
        return self.base._on_grid(y, x, k0, gamma, fit, relative, own)

    def _counted(self, y: Tensor, fit: Fit, weights: Tensor | None) -> tuple[Fit, Tensor]:
        """What the base is to fit, and how much each pixel counts there."""
        own = self.weights.to(y).expand(len(y), *self.weights.shape[1:])
        return Fit(fit.edges, fit.gray and own.shape[1] == 1, fit.inside), own if weights is None else own * weights

    def _complete_where(self, y: Tensor, weights: Tensor) -> Tensor:
        return self.base._complete_where(y, self.weights.to(y) * weights)

    def _noise_where(self, y: Tensor, weights: Tensor) -> Tensor | None:
        return self.base._noise_where(y, self.weights * weights.to(self.weights))

    def _wide(self, y: Tensor) -> torch.dtype:
        return self.base._wide(y)

    def _rows(self, y: Tensor, k: Tensor) -> tuple[LinearOperator, Tensor]:
        root = self.weights.sqrt().to(y)
        B, y = self.base._rows(y, k)
        return Weigh(root) @ B, root * y

    def _square(self, y: Tensor, k: Tensor) -> Map | None:
        root, square = self.weights.sqrt().to(y), self.base._square(y, k)
        return None if square is None else lambda u: root * square(root * u)

    def _inverse(self, y: Tensor, k: Tensor, alpha: Tensor) -> Map | None:
        w = self.weights.to(y)
        usual = w.sum((1, 2, 3), keepdim=True) / (w > 0).sum((1, 2, 3), keepdim=True).clamp_min(1)
        guess = self.base._inverse(y, k, alpha / usual)
        over = torch.where(w > 0, w.clamp_min(torch.finfo(w.dtype).tiny).rsqrt(), 0)
        return None if guess is None else lambda r: over * guess(over * r)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base!r})"


class Masked(Weighted):
    """The physics of ``base`` of which only the pixels of ``mask`` are seen: y is zero elsewhere, and nothing there counts.

    Args:
        base: any physics; a mosaic has a mask of its own, which ``Physics.masked`` knows.
        mask: (b 1 h w) or (b c h w) of zeros and ones, as floats or booleans; a batch of 1 serves any batch.

    Raises:
        ValueError: other values, or a mask that leaves nothing.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Masked
        >>> mask = (torch.rand(1, 1, 4, 4) > 0.3).float()
        >>> y = Masked(Degradation(2), mask)(torch.rand(1, 1, 8, 8), gaussian(3, 0.8))
        >>> bool((y[mask == 0] == 0).all())
        True
    """

    def __init__(self, base: Physics, mask: Tensor) -> None:
        if isinstance(mask, Tensor) and mask.dtype == torch.bool:
            mask = mask.to(torch.get_default_dtype())
        super().__init__(base, mask)
        if bool(((self.weights != 0) & (self.weights != 1)).any()):
            raise ValueError("mask must hold zeros and ones; for anything between them take Weighted")

    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """That of the base, then the mask."""
        return Weigh(self.weights) @ self.base.freeze(k=k, x=x, size=size)

    def observed(self, y: Tensor) -> Tensor:
        """What the base says, zero where the mask is."""
        return self.base.observed(y) * self.weights.to(y)


def noise_weights(sigma: Tensor) -> Tensor:
    """1 / σ(n)², scaled to a mean of 1: the weights of :class:`Weighted` for a map (b 1 h w) or (b c h w) of noise levels.

    Raises:
        ValueError: a noise level that is not positive.

    Example:
        >>> import torch
        >>> from pnpsr.physics import noise_weights
        >>> noise_weights(torch.tensor([[[[0.01, 0.02]]]])).shape
        torch.Size([1, 1, 1, 2])
    """
    if bool((checks.image(sigma, "sigma") <= 0).any()):
        raise ValueError("sigma must be positive everywhere; a pixel without noise would silence all others")
    precise = sigma.square().reciprocal()
    return precise / precise.mean((1, 2, 3), keepdim=True)


def unclipped(y: Tensor, *, low: float = 0.0, high: float = 1.0) -> Tensor:
    """A mask (b 1 h w) of the pixels that no channel shows at ``low`` or below, or at ``high`` or above: not clipped.

    Raises:
        ValueError: ``low`` not below ``high``.

    Example:
        >>> import torch
        >>> from pnpsr.physics import unclipped
        >>> unclipped(torch.tensor([[[[0.0, 0.5, 1.0]]]])).flatten().tolist()
        [0.0, 1.0, 0.0]
    """
    if not low < high:
        raise ValueError(f"low must be below high, got {low!r} and {high!r}")
    return ((checks.image(y, "y") > low) & (y < high)).all(1, keepdim=True).to(y)


def fill(y: Tensor, weights: Tensor) -> Tensor:
    """y where the weights are positive; elsewhere the average of the known among 3 x 3 neighbours, layer by layer.

    Averages weigh 1 2 1 along both axes: on a Bayer mosaic that is bilinear interpolation.
    """
    known = (weights > 0).to(y).expand(max(len(y), len(weights)), y.shape[1], -1, -1)
    y = torch.where(known > 0, y, 0)
    taps = y.new_tensor([1.0, 2.0, 1.0])
    kernel = torch.outer(taps, taps).expand(y.shape[1], 1, 3, 3)
    for _ in range(max(y.shape[-2:])):
        if not bool((known == 0).any()):
            break
        total, sums = (conv2d(pad(t, (1, 1, 1, 1)), kernel, groups=y.shape[1]) for t in (known, known * y))
        reached = (known == 0) & (total > 0)
        y = torch.where(reached, sums / total.clamp_min(1), y)
        known = torch.where(reached, 1, known)
    return y


def framed(weights: Tensor, margin: tuple[int, int]) -> Tensor:
    """The weights with a frame of zeros of (rows, columns) on each side."""
    return pad(weights, (margin[1], margin[1], margin[0], margin[0]))
