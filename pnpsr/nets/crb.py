"""DANv1's networks: conditional residual blocks, the estimator of the reduced kernel and the image restorer. Luo et al. 2020."""

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs
from pnpsr.nets.common import last_of, leaky, one_scale, pair, picture_and_code, upscaler
from pnpsr.nets.weights import copying, shrink


class CRB(nn.Module):
    """f_b + a(h) * h with h = conv(leaky(conv([f_b, f_c]))): the conditional residual block, one condition for all blocks.

    a is channel attention: mean over the picture, 1 x 1 convolution to a sixteenth of the channels, leaky rectifier,
    1 x 1 convolution back, sigmoid.

    Example:
        >>> import torch
        >>> from pnpsr.nets import CRB
        >>> CRB(8, 4)(torch.rand(1, 8, 6, 6), torch.rand(1, 4, 6, 6)).shape
        torch.Size([1, 8, 6, 6])
    """

    def __init__(self, width: int, condition: int) -> None:
        """Build a block for f_b (b ``width`` h w) and f_c (b ``condition`` h w)."""
        super().__init__()
        both, squeezed = width + condition, max(1, width // 16)
        update = nn.Conv2d(both, width, 3, padding=1)
        shrink(update.weight)
        self.body = nn.Sequential(nn.Conv2d(both, both, 3, padding=1), leaky(), update)
        self.attention = nn.Sequential(nn.Conv2d(width, squeezed, 1), leaky(), nn.Conv2d(squeezed, width, 1), nn.Sigmoid())

    def forward(self, basic: Tensor, condition: Tensor) -> Tensor:
        """The next basic features (b ``width`` h w)."""
        update = self.body(torch.cat((basic, condition), dim=1))
        return basic + update * self.attention(update.mean((-2, -1), keepdim=True))


class CRBEstimator(nn.Module):
    """code = E(y, x): y is the basic input, x the condition, brought to y's size by a 9 x 9 convolution of stride s.

    A 1 x 1 head for y, conditional residual blocks, 3 x 3 convolution to the code, mean over the picture.

    Example:
        >>> import torch
        >>> from pnpsr.nets import CRBEstimator
        >>> net = CRBEstimator(2, 4, width=8, blocks=1)
        >>> net(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)).shape
        torch.Size([1, 4])
    """

    def __init__(self, scale: int, code: int = 10, *, width: int = 32, blocks: int = 5, channels: int = 3) -> None:
        """Build the net for codes of ``code`` numbers.

        Raises:
            TypeError: a width or count is no integer.
            ValueError: ``scale`` outside 1 .. 4, or a count below 1.
        """
        super().__init__()
        self.scale, self.code, self.channels = one_scale(scale), checks.whole(code, "code"), checks.whole(channels, "channels")
        self.needs = Needs(channels=self.channels, scales=(self.scale,))
        width = checks.whole(width, "width")
        self.head_y = nn.Conv2d(self.channels, width, 1)
        self.head_x = nn.Conv2d(self.channels, width, 9, stride=self.scale, padding=4)
        self.body = nn.ModuleList(CRB(width, width) for _ in range(checks.whole(blocks, "blocks")))
        self.last = nn.Conv2d(width, self.code, 3, padding=1)

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """The reduced kernel (b n) from y (b c h w) and x (b c sh sw).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels, or x does not fit y.
        """
        pair(y, x, self.scale, self.channels, self.last.weight)
        features, condition = self.head_y(y), self.head_x(x)
        for block in self.body:
            features = block(features, condition)
        return self.last(features).mean((-2, -1))


class CRBRestorer(nn.Module):
    """x = R(y, code): the code is spread over the picture as the condition of every block.

    A 3 x 3 head for y, conditional residual blocks, 3 x 3 convolution, pixel shuffle. No picture is added at the end, and the
    output is not clamped. Our choice: an untrained net starts as a rough interpolation of y.

    Example:
        >>> import torch
        >>> from pnpsr.nets import CRBRestorer
        >>> CRBRestorer(2, 4, width=16, blocks=1)(torch.rand(1, 3, 8, 8), torch.rand(1, 4)).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(self, scale: int, code: int = 10, *, width: int = 64, blocks: int = 40, channels: int = 3) -> None:
        """Build the net for codes of ``code`` numbers.

        Raises:
            TypeError: a width or count is no integer.
            ValueError: ``scale`` outside 1 .. 4, or a count below 1.
        """
        super().__init__()
        self.scale, self.code, self.channels = one_scale(scale), checks.whole(code, "code"), checks.whole(channels, "channels")
        self.needs = Needs(channels=self.channels, scales=(self.scale,))
        width = checks.whole(width, "width")
        self.head = nn.Conv2d(self.channels, width, 3, padding=1)
        self.body = nn.ModuleList(CRB(width, self.code) for _ in range(checks.whole(blocks, "blocks")))
        self.fusion = nn.Conv2d(width, width, 3, padding=1)
        self.upscale = upscaler(self.scale, width, self.channels)
        copying(self.head)
        copying(self.fusion)

    @property
    def whole(self) -> tuple[str, ...]:
        """Layers that carry the picture, and the attention, which is small: they keep their precision where others have less."""
        return "head", "attention", last_of(self.upscale)

    def forward(self, y: Tensor, code: Tensor) -> Tensor:
        """The picture (b c sh sw) from y (b c h w) and the code (b n).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels, or a code of another length or batch size.
        """
        condition = picture_and_code(y, code, self.channels, self.code, self.head.weight).expand(-1, -1, *y.shape[-2:])
        features = self.head(y)
        for block in self.body:
            features = block(features, condition)
        return self.upscale(self.fusion(features))
