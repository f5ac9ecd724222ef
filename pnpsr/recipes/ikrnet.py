"""IKR-Net: blind half-quadratic splitting, every prior learned (Ates, Yildirim, Gunturk 2023); and its predecessor BISR-Net."""

from collections.abc import Sequence

from pnpsr.nets import KernelCorrector, KernelEncoder, NoiseNet, ResUNet
from pnpsr.recipes.options import WIDTHS, FirstGuess, ImageStep, KernelStep, Tuning
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Upsample
from pnpsr.steps import HQSRestorer, HyperNet, LearnedCorrector, LearnedKernelStart
from pnpsr.values import recipe

IMAGE, KERNEL, GUESS, TUNING = ImageStep(), KernelStep(), FirstGuess(), Tuning()  # the paper's values


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
    channels: int = 3,
    image: ImageStep = IMAGE,
    kernel: KernelStep = KERNEL,
    kernel_step: bool = True,
    k0: FirstGuess = GUESS,
    tuner: Tuning = TUNING,
    detach: Sequence[str] = ("k",),
) -> UnrolledSolver:
    """k ← P_k(D_k(y, x, k; γ)), (σ, α, β) ← F(y, x, k), x ← P(D(y, x, k; α); β) (IKR-Net Eq. 5-7).

    The fields of ``image``, ``kernel``, ``k0`` and ``tuner`` may also be said one by one: ``ikrnet(gamma=1.0, start="bicubic")``.

    Args:
        size: of the square kernel.
        T: iterations; all weights are shared, so that T at test is free.
        channels: 3 or 1.
        image: the image step and its prior.
        kernel: the kernel step and its prior.
        kernel_step: without it the first kernel stays, and all weights are the image's.
        k0: the first kernel; one that is fitted again (``sharp``) is for one scale, and so is the solver then.
        tuner: of α and β.
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
    return UnrolledSolver(
        estimator=kernel.build() if kernel_step else None,
        tuner=HyperNet(
            NoiseNet(channels),
            per_iteration=T if tuner.per_iteration else None,
            hidden=tuner.hidden,
            percent=tuner.percent,
            proportional=tuner.proportional,
        ),
        restorer=HQSRestorer(ResUNet(channels, strength=True, widths=tuple(image.widths), fold=image.fold)),
        T=T,
        k0=k0.build(size, channels),
        x0=Upsample(image.start),
        detach=tuple(detach),
        scale=k0.sharp,
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
