"""The baseline that both papers argue against: first the kernel, then the image, never again the kernel."""

from collections.abc import Sequence

from torch import nn

from pnpsr.nets import KernelEncoder
from pnpsr.recipes.usrnet import usrnet
from pnpsr.solver import UnrolledSolver
from pnpsr.steps import LearnedKernelStart
from pnpsr.values import recipe


@recipe(stages="pnpsr.train.stages:two_step_stages", data="ikrnet", tiny={"size": 5, "widths": (4, 4, 4, 4)})
def two_step(
    kernel_net: nn.Module | None = None,
    nonblind: UnrolledSolver | None = None,
    *,
    size: int = 21,
    widths: Sequence[int] = (64, 128, 256, 512),
    channels: int = 3,
) -> UnrolledSolver:
    """k = M(y), then x = argmin |y - (x ⊗ k)↓s|² + φ(x): a learned start and no estimator (DAN section 3.2).

    DAN prints its Eq. 5 with the L1 norm in place of the square; the non-blind solvers here minimise squares.

    Args:
        kernel_net: M, y -> k (b 1 p p); by default a fresh :class:`pnpsr.nets.KernelEncoder` of ``size``.
        nonblind: solver whose restorer and tuner are taken (shared, not copied); by default a fresh :func:`usrnet` of ``widths``.
        size: of the kernel, for the default kernel network.
        widths: of the image prior, for the default non-blind solver.
        channels: 3 or 1, for both defaults.

    Example:
        >>> import torch
        >>> from pnpsr import two_step, usrnet
        >>> solver = two_step(nonblind=usrnet(T=1, widths=(2, 2, 2, 2)), size=5)
        >>> solver(torch.rand(1, 3, 8, 8), 2, sigma=0.01).k.shape
        torch.Size([1, 1, 5, 5])
    """
    solver = nonblind if nonblind is not None else usrnet(widths=widths, channels=channels)
    net = kernel_net if kernel_net is not None else KernelEncoder(size, channels=channels)
    return UnrolledSolver(
        None,
        solver.restorer,
        solver.T,
        tuner=solver.tuner,
        k0=LearnedKernelStart(net),
        x0=solver.x0,
        scale=solver.scale,
        scales=solver.scales,
    )
