"""Convolutions and pixel shuffles in turns: nothing between them bends, so that they are one convolution and one shuffle."""

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

REACH = 2  # pixels of f in each direction that an answer depends on, however many layers: 1 + 1/2 + 1/4 + ... < 2
SIDE = 2 * REACH + 1
FIRST, INSIDE, LAST = range(3)  # where a row or a column lies


class Merged(nn.Module):
    """shuffle(V * f + c) for an upscaler of 3 x 3 convolutions and pixel shuffles: a tenth of the products at s = 4.

    V (c s² w 5 5) is what the layers make of a pixel inside. On the outermost ring it is another, as they see zeros where V would
    see what they say beyond the border: one V for each side and each corner.
    """

    taps: Tensor  # (3 3 c s² w 5 5): V by where the row and the column lie
    biases: Tensor  # (3 3 c s²)

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers
        self.factor = math.prod(layer.upscale_factor for layer in layers if isinstance(layer, nn.PixelShuffle))
        for name, value in zip(("taps", "biases"), _answers(layers, self.factor), strict=True):
            self.register_buffer(name, value, persistent=False)
        self.inside = nn.Conv2d(self.taps.shape[3], self.taps.shape[2], SIDE, padding=REACH).to(self.taps)
        self.inside.load_state_dict({"weight": self.taps[INSIDE, INSIDE], "bias": self.biases[INSIDE, INSIDE]})
        self.to(memory_format=torch.channels_last).requires_grad_(False)

    def forward(self, f: Tensor) -> Tensor:
        """The picture (b c sh sw) from features (b w h w)."""
        f = f.to(self.taps.dtype)
        if min(f.shape[-2:]) <= REACH:  # where a pixel sees two borders
            return self.layers(f)
        out = self.inside(f)
        for i in (FIRST, INSIDE, LAST):
            for j in (FIRST, INSIDE, LAST):
                if (i, j) != (INSIDE, INSIDE):
                    out[..., RING[i], RING[j]] = self._seen(f[..., NEAR[i], NEAR[j]], i, j)
        return F.pixel_shuffle(out, self.factor)

    def _seen(self, f: Tensor, i: int, j: int) -> Tensor:
        """A side without its corners, or a corner."""
        taps = self.taps[i, j, ..., THERE[i], THERE[j]]
        out = F.conv2d(f, taps, self.biases[i, j], padding=(REACH * (i == INSIDE), REACH * (j == INSIDE)))
        return out[..., RING[i] if i == INSIDE else ALL, RING[j] if j == INSIDE else ALL]


ALL = slice(None)
RING = slice(None, 1), slice(1, -1), slice(-1, None)  # pixels of the answer
NEAR = slice(None, REACH + 1), ALL, slice(-REACH - 1, None)  # pixels of f that they see
THERE = slice(REACH, None), ALL, slice(None, REACH + 1)  # taps that lie on them


def _answers(layers: nn.Sequential, factor: int) -> tuple[Tensor, Tensor]:
    """``taps`` and ``biases`` by derivatives, on a picture of 5 x 5: first, middle and last row and column are of one kind each."""
    taps, biases = [], []
    with torch.inference_mode(False), torch.enable_grad():
        own = {name: value.detach().clone() for name, value in layers.named_parameters()}
        count = F.pixel_unshuffle(torch.func.functional_call(layers, own, _blank(layers, 1)), factor).shape[1]
        f = _blank(layers, count).requires_grad_()
        answer = F.pixel_unshuffle(torch.func.functional_call(layers, own, f), factor)[..., ::REACH, ::REACH]
        for i in (FIRST, INSIDE, LAST):
            for j in (FIRST, INSIDE, LAST):
                (slope,) = torch.autograd.grad(answer[..., i, j].diagonal().sum(), f, retain_graph=True)
                moved = F.pad(slope, [REACH] * 4)[..., REACH * i :, REACH * j :][..., :SIDE, :SIDE]
                taps.append(moved)
                biases.append(answer[0, :, i, j].detach())
    return tuple(rearrange(torch.stack(t), "(i j) ... -> i j ...", i=3) for t in (taps, biases))  # type: ignore[return-value]


def _blank(layers: nn.Sequential, count: int) -> Tensor:
    weight: Tensor = layers[0].weight  # type: ignore[assignment]
    return weight.new_zeros(count, weight.shape[1], SIDE, SIDE)


def mergeable(layers: nn.Module) -> bool:
    """Whether these are convolutions and pixel shuffles in turns, as :class:`Merged` takes them."""
    if type(layers) is not nn.Sequential or len(layers) < 3 or len(layers) % 2 == 0:
        return False
    plain = (3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros"
    kinds = ("kernel_size", "padding", "stride", "dilation", "groups", "padding_mode")
    return all(type(shuffle) is nn.PixelShuffle for shuffle in layers[1::2]) and all(
        type(layer) is nn.Conv2d and tuple(getattr(layer, kind) for kind in kinds) == plain for layer in layers[::2]
    )
