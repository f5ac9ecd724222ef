"""A solver with one thing changed: what it is told, T, a slot left out, a denoiser before or after."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from pnpsr.bordered import iterates, solve
from pnpsr.evaluate import Method, Protocol, Result
from pnpsr.evaluate.solvers import Restoring, copies, precision_on
from pnpsr.kernels.shift import resize_support
from pnpsr.solver import UnrolledSolver
from pnpsr.studies.solvers import Candidate

Picture = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Variant:
    """A method, and what its line in a table is called; ``column`` where a study has a column per variant."""

    label: str
    method: Method
    column: str = ""


@dataclass(frozen=True, eq=False)
class Trace:
    """Variants that differ in T alone: all of them are iterates of one run."""

    variants: Sequence[Variant]
    T: Sequence[int]
    run: Callable[[Tensor, int, Mapping[str, Any]], Iterator[Result]]  # (y, scale, truth) -> one result per iteration


@dataclass(frozen=True, eq=False)
class Varied:
    """(y, scale) ↦ what :func:`pnpsr.bordered.solve` makes of y by :func:`pnpsr.fast`, changed as :func:`vary` says."""

    solver: nn.Module
    boundary: str
    finds: bool  # the kernel that comes out is the solver's own
    assumed: float | None
    T: int | None
    before: Picture | None
    after: Picture | None
    precision: str  # of image networks, see pnpsr.fast

    def __call__(self, y: Tensor, scale: int, *, k: Tensor | None = None, sigma: float | None = None) -> Result:
        """x, and k where the solver finds it."""
        y = y if self.before is None else self.before(y)
        told = sigma if self.assumed is None else self.assumed
        (quick,) = copies(self, (self.solver,), self.precision)
        out = solve(quick, y, scale, k=fitted(self.solver, k), sigma=told, T=self.T, boundary=self.boundary)
        x = out.known("x")
        return Result(x if self.after is None else self.after(x), out.k if self.finds else None)


def vary(
    one: Candidate,
    protocol: Protocol,
    word: str = "",
    label: str = "",
    *,
    solver: nn.Module | None = None,
    needs: tuple[str, ...] = (),
    sigma: float | None = None,
    T: int | None = None,
    before: Picture | None = None,
    after: Picture | None = None,
    column: str = "",
) -> Variant:
    """The candidate as a method, changed as said; without changes blind, or told what it cannot do without.

    Args:
        one: the solver.
        protocol: whose border decides whether y is taken as periodic.
        word: appended to the method's name; a change of its own needs a word of its own, by which finished rows are known.
        label: of its line in the table, after the solver's name.
        solver: in place of the candidate's own, such as a view of it.
        needs: of the truth, besides what the solver cannot do without.
        sigma: the noise level that it is told, whatever the truth.
        T: iterations.
        before: applied to y.
        after: applied to x.
        column: see :class:`Variant`.
    """
    chosen = one.solver if solver is None else solver
    needs = tuple(name for name in ("k", "sigma") if name in (*one.needs, *needs) and not (name == "sigma" and sigma is not None))
    boundary = border(one, protocol)
    name = f"{one.label}+{word}" if word else one.label
    changed, precision = (sigma, T, before, after) != (None,) * 4 or "k" in needs, precision_on((chosen,))
    run = (
        Varied(chosen, boundary, "k" not in needs, sigma, T, before, after, precision)
        if changed
        else Restoring((chosen,), boundary, None, precision)  # then its rows are those of pnpsr evaluate
    )
    method = Method(name, run, needs, one.convention)
    return Variant(f"{one.label}, {label}" if label else one.label, method, column)


def trace(one: Candidate, protocol: Protocol, T: Sequence[int], *, columns: bool) -> Trace:
    """The candidate after each of ``T`` iterations; ``columns`` puts them side by side instead of one below the other."""
    T = [t for t in T if one.longest is None or t <= one.longest]
    names = [("", f"T = {t}") if columns else (f"T = {t}", "") for t in T]
    variants = [vary(one, protocol, f"T{t}", label, T=t, column=column) for t, (label, column) in zip(T, names, strict=True)]
    boundary = border(one, protocol)

    def run(y: Tensor, scale: int, truth: Mapping[str, Any]) -> Iterator[Result]:
        told = {name: truth[name] for name in one.needs}
        (quick,) = copies(run, (one.solver,), precision_on((one.solver,)))
        for s in iterates(quick, y, scale, T=max(T), boundary=boundary, **told):
            yield Result(s.known("x"), s.k)

    return Trace(variants, T, run)


def border(one: Candidate, protocol: Protocol) -> str:
    """``circular`` if y is periodic or the solver does not care, ``extend`` otherwise (see :func:`pnpsr.bordered.solve`)."""
    return "circular" if protocol.periodic or not one.periodic else "extend"


def fitted(solver: nn.Module, k: Tensor | None) -> Tensor | None:
    """k in the size that the solver's basis has, if it has one: what another convention made of a kernel can be larger."""
    basis = getattr(getattr(solver, "restorer", None), "basis", None)
    return k if k is None or basis is None else resize_support(k, basis.size, tolerance=1)


def without(solver: UnrolledSolver, slot: str) -> UnrolledSolver:
    """A view that leaves one slot out."""
    return solver.only(*(name for name in solver.order if name != slot))
