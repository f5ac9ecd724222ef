"""Layers for inference: sums are taken in place, and convolutions multiply in bfloat16 where their network allows it.

A sum of two tensors of different types, or into new memory, costs as much as a convolution of few channels.
"""

import torch
from torch import Tensor, nn

from pnpsr.nets.crb import CRB
from pnpsr.nets.dpcn import DPCB
from pnpsr.nets.resunet import Residual, ResUNet

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


class QuickResidual(nn.Module):
    """:class:`pnpsr.nets.resunet.Residual`, added up in place."""

    def __init__(self, block: Residual) -> None:
        super().__init__()
        self.body = block.body

    def forward(self, v: Tensor) -> Tensor:
        """v + body(v)."""
        return self.body(v).to(v.dtype).add_(v)


class QuickDPCB(nn.Module):
    """:class:`pnpsr.nets.dpcn.DPCB`, multiplied and added up in place."""

    def __init__(self, block: DPCB) -> None:
        super().__init__()
        self.basic, self.conditional = block.basic, block.conditional

    def forward(self, basic: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """The next pair of features."""
        gain, update = self.conditional(condition), self.basic(basic)
        return update.mul_(gain.to(update.dtype)).to(basic.dtype).add_(basic), condition + gain


class QuickCRB(nn.Module):
    """:class:`pnpsr.nets.crb.CRB`, multiplied and added up in place."""

    def __init__(self, block: CRB) -> None:
        super().__init__()
        self.body, self.attention = block.body, block.attention

    def forward(self, basic: Tensor, condition: Tensor) -> Tensor:
        """The next basic features."""
        update = self.body(torch.cat((basic, condition), dim=1))
        gain = self.attention(update.mean((-2, -1), keepdim=True).to(basic.dtype))
        return update.mul_(gain.to(update.dtype)).to(basic.dtype).add_(basic)


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


QUICK: dict[type, type] = {Residual: QuickResidual, DPCB: QuickDPCB, CRB: QuickCRB}


def quicken(module: nn.Module) -> None:
    """Put the block's quick form in the place of each block that has one."""
    for name, child in module.named_children():
        if type(child) in QUICK:
            setattr(module, name, QUICK[type(child)](child))
        else:
            quicken(child)


def reduce(module: nn.Module) -> None:
    """Let convolutions multiply in bfloat16 in each network that says, by ``whole``, which of its parts may not."""
    for net in list(module.modules()):
        if whole := getattr(net, "whole", ()):
            _reduce(net, net, "", whole)
            if isinstance(net, ResUNet) and isinstance(last := net.up[-1], nn.Sequential):
                last.append(Cast(torch.float32))  # what it is added to has that type


def _reduce(net: nn.Module, module: nn.Module, path: str, whole: tuple[str, ...]) -> None:
    for name, child in module.named_children():
        here = f"{path}{name}"
        if isinstance(child, CONVOLUTIONS):
            keep = any(part == here or part in here.split(".") for part in whole)
            setattr(module, name, Cast(torch.float32 if keep else torch.bfloat16, child))
        elif not (here in whole or name in whole):
            _reduce(net, child, f"{here}.", whole)
