"""Methods that nobody published: the parts of DAN and IKR-Net in each other's places."""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from pnpsr import checks
from pnpsr.kernels import KernelBasis
from pnpsr.nets import DPCEstimator, DPCRestorer, NoiseNet, ResUNet
from pnpsr.recipes.first import learned_start
from pnpsr.recipes.options import DualPath, KernelStep
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Dirac, Upsample
from pnpsr.state import Step
from pnpsr.steps import DataStep, HQSRestorer, HyperNet, LearnedEstimator, LearnedRestorer
from pnpsr.values import recipe

Estimator = Literal["dan", "hqs", "none"]
Restorer = Literal["dan", "dan+data", "hqs"]
Start = Literal["dirac", "encoder", "statistics"]
KERNEL = KernelStep(gamma=0.01, domain="support", constraint="sum", relative=True, learn=True, project=True)
DAN = DualPath()


@recipe(
    stages="pnpsr.train.stages:MIXED_STAGES",
    data="ikrnet",
    tiny={"scale": 2, "size": 5, "T": 2, "width": 8, "groups": 1, "blocks": 1, "code": 4, "hidden": 4}
    | {"widths": (4, 4, 4, 4), "kernel_widths": (4, 4, 4, 4)},
)
def mixed(
    scale: int,
    *,
    estimator: Estimator = "dan",
    restorer: Restorer = "hqs",
    start: Start = "statistics",
    size: int = 21,
    T: int = 4,
    channels: int = 3,
    kernel: KernelStep = KERNEL,
    dan: DualPath = DAN,
    widths: Sequence[int] = (16, 32, 64, 64),
    hidden: int = 32,
    detach: Sequence[str] = ("k",),
) -> UnrolledSolver:
    """k ← E(y, x, k), x ← R(y, x, k) with E and R from either paper (DAN 3.3, IKR-Net Eq. 5), and either paper's first kernel.

    Args:
        scale: 1, 2, 3 or 4; DAN's networks are built for it.
        estimator: ``dan`` (a network with a softmax), ``hqs`` (exact kernel step and P_k), ``none`` (the first kernel stays).
        restorer: ``hqs`` (exact image step and P), ``dan`` (a network that is given the kernel's code), ``dan+data`` (and the exact
            data step after it).
        start: ``dirac`` (DAN), ``encoder`` (IKR-Net's initialiser) or ``statistics`` (:class:`pnpsr.nets.KernelStatistics`).
        size: of the square kernel.
        T: iterations; weights are shared.
        channels: 3 or 1.
        kernel: the exact kernel step and its prior; γ in units of the normal matrix' mean diagonal, on the support, on the simplex.
        dan: size of DAN's networks.
        widths: of the image prior.
        hidden: width of the hyper-network.
        detach: fields cut at every read.

    The fields of ``kernel`` and ``dan`` may also be said one by one: ``mixed(2, gamma=0.1, blocks=2)``.

    Raises:
        ValueError: unknown parts, or sizes the networks refuse.

    Example:
        >>> import torch
        >>> from pnpsr.recipes import mixed
        >>> solver = mixed(2, estimator="hqs", size=5, T=1, widths=(2, 2, 2, 2), kernel_widths=(2, 2, 2, 2), hidden=4)
        >>> solver(torch.rand(1, 3, 8, 8)).x.shape
        torch.Size([1, 3, 16, 16])
    """
    for value, options, name in (
        (estimator, ("dan", "hqs", "none"), "estimator"),
        (start, ("dirac", "encoder", "statistics"), "start"),
    ):
        checks.choice(value, options, name)
    checks.choice(restorer, ("dan", "dan+data", "hqs"), "restorer")
    step: Step | None = None
    if estimator == "dan":
        step = LearnedEstimator(DPCEstimator(scale, size, width=dan.width, channels=channels))
    elif estimator == "hqs":
        step = kernel.build()
    if restorer == "hqs":
        image: nn.Module = HQSRestorer(ResUNet(channels, strength=True, widths=tuple(widths)))
    else:
        net = DPCRestorer(scale, dan.code, width=dan.width, groups=dan.groups, blocks=dan.blocks, channels=channels)
        image = LearnedRestorer(net, encode=KernelBasis(size, dan.code).encode)
        image = DataStep(image) if restorer == "dan+data" else image
    k0: Step = Dirac(size) if start == "dirac" else learned_start(start, size, channels=channels, code=dan.code)
    return UnrolledSolver(
        step,
        image,
        T,
        tuner=HyperNet(noise=NoiseNet(channels), hidden=hidden) if restorer == "hqs" else None,
        k0=k0,
        x0=Upsample("bicubic"),
        order=("restorer", "estimator") if start == "dirac" and restorer != "hqs" else ("estimator", "tuner", "restorer"),
        detach=tuple(detach),
        scale=scale,
    )
