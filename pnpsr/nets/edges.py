"""Which edges of y and of x a kernel is to be fitted to: a network, told what kernel is there already."""

from itertools import pairwise
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr import checks
from pnpsr.needs import Needs

TOLD = 64  # what the kernel and the noise come to
Layer = TypeVar("Layer", bound=nn.Module)


class EdgeNet(nn.Module):
    """(d, e, γ, p) = E(∇y, ∇A x, ∇x, k): edges for a kernel step, its weight, and the power of k in which taps may move.

    e begins as the edges of x and d as those of A(k) x, whose exact kernel step is k again; the network says by gains and
    additions what becomes of e, and how much of what x leaves of y enters d. So do Schuler, Hirsch, Harmeling, Schölkopf 2014
    ("Learning to deblur"), who begin with no kernel. It runs on the pixels of y, with those of x folded s x s into channels.

    Args:
        scale: s of the factor between x and y.
        size: of the square kernels.
        width: features.
        blocks: residual blocks.

    Example:
        >>> import torch
        >>> from pnpsr.nets import EdgeNet
        >>> net = EdgeNet(2, 5, width=4)
        >>> y, k = torch.rand(1, 2, 8, 8), torch.full((1, 1, 5, 5), 0.04)
        >>> d, e, gamma, power = net(y, y, torch.rand(1, 2, 16, 16), k, torch.full((1, 1, 1, 1), 0.1))
        >>> torch.equal(d, y), e.shape, gamma.shape
        (True, torch.Size([1, 2, 16, 16]), torch.Size([1, 1, 1]))
    """

    whole: ClassVar[tuple[str, ...]] = ("tail",)  # what it says is the data of a least squares problem

    def __init__(self, scale: int, size: int, *, width: int = 48, blocks: int = 2) -> None:
        super().__init__()
        self.scale, self.size = checks.whole(scale, "scale"), checks.whole(size, "size")
        width, folded = checks.whole(width, "width"), 2 * self.scale**2
        self.needs = Needs(scales=(self.scale,), kernel_size=self.size)
        self.words = Words(self.size, width, 1 + checks.whole(blocks, "blocks"))
        self.head = nn.Conv2d(folded + 4, width, 5, padding=2)
        self.body = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(blocks)
        )
        self.tail = zeroed(nn.Conv2d(width, 2 * folded + 4, 3, padding=1))
        self.trust = zeroed(nn.Linear(TOLD, 2))

    def forward(self, data: Tensor, known: Tensor, edges: Tensor, k: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        """d (b 2 h w), e (b 2 sh sw), γ (b 1 1) in units of the mean diagonal of the normal matrix, and p (b 1 1).

        Args:
            data: differences of y along rows and columns (b 2 h w), in units of their root mean square.
            known: those of A(k) x.
            edges: those of x (b 2 sh sw).
            k: the kernel that is there (b 1 p p).
            noise: the noise level in the same units (b 1 1 1).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong shapes.
        """
        b, _, h, w = checks.feed(data, "data", 2, self.tail.weight).shape
        if known.shape != data.shape:
            raise ValueError(f"known must be {tuple(data.shape)}, as data is, got {tuple(known.shape)}")
        if tuple(edges.shape) != (due := (b, 2, self.scale * h, self.scale * w)):
            raise ValueError(f"edges must be {due}, {self.scale} times as large as data, got {tuple(edges.shape)}")
        checks.kernel(k, "k")
        if tuple(k.shape[-2:]) != (self.size, self.size):
            raise ValueError(f"k must be {self.size} x {self.size}, as the network was built for, got {tuple(k.shape[-2:])}")
        folded, rest = F.pixel_unshuffle(edges, self.scale), data - known
        told, gains = self.words(k, noise)
        h = self.head(torch.cat([folded, data, rest], 1)).relu() * gains[0]
        for block, gain in zip(self.body, gains[1:], strict=True):
            h = (h + block(h) * gain).relu()
        parts = (0, folded.shape[1], 2 * folded.shape[1], 2 * folded.shape[1] + 2, 2 * folded.shape[1] + 4)
        says = self.tail(h)
        gain, more, part, beside = (says[:, a:b] for a, b in pairwise(parts))
        gamma, power = self.trust(told).clamp(-5, 5).exp()[..., None, None].unbind(1)
        return known + part * rest + beside, F.pixel_shuffle(folded * (1 + gain) + more, self.scale), 10 * gamma, 0.5 * power


class Words(nn.Module):
    """What the kernel and the noise say (b n), and gains of features by it, which begin as 1."""

    def __init__(self, size: int, width: int, uses: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(size**2 + 1, TOLD), nn.ReLU(), nn.Linear(TOLD, TOLD), nn.ReLU())
        self.gains = zeroed(nn.Linear(TOLD, width * uses))
        self.uses = uses

    def forward(self, k: Tensor, noise: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(b n), and ``uses`` gains (b width 1 1)."""
        taps = (k.flatten(1) * k.shape[-2] * k.shape[-1]).clamp(min=0).sqrt()
        told = self.body(torch.cat([taps, (noise + 1e-3).log().flatten(1)], 1))
        return told, (1 + self.gains(told))[..., None, None].chunk(self.uses, 1)


def zeroed(layer: Layer) -> Layer:
    """A layer that begins by saying nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
