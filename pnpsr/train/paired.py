"""Training on paired pictures: the image's loss alone, whose gradient reaches the kernel's part through all iterations."""

from collections.abc import Sequence

import numpy as np

from pnpsr.data.pairs import Pairs
from pnpsr.data.sample import Sample
from pnpsr.solver import UnrolledSolver
from pnpsr.train.losses import image_l1
from pnpsr.train.stages import Stage


def paired_stages(solver: UnrolledSolver) -> Sequence[Stage]:
    """One stage in which every part learns from |x_T - x|: nobody knows k or sigma, so no loss reads them.

    Raises:
        ValueError: the solver needs a kernel that is given.

    Example:
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.train import paired_stages
        >>> [stage.name for stage in paired_stages(blind_hqs(5))]
        ['pairs']
    """
    if solver.k0 is None:
        raise ValueError("the solver is not blind: it needs the kernel, which pairs of pictures do not have; train dan or ikrnet")
    run = tuple(slot for slot in solver.order if getattr(solver, slot) is not None)
    return (Stage("pairs", train=(), run=run, losses={"image": (1.0, image_l1)}, detach=()),)


def centres(pairs: Pairs, count: int, patch: int) -> list[Sample]:
    """The centres of the first ``count`` pairs, at most ``patch`` pixels of x a side, each as a batch of 1: for a validation.

    Raises:
        ValueError, OSError: a pair cannot be read.
    """
    low, found = max(1, patch // pairs.scale), list[Sample]()
    for index in range(min(count, len(pairs.names))):
        y, x = pairs.read(index)
        (h, w), s = y.shape[-2:], pairs.scale
        top, left = (max(0, (n - low) // 2) for n in (h, w))
        cut = np.s_[..., top : top + low, left : left + low]
        over = np.s_[..., s * top : s * (top + low), s * left : s * (left + low)]
        found.append(Sample(y[cut].contiguous(), x[over].contiguous(), None, None, s, names=(pairs.names[index],)))
    return found
