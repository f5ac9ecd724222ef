"""What belongs together in a recipe's call; the defaults are those of the papers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pnpsr.nets import EdgeNet, ResUNet
from pnpsr.recipes.first import FirstKernel, learned_start
from pnpsr.state import Step
from pnpsr.steps import HQSEstimator, Sharpened
from pnpsr.values import Options

WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class ImageStep(Options):
    """x ← P(D(y, x, k; α); β), with a ResUNet as P.

    Args:
        widths: of the ResUNet.
        fold: of the ResUNet, see :class:`pnpsr.nets.ResUNet`.
        start: interpolation of the first image, ``bilinear`` in IKR-Net's paper.

    Example:
        >>> from pnpsr.recipes import ImageStep
        >>> ImageStep(widths=(16, 32, 64, 64), start="bicubic").fold
        1
    """

    widths: Sequence[int] = WIDTHS
    fold: int = 1
    start: str = "bilinear"


@dataclass(frozen=True)
class KernelStep(Options):
    """k ← P_k(D_k(y, x, k; γ)), with a ResUNet as P_k.

    Args:
        gamma: weight of the proximity term; constant in IKR-Net's paper, which does not state it.
        widths: of the ResUNet, ``kernel_widths`` in a call; those of the released network.
        domain: ``grid`` as in the paper, ``support`` for the exact kernel step.
        constraint: on the kernel step, see :func:`pnpsr.prox.prox_kernel`.
        relative: measure gamma in units of the normal matrix' mean diagonal.
        learn: train gamma; ``learn_gamma`` in a call.
        gammas: number of iterations with a gamma of their own; None shares one.
        gray: fit the mean of the channels.
        project: end on the simplex; what P_k returns may be negative or of another sum.

    Example:
        >>> from pnpsr import ikrnet
        >>> from pnpsr.recipes import ImageStep, KernelStep
        >>> small, step = ImageStep(widths=(2, 2, 2, 2)), KernelStep(gamma=1.0, widths=(2, 2, 2, 2))
        >>> solver = ikrnet(5, T=1, image=small, kernel=step)
        >>> solver.record.arguments["gamma"], solver.record.arguments["kernel_widths"]
        (1.0, (2, 2, 2, 2))
    """

    WORDS: ClassVar = {"widths": "kernel_widths", "learn": "learn_gamma"}
    gamma: float = 0.1
    widths: Sequence[int] = (2, 4, 8, 16)
    domain: str = "grid"
    constraint: str | None = None
    relative: bool = False
    learn: bool = False
    gammas: int | None = None
    gray: bool = False
    project: bool = False

    def build(self) -> HQSEstimator:
        """The step."""
        return HQSEstimator(
            ResUNet(1, widths=tuple(self.widths), bias=True),
            self.gamma,
            domain=self.domain,
            constraint=self.constraint,
            relative=self.relative,
            learn=self.learn,
            per_iteration=self.gammas,
            gray=self.gray,
            project=self.project,
        )


@dataclass(frozen=True)
class FirstGuess(Options):
    """k0 = I(y).

    Args:
        net: ``encoder`` (IKR-Net's) or ``statistics`` (:class:`pnpsr.nets.KernelStatistics`); ``first`` in a call.
        width: of the layers of ``statistics``; ``first_width`` in a call.
        turn: choose between the kernel and its turn by 180 degrees, see :class:`pnpsr.steps.ChooseTurn`.
        thorough: a better kernel from ``statistics`` for more time, see :class:`pnpsr.nets.KernelStatistics`.
        settle: what is nearly a Gaussian is one, see :func:`pnpsr.kernels.settled`.
        sharp: the factor between x and y at which the kernel is fitted again, see :class:`pnpsr.steps.Sharpened`; None: never.
        code: numbers of the auto-encoder's code, which ``encoder`` predicts; 10 in the paper.

    Example:
        >>> from pnpsr.recipes import FirstGuess
        >>> FirstGuess(net="statistics", turn=True).code
        10
    """

    WORDS: ClassVar = {"net": "first", "width": "first_width"}
    net: FirstKernel = "encoder"
    width: int = 512
    turn: bool = False
    thorough: bool = False
    settle: bool = False
    sharp: int | None = None
    code: int = 10

    def build(self, size: int, channels: int) -> Step:
        """The step."""
        start = learned_start(
            self.net,
            size,
            channels=channels,
            code=self.code,
            width=self.width,
            turn=self.turn,
            thorough=self.thorough,
            settle=self.settle and self.sharp is None,  # errors are fitted again before they are taken for none
        )
        return start if self.sharp is None else Sharpened(start, EdgeNet(self.sharp, size), settle=self.settle)


@dataclass(frozen=True)
class Tuning(Options):
    """(σ, α, β) ← F(y, x, k), see :class:`pnpsr.steps.HyperNet`.

    Args:
        hidden: width of the hyper-network.
        per_iteration: values (α, β) of their own for each iteration, as USRNet has; IKR-Net shares one pair.
        percent: σ is read in percent of white, so that a small one is not lost among the other inputs.
        proportional: α and β grow with σ.

    Example:
        >>> from pnpsr.recipes import Tuning
        >>> Tuning(per_iteration=True).hidden
        64
    """

    hidden: int = 64
    per_iteration: bool = False
    percent: bool = False
    proportional: bool = False


@dataclass(frozen=True)
class DualPath(Options):
    """Size of DAN's networks in a mixture; DAN itself has 64 channels in 5 groups of 10 blocks.

    Args:
        width: channels of the restorer; the estimator has as many.
        groups: of the restorer.
        blocks: in each group.
        code: of the kernel, for the restorer and for the first kernel.

    Example:
        >>> from pnpsr.recipes import DualPath
        >>> DualPath(width=16, groups=1).blocks
        4
    """

    width: int = 32
    groups: int = 3
    blocks: int = 4
    code: int = 10
