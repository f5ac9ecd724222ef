"""What a solver inverts: (x, k) ↦ y, linear in each, with the two data steps that belong to it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.checks import Scale
from pnpsr.physics.cg import Map, solve_by_cg
from pnpsr.physics.edges import cut, differences, pair_weights
from pnpsr.physics.kernel_step import CONSTRAINTS, DOMAINS, as_unit, constrained, on_support, size_of
from pnpsr.physics.noise import estimate_noise, gaussian_noise
from pnpsr.physics.operator import LinearOperator

Shape = tuple[int, int, int, int]
LOOSE = 1e-4  # a tolerance from which on conjugate gradients need no more digits than the closed forms


@dataclass(frozen=True)
class Fit:
    """What a kernel step fits to y.

    ``edges`` in place of values: differences over so many pixels of y. ``gray``: the mean of the channels in place of each.
    ``inside``: only pixels of y that no border has touched.
    """

    edges: int = 0
    gray: bool = False
    inside: bool = False


class Physics(ABC):
    """(x, k) ↦ y, bilinear. A subclass says ``scale`` and ``freeze``; what it knows better than conjugate gradients it overrides.

    Immutable: a call stores nothing.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Physics
        >>> physics = Degradation(2)
        >>> isinstance(physics, Physics), physics.scale
        (True, (2, 2))
        >>> physics.prox_image(torch.rand(1, 1, 4, 4), gaussian(3, 0.8), torch.zeros(1, 1, 8, 8), 0.1).shape
        torch.Size([1, 1, 8, 8])
    """

    tolerance: float = 1e-7  # of conjugate gradients, relative, per sample
    image_solver: ClassVar[str] = "conjugate gradients"  # how prox_image is solved
    kernel_solver: ClassVar[str] = "normal equations"  # how prox_kernel is solved
    shows: ClassVar[bool] = True  # y is a picture, with values in [0, 1]

    @property
    @abstractmethod
    def scale(self) -> tuple[int, int]:
        """How many pixels of x there are for one of y, (rows, columns)."""

    @abstractmethod
    def freeze(self, *, k: Tensor | None = None, x: Tensor | None = None, size: Scale | None = None) -> LinearOperator:
        """The linear operator in the other argument: ``freeze(k=k)`` acts on images, ``freeze(x=x, size=p)`` on p x p kernels.

        Raises:
            ValueError: both or neither of k and x, or x without the size of the kernels.
        """

    @property
    def position(self) -> tuple[float, float]:
        """Where the first pixel of y sits on the grid of x, (row, column)."""
        return 0, 0

    def __call__(
        self, x: Tensor, k: Tensor, sigma: float | Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """y without noise, plus Gaussian noise of standard deviation ``sigma`` where one is given.

        Args:
            x: images (b c sh sw) in [0, 1].
            k: kernels (b 1 p q), or one for all (1 1 p q), each of sum 1; with a gain: ``freeze(k=k)(x)``, which takes any.
            sigma: noise level in the units of x, at most 1; a number or one per sample.
            generator: source of the noise.

        Returns:
            y (b c h w).
        """
        y = self.freeze(k=checks.blur(k, "k", remedy="; for a blur with gain apply the operator freeze(k=k)"))(x)
        return self.observed(y if sigma is None else gaussian_noise(y, sigma, generator=generator))

    @property
    def multiple(self) -> int:
        """What the sides of y must be multiples of."""
        return 1

    def observed(self, y: Tensor) -> Tensor:
        """y (b c h w) with zeros where nothing is observed: noise does not show there, either."""
        return y

    def image_shape(self, y: Tensor) -> Shape:
        """The shape of the x that belongs to y.

        Raises:
            ValueError: y does not fit this physics.
        """
        b, c, h, w = y.shape
        return b, c, self.scale[0] * h, self.scale[1] * w

    def complete(self, y: Tensor) -> Tensor:
        """An image (b c h w) like y without what was not observed: what networks and interpolation read."""
        return y

    def noise_level(self, y: Tensor) -> Tensor | None:
        """The noise level (b 1 1 1) that y shows, see :func:`pnpsr.physics.estimate_noise`; None where it cannot be seen."""
        return estimate_noise(y)

    def masked(self, mask: Tensor) -> "Physics":
        """This physics where only the pixels of y count whose ``mask`` (b 1 h w) or (b c h w) is one."""
        from pnpsr.physics.weighted import Masked  # which is a physics itself

        return Masked(self, mask)

    @property
    def whole(self) -> "Physics":
        """The same for a y of another size, of which every pixel counts.

        Raises:
            ValueError: it is of one size.
        """
        return self

    @property
    def transposed(self) -> "Physics":
        """The same with rows and columns exchanged: P(x, k)ᵀ = P.transposed(xᵀ, kᵀ).

        Raises:
            ValueError: it does not say what that is.
        """
        raise ValueError(f"{self!r} does not say what it is with rows and columns exchanged: give it a property transposed")

    def count(self, y: Tensor) -> Tensor:
        """How many pixels of y count, (b 1 1 1)."""
        return torch.full_like(y[:, :1, :1, :1], y.shape[-2] * y.shape[-1])

    def padded(self, margin: tuple[int, int], y: Tensor) -> "Physics":
        """The physics of what y becomes when it is continued by (rows, columns) on each side."""
        del margin, y
        return self

    def prox_image(self, y: Tensor, k: Tensor, x0: Tensor, alpha: float | Tensor) -> Tensor:
        """argmin_x |y - A_k x|² + alpha |x - x0|², to ``tolerance``: x0 + B*(B B* + alpha)⁻¹ (y - B x0) by conjugate gradients.

        Args:
            y: observed image (b c h w).
            k: kernels (b 1 p q), or one for all.
            x0: the point to stay near, of :meth:`image_shape`.
            alpha: weight of the proximity term, positive; a number, (b,) or (b 1 1 1), always per sample.

        Returns:
            x in the dtype of y.

        Raises:
            TypeError: integer or half-precision tensors, different dtypes.
            ValueError: sizes that do not fit, NaN, alpha not positive.
            ArithmeticError: no convergence.
        """
        y, k, x0 = self._fitting(y, k, x0)
        alpha = checks.per_sample(alpha, checks.of_more(y, k), "alpha", positive=True)
        with precision.exact(y):
            batch = max(len(y), len(k), len(alpha))
            wide = self._wide(y) if self.tolerance < LOOSE else precision.dtype_for(alpha, y, precision.safe_for(self.tolerance))
            seen, kernel, start, rho = y.to(wide).expand(batch, -1, -1, -1), k.to(wide), x0.to(wide), alpha.to(wide)
            B, seen = self._rows(seen, kernel)
            guess = self._inverse(seen, kernel.detach(), rho.detach())
            square = self._square(seen, kernel) or (lambda u: B(B.adjoint(u)))
            u = solve_by_cg(lambda u: square(u) + rho * u, seen - B(start), guess, tolerance=self.tolerance)
            return (start + B.adjoint(u)).to(y.dtype)

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
        """argmin_k |y - A_x k|² + gamma |k - k0|² over the coefficients of k: dense normal equations, in float64.

        On the ``grid``, around a physics that has a closed form there: by conjugate gradients around that.

        Args:
            y: observed image (b c h w).
            x: current image, of :meth:`image_shape`.
            k0: the kernel to stay near (b 1 p q); its size is that of the result.
            gamma: weight of the proximity term, positive; a number or one per sample.
            domain: ``support``, or ``grid``: k as large as the image, then cropped, as :func:`pnpsr.prox.prox_kernel`; where the
                physics around which this one is built has no closed form on the circle it is the same as ``support``.
            constraint: None, ``sum`` for Σk = 1, ``simplex`` for also k >= 0.
            relative: measure gamma in units of the normal matrix' mean diagonal.
            edges, gray, inside: see :class:`Fit`.

        Returns:
            k (b 1 p q), in the dtype of y.

        Raises:
            TypeError, ValueError: as :func:`pnpsr.prox.prox_kernel`.
        """
        checks.choice(domain, DOMAINS, "domain")
        checks.choice(constraint, CONSTRAINTS, "constraint")
        y, k0, x = self._fitting(y, k0, x)
        gamma = checks.per_sample(gamma, checks.of_more(y, k0), "gamma", positive=True)
        batch, wide = max(len(y), len(k0), len(gamma)), precision.double(y)
        with precision.exact(y):
            seen, x, k, gamma = (t.to(wide).expand(batch, -1, -1, -1) for t in (y, x, k0, gamma))
            if domain == "grid" and not inside:
                full = self._on_grid(seen, x, k, gamma, Fit(int(edges), gray), relative)
                if full is not None:
                    return constrained(full, constraint).to(y.dtype)
            G, b = self.normal_equations(seen, x, size_of(k), Fit(int(edges), gray, inside))
            if relative:
                gamma = gamma * as_unit(G.diagonal(dim1=1, dim2=2).mean(1).reshape(-1, 1, 1, 1))
            return on_support(G, b, k, gamma, constraint).to(y.dtype)

    def normal_equations(
        self, y: Tensor, x: Tensor, size: tuple[int, int], fit: Fit, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """G = UᵀWU (b pq pq) and b = UᵀWy (b pq 1) of k ↦ A_x k, from its columns: what it makes of every unit kernel.

        ``weights`` (b 1 h w) or (b c h w) say how much a pixel of y counts.

        Raises:
            ValueError: ``fit.inside``, which only a physics that knows its border can do.
        """
        if fit.inside:
            raise ValueError(f"{self!r} cannot tell which pixels a border has touched; leave boundary at its default")
        A, taps = self.freeze(x=x, size=size), size[0] * size[1]
        units = torch.eye(taps, dtype=x.dtype, device=x.device).reshape(taps, 1, 1, *size)
        U = torch.stack([A(unit.expand(len(x), -1, -1, -1)) for unit in units], 1)  # (b pq c h w)
        if fit.gray:
            U, y = U.mean(2, keepdim=True), y.mean(1, keepdim=True)
        if fit.edges:
            stride = (fit.edges, fit.edges)
            weights = None if weights is None else cut(pair_weights(weights.expand(-1, y.shape[1], -1, -1), stride), stride)
            y, U = cut(differences(y, stride), stride), cut(differences(U.flatten(0, 1), stride), stride)
            U = U.reshape(len(x), taps, *U.shape[1:])
        W = U if weights is None else U * weights.unsqueeze(1)
        U, W = U.flatten(2), W.flatten(2)
        return W @ U.mT, W @ y.flatten(1).unsqueeze(-1)

    def _on_grid(
        self, y: Tensor, x: Tensor, k0: Tensor, gamma: Tensor, fit: Fit, relative: bool, weights: Tensor | None = None
    ) -> Tensor | None:
        """The kernel step for k as large as the image, cropped to the size of k0; None where no closed form helps."""
        del y, x, k0, gamma, fit, relative, weights
        return None

    def _complete_where(self, y: Tensor, weights: Tensor) -> Tensor:
        """:meth:`complete`, where only pixels of y with a positive weight were observed."""
        from pnpsr.physics.weighted import fill

        return self.complete(fill(y, weights))

    def _noise_where(self, y: Tensor, weights: Tensor) -> Tensor | None:
        """:meth:`noise_level`, from the pixels of y with a positive weight."""
        return estimate_noise(y, weights)

    def _rows(self, y: Tensor, k: Tensor) -> tuple[LinearOperator, Tensor]:
        """B and y' such that |y' - B x|² is what the image step fits."""
        return self.freeze(k=k), y

    def _square(self, y: Tensor, k: Tensor) -> Map | None:
        """u ↦ B B* u, where that costs less than one after the other."""
        del y, k
        return None

    def _inverse(self, y: Tensor, k: Tensor, alpha: Tensor) -> Map | None:
        """An approximation of (B B* + alpha)⁻¹, where there is one."""
        del y, k, alpha
        return None

    def _wide(self, y: Tensor) -> torch.dtype:
        """The dtype in which conjugate gradients run."""
        return precision.double(y)

    def _fitting(self, y: Tensor, k: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three, if they fit each other and this physics."""
        y, x = checks.image(y, "y"), checks.image(x, "x")
        k = checks.kernel(k, "k", within=(x.shape[-2], x.shape[-1]))
        checks.matching(x, y, "x and y")
        checks.matching(k, y, "k and y")
        if (due := self.image_shape(y))[1:] != tuple(x.shape[1:]):
            raise ValueError(f"x of {tuple(x.shape)} does not fit y of {tuple(y.shape)}: {self!r} needs {due}")
        return y, k, x
