"""IKR-Net as its released code runs it, which is not what its paper says: eight image steps, one kernel step, eight afresh."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from pnpsr.needs import Needs
from pnpsr.nets import KernelEncoder, ResUNet
from pnpsr.recipes.options import WIDTHS
from pnpsr.recipes.usrnet import usrnet
from pnpsr.state import Prior, State
from pnpsr.steps import HQSEstimator, LearnedKernelStart
from pnpsr.values import recipe


class ReleasedKernelStep(HQSEstimator):
    """k ← P_k(D_k(y, x, 0; 5)) on the first channel alone, a constant added before and after P_k for Σk = 1 (released code)."""

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior, 5.0, around="zero", constraint="sum")

    def forward(self, state: State) -> Tensor:
        """The new kernel (b 1 p p)."""
        k = super().forward(replace(state, y=state.y[:, :1], x=state.known("x")[:, :1]))
        return k + (1 - k.sum((-2, -1), keepdim=True)) / k[0].numel()


class IKRNetReleased(nn.Module):
    """What the released code runs: 8 image steps with the first kernel, one kernel step around zero, 8 image steps afresh.

    The paper alternates instead (:func:`pnpsr.ikrnet`). The two halves have weights of their own, σ is given, the kernel is
    cut from the graph before every image step.
    Where the released code takes γ = 5 for the first sample of a batch and a network's value for the
    others, so that a result depends on the position in the batch, every sample has γ = 5 here.

    Example:
        >>> import torch
        >>> from pnpsr.recipes import IKRNetReleased
        >>> solver = IKRNetReleased(5, widths=(2, 2, 2, 2), kernel_widths=(2, 2, 2, 2))
        >>> solver(torch.rand(1, 3, 8, 8), 2, sigma=0.0).x.shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        size: int = 21,
        *,
        widths: Sequence[int] = WIDTHS,
        kernel_widths: Sequence[int] = (2, 4, 8, 16),
        initialiser: bool = True,
    ) -> None:
        super().__init__()
        self.first, self.second = (usrnet(T=8, widths=widths) for _ in range(2))
        for half in (self.first, self.second):
            half.detach = ("k",)
        if initialiser:
            self.first.k0 = LearnedKernelStart(KernelEncoder(size, output="sigmoid"))
        self.kernel = ReleasedKernelStep(ResUNet(1, widths=tuple(kernel_widths), bias=True))

    @property
    def needs(self) -> Needs:
        """Those of both halves; the second is given the kernel, and nobody asks for iterations."""
        return replace(self.first.needs & self.second.needs, kernel=self.first.k0 is None, longest=None)

    def forward(self, y: Tensor, scale: int, *, sigma: float | Tensor, k: Tensor | None = None) -> State:
        """The last state; σ is the true noise level, as in the released test (a number or one per sample).

        ``k`` (b 1 p p) takes the place of the initialiser's first kernel.
        """
        half = self.first(y, scale, sigma=sigma, k=k)
        return self.second(y, scale, sigma=sigma, k=self.kernel(half))


@recipe(tiny={"size": 5, "widths": (4, 4, 4, 4), "kernel_widths": (4, 4, 4, 4)})
def ikrnet_released(
    size: int = 21,
    *,
    widths: Sequence[int] = WIDTHS,
    kernel_widths: Sequence[int] = (2, 4, 8, 16),
    initialiser: bool = True,
) -> IKRNetReleased:
    """IKR-Net as its released test code runs it: see :class:`IKRNetReleased`; call as ``solver(y, scale, sigma=sigma)``.

    Args:
        size: of the square kernel.
        widths: of both image priors.
        kernel_widths: of the kernel prior.
        initialiser: build the network of the first kernel; without it every call must give one, ``k=``.

    Example:
        >>> import torch
        >>> from pnpsr.recipes import ikrnet_released
        >>> solver = ikrnet_released(5, widths=(2, 2, 2, 2), kernel_widths=(2, 2, 2, 2))
        >>> solver(torch.rand(1, 3, 8, 8), 2, sigma=0.0).k.shape
        torch.Size([1, 1, 5, 5])
    """
    return IKRNetReleased(size, widths=widths, kernel_widths=kernel_widths, initialiser=initialiser)
