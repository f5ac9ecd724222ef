"""IKR-Net (hfates/IKR-Net): ``netP``, ``dec`` for the first kernel, ``p_init`` and ``h_init``, ``pk``, then ``p`` and ``h``."""

import math

import torch
from torch import nn

from pnpsr.nets import KernelEncoder
from pnpsr.recipes.ikrnet_released import ikrnet_released
from pnpsr.released.layout import Layout, Rules, Weights, renamed, resunet, resunet_widths

_LAST = "dec.decoder_output.weight"
_FIRST, _UNUSED = ("netP.", "dec.", "enc."), "netC."  # netC is a corrector that the test code never calls
_RULES: Rules = [
    *resunet("p_init", "first.restorer.prior"),
    *resunet("p", "second.restorer.prior"),
    *resunet("pk", "kernel.prior"),
    (r"^h_init\.", "first.tuner.mlp."),
    (r"^h\.", "second.tuner.mlp."),
]
_AUTOENCODER: Rules = [
    *((rf"\.(en|de)coder_hidden{i}\.", f".layers.{2 * i - 2}.") for i in (1, 2, 3, 4)),
    (r"\.(en|de)coder_output\.", ".layers.8."),
    (r"^enc\.", "autoencoder."),
    (r"^dec\.", "autoencoder.decoder."),
]


def _initialiser(weights: Weights) -> Weights:
    """The network of the first kernel under our names, or nothing if its tensors are others than ours.

    Its auto-encoder is known (theirs reads k, ours √(p q) k); of ``netP`` only what the paper says: six 5 x 5 convolutions, then
    ten numbers. So it is taken in the order of its layers if all shapes agree. Which convolution has the stride, and the slope
    of the rectifiers, no tensor tells.
    """
    parts = {name: value for name, value in weights.items() if name.startswith(_FIRST)}
    ours = {name: value for name, value in KernelEncoder().state_dict().items() if not name.startswith("autoencoder.")}
    theirs = {name: value for name, value in parts.items() if name.startswith("netP.")}
    coder = renamed({name: parts[name] for name in parts.keys() - theirs.keys()}, _AUTOENCODER)
    reads = "autoencoder.layers.0.weight"
    if [v.shape for v in theirs.values()] != [v.shape for v in ours.values()] or reads not in coder or _LAST not in weights:
        return {}
    coder[reads] = coder[reads] / coder[reads].shape[1] ** 0.5
    net = coder | dict(zip(ours, theirs.values(), strict=True))
    return {f"first.k0.net.{name}": value for name, value in net.items()}


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
    steps = {name: value for name, value in weights.items() if not name.startswith((*_FIRST, _UNUSED))}
    return made | renamed(steps, _RULES) | _initialiser(weights)


_NEEDS = ("p_init.m_head.weight", "h_init.mlp.4.bias", "p.m_head.weight", "h.mlp.4.bias", "pk.m_head.weight")
IKRNET = Layout("IKR-Net", _NEEDS, _build, _translate)
