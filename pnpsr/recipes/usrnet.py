"""USRNet: the non-blind solver on which IKR-Net builds (Zhang, Van Gool, Timofte 2020)."""

from collections.abc import Sequence

from pnpsr.nets import ResUNet
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Upsample
from pnpsr.steps import HQSRestorer, HyperNet
from pnpsr.values import recipe


@recipe(stages="pnpsr.train.stages:USRNET_STAGES", data="usrnet", tiny={"T": 2, "widths": (4, 4, 4, 4), "hidden": 4})
def usrnet(
    *, T: int = 8, widths: Sequence[int] = (64, 128, 256, 512), hidden: int = 64, channels: int = 3, start: str = "nearest"
) -> UnrolledSolver:
    """x ← P(D(y, x, k; α_t); β_t), (α, β) = H(σ, s): non-blind, call as ``solver(y, scale, k=k, sigma=sigma)`` (USRNet Eq. 6-8).

    Args:
        T: iterations; the hyper-network has a pair for each, so that no more can be asked for at test.
        widths: of the image prior's four levels; 16-32-64-64 with T = 6 and hidden = 32 is the released "tiny" network.
        hidden: width of the hyper-network.
        channels: 3 or 1.
        start: interpolation of the first image: ``nearest`` as released, ``bilinear`` or ``bicubic``, all on the grid of ↓s.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.kernels import gaussian
        >>> solver = usrnet(T=2, widths=(2, 2, 2, 2))
        >>> solver(torch.rand(1, 3, 8, 8), 3, k=gaussian(5, 1.0), sigma=0.01).x.shape
        torch.Size([1, 3, 24, 24])
    """
    return UnrolledSolver(
        estimator=None,
        tuner=HyperNet(per_iteration=T, hidden=hidden),
        restorer=HQSRestorer(ResUNet(channels, strength=True, widths=tuple(widths))),
        T=T,
        k0=None,
        x0=Upsample(start),
    )
