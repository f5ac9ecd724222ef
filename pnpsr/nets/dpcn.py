"""DANv2's networks: dual-path blocks, the kernel estimator and the image restorer. Luo et al. 2021, section 3.4."""

from typing import ClassVar, Literal

from einops import rearrange
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs
from pnpsr.nets.common import last_of, leaky, one_scale, pair, picture_and_code, upscaler
from pnpsr.nets.weights import copying, edges, flat

Skip = Literal["paper", "released", "off"]


class DPCB(nn.Module):
    """f_b + B(f_b) * C(f_c) on the basic path, f_c + C(f_c) on the conditional path: the dual-path conditional block (Fig. 2a).

    B and C are each convolution, leaky rectifier (slope 0.2), convolution. f_b is (b c h w); f_c is (b c h w) or (b c 1 1), which
    is spread over the picture only in the product.

    Example:
        >>> import torch
        >>> from pnpsr.nets import DPCB
        >>> u, v = DPCB(8)(torch.rand(1, 8, 6, 6), torch.rand(1, 8, 6, 6))
        >>> u.shape, v.shape
        (torch.Size([1, 8, 6, 6]), torch.Size([1, 8, 6, 6]))
    """

    def __init__(self, width: int, *, basic: int = 3, conditional: int = 1) -> None:
        """Build a block of ``width`` channels with kernels of ``basic`` and ``conditional`` pixels (odd) on the two paths."""
        super().__init__()
        self.basic, self.conditional = (
            nn.Sequential(nn.Conv2d(width, width, p, padding=p // 2), leaky(), nn.Conv2d(width, width, p, padding=p // 2))
            for p in (basic, conditional)
        )

    def forward(self, basic: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The next pair of features."""
        gain = self.conditional(condition)
        return basic + self.basic(basic) * gain, condition + gain


class DPCG(nn.Module):
    """x + blocks(x) on both paths: the dual-path conditional group, a long skip around several blocks (Fig. 2b).

    ``skip="paper"`` is that. ``skip="released"`` is 2 blocks(x): the released code changes its list of features in place, so what
    it adds is no longer the group's input. Released weights were trained so and need it. ``skip="off"`` is the blocks alone, for
    DAN's ablation (Table 4).

    Example:
        >>> import torch
        >>> from pnpsr.nets import DPCG
        >>> u, v = DPCG(8, 1)(torch.rand(1, 8, 6, 6), torch.rand(1, 8, 6, 6))
        >>> u.shape
        torch.Size([1, 8, 6, 6])
    """

    def __init__(self, width: int, blocks: int, *, basic: int = 3, conditional: int = 1, skip: Skip = "paper") -> None:
        """Build a group of ``blocks`` blocks, see :class:`DPCB`.

        Raises:
            ValueError: ``skip`` is none of "paper", "released" and "off".
        """
        super().__init__()
        checks.choice(skip, ("paper", "released", "off"), "skip")
        self.skip = skip
        self.blocks = nn.ModuleList(
            DPCB(width, basic=basic, conditional=conditional) for _ in range(checks.whole(blocks, "blocks"))
        )

    def forward(self, basic: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The next pair of features."""
        start = (basic, condition)
        for block in self.blocks:
            basic, condition = block(basic, condition)
        if self.skip == "off":
            return basic, condition
        if self.skip == "released":
            start = (basic, condition)
        return start[0] + basic, start[1] + condition


class DPCEstimator(nn.Module):
    """k = E(y, x): y is the basic input, x the condition, brought to y's size by a convolution of stride s (Fig. 2d).

    Heads of 5 x 5 (y) and (4s + 1) x (4s + 1) (x), one group with 3 x 3 kernels on both paths, 3 x 3 convolution to twice the
    width, mean over the picture, one number per kernel coefficient, softmax over them: k >= 0, sum(k) = 1.

    Our choice: the heads start blind to brightness. The first kernels are almost flat. The products of the blocks can overflow
    when training goes too fast, and a softmax that has collapsed to a Dirac has no gradient to come back: in our trials with Adam
    at a rate of 4e-3, whatever the first weights, and not at 1e-3. Give this net a low rate, and watch the entropy of k.

    Example:
        >>> import torch
        >>> from pnpsr.nets import DPCEstimator
        >>> net = DPCEstimator(2, 5, width=4, blocks=1)
        >>> net(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)).shape
        torch.Size([1, 1, 5, 5])
    """

    whole: ClassVar = ("head_y", "head_x", "last")  # layers that read pictures or say the kernel: they keep their precision

    def __init__(
        self,
        scale: int,
        size: int | tuple[int, int],
        *,
        width: int = 32,
        blocks: int = 5,
        channels: int = 3,
        softmax: bool = True,
        skip: Skip = "paper",
    ) -> None:
        """Build the net for kernels of ``size`` (an integer means a square); ``softmax=False`` leaves the last layer linear.

        Raises:
            TypeError: a size, width or count is no integer.
            ValueError: ``scale`` outside 1 .. 4, a count below 1, an unknown ``skip``.
        """
        super().__init__()
        self.scale, self.size = one_scale(scale), checks.size(size, "size")
        self.channels, self.softmax = checks.whole(channels, "channels"), bool(softmax)
        self.needs = Needs(channels=self.channels, kernel_size=max(self.size), scales=(self.scale,))
        width, taps = checks.whole(width, "width"), 4 * self.scale + 1
        self.head_y = nn.Conv2d(self.channels, width, 5, padding=2)
        self.head_x = nn.Conv2d(self.channels, width, taps, stride=self.scale, padding=taps // 2)
        self.body = DPCG(width, blocks, basic=3, conditional=3, skip=skip)
        self.tail = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.last = nn.Conv2d(2 * width, self.size[0] * self.size[1], 1)
        edges(self.head_y)
        edges(self.head_x)
        if not self.softmax:
            flat(self.last)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """The kernel (b 1 p q) from y (b c h w) and x (b c sh sw), in [0, 1].

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels, or x does not fit y.
        """
        pair(y, x, self.scale, self.channels, self.last.weight)
        features, _ = self.body(self.head_y(y), self.head_x(x))
        k = self.last(self.tail(features).mean((-2, -1), keepdim=True))
        return rearrange(k.softmax(1) if self.softmax else k, "b (p q) 1 1 -> b 1 p q", p=self.size[0])


class DPCRestorer(nn.Module):
    """x = R(y, code): y is the basic input, the reduced kernel the condition, 1 x 1 throughout (Fig. 2c).

    Heads of 3 x 3 (y) and 1 x 1 (code), groups with kernels of 3 x 3 and 1 x 1, 3 x 3 convolution, pixel shuffle. No picture is
    added at the end, and the output is not clamped. Our choice: an untrained net starts as a rough interpolation of y.

    Example:
        >>> import torch
        >>> from pnpsr.nets import DPCRestorer
        >>> DPCRestorer(2, 4, width=4, groups=1, blocks=1)(torch.rand(1, 3, 8, 8), torch.rand(1, 4)).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        scale: int,
        code: int = 10,
        *,
        width: int = 64,
        groups: int = 5,
        blocks: int = 10,
        channels: int = 3,
        skip: Skip = "paper",
    ) -> None:
        """Build the net for codes of ``code`` numbers.

        Raises:
            TypeError: a width or count is no integer.
            ValueError: ``scale`` outside 1 .. 4, a count below 1, an unknown ``skip``.
        """
        super().__init__()
        self.scale, self.code, self.channels = one_scale(scale), checks.whole(code, "code"), checks.whole(channels, "channels")
        self.needs = Needs(channels=self.channels, scales=(self.scale,))
        width = checks.whole(width, "width")
        self.head_y = nn.Conv2d(self.channels, width, 3, padding=1)
        self.head_code = nn.Conv2d(self.code, width, 1)
        self.body = nn.ModuleList(DPCG(width, blocks, skip=skip) for _ in range(checks.whole(groups, "groups")))
        self.fusion = nn.Conv2d(width, width, 3, padding=1)
        upscale = upscaler(self.scale, width, self.channels)
        self.upscale = upscale if self.scale > 1 else upscale[-1]  # DANv1 has a convolution more at scale 1
        copying(self.head_y)
        doubled = 0 if skip == "off" else len(self.body)  # each group's long skip doubles what passes through
        copying(self.fusion, gain=0.5**doubled)

    @property
    def whole(self) -> tuple[str, ...]:
        """Layers that carry the picture, and the condition, which is small: they keep their precision where others have less."""
        return "head_y", "head_code", "conditional", last_of(self.upscale)

    def forward(self, y: Tensor, code: Tensor) -> Tensor:
        """The picture (b c sh sw) from y (b c h w) and the code (b n).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels, or a code of another length or batch size.
        """
        condition = self.head_code(picture_and_code(y, code, self.channels, self.code, self.head_y.weight))
        features = self.head_y(y)
        for group in self.body:
            features, condition = group(features, condition)
        return self.upscale(self.fusion(features))
