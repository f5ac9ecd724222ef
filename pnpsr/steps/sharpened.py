"""The first kernel, fitted again: a kernel step from edges that a network predicts, told which kernel is there already."""

from typing import ClassVar

import torch
from torch import Tensor

from pnpsr import precision
from pnpsr.kernels import settled
from pnpsr.kernels.grid import unit
from pnpsr.needs import Needs, needs_of
from pnpsr.nets import EdgeNet
from pnpsr.physics import Degradation, estimate_noise
from pnpsr.physics.edges import differences
from pnpsr.physics.physics import Fit
from pnpsr.physics.solve import anchored
from pnpsr.slots import Slotted
from pnpsr.starts import upsample
from pnpsr.state import State, Step
from pnpsr.steps.debiased import FLAT, FLOOR, contrast

FAINT = 3e-3  # contrast below which a network has nothing to go by


class Sharpened(Slotted):
    """k ← k₀ + √v (√v G √v + γ)⁻¹ √v (b - G k₀): one exact kernel step, anchored to k₀, on edges d and e of a network.

    G and b are the normal equations Σ |d - (e ⊗ k)↓s|² on the support, in gray, G in units of its mean diagonal. With them
    :class:`pnpsr.nets.EdgeNet` predicts what the edges of y and of x would be, from those of y, of the image step under k₀ (as in
    :class:`pnpsr.steps.ChooseTurn`) and of what that leaves of y; v = k₀^p in units of its mean says where taps may move. γ and p
    are the network's, too. Before it has learned anything the step is k₀. What is negative is cut off, and the sum is 1.

    What was continued beyond the border of y does not count. Where y has gaps or is clipped, where nothing is periodic (no closed
    forms), and on pictures that are all but flat the kernel of the start stays.

    Args:
        start: step that returns k₀ (b 1 p p).
        net: of the scale and the size of the kernels.
        settle: what is nearly a Gaussian then is one, see :func:`pnpsr.kernels.settled`.

    Raises:
        TypeError: a start that cannot be called; on a call: one that returns no kernel.
        ValueError: (on a call) a scale or kernels that the network is not for.

    Example:
        >>> import torch
        >>> from pnpsr import State
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.nets import EdgeNet
        >>> from pnpsr.steps import Sharpened
        >>> start = Sharpened(lambda state: gaussian(5, 1.0), EdgeNet(2, 5, width=4))
        >>> k = start(State(torch.rand(1, 3, 16, 16), 2))
        >>> torch.allclose(k, gaussian(5, 1.0), atol=1e-5)
        True
    """

    SLOTS: ClassVar = {"start": "state -> k"}

    def __init__(self, start: Step, net: EdgeNet, *, settle: bool = False) -> None:
        super().__init__()
        self.start, self.net, self.settle = start, net, bool(settle)

    @property
    def needs(self) -> Needs:
        """Those of the start and of the network, and the physics of closed forms."""
        return Needs(periodic=True) & needs_of(self.start) & self.net.needs

    def extra_repr(self) -> str:
        """Whether its kernels are settled."""
        return "settle=True" if self.settle else ""

    def forward(self, state: State) -> Tensor:
        """The kernel (b 1 p p)."""
        k0 = self.start(state)
        if not isinstance(k0, Tensor):
            raise TypeError(f"start must return a kernel, got {type(k0).__name__}")
        s = self.net.scale
        if state.physics.scale != (s, s):
            raise ValueError(f"the kernel is fitted by a network for scale {s}, got {state.scale}; build one for that scale")
        if isinstance(state.physics, Degradation) and state.physics.closed:
            with precision.exact(k0):
                k0 = self._fitted(state, state.physics, k0.expand(len(state.y), -1, -1, -1))
        return settled(k0) if self.settle else k0

    def _fitted(self, state: State, physics: Degradation, k0: Tensor) -> Tensor:
        """The kernel step from the edges that the network says."""
        d, e, gamma, power = self.edges(state, physics, k0)
        wide, size = precision.double(d), (k0.shape[-2], k0.shape[-1])
        given = state.y if state.given is None else state.given
        if inside := given.shape[-2:] != state.y.shape[-2:]:
            d, e = within(d, e, (given.shape[-2], given.shape[-1]), self.net.size)
            if min(e.shape[-2:]) < self.net.size + self.net.scale - 1:  # no window of x lies in it
                return k0
        G, b = physics.normal_equations(d.to(wide), e.to(wide), size, Fit(inside=inside))
        k = k0.to(wide).flatten(1)[..., None]
        energy = G.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + FLAT
        root = (k.clamp_min(0) + FLOOR) ** (power.to(wide) / 2)
        root = root / root.square().mean(1, keepdim=True).sqrt()
        move = anchored(G / energy, (b - G @ k) / energy, root, gamma.to(wide))
        found = unit((k + move).reshape(k0.shape).clamp_min(0)).to(k0)
        return torch.where(contrast(given) > FAINT, found, k0)

    def edges(self, state: State, physics: Degradation, k0: Tensor) -> tuple[Tensor, ...]:
        """What :class:`pnpsr.nets.EdgeNet` says of y under k₀, in units of the contrast of y."""
        y, shown = (t.mean(1, keepdim=True) for t in (state.y, state.y if state.given is None else state.given))
        with torch.no_grad():
            sigma = estimate_noise(shown) if state.sigma is None else state.sigma / state.y.shape[1] ** 0.5
            x = physics.prox_image(y, k0, upsample(y, state.scale, "bicubic", physics.position), 0.1 + 3 * sigma.square())
            scale = contrast(shown)
            told = (differences(y, 1), differences(physics(x, k0), 1), differences(x, state.scale))
            data, known, edges = (t / scale for t in told)
        return self.net(data, known, edges, k0, sigma / scale)


def within(d: Tensor, e: Tensor, given: tuple[int, int], size: int) -> tuple[Tensor, Tensor]:
    """d (b 2 h w) and e (b 2 sh sw) in the middle, where y was ``given`` (rows, columns), and as far around as kernels reach."""
    s = e.shape[-1] // d.shape[-1]
    low = []
    for n, m in zip(d.shape[-2:], given, strict=True):
        margin = (n - m) // 2
        reach = min(margin, max(0, size // 2 - s) // s)
        low.append(slice(margin - reach, margin + m - 1 + reach))  # a difference reaches one pixel on
    high = [slice(s * one.start, s * one.stop) for one in low]
    return d[..., low[0], low[1]], e[..., high[0], high[1]]
