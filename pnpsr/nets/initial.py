"""Networks that read pictures and answer with a kernel through the auto-encoder's code: IKR-Net's start, BISR-Net's correction."""

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs
from pnpsr.nets.autoencoder import KernelAutoencoder, Output
from pnpsr.nets.common import SLOPE, leaky, one_scale, pair
from pnpsr.nets.weights import edges, keep_power


class KernelEncoder(nn.Module):
    """k0 = I(y): the kernel initialiser of IKR-Net (Eq. 6, Fig. 3), for any picture size.

    From the paper: six 5 x 5 convolutions, one of stride 2, mean over a 2 x 2 grid of the picture, fully connected to a code of
    ten numbers, then the decoder half of the kernel auto-encoder. Our choices, after IKC's predictor, which has the same shape:
    the fourth convolution has the stride, leaky rectifiers of slope 0.2, 64 channels; and first weights that are blind to
    brightness and keep the signal's power.

    Training: first the ``autoencoder`` on kernels alone, then :meth:`code` to its codes, then the kernel itself. Its encoding half
    serves only then, and stays so that the training can go on.

    Example:
        >>> import torch
        >>> from pnpsr.nets import KernelEncoder
        >>> KernelEncoder(5, width=4)(torch.rand(2, 3, 16, 16)).shape
        torch.Size([2, 1, 5, 5])
    """

    def __init__(
        self,
        size: int | tuple[int, int] = 21,
        *,
        channels: int = 3,
        code: int = 10,
        width: int = 64,
        output: Output = "softmax",
    ) -> None:
        """Build the net for pictures (b ``channels`` h w) and kernels of ``size``; ``output`` as in :class:`KernelDecoder`.

        Raises:
            TypeError: a size or count is no integer.
            ValueError: one is below 1, or ``output`` is unknown.
        """
        super().__init__()
        self.channels, width = checks.whole(channels, "channels"), checks.whole(width, "width")
        layers = [nn.Conv2d(width if i else self.channels, width, 5, 2 if i == 3 else 1, padding=2) for i in range(6)]
        keep_power(layers, SLOPE)
        edges(layers[0])
        steps = (step for layer in layers for step in (layer, leaky()))
        self.features = nn.Sequential(*steps, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.last = nn.Linear(4 * width, checks.whole(code, "code"))
        self.autoencoder = KernelAutoencoder(size, code, output=output)
        self.size = self.autoencoder.size
        self.needs = Needs(channels=self.channels, kernel_size=max(self.size))

    def code(self, y: Tensor) -> Tensor:
        """The predicted code (b n), in (0, 1), of the kernel that blurred ``y`` (b c h w).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels.
        """
        checks.feed(y, "y", self.channels, self.last.weight)
        return torch.sigmoid(self.last(self.features(y)))

    def forward(self, y: Tensor) -> Tensor:
        """The kernel (b 1 p q) that blurred ``y`` (b c h w). Raises as :meth:`code`."""
        return self.autoencoder.decode(self.code(y))


class KernelCorrector(nn.Module):
    """k = C(y, x, k): the learned kernel correction of BISR-Net, IKR-Net's predecessor, which has no closed-form kernel step.

    From IKR-Net's paper and code: a network "iteratively corrects the estimated kernel"; it reads y and the restored x and predicts
    the ten-number code of the kernel auto-encoder, whose decoder gives the next kernel; it runs in the last iterations only.
    Assumed here, for want of more: heads as in DAN's estimator, the former kernel's code as third input (as IKC's corrector), and
    a correction added to that code before its sigmoid, so that a correction of zero gives the auto-encoder's own output.

    Train the ``autoencoder`` first.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.nets import KernelCorrector
        >>> net = KernelCorrector(2, 5, width=4)
        >>> net(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16), gaussian(5, 1.0)).shape
        torch.Size([1, 1, 5, 5])
    """

    def __init__(
        self,
        scale: int,
        size: int | tuple[int, int] = 21,
        *,
        code: int = 10,
        width: int = 32,
        channels: int = 3,
        output: Output = "softmax",
    ) -> None:
        """Build the net for kernels of ``size``; ``output`` as in :class:`KernelDecoder`.

        Raises:
            TypeError: a size or count is no integer.
            ValueError: ``scale`` outside 1 .. 4, a count below 1, or ``output`` is unknown.
        """
        super().__init__()
        self.scale, self.channels, width = one_scale(scale), checks.whole(channels, "channels"), checks.whole(width, "width")
        taps = 4 * self.scale + 1
        self.autoencoder = KernelAutoencoder(size, code, output=output)
        self.size = self.autoencoder.size
        self.needs = Needs(channels=self.channels, kernel_size=max(self.size), scales=(self.scale,))
        self.head_y = nn.Conv2d(self.channels, width, 5, padding=2)
        self.head_x = nn.Conv2d(self.channels, width, taps, stride=self.scale, padding=taps // 2)
        edges(self.head_y)
        edges(self.head_x)
        self.head_code = nn.Conv2d(self.autoencoder.code, width, 1)
        self.body = nn.Sequential(
            leaky(),
            nn.Conv2d(3 * width, 2 * width, 3, padding=1),
            leaky(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            leaky(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.last = nn.Linear(2 * width, self.autoencoder.code)

    def forward(self, y: Tensor, x: Tensor, k: Tensor) -> Tensor:
        """The corrected kernel (b 1 p q) from y (b c h w), x (b c sh sw) and the kernel so far (b 1 p q).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels, x does not fit y, or a kernel of another size or batch.
        """
        pair(y, x, self.scale, self.channels, self.last.weight)
        logits = self.autoencoder.logits(k)
        if k.shape[0] != y.shape[0]:
            raise ValueError(f"k holds {k.shape[0]} kernels for a batch of {y.shape[0]}")
        condition = self.head_code(torch.sigmoid(logits)[..., None, None]).expand(-1, -1, *y.shape[-2:])
        correction = self.last(self.body(torch.cat((self.head_y(y), self.head_x(x), condition), dim=1)))
        return self.autoencoder.decode(torch.sigmoid(logits + correction))
