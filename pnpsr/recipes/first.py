"""A first kernel alone: what other solvers start from, trained apart."""

from pnpsr.nets import KernelStatistics
from pnpsr.recipes.record import recipe
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Upsample
from pnpsr.steps import LearnedKernelStart


@recipe
def first_kernel(size: int = 21, *, width: int = 768) -> UnrolledSolver:
    """k0 = I(y), x0 = y upsampled, and no iteration: :class:`pnpsr.nets.KernelStatistics` of ``width`` for kernels of ``size``.

    Its weights bear the names that they have in :func:`ikrnet` with ``first="statistics"`` and the same width, which can start
    from them.
    """
    return UnrolledSolver(None, None, 0, k0=LearnedKernelStart(KernelStatistics(size, channels=None, width=width)), x0=Upsample("bicubic"))
