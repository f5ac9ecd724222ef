"""Linear operators as values: apply, adjoint, compose with ``@``; and the public oracles that check them."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

Shape = tuple[int, int, int, int]


class LinearOperator(ABC):
    """A linear map v ↦ A v between image batches, with its exact adjoint. Immutable: nothing is stored by a call."""

    @abstractmethod
    def __call__(self, v: Tensor) -> Tensor:
        """A v."""

    @abstractmethod
    def adjoint(self, u: Tensor) -> Tensor:
        """A* u, with ⟨A v, u⟩ = ⟨v, A* u⟩ for all v and u."""

    def __matmul__(self, other: "LinearOperator") -> "LinearOperator":
        """``A @ B`` applies B first."""
        if not isinstance(other, LinearOperator):
            raise TypeError(f"@ composes operators; to apply one call it, A(v). Got {type(other).__name__}")
        return Composition(self, other)

    @property
    def H(self) -> "LinearOperator":
        """The adjoint as an operator of its own."""
        return Adjoint(self)


class Composition(LinearOperator):
    """``A @ B``: v ↦ A (B v), with (A B)* = B* A*."""

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        self.outer, self.inner = outer, inner

    def __call__(self, v: Tensor) -> Tensor:
        """A (B v)."""
        return self.outer(self.inner(v))

    def adjoint(self, u: Tensor) -> Tensor:
        """B* (A* u)."""
        return self.inner.adjoint(self.outer.adjoint(u))

    def __repr__(self) -> str:
        return f"{self.outer!r} @ {self.inner!r}"


class Adjoint(LinearOperator):
    """A* as an operator; its adjoint is A again."""

    def __init__(self, operator: LinearOperator) -> None:
        self.operator = operator

    def __call__(self, v: Tensor) -> Tensor:
        """A* v."""
        return self.operator.adjoint(v)

    def adjoint(self, u: Tensor) -> Tensor:
        """A u."""
        return self.operator(u)

    @property
    def H(self) -> LinearOperator:
        """The operator itself."""
        return self.operator

    def __repr__(self) -> str:
        return f"({self.operator!r}).H"


def adjoint_error(A: LinearOperator, shape: Shape, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64) -> float:
    """|⟨A v, u⟩ - ⟨v, A* u⟩| / (‖A v‖ ‖u‖) for random v of the given (b c h w) and random u: below 1e-12 in float64 for a right adjoint.

    ``shape`` is that of the unknown; its batch must suit the operator's kernels.
    """
    v = torch.randn(shape, generator=generator, dtype=dtype)
    image = A(v)
    u = torch.randn(image.shape, generator=generator, dtype=dtype)
    gap = torch.vdot(image.flatten(), u.flatten()) - torch.vdot(v.flatten(), A.adjoint(u).flatten())
    return float(gap.abs() / (image.norm() * u.norm()).clamp_min(torch.finfo(dtype).tiny))


def operator_norm(
    A: LinearOperator,
    shape: Shape,
    *,
    tolerance: float = 1e-6,
    iterations: int = 1000,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """‖A‖ = max ‖A v‖ / ‖v‖ per sample, (b,): power iteration on A*A until the residual ‖A*A v - ‖A v‖² v‖ is below tolerance.

    Power iteration approaches from below; the residual bounds the distance to an eigenvalue, so the result is not silently too small by
    more than the tolerance unless the start is orthogonal to the leading direction.

    Raises:
        ValueError: no convergence within ``iterations``.
    """
    v = torch.randn(shape, generator=generator, dtype=dtype)
    for _ in range(iterations):
        v = v / _norm(v).clamp_min(torch.finfo(dtype).tiny)
        u = A.adjoint(A(v))
        square = (v * u).sum((1, 2, 3), keepdim=True)
        if bool((_norm(u - square * v) <= tolerance * square.abs().clamp_min(torch.finfo(dtype).tiny)).all()):
            return square.flatten().clamp_min(0).sqrt()
        v = u
    raise ValueError(f"no convergence in {iterations} iterations to a tolerance of {tolerance:g}; raise one of them")


def as_matrix(A: LinearOperator, shape: tuple[int, int, int], *, dtype: torch.dtype = torch.float64) -> Tensor:
    """The dense matrix (outputs, inputs) of A on one image of (c h w): brute force, for tests and small problems."""
    basis = torch.eye(shape[0] * shape[1] * shape[2], dtype=dtype)
    return torch.stack([A(e.reshape(1, *shape)).flatten() for e in basis], dim=1)


def _norm(v: Tensor) -> Tensor:
    return (v * v).sum((1, 2, 3), keepdim=True).sqrt()
