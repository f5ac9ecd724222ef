"""Solvers that begin with another first kernel: one at which the image steps have looked again, one that is settled or not."""

from dataclasses import replace

from torch import Tensor, nn

from pnpsr.needs import Needs
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Dirac, Gaussian
from pnpsr.state import State
from pnpsr.steps import ChooseTurn, Debiased, LearnedKernelStart, Sharpened
from pnpsr.steps.turn import before_turning


class Solved(nn.Module):
    """x of a whole solve with the kernel of the state: a solver as a step, of as many iterations as its own T says.

    It begins with the x of the state, or as the solver does where there is none.

    Args:
        solver: of a kernel that is given, or that its start finds.
        once: as the only step of another solver: a second iteration of that is refused, for it would do the first one again.

    Raises:
        ValueError: a solver that would write k; (on a call) a second iteration, where that is refused.

    Example:
        >>> import torch
        >>> from pnpsr import State
        >>> from pnpsr.debiased import Solved
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.recipes import tv_hqs
        >>> Solved(tv_hqs(T=2))(State(torch.rand(1, 1, 8, 8), 2, k=gaussian(5, 1.0))).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(self, solver: UnrolledSolver, *, once: bool = False) -> None:
        super().__init__()
        if "estimator" in solver.order and solver.estimator is not None:
            raise ValueError('the solver writes k; take solver.only("tuner", "restorer")')
        self.solver, self.once = solver, bool(once)

    @property
    def needs(self) -> Needs:
        """Those of the solver."""
        return replace(self.solver.needs, longest=1) if self.once else self.solver.needs

    def forward(self, state: State) -> Tensor:
        """The restored image (b c sh sw)."""
        if self.once and state.t:
            raise ValueError(f"a whole solve is one iteration, {state.t + 1} were asked for; set T of the solver inside")
        k = state.known("k").contiguous()
        x = None if state.x is None else state.x.contiguous()
        s = self.solver.start(state.y, state.physics, sigma=state.sigma, x=x, k=k, given=state.given, noise=state.noise)
        for _ in range(self.solver.T):
            s = self.solver.step(s)
        return s.known("x")


def debiased(solver: nn.Module, *, rounds: int = 2) -> UnrolledSolver:
    """A view of a blind solver that begins with the :class:`pnpsr.steps.Debiased` kernel and shares every module.

    For kernels that are no Gaussians, such as those of motion; Gaussian ones it leaves nearly as they are. Each round restores y
    once more, and eight pictures of 144 x 144 pixels.

    Args:
        solver: an :class:`UnrolledSolver` that has a first kernel.
        rounds: see there.

    Raises:
        TypeError: another module.
        ValueError: a solver that must be given the kernel, or whose first kernel is the same for every picture, as DAN's.

    Example:
        >>> from pnpsr import ikrnet
        >>> from pnpsr.debiased import debiased
        >>> solver = ikrnet(5, T=1, widths=(2, 2, 2, 2), kernel_widths=(2, 2, 2, 2), code=2)
        >>> type(debiased(solver).k0).__name__, type(solver.k0).__name__
        ('Debiased', 'LearnedKernelStart')
    """
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"only the kernel of an UnrolledSolver can be looked at again, got {type(solver).__name__}")
    if isinstance(solver.k0, Dirac | Gaussian):
        raise ValueError(
            f"the first kernel of the solver is {solver.k0} whatever the picture shows: there is nothing to look at again"
        )
    if solver.k0 is None:
        raise ValueError("the solver has no first kernel to better: it must be given the kernel")
    view = solver.only(*solver.order)
    view.k0 = Debiased(solver.k0, Solved(solver.only("tuner", "restorer")), rounds=rounds)
    return view


def settling(solver: nn.Module, settle: bool = True) -> UnrolledSolver:
    """A view whose learned first kernel is, or is not, :func:`pnpsr.kernels.settled`; it shares every network.

    Args:
        solver: an :class:`UnrolledSolver` whose first kernel a network says, turned or not.
        settle: the Gaussians among the kernels are taken for such.

    Raises:
        TypeError: another module.
        ValueError: another first kernel.

    Example:
        >>> from pnpsr import load
        >>> from pnpsr.debiased import settling
        >>> solver = load("ikrnet-x1")
        >>> solver.k0.settle, settling(solver, False).k0.settle
        (True, False)
    """
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"only the first kernel of an UnrolledSolver can be settled, got {type(solver).__name__}")
    view = solver.only(*solver.order)
    if isinstance(solver.k0, Sharpened):
        view.k0 = Sharpened(solver.k0.start, solver.k0.net, settle=settle)
        view.k0.training = solver.k0.training
        return view
    turning = solver.k0 if isinstance(solver.k0, ChooseTurn) else None
    start = before_turning(solver.k0)
    if not isinstance(start, LearnedKernelStart):
        raise ValueError(f"the first kernel must be a network's word, got {type(start).__name__}")
    said = LearnedKernelStart(start.net, settle=settle).train(start.training)
    view.k0 = said if turning is None else ChooseTurn(said, turning.cost).train(turning.training)
    return view


def unsharpened(solver: nn.Module) -> UnrolledSolver:
    """A view whose first kernel is that before :class:`pnpsr.steps.Sharpened` fitted it again, settled if what comes out is.

    Any other first kernel stays. It shares every network.

    Raises:
        TypeError: another module.
        ValueError: what comes out is settled, and what was there before is no network's word.

    Example:
        >>> from pnpsr import ikrnet
        >>> from pnpsr.debiased import unsharpened
        >>> solver = ikrnet(5, T=1, widths=(2, 2, 2, 2), first="statistics", kernel_step=False, sharp=2, settle=True)
        >>> view = unsharpened(solver)
        >>> type(view.k0).__name__, view.k0.settle
        ('LearnedKernelStart', True)
    """
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"only the first kernel of an UnrolledSolver can be told, got {type(solver).__name__}")
    view = solver.only(*solver.order)
    if isinstance(solver.k0, Sharpened):
        view.k0 = solver.k0.start
        return settling(view) if solver.k0.settle else view
    return view
