"""LPIPS, by deepinv: the distance of two pictures to a network that was trained to recognise things."""

import functools
from collections.abc import Callable
from typing import Any

from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale


def lpips(x: Tensor, truth: Tensor, *, border: Scale = 0, network: Callable[[Tensor, Tensor], Tensor] | None = None) -> Tensor:
    """LPIPS(x, truth) (Zhang et al. 2018, AlexNet), lower is better: (b c h w) twice, in [0, 1] -> (b,).

    Args:
        x: restored images; gray ones are repeated to three channels.
        truth: what they should be.
        border: pixels left out on each side.
        network: what to call as ``network(x, truth)`` in place of ``deepinv.loss.metric.LPIPS()``, whose weights are fetched from
            the network when it is first used.

    Raises:
        ValueError: different shapes; a border that leaves nothing; the weights are not there and cannot be fetched.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import lpips
        >>> x = torch.rand(1, 3, 16, 16)
        >>> float(lpips(x, x, network=lambda a, b: (a - b).abs().mean((1, 2, 3))))
        0.0
    """
    a, b = (checks.inside(checks.image(t, name), border, name) for t, name in ((x, "x"), (truth, "truth")))
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"x and truth must have the same shape, got {tuple(x.shape)} and {tuple(truth.shape)}")
    if a.shape[1] == 1:
        a, b = a.expand(-1, 3, -1, -1), b.expand(-1, 3, -1, -1)
    return (network or _network())(a, b).reshape(-1)


@functools.cache
def _network() -> Any:
    try:
        from deepinv.loss.metric import LPIPS

        return LPIPS().eval()
    except Exception as error:  # no connection, no package: each has its own kind
        raise ValueError(
            f"LPIPS needs weights that are not on this machine and could not be fetched ({type(error).__name__}: {error}); "
            "leave lpips out of the metrics, or run once where there is a connection"
        ) from error
