"""IKR-Net: blind half-quadratic splitting, every prior learned (Ates, Yildirim, Gunturk 2023); and its predecessor BISR-Net."""

from collections.abc import Sequence

from pnpsr.nets import KernelCorrector, KernelEncoder, NoiseNet, ResUNet
from pnpsr.recipes.first import FirstKernel, learned_start
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Upsample
from pnpsr.steps import HQSEstimator, HQSRestorer, HyperNet, LearnedCorrector, LearnedKernelStart
from pnpsr.values import recipe

WIDTHS = (64, 128, 256, 512)


@recipe(
    stages="pnpsr.train.stages:ikrnet_stages",
    optional="pnpsr.train.stages:IKRNET_OPTIONAL",
    data="ikrnet",
    tiny={"size": 5, "T": 2, "widths": (4, 4, 4, 4), "kernel_widths": (4, 4, 4, 4), "code": 4},
)
def ikrnet(
    size: int = 21,
    *,
    T: int = 16,
    gamma: float = 0.1,
    widths: Sequence[int] = WIDTHS,
    kernel_widths: Sequence[int] = (2, 4, 8, 16),
    channels: int = 3,
    domain: str = "grid",
    constraint: str | None = None,
    relative: bool = False,
    learn_gamma: bool = False,
    gammas: int | None = None,
    gray: bool = False,
    project: bool = False,
    first: FirstKernel = "encoder",
    first_width: int = 512,
    turn: bool = False,
    thorough: bool = False,
    kernel_step: bool = True,
    percent: bool = False,
    proportional: bool = False,
    fold: int = 1,
    code: int = 10,
    per_iteration: bool = False,
    hidden: int = 64,
    start: str = "bilinear",
    detach: Sequence[str] = ("k",),
) -> UnrolledSolver:
    """k ← P_k(D_k(y, x, k; γ)), (σ, α, β) ← F(y, x, k), x ← P(D(y, x, k; α); β) (IKR-Net Eq. 5-7).

    Args:
        size: of the square kernel.
        T: iterations; all weights are shared, so that T at test is free.
        gamma: weight of the proximity term of the kernel step; constant in the paper, which does not state it.
        widths: of the image prior P.
        kernel_widths: of the kernel prior P_k; those of the released network.
        channels: 3 or 1.
        domain: ``grid`` as in the paper, ``support`` for the exact kernel step.
        constraint: on the kernel step, see :func:`pnpsr.prox.prox_kernel`.
        relative: measure gamma in units of the normal matrix' mean diagonal.
        learn_gamma: train it.
        gammas: number of iterations with a gamma of their own; None shares one.
        gray: let the kernel step fit the mean of the channels.
        project: end the kernel step on the simplex; what P_k returns may be negative or of another sum.
        first: network of the first kernel: ``encoder`` (the paper's) or ``statistics`` (:class:`pnpsr.nets.KernelStatistics`).
        first_width: of the layers of ``statistics``.
        turn: choose between the first kernel and its turn by 180 degrees, see :class:`pnpsr.steps.ChooseTurn`.
        thorough: a better first kernel from ``statistics`` for more time, see :class:`pnpsr.nets.KernelStatistics`.
        kernel_step: without it the first kernel stays, and all weights are the image's.
        percent: the hyper-network reads sigma in percent of white, so that a small sigma is not lost among its other inputs.
        proportional: α and β grow with sigma, see :class:`pnpsr.steps.HyperNet`.
        fold: of the image prior, see :class:`pnpsr.nets.ResUNet`.
        code: numbers of the auto-encoder's code, which the first kernel is predicted in; 10 in the paper.
        per_iteration: values (α, β) of their own for each of the T iterations, as USRNet has; the paper shares one pair.
        hidden: width of the hyper-network.
        start: interpolation of the first image, ``bilinear`` in the paper.
        detach: fields cut from the graph at every read; the released code cuts k.

    Example:
        >>> import torch
        >>> from pnpsr import ikrnet
        >>> solver = ikrnet(5, T=2, widths=(4, 4, 4, 4), kernel_widths=(4, 4, 4, 4), code=4)
        >>> solver(torch.rand(1, 3, 8, 8), 2).x.shape
        torch.Size([1, 3, 16, 16])
        >>> solver.extra_repr()
        'T=2, estimator → tuner → restorer, detach=(k)'
    """
    estimator = None
    if kernel_step:
        estimator = HQSEstimator(
            ResUNet(1, widths=tuple(kernel_widths), bias=True),
            gamma,
            domain=domain,
            constraint=constraint,
            relative=relative,
            learn=learn_gamma,
            per_iteration=gammas,
            gray=gray,
            project=project,
        )
    return UnrolledSolver(
        estimator=estimator,
        tuner=HyperNet(
            NoiseNet(channels),
            per_iteration=T if per_iteration else None,
            hidden=hidden,
            percent=percent,
            proportional=proportional,
        ),
        restorer=HQSRestorer(ResUNet(channels, strength=True, widths=tuple(widths), fold=fold)),
        T=T,
        k0=learned_start(first, size, channels=channels, code=code, width=first_width, turn=turn, thorough=thorough),
        x0=Upsample(start),
        detach=tuple(detach),
    )


@recipe(tiny={"scale": 2, "size": 5, "T": 2, "widths": (4, 4, 4, 4), "hidden": 4})
def bisrnet(
    scale: int, size: int = 21, *, T: int = 8, widths: Sequence[int] = WIDTHS, channels: int = 3, hidden: int = 64
) -> UnrolledSolver:
    """k ← C(y, x, k), x ← P(D(y, x, k; α); β): BISR-Net (Yaar et al. 2021), a learned kernel estimator with no closed-form step.

    Stated by IKR-Net's paper: an initialiser and an estimator that corrects the kernel iteratively, on top of USRNet; no noise
    estimation, noise-free or known σ. Assumed here, because the paper does not say: what :class:`pnpsr.nets.KernelCorrector` lists,
    a correction in every iteration, weights shared over iterations, T = 8 as in USRNet, the kernel cut from the image step's graph.

    Args:
        scale: 1, 2, 3 or 4; the corrector is built for it.
        size: of the square kernel.
        T: iterations.
        widths: of the image prior.
        channels: 3 or 1.
        hidden: width of the hyper-network.

    Example:
        >>> import torch
        >>> from pnpsr.recipes import bisrnet
        >>> solver = bisrnet(2, 5, T=1, widths=(2, 2, 2, 2), hidden=4)
        >>> solver(torch.rand(1, 3, 8, 8), sigma=0.0).x.shape
        torch.Size([1, 3, 16, 16])
    """
    return UnrolledSolver(
        estimator=LearnedCorrector(KernelCorrector(scale, size, channels=channels)),
        tuner=HyperNet(per_iteration=T, hidden=hidden),
        restorer=HQSRestorer(ResUNet(channels, strength=True, widths=tuple(widths))),
        T=T,
        k0=LearnedKernelStart(KernelEncoder(size, channels=channels)),
        x0=Upsample("bilinear"),
        detach=("k",),
        scale=scale,
    )
