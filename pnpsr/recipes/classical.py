"""Nothing trained: half-quadratic splitting with hand-written priors, blind and non-blind."""

import functools

from pnpsr.prox import Centred, l0_gradient, sparse_simplex, tv
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Gaussian, Upsample
from pnpsr.state import Step
from pnpsr.steps import Believing, Continuation, HQSEstimator, HQSRestorer, Schedule, Until, keep_kernel
from pnpsr.values import recipe

# Found by search on sample pictures, at two scales, with Gaussian and motion kernels; how well they do: docs/classical.md.
GAMMA = 2e-3  # in units of the normal matrix' mean diagonal
ALPHA = (0.03, 0.3)  # first and last
BETA = (1.2, 0.7, 0.03)  # first, factor per iteration, last; in units of strong edges of y
LEAST = 0.1  # α of a solver that finishes: on six sample cases 4 dB better than none, which rings, and level with total variation
FLOOR = 3e-3  # total variation without noise: it also answers for the errors of the kernel


@recipe(tiny={"size": 5, "T": 2, "finish": 2})
def blind_hqs(size: int = 21, *, T: int = 12, finish: int | UnrolledSolver = 8, width: float = 1.0) -> UnrolledSolver:
    """k and x from y alone: an image of few edges finds the kernel, then total variation finds the image.

    T iterations alternate x ← L0(D(y, x, k; α); β), with a price β per edge that falls, and k ← the ridge
    solution D_k around zero, cleaned and scaled to sum 1. Few strong edges cannot be explained without the blur: that makes the
    kernel leave its start (Xu, Zheng, Jia 2013). Then ``finish`` iterations solve argmin_x |y - (x ⊗ k)↓s|² + λ TV(x) with it,
    or another non-blind solver does, such as ``load("usrnet")``, from its own first image and in its own number of iterations.

    Args:
        size: of the square kernel; larger than the blur.
        T: iterations that estimate the kernel.
        finish: iterations of total variation after them, or the solver whose restorer and tuner take over (shared, not copied),
            with the noise level that is estimated from y where the caller gives none, and α of 0.1 at least, since the kernel is an
            estimate. The solver's T is the sum of both.
        width: of the Gaussian the kernel starts from, in high-resolution pixels.

    Raises:
        ValueError: a solver to finish with that is blind itself.

    Example:
        >>> import torch
        >>> from pnpsr import blind_hqs
        >>> out = blind_hqs(5, T=2, finish=1)(torch.rand(1, 1, 12, 12), 2)
        >>> out.x.shape, out.k.shape, round(float(out.k.sum()), 4)
        (torch.Size([1, 1, 24, 24]), torch.Size([1, 1, 5, 5]), 1.0)
    """
    tuner, restorer, more, afresh = _by(finish) if isinstance(finish, UnrolledSolver) else _by_total_variation(finish)
    share = [t / max(T - 1, 1) for t in range(T)]
    alpha = [ALPHA[0] * (ALPHA[1] / ALPHA[0]) ** s for s in share]
    beta = [max(BETA[2], BETA[0] * BETA[1] ** t) for t in range(T)]
    return UnrolledSolver(
        estimator=Until(T, HQSEstimator(Centred(sparse_simplex), GAMMA, relative=True, around="zero", gray=True), keep_kernel),
        tuner=Until(T, Schedule(alpha, beta, relative=True), tuner),
        restorer=Until(T, HQSRestorer(functools.partial(l0_gradient, growth=4.0)), restorer, x0=afresh),
        T=T + more,
        k0=Gaussian(size, width),
        x0=Upsample(),
        order=("tuner", "restorer", "estimator"),
        scale=getattr(finish, "scale", None),
        scales=getattr(finish, "scales", None),
    )


def _by_total_variation(steps: int) -> tuple[Step, Step, int, None]:
    """Tuner and restorer that end at the minimiser after so many steps, from any image."""
    return Continuation((1e-3, 1.0), steps, floor=FLOOR), HQSRestorer(functools.partial(tv, iterations=8)), steps, None


def _by(solver: UnrolledSolver) -> tuple[Step, Step, int, Step | None]:
    """Tuner, restorer, T and first image of a non-blind solver."""
    if solver.k0 is not None or solver.tuner is None or solver.restorer is None:
        raise ValueError("finish must be a number of iterations or a non-blind solver with a tuner; this one is none")
    return Believing(solver.tuner, LEAST), solver.restorer, solver.T, solver.x0


@recipe(tiny={"T": 3})
def tv_hqs(*, T: int = 12, floor: float = 1e-4) -> UnrolledSolver:
    """argmin_x |y - (x ⊗ k)↓s|² + λ TV(x), λ = floor + 20 σ²: non-blind and untrained, call as ``solver(y, scale, k=k)``.

    Args:
        T: iterations of the continuation from small to large α.
        floor: λ without noise; larger where the kernel is uncertain.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.recipes import tv_hqs
        >>> tv_hqs(T=2)(torch.rand(1, 1, 8, 8), 2, k=gaussian(5, 1.0)).x.shape
        torch.Size([1, 1, 16, 16])
    """
    return UnrolledSolver(
        None,
        HQSRestorer(functools.partial(tv, iterations=10)),
        T,
        tuner=Continuation((1e-3, 1.0), T, floor=floor),
        k0=None,
        x0=Upsample(),
    )
