"""ResUNet: the image prior of USRNet and IKR-Net, and IKR-Net's kernel prior."""

from collections.abc import Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr import checks
from pnpsr.needs import Needs
from pnpsr.nets.common import corner
from pnpsr.nets.weights import copying, shrink

DEPTH = 4  # scales of the U: three halvings, so sides are padded to multiples of 8


class ResUNet(nn.Module):
    """x = P(v; beta): a U-shaped residual network on any picture or kernel, in the ``Prior`` socket ``(v, strength) -> v``.

    Head, three times (residual blocks, 2 x 2 convolution of stride 2), residual blocks, three times (2 x 2 transposed convolution,
    residual blocks), tail; what went down is added to what comes up; a residual block is v + conv(relu(conv(v))), 3 x 3.
    Parameters are in the order of USRNet's released ones. Zhang, Van Gool, Timofte 2020, section 4.2; IKR-Net, Fig. 4. Both
    image priors have no bias; the kernel prior released with IKR-Net is ``ResUNet(1, widths=(2, 4, 8, 16), bias=True)``.

    ``fold`` = p: the net works on pictures folded p x p into channels (pixel unshuffle) and unfolds what comes out, as FFDNet does
    (Zhang, Zuo, Zhang 2018): at the same time per picture it is p times as wide and sees p times as far.

    What the strength weighs is learned: an image prior with ``strength`` answers to whatever its tuner wrote in training (the β of
    USRNet and IKR-Net, by the same equation ½ |u - v|² + β Φ(u) with an unknown Φ), and means nothing to another tuner; without
    it the net takes none, as a prior on kernels.

    Our choice, not the papers': an untrained net starts near the identity (see :meth:`reset`), so that an unrolled solver starts
    from its own data steps instead of from random pictures.

    Example:
        >>> import torch
        >>> from pnpsr.nets import ResUNet
        >>> net = ResUNet(3, strength=True, widths=(2, 2, 2, 2))
        >>> net(torch.rand(1, 3, 10, 13), torch.full((1, 1, 1, 1), 0.1)).shape
        torch.Size([1, 3, 10, 13])
    """

    whole: ClassVar = ("head", "tail")  # layers that carry the picture: they keep its precision where the others have less

    def __init__(
        self,
        channels: int = 3,
        *,
        strength: bool = False,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 2,
        bias: bool = False,
        fold: int = 1,
    ) -> None:
        """Build the net for (b ``channels`` h w); with ``strength`` it takes a noise or regularisation level as one more channel.

        Raises:
            TypeError: ``channels``, ``blocks``, ``fold`` or a width is no integer.
            ValueError: one is below 1, or there are not four widths.
        """
        super().__init__()
        if len(widths) != DEPTH:
            raise ValueError(f"widths must be {DEPTH} positive integers, one per scale, got {tuple(widths)}")
        widths = [checks.whole(width, "widths") for width in widths]
        self.channels, self.strength = checks.whole(channels, "channels"), bool(strength)
        self.needs = Needs(channels=self.channels)
        blocks, self.fold = checks.whole(blocks, "blocks"), checks.whole(fold, "fold")
        folded = self.channels * self.fold**2

        def residuals(width: int) -> list[nn.Module]:
            return [Residual(width, bias) for _ in range(blocks)]

        pairs = list(pairwise(widths))
        self.head = nn.Conv2d(folded + self.strength, widths[0], 3, padding=1, bias=bias)
        self.down = nn.ModuleList(nn.Sequential(*residuals(a), nn.Conv2d(a, b, 2, 2, bias=bias)) for a, b in pairs)
        self.body = nn.Sequential(*residuals(widths[-1]))
        self.up = nn.ModuleList(nn.Sequential(nn.ConvTranspose2d(b, a, 2, 2, bias=bias), *residuals(a)) for a, b in reversed(pairs))
        self.tail = nn.Conv2d(widths[0], folded, 3, padding=1, bias=bias)
        self.reset()

    def reset(self) -> None:
        """Start near the identity: head and tail copy the channels through the outermost skip, and what is added to them is small.

        With fewer features than channels (``widths[0] < channels fold²``) only the first channels can be copied. Biases start at
        zero: a kernel's coefficients are a few hundredths, and random biases would drown them.
        """
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
        copying(self.head)
        copying(self.tail)
        shrink(next(self.up[-1].parameters()))

    def forward(self, v: Tensor, strength: Tensor | float | None = None) -> Tensor:
        """The likely picture (b c h w) near ``v`` (b c h w) of any size; ``strength`` is a number, (b,) or (b 1 1 1), not negative.

        Raises:
            TypeError: ``v`` holds no floats, or is in another dtype than the net.
            ValueError: wrong number of channels; ``strength`` missing, or given to a net that has none; one of another batch size.
        """
        v = checks.feed(v, "v", self.channels, self.head.weight)
        rows, columns = v.shape[-2:]
        skips = [self.head(self._with_strength(F.pixel_unshuffle(self._padded(v), self.fold), strength))]
        for down in self.down:
            skips.append(down(skips[-1]))
        deep = self.body(skips[-1])
        for up in self.up:
            deep = up(self._joined(skips.pop(), deep))
        return corner(F.pixel_shuffle(self.tail(self._joined(skips.pop(), deep)), self.fold), rows, columns)

    def _padded(self, v: Tensor) -> Tensor:
        unit = 2 ** (DEPTH - 1) * self.fold
        rows, columns = ((n + unit - 1) // unit * unit - n for n in v.shape[-2:])  # a form that shows a trace what divides the sum
        return F.pad(v, (0, columns, 0, rows), mode="replicate")

    def _joined(self, skip: Tensor, deep: Tensor) -> Tensor:
        return deep + skip

    def _with_strength(self, v: Tensor, strength: Tensor | float | None) -> Tensor:
        if not self.strength:
            if strength is not None:
                raise ValueError("this net has no strength channel; call it without a strength, or build it with strength=True")
            return v
        if strength is None:
            raise ValueError("this net has a strength channel; call it with a number, a (b,) or a (b 1 1 1) tensor")
        level = checks.per_sample(strength, v, "strength")
        if level.shape[0] > v.shape[0]:
            raise ValueError(f"strength has {level.shape[0]} values for a batch of {v.shape[0]}")
        return torch.cat((v, level.expand(v.shape[0], 1, *v.shape[-2:])), dim=1)

    def extra_repr(self) -> str:
        """What it reads."""
        return f"channels={self.channels}, strength={self.strength}" + (f", fold={self.fold}" if self.fold > 1 else "")


class Residual(nn.Module):
    """v + conv(relu(conv(v)))."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=bias),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, bias=bias),
        )

    def forward(self, v: Tensor) -> Tensor:
        """The next features."""
        return v + self.body(v)
