"""The gradient of a fixed point: z = f(z), dz = (I - ∂f/∂z)⁻¹ (∂f/∂θ) dθ. Memory of one iteration, whatever T is.

Deep equilibrium models (Bai, Kolter, Koltun 2019); for unrolled inverse problems Gilton, Ongie, Willett 2021.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.solver import UnrolledSolver
from pnpsr.state import Hyper, State

TERMS = 50  # of the Neumann series, at most
GROWTH = 1e3  # of its terms; a kernel's gradient is larger than a picture's, so that they may grow at first


def equilibrium(
    solver: UnrolledSolver, state: State, T: int | None = None, *, terms: int = TERMS, tolerance: float = 1e-4
) -> State:
    """The state after T iterations from ``state``, with the gradient of the fixed point that it is taken for.

    All iterations but the last run without a graph. In the backward pass g = v + (∂f/∂z)ᵀ g is iterated from g = v, the gradient of
    the loss, which is what unrolling as many more iterations at the fixed point would give. What steps detach stays detached: where
    x and k are both cut (DAN) nothing but v is left. How near a state is to its fixed point the caller may see from |f(z) - z|.

    Args:
        solver: one set of weights for all iterations; values that a schedule gives are those of iteration T.
        state: of ``solver.start``.
        T: iterations, at least one; by default the solver's own.
        terms: of the series, at most; so many on a GPU, where nobody looks whether fewer would do.
        tolerance: relative, of the last term. A series whose terms grow a thousandfold has no sum: v alone is taken then, the
            gradient of one iteration, which still descends in many cases (Fung et al. 2022).

    Raises:
        ValueError: fewer than one iteration, or a solver with weights of their own for each.

    Example:
        >>> import torch
        >>> from pnpsr import UnrolledSolver
        >>> from pnpsr.equilibrium import equilibrium
        >>> from pnpsr.starts import Dirac
        >>> from pnpsr.steps import DataStep
        >>> solver = UnrolledSolver(None, DataStep(lambda s: 0.5 * s.x), k0=Dirac(3), scale=1)
        >>> y = torch.full((1, 1, 4, 4), 0.5)
        >>> equilibrium(solver, solver.start(y), 20).x.sum().backward()
        >>> bool(solver.restorer.log_alpha.grad < 0)
        True
    """
    count = checks.whole(solver.T if T is None else T, "T")
    if (longest := solver.needs.longest) is not None:
        raise ValueError(
            f"the solver can do {longest} iteration(s), no more: an implicit gradient needs one set of weights for all"
        )
    with torch.no_grad():
        for state in solver.iterate(state, count - 1):  # noqa: B007, B020  only the last one is wanted
            pass
    written = {solver.WRITES[slot] for slot in solver.order if getattr(solver, slot) is not None}  # the rest is no part of z
    cut = {name: t.detach().requires_grad_() for name, t in _tensors(state, written).items()}
    after = solver.step(_with(state, cut))
    made = _tensors(after, written)
    if not any(t.requires_grad for t in made.values()):
        return after

    def solve(grads: Sequence[Tensor]) -> list[Tensor]:
        return _series(lambda g: _pulled(made, cut, g), grads, checks.whole(terms, "terms", 0), tolerance)

    return _with(after, dict(zip(made, _Implicit.apply(solve, *made.values()), strict=True)))


class _Implicit(torch.autograd.Function):
    """z ↦ z, whose gradient is solved for on the way back."""

    @staticmethod
    def forward(ctx: Any, solve: Callable[[Sequence[Tensor]], list[Tensor]], *z: Tensor) -> tuple[Tensor, ...]:
        ctx.solve = solve
        return tuple(t.view_as(t) for t in z)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return None, *ctx.solve(grads)


def _series(pull: Callable[[list[Tensor]], list[Tensor]], grads: Sequence[Tensor], terms: int, tolerance: float) -> list[Tensor]:
    """Σ_n (Jᵀ)ⁿ v, on the CPU no longer than a term has a part in it; v where there is no sum."""
    total, term, looks = list(grads), list(grads), grads[0].device.type == "cpu"
    first = _norm(term)
    for _ in range(terms):
        term = pull(term)
        total = [a + b for a, b in zip(total, term, strict=True)]
        if looks and not bool(tolerance * first < _norm(term) <= GROWTH * first):
            break
    lost = ~(_norm(term) <= GROWTH * first)  # also where it is not finite; looked at where it is
    return [torch.where(lost, v, t) for v, t in zip(grads, total, strict=True)]


def _pulled(made: dict[str, Tensor], cut: dict[str, Tensor], grads: list[Tensor]) -> list[Tensor]:
    """Jᵀ g, from what one iteration made of what it read."""
    pairs = [(m, g) for m, g in zip(made.values(), grads, strict=True) if m.requires_grad]
    found = torch.autograd.grad(
        [m for m, _ in pairs], list(cut.values()), [g for _, g in pairs], retain_graph=True, allow_unused=True
    )
    named = dict(zip(cut, found, strict=True))
    return [torch.zeros_like(m) if (f := named.get(name)) is None else f for name, m in made.items()]


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([t.square().sum() for t in tensors]).sum().sqrt()


def _tensors(s: State, written: Collection[str]) -> dict[str, Tensor]:
    """What an iteration writes: of x, k and the hyper-parameters those that there are."""
    found = {"x": s.x, "k": s.k} | (vars(s.hyper) if "hyper" in written else {})
    return {name: t for name, t in found.items() if t is not None and (name in written or name in vars(s.hyper))}


def _with(s: State, tensors: dict[str, Tensor]) -> State:
    hyper = Hyper(**{name: tensors.get(name, value) for name, value in vars(s.hyper).items()})
    return replace(s, x=tensors.get("x", s.x), k=tensors.get("k", s.k), hyper=hyper)
