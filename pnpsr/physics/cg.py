"""Conjugate gradients with a tolerance, for systems that no transform makes diagonal; differentiable without their history."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
ITERATIONS = 2000


def solve_by_cg(S: Map, r: Tensor, precondition: Map | None = None, *, tolerance: float) -> Tensor:
    """S⁻¹ r (b c h w) for a symmetric positive definite map S, per sample until |r - S u| <= tolerance |r|.

    The derivative is that of the solution, du = S⁻¹ (dr - dS u), at the cost of one more solve; there is no second derivative.

    Args:
        S: differentiable in whatever it was made of.
        r: right side.
        precondition: a symmetric positive approximation of S⁻¹.
        tolerance: relative.

    Raises:
        ArithmeticError: no convergence.
    """
    with torch.no_grad():
        u = _iterate(S, r.detach(), precondition, tolerance)
    if not torch.is_grad_enabled():
        return u
    rest = r - S(u)
    return u + _Inverse.apply(rest, lambda g: _iterate(S, g, precondition, tolerance)) if rest.requires_grad else u


class _Inverse(torch.autograd.Function):
    """r ↦ S⁻¹ r where r is zero up to the tolerance: the value adds nothing, the gradient is S⁻¹ again."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, solve: Map) -> Tensor:
        ctx.solve = solve
        return torch.zeros_like(r)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.solve(grad), None


def _iterate(S: Map, r: Tensor, precondition: Map | None, tolerance: float) -> Tensor:
    """One loop for the batch; a sample that is done stays as it is, so that its answer does not depend on the others."""
    u = torch.zeros_like(r)
    goal = tolerance**2 * _dot(r, r)
    z = r if precondition is None else precondition(r)
    p, rz = z, _dot(r, z)
    for _ in range(ITERATIONS):
        active = _dot(r, r) > goal
        if not bool(active.any()):
            return u
        Sp = S(p)
        step = torch.where(active, rz / _dot(p, Sp).clamp_min(torch.finfo(r.dtype).tiny), 0)
        u, r = u + step * p, r - step * Sp
        z = r if precondition is None else precondition(r)
        following = _dot(r, z)
        p = z + torch.where(active, following / rz.clamp_min(torch.finfo(r.dtype).tiny), 0) * p
        rz = following
    raise ArithmeticError(
        f"conjugate gradients did not come within {tolerance:g} in {ITERATIONS} iterations; raise alpha, or the physics' tolerance"
    )


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)
