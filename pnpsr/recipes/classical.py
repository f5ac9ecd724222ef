"""Nothing trained: half-quadratic splitting with hand-written priors, blind and non-blind."""

import functools

from pnpsr.prox import Centred, l0_gradient, sparse_simplex, tv
from pnpsr.recipes.record import recipe
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Gaussian, Upsample
from pnpsr.steps import Continuation, HQSEstimator, HQSRestorer, Schedule, Until, keep_kernel

# Found by search on sample pictures, at two scales, with Gaussian and motion kernels; how well they do: docs/classical.md.
GAMMA = 2e-3  # in units of the normal matrix' mean diagonal
ALPHA = (0.03, 0.3)  # first and last
BETA = (2.4, 0.7, 0.06)  # first, factor per iteration, last; in units of strong edges of y
FLOOR = 3e-3  # total variation without noise: it also answers for the errors of the kernel


@recipe
def blind_hqs(size: int = 21, *, T: int = 12, finish: int = 8, width: float = 1.0) -> UnrolledSolver:
    """k and x from y alone: an image of few edges finds the kernel, then total variation finds the image.

    T iterations alternate x ← L0(D(y, x, k; α); β), with a price β per edge that falls, and k ← the ridge
    solution D_k around zero, cleaned and scaled to sum 1. Few strong edges cannot be explained without the blur: that makes the
    kernel leave its start (Xu, Zheng, Jia 2013). Then ``finish`` iterations solve argmin_x |y - (x ⊗ k)↓s|² + λ TV(x) with it.

    Args:
        size: of the square kernel; larger than the blur.
        T: iterations that estimate the kernel.
        finish: iterations of total variation after them. The solver's T is the sum of both.
        width: of the Gaussian the kernel starts from, in high-resolution pixels.
    """
    share = [t / max(T - 1, 1) for t in range(T)]
    alpha = [ALPHA[0] * (ALPHA[1] / ALPHA[0]) ** s for s in share]
    beta = [max(BETA[2], BETA[0] * BETA[1] ** t) for t in range(T)]
    return UnrolledSolver(
        estimator=Until(T, HQSEstimator(Centred(sparse_simplex), GAMMA, relative=True, around="zero", gray=True), keep_kernel),
        tuner=Until(T, Schedule(alpha, beta, relative=True), Continuation((1e-3, 1.0), finish, begin=T, floor=FLOOR)),
        restorer=Until(
            T, HQSRestorer(functools.partial(l0_gradient, growth=4.0)), HQSRestorer(functools.partial(tv, iterations=8))
        ),
        T=T + finish,
        k0=Gaussian(size, width),
        x0=Upsample(),
        order=("tuner", "restorer", "estimator"),
    )


@recipe
def tv_hqs(*, T: int = 12, floor: float = 1e-4) -> UnrolledSolver:
    """argmin_x |y - (x ⊗ k)↓s|² + λ TV(x), λ = floor + 20 σ²: non-blind and untrained, call as ``solver(y, scale, k=k)``.

    Args:
        T: iterations of the continuation from small to large α.
        floor: λ without noise; larger where the kernel is uncertain.
    """
    return UnrolledSolver(
        None,
        HQSRestorer(functools.partial(tv, iterations=10)),
        T,
        tuner=Continuation((1e-3, 1.0), T, floor=floor),
        k0=None,
        x0=Upsample(),
    )
