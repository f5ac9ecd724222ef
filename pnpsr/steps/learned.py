"""Networks in the slots: what DAN puts there, and a learned first kernel."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from pnpsr.kernels import settled
from pnpsr.needs import Needs, needs_of, together
from pnpsr.state import State


class LearnedRestorer(nn.Module):
    """x ← R(y, encode(k)): a network conditioned on the kernel's code (DAN Eq. 6).

    Args:
        net: (y, code (b n)) -> x (b c sh sw).
        encode: k (b 1 p p) -> code (b n). The module behind it (``KernelBasis(...).encode``) is registered and travels with
            the weights.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian, KernelBasis
        >>> from pnpsr.nets import DPCRestorer
        >>> from pnpsr.steps import LearnedRestorer
        >>> step = LearnedRestorer(DPCRestorer(2, 4, width=4, groups=1, blocks=1), encode=KernelBasis(5, 4).encode)
        >>> step(State(torch.rand(1, 3, 8, 8), Degradation(2), k=gaussian(5, 1.0))).shape
        torch.Size([1, 3, 16, 16])
    """

    reads: ClassVar = ("y", "k")  # and so says the same again in a second iteration with the same kernel

    def __init__(self, net: nn.Module, encode: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.encode = net, encode
        self.basis = _owner(encode)

    @property
    def needs(self) -> Needs:
        """Those of the network and of what stands behind the codes."""
        return together((self.net, self.basis))

    def forward(self, state: State) -> Tensor:
        """The new image (b c sh sw)."""
        return self.net(state.completed, self.encode(state.known("k"))).to(state.y.dtype)


class LearnedEstimator(nn.Module):
    """k ← E(y, x), or decode(E(y, x)) for a network that predicts the kernel's code (DAN Eq. 6).

    Args:
        net: (y, x) -> k (b 1 p p), or code (b n).
        decode: code (b n) -> k (b 1 p p), if the network predicts codes.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.nets import DPCEstimator
        >>> from pnpsr.steps import LearnedEstimator
        >>> step = LearnedEstimator(DPCEstimator(2, 5, width=4, blocks=1))
        >>> step(State(torch.rand(1, 3, 8, 8), Degradation(2), x=torch.rand(1, 3, 16, 16), k=gaussian(5, 1.0))).shape
        torch.Size([1, 1, 5, 5])
    """

    def __init__(self, net: nn.Module, decode: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.net, self.decode = net, decode
        self.basis = _owner(decode)

    @property
    def needs(self) -> Needs:
        """Those of the network and of what stands behind the codes."""
        return together((self.net, self.basis))

    def forward(self, state: State) -> Tensor:
        """The new kernel (b 1 p p)."""
        out = self.net(state.completed, state.x)
        return (out if self.decode is None else self.decode(out)).to(state.y.dtype)


class LearnedCorrector(nn.Module):
    """k ← C(y, x, k): a network that corrects the kernel it is given, with no closed form before it (BISR-Net).

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.nets import KernelCorrector
        >>> from pnpsr.steps import LearnedCorrector
        >>> step = LearnedCorrector(KernelCorrector(2, 5, width=4))
        >>> step(State(torch.rand(1, 3, 8, 8), Degradation(2), x=torch.rand(1, 3, 16, 16), k=gaussian(5, 1.0))).shape
        torch.Size([1, 1, 5, 5])
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @property
    def needs(self) -> Needs:
        """Those of the network."""
        return needs_of(self.net)

    def forward(self, state: State) -> Tensor:
        """The new kernel (b 1 p p)."""
        return self.net(state.completed, state.x, state.k).to(state.y.dtype)


class LearnedKernelStart(nn.Module):
    """k0 ← I(y): a network that guesses the kernel from y alone (IKR-Net Eq. 6; M of DAN Eq. 5).

    Args:
        net: y (b c h w) -> k (b 1 p p).
        settle: what is nearly a Gaussian is one, see :func:`pnpsr.kernels.settled`.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.nets import KernelEncoder
        >>> from pnpsr.steps import LearnedKernelStart
        >>> start = LearnedKernelStart(KernelEncoder(5, width=4))
        >>> start(State(torch.rand(1, 3, 16, 16), Degradation(2))).shape
        torch.Size([1, 1, 5, 5])
    """

    def __init__(self, net: nn.Module, *, settle: bool = False) -> None:
        super().__init__()
        self.net, self.settle = net, bool(settle)

    def extra_repr(self) -> str:
        """Whether its kernels are settled."""
        return "settle=True" if self.settle else ""

    @property
    def needs(self) -> Needs:
        """Those of the network."""
        return needs_of(self.net)

    def forward(self, state: State) -> Tensor:
        """The first kernel (b 1 p p)."""
        k = self.net(state.completed).to(state.y.dtype)
        return settled(k) if self.settle else k


def _owner(method: Callable[[Tensor], Tensor] | None) -> nn.Module | None:
    """The module a bound method belongs to."""
    owner = getattr(method, "__self__", None)
    return owner if isinstance(owner, nn.Module) else None
