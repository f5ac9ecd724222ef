"""USRNet (cszn/USRNet, cszn/KAIR): image prior ``p``, hyper-network ``h``; of any widths and number of iterations."""

from torch import nn

from pnpsr.recipes.usrnet import usrnet
from pnpsr.released.layout import Layout, Weights, renamed, resunet, resunet_widths


def _build(weights: Weights) -> nn.Module:
    """T, widths and channels from the shapes; starts from the nearest pixel."""
    return usrnet(
        T=len(weights["h.mlp.4.bias"]) // 2,
        widths=resunet_widths(weights, "p"),
        hidden=len(weights["h.mlp.0.weight"]),
        channels=weights["p.m_head.weight"].shape[1] - 1,
    )


def _translate(weights: Weights) -> Weights:
    """``p`` is the restorer's prior, ``h`` the tuner."""
    return renamed(weights, [*resunet("p", "restorer.prior"), (r"^h\.", "tuner.mlp.")])


USRNET = Layout("USRNet", ("p.m_head.weight", "p.m_down3.2.weight", "h.mlp.0.weight", "h.mlp.4.bias"), _build, _translate)
