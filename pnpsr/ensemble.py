"""A solver that restores a picture twice, once with rows and columns exchanged."""

from torch import nn

from pnpsr.debiased import Solved
from pnpsr.solver import UnrolledSolver
from pnpsr.steps import SelfEnsemble


def ensemble(solver: nn.Module) -> UnrolledSolver:
    """A view of a solver whose image is the mean of two, see :class:`pnpsr.steps.SelfEnsemble`; it shares every module.

    The first kernel is found once; both solves take it, transposed for the one. The two are one iteration of the view.

    Args:
        solver: an :class:`UnrolledSolver` whose iterations write x alone: of a kernel that is given, or that its start finds.

    Raises:
        TypeError: another module.
        ValueError: a solver whose iterations write k; one that is asked twice already, which would only do the same again.

    Example:
        >>> from pnpsr import load
        >>> from pnpsr.ensemble import ensemble
        >>> solver = load("ikrnet-x2")
        >>> view = ensemble(solver)
        >>> view.T, view.restorer.restorer.solver.T, view.k0 is solver.k0
        (1, 5, True)
    """
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"only an UnrolledSolver can be asked twice, got {type(solver).__name__}")
    if "estimator" in solver.order and solver.estimator is not None:
        raise ValueError(
            "the iterations of the solver write k, which both solves would find anew: take one whose first kernel stays, "
            'or solver.only("tuner", "restorer")'
        )
    if isinstance(solver.restorer, SelfEnsemble):
        raise ValueError("the solver is asked twice already: of the mean nothing would change")
    view = solver.only("tuner", "restorer")
    whole = Solved(solver.only("tuner", "restorer"), once=True)
    both = SelfEnsemble(whole)
    whole.training = both.training = solver.training  # without a word to the modules that are shared
    view.restorer, view.T = both, 1
    return view
