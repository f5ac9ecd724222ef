"""The kernel auto-encoder whose ten numbers IKR-Net's initialiser learns to predict. IKR-Net, section 3.1 and Fig. 3."""

import math
from itertools import pairwise
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.nets.common import columns

Output = Literal["softmax", "sigmoid"]
HIDDEN = (400, 225, 100, 25)  # the paper's widths between the 21 x 21 = 441 coefficients and the code


def hidden_widths(coefficients: int, code: int) -> list[int]:
    """The paper's hidden widths in proportion to the number of coefficients (441 gives 400, 225, 100, 25), none below ``code``."""
    return [max(code, round(width * coefficients / 441)) for width in HIDDEN]


def dense(widths: list[int]) -> nn.Sequential:
    """Fully connected layers between the given widths, a rectifier after each but the last."""
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class KernelDecoder(nn.Module):
    """code (b n) -> k (b 1 p q): the decoder half, n-25-100-225-400-441 for 21 x 21.

    ``output="softmax"`` (our choice) keeps k on the simplex, as the image step needs it: k >= 0, sum(k) = 1. ``output="sigmoid"``
    is what IKR-Net's code has: each coefficient in (0, 1), the sum left to training.

    Example:
        >>> import torch
        >>> from pnpsr.nets import KernelDecoder
        >>> KernelDecoder(7, code=4)(torch.rand(2, 4)).shape
        torch.Size([2, 1, 7, 7])
    """

    def __init__(self, size: int | tuple[int, int], code: int = 10, *, output: Output = "softmax") -> None:
        """Build the net for kernels of ``size`` (an integer means a square) and codes of ``code`` numbers.

        Raises:
            TypeError: a size or count is no integer.
            ValueError: one is below 1, or ``output`` is unknown.
        """
        super().__init__()
        checks.choice(output, ("softmax", "sigmoid"), "output")
        self.size, self.code, self.output = checks.size(size, "size"), checks.whole(code, "code"), output
        coefficients = self.size[0] * self.size[1]
        self.layers = dense([self.code, *reversed(hidden_widths(coefficients, self.code)), coefficients])
        *_, bias = self.layers.parameters()
        with torch.no_grad():  # the first kernels sum to about 1 under the sigmoid too, not to half their coefficients
            bias.sub_(math.log(coefficients))

    def forward(self, code: Tensor) -> Tensor:
        """The kernel (b 1 p q) of each ``code`` (b n).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: a code of another length.
        """
        code = checks.feed(columns(code, self.code), "code", self.code, next(self.parameters()), "(b n)")
        k = self.layers(code[..., 0, 0])
        k = k.softmax(1) if self.output == "softmax" else k.sigmoid()
        return rearrange(k, "b (p q) -> b 1 p q", p=self.size[0])


class KernelAutoencoder(nn.Module):
    """k -> code -> k, 441-400-225-100-25-10-25-100-225-400-441 for 21 x 21; the code lies in (0, 1) (sigmoid, as IKR-Net's).

    Its code is the target of the first training stage of :class:`KernelEncoder`, and its ``decoder`` that net's second half.
    Our choice: the encoder reads sqrt(p q) k, because coefficients of order 1 / (p q) would drown in its biases.

    Example:
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.nets import KernelAutoencoder
        >>> net = KernelAutoencoder(7, code=4)
        >>> net(gaussian(7, 1.0)).shape
        torch.Size([1, 1, 7, 7])
    """

    def __init__(self, size: int | tuple[int, int], code: int = 10, *, output: Output = "softmax") -> None:
        """Build the net, see :class:`KernelDecoder`."""
        super().__init__()
        self.decoder = KernelDecoder(size, code, output=output)
        self.size, self.code = self.decoder.size, self.decoder.code
        coefficients = self.size[0] * self.size[1]
        self.layers = dense([coefficients, *hidden_widths(coefficients, self.code), self.code])

    def logits(self, k: Tensor) -> Tensor:
        """The code (b n) of ``k`` (b 1 p q) before its sigmoid.

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: another kernel size.
        """
        checks.feed(k, "k", 1, next(self.parameters()), "(b 1 p q)")
        if k.shape[-2:] != self.size:
            raise ValueError(f"k must have shape (b, 1, {self.size[0]}, {self.size[1]}), got {tuple(k.shape)}")
        return self.layers(rearrange(k, "b 1 p q -> b (p q)") * (self.size[0] * self.size[1]) ** 0.5)

    def encode(self, k: Tensor) -> Tensor:
        """The code (b n), in (0, 1), of ``k`` (b 1 p q). Raises as :meth:`logits`."""
        return torch.sigmoid(self.logits(k))

    def decode(self, code: Tensor) -> Tensor:
        """The kernel (b 1 p q) of ``code`` (b n). Raises as :class:`KernelDecoder`."""
        return self.decoder(code)

    def forward(self, k: Tensor) -> Tensor:
        """decode(encode(k)). Raises as :meth:`logits`."""
        return self.decode(self.encode(k))
