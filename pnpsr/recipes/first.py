"""A first kernel: what other solvers start from, and can be trained apart."""

from typing import Literal

from pnpsr import checks
from pnpsr.nets import KernelEncoder, KernelStatistics
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Upsample
from pnpsr.state import Step
from pnpsr.steps import ChooseTurn, LearnedKernelStart
from pnpsr.values import recipe

FirstKernel = Literal["encoder", "statistics"]


def learned_start(
    first: FirstKernel,
    size: int,
    *,
    channels: int,
    code: int = 10,
    width: int = 512,
    turn: bool = False,
    thorough: bool = False,
    settle: bool = False,
) -> Step:
    """k0 = I(y) by the paper's ``encoder``, through a code of ``code`` numbers, or by ``statistics`` of y and layers of ``width``.

    ``turn`` chooses between that kernel and its turn by 180 degrees (:class:`pnpsr.steps.ChooseTurn`); ``thorough`` is
    that of :class:`pnpsr.nets.KernelStatistics`, ``settle`` that of :class:`pnpsr.steps.LearnedKernelStart`.

    Raises:
        ValueError: another word, or sizes the networks refuse.
    """
    checks.choice(first, ("encoder", "statistics"), "first")
    if first == "encoder":
        start = LearnedKernelStart(KernelEncoder(size, channels=channels, code=code), settle=settle)
    else:
        start = LearnedKernelStart(KernelStatistics(size, channels=None, width=width, thorough=thorough), settle=settle)
    return ChooseTurn(start) if turn else start


@recipe(stages="pnpsr.train.stages:FIRST_KERNEL_STAGES", data="photograph", tiny={"size": 5, "width": 8})
def first_kernel(
    size: int = 21, *, width: int = 768, turn: bool = False, thorough: bool = False, settle: bool = False
) -> UnrolledSolver:
    """k0 = I(y), x0 = y upsampled, and no iteration: :class:`pnpsr.nets.KernelStatistics` for kernels of ``size``.

    Its weights bear the names that they have in :func:`pnpsr.ikrnet` with ``first="statistics"`` and the same ``first_width`` and
    ``turn``, which can start from them.

    Args:
        size: of the square kernel.
        width: of the network's layers.
        turn: choose between the kernel and its turn by 180 degrees (:class:`pnpsr.steps.ChooseTurn`).
        thorough: a better kernel for more time, see :class:`pnpsr.nets.KernelStatistics`.
        settle: what is nearly a Gaussian is one, see :func:`pnpsr.kernels.settled`; it learns what it said before.

    Example:
        >>> import torch
        >>> from pnpsr.recipes import first_kernel
        >>> solver = first_kernel(5, width=8)
        >>> solver(torch.rand(1, 3, 16, 16), 2).k.shape
        torch.Size([1, 1, 5, 5])
    """
    k0 = learned_start("statistics", size, channels=3, width=width, turn=turn, thorough=thorough, settle=settle)
    return UnrolledSolver(None, None, 0, k0=k0, x0=Upsample("bicubic"))
