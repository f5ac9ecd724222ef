"""The two halves of IKR-Net's F: how noisy is y (NoiseNet), and how hard to pull then (HyperMLP)."""

import math
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr import checks
from pnpsr.needs import Needs


class HyperMLP(nn.Module):
    """softplus(W3 relu(W2 relu(W1 (sigma, s)))) + 1e-6: ``outputs`` positive numbers per sample from noise level and scale.

    USRNet's HyPaNet (section 4.3: eight alphas, then eight betas) and the fully connected half of IKR-Net's Fig. 5 (one of each).
    Layers are 1 x 1 convolutions, in the order of the released parameters.

    Example:
        >>> import torch
        >>> from pnpsr.nets import HyperMLP
        >>> HyperMLP(2, hidden=8)(torch.rand(3, 1, 1, 1), 2).shape
        torch.Size([3, 2, 1, 1])
    """

    def __init__(self, outputs: int, hidden: int = 64) -> None:
        """Build the net for ``outputs`` numbers per sample.

        Raises:
            TypeError: a count is no integer.
            ValueError: a count is below 1.
        """
        super().__init__()
        self.outputs, hidden = checks.whole(outputs, "outputs"), checks.whole(hidden, "hidden")
        self.mlp = nn.Sequential(
            nn.Conv2d(2, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, self.outputs, 1)
        )

    def forward(self, sigma: Tensor | float, scale: float) -> Tensor:
        """(b ``outputs`` 1 1), all positive, from ``sigma`` (a number, (b,) or (b 1 1 1), units of the image) and the scale.

        Raises:
            TypeError: ``scale`` is no number.
            ValueError: ``sigma`` has another shape, or is negative or not finite.
        """
        if isinstance(scale, bool) or not isinstance(scale, Real):
            raise TypeError(f"scale must be a number, got {scale!r}")
        sigma = checks.per_sample(sigma, self.mlp[0].weight[:1], "sigma")
        return F.softplus(self.mlp(torch.cat((sigma, torch.full_like(sigma, float(scale))), dim=1))) + 1e-6


class NoiseNet(nn.Module):
    """sigma = |w . mean(|conv(|conv(r)|)|)|: the noise level of a residual r = y - (x ⊗ k)↓s. IKR-Net, Fig. 5, left half.

    From the paper: two convolutions, then one number. Our choices: 3 x 3 kernels, the modulus as activation and no bias. So
    sigma(c r) = |c| sigma(r) for every c, no unit can go dead, and what training finds is which filters see noise but not
    structure. An untrained net returns roughly the standard deviation of a white residual.

    Example:
        >>> import torch
        >>> from pnpsr.nets import NoiseNet
        >>> NoiseNet(1, width=8)(torch.rand(2, 1, 16, 16)).shape
        torch.Size([2, 1, 1, 1])
    """

    whole: ClassVar = ("first", "last")  # layers that read pictures or say the number: they keep their precision

    def __init__(self, channels: int = 3, width: int = 64) -> None:
        """Build the net for residuals (b ``channels`` h w).

        Raises:
            TypeError: a count is no integer.
            ValueError: a count is below 1.
        """
        super().__init__()
        self.channels, width = checks.whole(channels, "channels"), checks.whole(width, "width")
        self.needs = Needs(channels=self.channels)
        self.first = nn.Conv2d(self.channels, width, 3, padding=1, bias=False)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.last = nn.Conv2d(width, 1, 1, bias=False)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draw filters that keep the power of white noise, and average over them: E|n| = sqrt(2 / pi) sigma for normal n."""
        for layer in (self.first, self.second):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
        self.last.weight.fill_(math.sqrt(math.pi / 2) / self.last.in_channels)

    def forward(self, residual: Tensor) -> Tensor:
        """The noise level (b 1 1 1), zero or positive, of each ``residual`` (b c h w), in its units.

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels.
        """
        checks.feed(residual, "residual", self.channels, self.last.weight)
        return self.last(self.second(self.first(residual).abs()).abs().mean((-2, -1), keepdim=True)).abs()
