"""What a training stage minimises: functions of the iterates and the truth, each a mean over the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.data import Sample
from pnpsr.kernels import turned
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State


@dataclass(frozen=True)
class Outcome:
    """What one forward pass produced, and what it should have.

    Example:
        >>> from pnpsr.train import Outcome
        >>> Outcome.__dataclass_fields__.keys() >= {"solver", "states", "truth"}
        True
    """

    solver: UnrolledSolver
    states: Sequence[State]  # the start, then the last iterate or all of them
    truth: Sample

    @property
    def last(self) -> State:
        """The final state (the start, where no slot ran)."""
        return self.states[-1]


class Loss(Protocol):
    """What is minimised: any callable that reads an :class:`Outcome` and returns one number with a graph.

    Example:
        >>> from pnpsr.train import Loss
        >>> def brightness(outcome):
        ...     return outcome.states[-1].x.mean()
        >>> loss: Loss = brightness
    """

    def __call__(self, outcome: Outcome, /) -> Tensor:
        """The loss, a mean over the batch."""


def counted(values: Tensor, truth: Sample, dim: tuple[int, ...] = (0, 1, 2, 3)) -> Tensor:
    """Σ m v / Σ m of (b c sh sw) values over ``dim``: over the pixels of x whose pixel of y counts; the mean where no mask is."""
    if truth.mask is None:
        return values.mean(dim)
    rows, columns = checks.factors(truth.scale)
    mask = truth.mask.to(values).repeat_interleave(rows, -2).repeat_interleave(columns, -1).expand_as(values)
    return (mask * values).sum(dim) / mask.sum(dim).clamp(min=1)


def image_l1(o: Outcome) -> Tensor:
    """mean |x_T - x| (DAN section 3.3; IKR-Net section 4.1), over the pixels that count (see :func:`counted`)."""
    return counted((o.last.known("x") - o.truth.x).abs(), o.truth)


def image_log_l2(o: Outcome) -> Tensor:
    """mean over the batch of log(10⁻⁵ + mean (x_T - x)²): PSNR in other units, up to 50 dB, beyond which nothing is to be gained.

    :func:`image_l1` asks for the median of what x may be, this one for its mean, which scores higher; for a last training.
    """
    squares = (o.last.known("x") - o.truth.x).square()
    return (1e-5 + counted(squares, o.truth, (1, 2, 3))).log().mean()


def kernel_l1(o: Outcome) -> Tensor:
    """Σ |k_T - k|, in [0, 2] on the simplex. The sum over the coefficients, not their mean, which would depend on the size."""
    return _kernel_error(o).abs().sum((1, 2, 3)).mean()


def kernel_l2(o: Outcome) -> Tensor:
    """Σ (k_T - k)² (IKR-Net section 4.1)."""
    return _kernel_error(o).square().sum((1, 2, 3)).mean()


def code_l1(o: Outcome) -> Tensor:
    """mean |encode(k_T) - encode(k)| in the basis that conditions the restorer (DANv1's loss on its estimator).

    Raises:
        ValueError: the solver's restorer has no basis.
    """
    basis = getattr(o.solver.restorer, "basis", None)
    if basis is None:
        raise ValueError("code_l1 needs a solver whose restorer encodes kernels (LearnedRestorer with a KernelBasis)")
    return (basis.encode(o.last.known("k")) - basis.encode(o.truth.known("k"))).abs().mean()


def sigma_l2(o: Outcome) -> Tensor:
    """mean (100 sigma_T - 100 sigma)², in percent of white, so that its gradients are not lost in rounding (IKR-Net section 4.1).

    Raises:
        ValueError: no tuner has run, or the noise of the data is not Gaussian.
    """
    believed = o.last.hyper.sigma
    if believed is None or o.truth.sigma is None:
        raise ValueError("sigma_l2 needs a tuner that writes sigma and data whose sigma is known")
    return (100 * (believed - o.truth.sigma)).square().mean()


def first_kernel_l2(o: Outcome) -> Tensor:
    """Σ (k_0 - k)²: the kernel before the first iteration."""
    return kernel_l2(replace(o, states=o.states[:1]))


def first_kernel_l1(o: Outcome) -> Tensor:
    """Σ |k_0 - k|."""
    return kernel_l1(replace(o, states=o.states[:1]))


def first_kernel_entropy(o: Outcome) -> Tensor:
    """min over the two turns of -Σ k log k_0: cross-entropy, with k or k turned by 180 degrees as the truth, whichever fits better.

    Second-order statistics hold no word on the turn (:class:`pnpsr.nets.KernelStatistics`); asked for it, a network would spend
    itself on the mean of both. A point that is off costs what its probability says, also where the square of a wide kernel's is
    nothing.
    """
    k0, k = o.states[0].known("k"), o.truth.known("k")
    logs = k0.clamp(min=1e-20).log()
    return torch.minimum(-(k * logs).sum((1, 2, 3)), -(turned(k) * logs).sum((1, 2, 3))).mean()


def kernel_autoencoder_l2(o: Outcome) -> Tensor:
    """Σ (decode(encode(k)) - k)² for the auto-encoder inside the solver's learned first kernel (IKR-Net section 3.1)."""
    k = o.truth.known("k")
    return (_encoder(o).autoencoder(k) - k).square().sum((1, 2, 3)).mean()


def kernel_code_l2(o: Outcome) -> Tensor:
    """mean (code(y) - encode(k))²: the first kernel's network learns the trained auto-encoder's code (IKR-Net section 4.1)."""
    net = _encoder(o)
    return (net.code(o.truth.y) - net.autoencoder.encode(o.truth.known("k")).detach()).square().mean()


def every(loss: Loss) -> Loss:
    """The mean of a loss over all iterates instead of the last one: deep supervision. A stage must keep them, ``deep=True``.

    A loss on the start, as :func:`first_kernel_l2`, stays what it is.
    """

    def mean(o: Outcome) -> Tensor:
        start, *iterates = o.states
        return sum((loss(replace(o, states=(start, s))) for s in iterates), o.truth.x.new_zeros(())) / max(1, len(iterates))

    mean.deep = True  # type: ignore[attr-defined]  # what a stage looks for
    return mean


def _kernel_error(o: Outcome) -> Tensor:
    """k_T - k, which must be of one size."""
    k, truth = o.last.known("k"), o.truth.known("k")
    if k.shape != truth.shape:
        raise ValueError(
            f"the solver estimates kernels of {k.shape[-2]} x {k.shape[-1]}, the data are made with {truth.shape[-2]} x "
            f"{truth.shape[-1]}; give the setting the solver's size, setting(..., size={k.shape[-1]}), or build another solver"
        )
    return k - truth


def kernel_coder(solver: UnrolledSolver) -> Any:
    """The network behind the solver's first kernel if it predicts the code of an auto-encoder, else None.

    It says so by a method ``code``, y -> (b n), and its part ``autoencoder``, as :class:`pnpsr.nets.KernelEncoder` does.
    """
    net = getattr(solver.k0, "net", None)
    return net if callable(getattr(net, "code", None)) and hasattr(net, "autoencoder") else None


def _encoder(o: Outcome) -> Any:
    net = kernel_coder(o.solver)
    if net is None:
        raise ValueError("this loss trains a KernelEncoder: the solver's k0 must be LearnedKernelStart(KernelEncoder(...))")
    return net
