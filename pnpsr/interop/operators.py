# ruff: noqa: TID253
"""y = (x ⊗ k)↓s + n as a ``deepinv.physics.LinearPhysics``: deepinv's names and keywords for pnpsr's operator."""

import copy
from typing import Any

import torch
from deepinv.physics import LinearPhysics, ZeroNoise
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.interop import least_squares
from pnpsr.interop.noise import noise_model
from pnpsr.physics import Degradation

# what a call may name: deepinv calls the kernel filter and the scale factor, and hands its solvers' keywords to every physics
OPERATOR = ("kernel", "filter", "factor")
LIMITS = ("max_iter", "tol")
UNUSED = ("solver", "verbose", "init", "x_init", "use_fft", "rng")


class DegradationPhysics(LinearPhysics):  # type: ignore[misc]
    """x ↦ (x ⊗ k)↓s for every optimiser, prior, sampler, generator and metric of deepinv; see :func:`to_deepinv`.

    Every method takes ``kernel=`` (or ``filter=``, deepinv's name for it) and ``factor=``, used by that call alone; ``update``
    stores them as they are, with dtype and graph. Nothing else is kept: no spectra, no image size. Unknown keywords: TypeError.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.interop.deepinv import DegradationPhysics
        >>> from pnpsr.kernels import gaussian
        >>> physics = DegradationPhysics(Degradation(2), gaussian(5, 1.0))
        >>> physics.A(torch.rand(1, 1, 8, 8)).shape
        torch.Size([1, 1, 4, 4])
    """

    kernel: Tensor | None

    def __init__(
        self,
        degradation: Degradation,
        k: Tensor | None = None,
        *,
        img_size: tuple[int, int, int] | None = None,
        sigma: float | Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            img_size=img_size,
            noise_model=noise_model(sigma, generator),
            max_iter=200,
            tol=1e-6,
            solver="CG",
            implicit_backward_solver=False,  # deepinv's implicit backward pass loses the gradient of a kernel that has a graph
            device=k.device if k is not None else generator.device if generator is not None else "cpu",
        )
        self.degradation = degradation
        self.register_buffer("kernel", None if k is None else checks.kernel(k, "k"))

    @property
    def filter(self) -> Tensor | None:
        """The stored kernel (b 1 p q), under deepinv's name."""
        return self.kernel

    @property
    def factor(self) -> int | tuple[int, int]:
        """The scale: a number, or (rows, columns) where they differ."""
        s1, s2 = self.degradation.scale
        return s1 if s1 == s2 else (s1, s2)

    def forward(self, x: Tensor, **parameters: Any) -> Tensor:
        """y = (x ⊗ k)↓s + n; keywords of the noise model (``sigma``, ``seed``) are used by this call alone, too."""
        self._refuse_unknown(parameters, (*OPERATOR, "seed", *self._noise_names()))
        operator = {name: value for name, value in parameters.items() if name in OPERATOR}
        rest = {name: value for name, value in parameters.items() if name not in OPERATOR}
        return self.sensor(self.noise(self.A(x, **operator), **rest))

    def noise(self, x: Tensor, **parameters: Any) -> Tensor:
        """x plus what the noise model draws."""
        model, sigma = self.noise_model, parameters.get("sigma")
        if isinstance(model, ZeroNoise) and sigma is not None:
            model = noise_model(sigma, model.rng)
        return model(x, **parameters)

    def A(self, x: Tensor, kernel: Tensor | None = None, **parameters: Any) -> Tensor:
        """(x ⊗ k)↓s: (b c sh sw) -> (b c h w)."""
        degradation, k = self._operator(kernel, parameters)
        return degradation.freeze(k=k)(_full(x))

    def A_adjoint(self, y: Tensor, kernel: Tensor | None = None, **parameters: Any) -> Tensor:
        """A* y: (b c h w) -> (b c sh sw)."""
        degradation, k = self._operator(kernel, parameters)
        return degradation.freeze(k=k).adjoint(_full(y))

    def A_adjoint_A(self, x: Tensor, kernel: Tensor | None = None, **parameters: Any) -> Tensor:
        """A* A x: (b c sh sw) -> (b c sh sw)."""
        degradation, k = self._operator(kernel, parameters)
        A = degradation.freeze(k=k)
        return A.adjoint(A(_full(x)))

    def A_A_adjoint(self, y: Tensor, kernel: Tensor | None = None, **parameters: Any) -> Tensor:
        """A A* y: (b c h w) -> (b c h w); one multiplication per frequency where the boundary is circular."""
        degradation, k = self._operator(kernel, parameters)
        return least_squares.outer_gram(degradation, k, _full(y))

    def prox_l2(self, z: Tensor | float | None, y: Tensor, gamma: float | Tensor, **parameters: Any) -> Tensor:
        """argmin_x gamma |A x - y|² / 2 + |x - z|² / 2, that is :func:`pnpsr.prox.prox_image` with alpha = 1 / gamma.

        Exact where the boundary is circular; elsewhere deepinv's conjugate gradients, differentiable in the kernel.

        Args:
            z: the point to stay near (b c sh sw), a number (the same everywhere), or None for 0.
            y: observed image (b c h w).
            gamma: step size, positive: a number, 0-d, (b,) or (b 1 1 1), always per sample.
            parameters: ``kernel``, ``filter``, ``factor``; ``max_iter`` and ``tol`` of conjugate gradients, by default those of
                ``set_ls_solver``; the other keywords of deepinv's solvers are accepted and have nothing to decide here.

        Raises:
            TypeError: unknown keywords, different dtypes.
            ValueError: gamma not positive, shapes that do not fit.
        """
        degradation, k = self._operator(parameters.get("kernel"), parameters, solves=True)
        z = _full(z) if isinstance(z, Tensor) else 0.0 if z is None else z
        return least_squares.nearest(degradation, k, _full(y), z, gamma, **self._limits(parameters))

    def A_dagger(self, y: Tensor, **parameters: Any) -> Tensor:
        """A⁺ y: the shortest x (b c sh sw) that explains y best; keywords as in :meth:`prox_l2`.

        Exact where the boundary is circular (singular values below 1e-5 of the largest count as 0); conjugate gradients elsewhere.
        """
        degradation, k = self._operator(parameters.get("kernel"), parameters, solves=True)
        return least_squares.pseudo_inverse(degradation, k, _full(y), **self._limits(parameters))

    def compute_sqnorm(self, x0: Tensor, **parameters: Any) -> Tensor:
        """‖A‖² for images of the size of ``x0`` (its values do not matter), the largest over the batch of kernels, 0-d.

        Exact where the boundary is circular: the largest value of A A* over the frequencies; elsewhere at most 0.1 % too large.
        """
        degradation, k = self._operator(parameters.get("kernel"), parameters, solves=True)
        return least_squares.largest_gain(degradation, k, x0 if x0.ndim == 4 else x0[None])

    def update(self, **parameters: Any) -> None:
        """Store a kernel (``kernel`` or ``filter``), a ``factor``, parameters of the noise: whatever deepinv's generators yield."""
        sigma = parameters.get("sigma")
        if isinstance(self.noise_model, ZeroNoise) and sigma is not None:
            self.set_noise_model(noise_model(sigma, self.noise_model.rng))
        super().update(**parameters)

    def update_parameters(self, **parameters: Any) -> None:
        """Store a kernel and a factor; what belongs to the noise model is left to it."""
        self._refuse_unknown(parameters, (*OPERATOR, *self._noise_names()))
        given = {name: parameters.get(name) for name in OPERATOR}
        kernel = _one_of(given["kernel"], given["filter"])
        if kernel is not None:
            # not setattr, by which a Parameter would become this module's own
            self.register_buffer("kernel", checks.kernel(kernel, "kernel"))
        if given["factor"] is not None:
            self.degradation = _rescaled(self.degradation, given["factor"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "DegradationPhysics":
        """An independent copy, as ``clone()`` makes it; tensors that have a graph are copied without it."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for buffer in self.buffers():
            if not buffer.is_leaf:
                memo[id(buffer)] = buffer.detach().clone()
        twin.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return twin

    def extra_repr(self) -> str:
        """The degradation and the kernel's size."""
        return f"{self.degradation!r}, kernel={None if self.kernel is None else tuple(self.kernel.shape)}"

    def _operator(self, kernel: Tensor | None, parameters: dict[str, Any], solves: bool = False) -> tuple[Degradation, Tensor]:
        self._refuse_unknown(parameters, (*OPERATOR, *(LIMITS + UNUSED if solves else ())))
        k = _one_of(kernel, parameters.get("filter"))
        k = self.kernel if k is None else k
        if k is None:
            raise ValueError("this physics has no kernel yet: pass kernel= to the call, or store one with update(kernel=...)")
        factor = parameters.get("factor")
        return self.degradation if factor is None else _rescaled(self.degradation, factor), checks.kernel(k, "kernel")

    def _limits(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: getattr(self, name) if parameters.get(name) is None else parameters[name] for name in LIMITS}

    def _noise_names(self) -> tuple[str, ...]:
        return ("sigma", *(name for name, _ in self.noise_model.named_buffers() if name != "sigma"))

    def _refuse_unknown(self, parameters: dict[str, Any], known: tuple[str, ...]) -> None:
        if unknown := sorted(set(parameters) - set(known)):
            raise TypeError(f"unknown keyword {', '.join(map(repr, unknown))}; known are {', '.join(known)}")


def to_deepinv(
    degradation: Degradation,
    k: Tensor | None = None,
    *,
    img_size: tuple[int, int, int] | None = None,
    sigma: float | Tensor | None = None,
    generator: torch.Generator | None = None,
) -> DegradationPhysics:
    """The operator x ↦ (x ⊗ k)↓s, with Gaussian noise, for deepinv.

    Args:
        degradation: scale, offset and boundary; ``circular`` has every data step in closed form.
        k: kernels (b 1 p q), or one for all; None: each call names one, or ``update`` stores one.
        img_size: (c, sh, sw) of x, only for those methods of deepinv that ask the physics for it; any size can be passed to calls.
        sigma: noise level in the units of x, a number, (b,) or (b 1 1 1); None: no noise, until ``update(sigma=...)``.
        generator: source of the noise.

    Raises:
        TypeError: no :class:`Degradation`, a kernel that holds no floats.
        ValueError: a kernel of several channels, negative sigma, a kernel larger than ``img_size``.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.interop.deepinv import to_deepinv
        >>> from pnpsr.kernels import gaussian
        >>> physics = to_deepinv(Degradation(2), gaussian(5, 1.0))
        >>> y = physics(torch.rand(1, 1, 8, 8))
        >>> physics.prox_l2(torch.zeros(1, 1, 8, 8), y, 10.0).shape
        torch.Size([1, 1, 8, 8])
    """
    if not isinstance(degradation, Degradation):
        raise TypeError(f"degradation must be a pnpsr Degradation, got {type(degradation).__name__}")
    if img_size is not None:
        if len(img_size) != 3:
            raise ValueError(f"img_size must be (channels, rows, columns) of x, got {img_size!r}")
        img_size = (checks.whole(img_size[0], "img_size"), *checks.size(img_size[1:], "img_size"))
        if k is not None:
            checks.kernel(k, "k", within=img_size[1:])
    return DegradationPhysics(degradation, k, img_size=img_size, sigma=sigma, generator=generator)


def _one_of(kernel: Tensor | None, filter: Tensor | None) -> Tensor | None:
    if kernel is not None and filter is not None:
        raise TypeError("kernel and filter are two names of one thing; pass one")
    return filter if kernel is None else kernel


def _full(t: Tensor) -> Tensor:
    """Under autocast networks hand out half precision; transforms need float32."""
    half = t.dtype in (torch.float16, torch.bfloat16)
    return t.float() if half and torch.is_autocast_enabled(t.device.type) else t


def _rescaled(degradation: Degradation, factor: Scale | Tensor) -> Degradation:
    """The same degradation at another scale; deepinv's generators yield one factor per sample, all equal."""
    values = set(factor.flatten().tolist()) if isinstance(factor, Tensor) else {factor}
    if len(values) != 1:
        raise ValueError(f"factor must be the same for the whole batch, got {factor!r}")
    return degradation.rescaled(values.pop())
