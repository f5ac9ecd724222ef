"""IKR-Net (hfates/IKR-Net): ``netP`` and ``dec`` for the first kernel, ``p_init`` and ``h_init``, ``pk``, then ``p`` and ``h``."""

import math

import torch
from torch import nn

from pnpsr.nets import KernelEncoder
from pnpsr.recipes.ikrnet_released import ikrnet_released
from pnpsr.released.layout import Layout, Rules, Weights, renamed, resunet, resunet_widths

_APART = ("netP.", "dec.", "enc.", "netC.")  # the first kernel; and an encoder and a corrector that the test code never calls
_LAST = "dec.decoder_output.weight"
_RULES: Rules = [
    *resunet("p_init", "first.restorer.prior"),
    *resunet("p", "second.restorer.prior"),
    *resunet("pk", "kernel.prior"),
    (r"^h_init\.", "first.tuner.mlp."),
    (r"^h\.", "second.tuner.mlp."),
]
_DECODER: Rules = [
    *((rf"^dec\.decoder_hidden{i}\.", f"first.k0.net.decoder.layers.{2 * i - 2}.") for i in (1, 2, 3, 4)),
    (r"^dec\.decoder_output\.", "first.k0.net.decoder.layers.8."),
]


def _initialiser(weights: Weights) -> Weights:
    """The network of the first kernel under our names, or nothing if its tensors are others than ours.

    Its decoder is known; of ``netP`` only what the paper says: six 5 x 5 convolutions, then ten numbers. So it is taken in the
    order of its layers if all shapes agree. Where its stride and the slopes of its rectifiers sit, no tensor tells.
    """
    ours = {name: value for name, value in KernelEncoder().state_dict().items() if not name.startswith("decoder.")}
    theirs = [value for name, value in weights.items() if name.startswith("netP.")]
    if _LAST not in weights or [v.shape for v in theirs] != [v.shape for v in ours.values()]:
        return {}
    decoder = renamed({name: value for name, value in weights.items() if name.startswith("dec.")}, _DECODER)
    return decoder | {f"first.k0.net.{name}": value for name, value in zip(ours, theirs, strict=True)}


def _build(weights: Weights) -> nn.Module:
    return ikrnet_released(
        math.isqrt(len(weights[_LAST])) if _LAST in weights else 21,
        widths=resunet_widths(weights, "p"),
        kernel_widths=resunet_widths(weights, "pk"),
        initialiser=bool(_initialiser(weights)),
    )


def _translate(weights: Weights) -> Weights:
    """Both halves and the kernel prior, whose first layer alone has no bias; γ = 5 is no tensor of theirs."""
    head = weights["pk.m_head.weight"]
    made = {
        "kernel.prior.head.bias": torch.zeros(len(head), dtype=head.dtype),
        "kernel.log_gamma": torch.tensor(5.0, dtype=torch.float64).log(),
    }
    return made | renamed({n: v for n, v in weights.items() if not n.startswith(_APART)}, _RULES) | _initialiser(weights)


_NEEDS = ("p_init.m_head.weight", "h_init.mlp.4.bias", "p.m_head.weight", "h.mlp.4.bias", "pk.m_head.weight")
IKRNET = Layout("IKR-Net", _NEEDS, _build, _translate)
