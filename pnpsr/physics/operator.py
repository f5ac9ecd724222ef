"""Linear operators as values: apply, adjoint, compose with ``@``."""

from abc import ABC, abstractmethod

from torch import Tensor


class LinearOperator(ABC):
    """A linear map v ↦ A v between image batches, with its exact adjoint. Immutable: nothing is stored by a call.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import LinearOperator
        >>> A = Degradation(2).freeze(k=gaussian(5, 1.0))
        >>> isinstance(A, LinearOperator), A(torch.rand(1, 1, 8, 8)).shape, A.adjoint(torch.rand(1, 1, 4, 4)).shape
        (True, torch.Size([1, 1, 4, 4]), torch.Size([1, 1, 8, 8]))
    """

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
