"""pnpsr's own solvers as methods: blind, told the noise level, told the kernel, or assuming one."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

from torch import Tensor, nn

from pnpsr import checks
from pnpsr.bordered import BOUNDARIES, inverts, solve
from pnpsr.conventions import PNPSR, Convention
from pnpsr.evaluate.method import Method, Result
from pnpsr.fast import fast, resolved
from pnpsr.kernels import dirac, gaussian
from pnpsr.needs import needs_of
from pnpsr.physics import Physics
from pnpsr.state import State
from pnpsr.values import expression, weights_digest


def _gaussian(like: Tensor, scale: int) -> Tensor:
    return gaussian(21, 0.6 * scale, dtype=like.dtype, device=like.device)


def _dirac(like: Tensor, _: int) -> Tensor:
    return dirac(21, dtype=like.dtype, device=like.device)


ASSUMED: dict[str, Callable[[Tensor, int], Tensor]] = {"gaussian": _gaussian, "dirac": _dirac}


# Outside of what a method is made of, which they do not change.
_QUICK: "WeakKeyDictionary[object, tuple[nn.Module, ...]]" = WeakKeyDictionary()


def copies(method: object, solvers: Sequence[nn.Module], precision: str) -> tuple[nn.Module, ...]:
    """Copies of its solvers for inference (:func:`pnpsr.fast`), made when the method's first row needs them."""
    if method not in _QUICK:
        _QUICK[method] = tuple(fast(one, precision) for one in solvers)
    return _QUICK[method]


def precision_on(solvers: Sequence[nn.Module], precision: str = "auto") -> str:
    """What ``precision`` comes to on the device of the solvers."""
    return resolved(precision, next((p.device for one in solvers for p in one.parameters()), "cpu"))


class Restoring:
    """(y, scale or physics) ↦ the solver for that scale on y, by :func:`pnpsr.fast`, see :func:`from_solver`."""

    def __init__(self, solvers: Sequence[nn.Module], boundary: str, kernel: str | None, precision: str) -> None:
        self.solvers, self.boundary, self.kernel = tuple(solvers), boundary, kernel
        # what the numbers depend on is what was decided here, not the word that left it open
        self.precision = precision_on(solvers, precision)

    def __call__(self, y: Tensor, physics: int | Physics, *, k: Tensor | None = None, sigma: float | None = None) -> State | Result:
        """What :func:`pnpsr.bordered.solve` returns."""
        scale = physics if isinstance(physics, int) else physics.scale[0]
        k = ASSUMED[self.kernel](y, scale) if self.kernel is not None else k
        quick = copies(self, self.solvers, self.precision)
        solver = next((one for one in quick if scale in (needs_of(one).scales or ())), quick[0])
        out = solve(solver, y, physics, k=k, sigma=sigma, boundary=self.boundary)
        return out if self.kernel is None else Result(out.known("x"))  # what is assumed is not found

    def __repr__(self) -> str:
        return f"{' '.join(described(one) for one in self.solvers)}, {self.boundary}, kernel={self.kernel}, {self.precision}"


def from_solver(
    name: str,
    *solvers: nn.Module,
    boundary: str = "circular",
    sigma: bool = False,
    kernel: str | None = None,
    convention: Convention = PNPSR,
    precision: str = "auto",
) -> Method:
    """A pnpsr solver as a method; several that were built for one scale each serve as one.

    A solver is told what it says that it needs: one without a start for k is not blind and gets the true kernel and the noise
    level, one whose tuner finds no noise level gets that. ``kernel`` says what it assumes in place of the kernel.

    Args:
        name: for tables.
        solvers: any module that :func:`pnpsr.bordered.iterates` can call, on the device of the evaluation; what it ``needs`` it is
            given.
        boundary: ``circular`` for y that are periodic, ``extend`` for all others (see :func:`pnpsr.bordered.solve`).
        sigma: tell it the true noise level.
        kernel: what a non-blind solver assumes in place of the truth: ``gaussian`` (width 0.6 s) or ``dirac``, both 21 x 21.
        convention: of the solver's kernels; DAN's networks were trained under ``DAN``.
        precision: of image priors, see :func:`pnpsr.fast`: ``auto``, ``float32`` or ``bfloat16``; rows of different precision are
            not mixed.

    Raises:
        ValueError: solvers for no scale or one scale twice, an assumed kernel for a blind solver, unknown words.

    Example:
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.evaluate import from_solver
        >>> method = from_solver("blind_hqs", blind_hqs(5, T=1, finish=1))
        >>> method.name, method.needs
        ('blind_hqs', ())
    """
    checks.choice(boundary, BOUNDARIES, "boundary")
    said = [needs_of(solver) for solver in solvers]
    scales = [one.scales for one in said]
    able = None if None in scales else tuple(scale for some in scales for scale in some or ())
    if not solvers or (len(solvers) > 1 and (able is None or len(set(able)) < len(able))):
        raise ValueError(f"{name}: pass one solver, or several built for different scales; got scales {scales}")
    nonblind = [one.kernel for one in said]
    if kernel is not None:
        checks.choice(kernel, ASSUMED, "kernel")
        if not all(nonblind):
            raise ValueError(f"{name} finds the kernel itself: kernel={kernel!r} is for solvers that must be given one")
    told = sigma or any(nonblind) or any(one.sigma for one in said)
    needs = ("k",) * (any(nonblind) and kernel is None) + ("sigma",) * told
    run = Restoring(solvers, boundary, kernel, precision)
    return Method(name, run, needs, convention, able, physics=all(inverts(solver) for solver in solvers))


def described(solver: nn.Module) -> str:
    """The expression of a solver that a recipe built, or its class; and the first digits of the digest of its weights."""
    what = expression(solver) if hasattr(solver, "built") else type(solver).__qualname__
    return f"{what} {weights_digest(solver)[:8]}"
