"""Layers for inference: sums are taken in place, and convolutions multiply in bfloat16 where their network allows it.

A sum of two tensors of different types, or into new memory, costs as much as a convolution of few channels.
"""

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.fast.packed import Packed, Pointwise, packable, pointwise
from pnpsr.fast.upscale import Merged, mergeable
from pnpsr.nets.crb import CRB
from pnpsr.nets.dpcn import DPCB
from pnpsr.nets.heads import NoiseNet
from pnpsr.nets.resunet import Residual, ResUNet

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class QuickResidual(nn.Module):
    """:class:`pnpsr.nets.resunet.Residual`, added up where the second convolution writes."""

    def __init__(self, block: Residual) -> None:
        super().__init__()
        self.front, self.last = block.body[:-1], block.body[-1]

    def forward(self, v: Tensor) -> Tensor:
        """v + body(v)."""
        inner = self.front(v)
        return self.last(inner, v) if isinstance(self.last, Packed) else self.last(inner).to(v.dtype).add_(v)


class QuickDPCB(nn.Module):
    """:class:`pnpsr.nets.dpcn.DPCB`, multiplied and added up in one pass."""

    def __init__(self, block: DPCB) -> None:
        super().__init__()
        self.basic, self.conditional = block.basic, block.conditional

    def forward(self, basic: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The next pair of features."""
        gain, update = self.conditional(condition), self.basic(basic).to(basic.dtype)
        return torch.addcmul(basic, update, gain.to(basic.dtype), out=update), condition + gain


class QuickCRB(nn.Module):
    """:class:`pnpsr.nets.crb.CRB`, multiplied and added up in one pass."""

    def __init__(self, block: CRB) -> None:
        super().__init__()
        self.body, self.attention = block.body, block.attention

    def forward(self, basic: Tensor, condition: Tensor) -> Tensor:
        """The next basic features."""
        width, (b, _, h, w) = basic.shape[1], basic.shape
        both = torch.empty(
            (b, width + condition.shape[1], h, w),
            dtype=next(self.body.parameters()).dtype,
            device=basic.device,
            memory_format=torch.channels_last,
        )
        both[:, :width], both[:, width:] = basic, condition
        update = self.body(both)
        gain, update = self.attention(update.mean((-2, -1), keepdim=True).to(basic.dtype)), update.to(basic.dtype)
        return torch.addcmul(basic, update, gain, out=update)


class QuickResUNet(ResUNet):
    """:class:`pnpsr.nets.ResUNet`, whose skips are added to in place, each in its own type."""

    def _joined(self, skip: Tensor, deep: Tensor) -> Tensor:
        return skip.add_(deep)


class QuickNoiseNet(NoiseNet):
    """:class:`pnpsr.nets.NoiseNet`, whose moduli are taken in place."""

    def forward(self, residual: Tensor) -> Tensor:
        """The noise level (b 1 1 1) of each residual (b c h w).

        Raises:
            ValueError: wrong number of channels.
        """
        checks.feed(residual, "residual", self.channels, residual)  # its layers take any dtype
        return self.last(self.second(self.first(residual).abs_()).abs_().mean((-2, -1), keepdim=True)).abs()


class Cast(nn.Module):
    """A layer that computes in the dtype of its weights, whatever comes in; alone: v in another dtype."""

    def __init__(self, dtype: torch.dtype, layer: nn.Module | None = None) -> None:
        super().__init__()
        self.dtype, self.layer = dtype, None if layer is None else layer.to(dtype)

    @property
    def weight(self) -> Tensor:
        """That of the layer."""
        weight: Tensor = self.layer.weight  # type: ignore[union-attr, assignment]
        return weight

    def forward(self, v: Tensor) -> Tensor:
        """What the layer makes of v."""
        v = v.to(self.dtype)
        return v if self.layer is None else self.layer(v)


WHOLE = {NoiseNet: QuickNoiseNet, ResUNet: QuickResUNet}
QUICK: dict[type, type] = {Residual: QuickResidual, DPCB: QuickDPCB, CRB: QuickCRB}


def quicken(module: nn.Module) -> None:
    """Put the quick form in the place of each block, and of each upscaler, that has one."""
    module.__class__ = WHOLE.get(type(module), type(module))
    for name, child in module.named_children():
        if type(child) in QUICK:
            setattr(module, name, QUICK[type(child)](child))
        elif mergeable(child):
            setattr(module, name, Merged(child))  # type: ignore[arg-type]
        else:
            quicken(child)


def reduce(module: nn.Module) -> None:
    """Let convolutions multiply in bfloat16 in each network that says, by ``whole``, which of its parts may not."""
    for net in list(module.modules()):
        if whole := getattr(net, "whole", ()):
            _reduce(net, net, "", whole)
            if isinstance(net, ResUNet) and isinstance(down := net.down[0], nn.Sequential):
                net.down[0] = nn.Sequential(Cast(torch.bfloat16), *down)  # only what goes around it keeps its precision


def _reduce(net: nn.Module, module: nn.Module, path: str, whole: tuple[str, ...]) -> None:
    for name, child in module.named_children():
        here = f"{path}{name}"
        if isinstance(child, Cast):  # as it is where two parts share a network
            continue
        if isinstance(child, CONVOLUTIONS):
            keep = any(part == here or part in here.split(".") for part in whole)
            setattr(module, name, Cast(torch.float32 if keep else torch.bfloat16, child))
        elif not (here in whole or name in whole):
            _reduce(net, child, f"{here}.", whole)


def _bare(layer: nn.Module) -> nn.Module:
    return layer.layer if isinstance(layer, Cast) and layer.layer is not None else layer


def pack(module: nn.Module) -> None:
    """Lay out the weights of convolutions for the processor, each together with the rectifier that stands behind it."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Sequential) and pointwise(layers := [_bare(part) for part in child]):
            setattr(module, name, Pointwise(*layers))
        elif packable(layer := _bare(child)):
            setattr(module, name, Packed(layer))  # type: ignore[arg-type]
        elif not isinstance(child, Packed):  # as it is where two parts share a network
            pack(child)
    if isinstance(module, nn.Sequential):
        for i in range(len(module) - 2, -1, -1):
            if isinstance(module[i], Packed) and isinstance(module[i + 1], nn.ReLU | nn.LeakyReLU):
                module[i] = Packed(module[i].layer, module[i + 1])  # type: ignore[arg-type]
                del module[i + 1]
