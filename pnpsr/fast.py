"""The same solver, faster: channels-last networks, in bfloat16 where the processor has it; exact steps stay in float32.

What ``fast`` does not touch: the estimator (kernels decide everything after them), closed forms (they leave autocast by
themselves), and the first and last layer of an image prior, which carry the picture itself around what the network adds to it.
"""

import copy

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.needs import Needs, needs_of

PRECISIONS = ("auto", "float32", "bfloat16")


class Whole(nn.Module):
    """A layer in the precision of its weights, whatever surrounds it.

    Example:
        >>> import torch
        >>> from pnpsr.fast import Whole
        >>> layer = torch.nn.Conv2d(3, 4, 3, padding=1)
        >>> Whole(layer)(torch.rand(1, 3, 8, 8)).dtype
        torch.float32
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self.layer = layer

    @property
    def weight(self) -> Tensor:
        """That of the layer."""
        return self.layer.weight

    def forward(self, v: Tensor) -> Tensor:
        """The layer's answer."""
        with torch.autocast(v.device.type, enabled=False):
            return self.layer(v.to(self.weight.dtype))


class Reduced(nn.Module):
    """A network whose inner layers multiply in bfloat16; what goes in and comes out is what the network without it has.

    Example:
        >>> import torch
        >>> from pnpsr.fast import Reduced
        >>> from pnpsr.nets import ResUNet
        >>> net = Reduced(ResUNet(3, widths=(2, 2, 2, 2)).eval())
        >>> with torch.no_grad():
        ...     print(net(torch.rand(1, 3, 16, 16)).dtype)
        torch.float32
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    @property
    def needs(self) -> Needs:
        """Those of the network."""
        return needs_of(self.net)

    def forward(self, v: Tensor, strength: Tensor | float | None = None) -> Tensor:
        """The network's answer, in the dtype of v."""
        with torch.autocast(v.device.type, dtype=torch.bfloat16):
            return self.net(v, strength).to(v.dtype)


def native_bfloat16(device: str | torch.device = "cpu") -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it is slower than float32.

    Example:
        >>> from pnpsr.fast import native_bfloat16
        >>> native_bfloat16() in (True, False)
        True
    """
    kind = torch.device(device).type
    if kind == "cpu":
        able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return kind == "cuda" and torch.cuda.is_available() and torch.cuda.get_device_capability(device) >= (8, 0)


def resolved(precision: str, device: str | torch.device = "cpu") -> str:
    """``float32`` or ``bfloat16``: what ``auto`` comes to on the device.

    Raises:
        ValueError: unknown precision.

    Example:
        >>> from pnpsr.fast import resolved
        >>> resolved("float32")
        'float32'
    """
    checks.choice(precision, PRECISIONS, "precision")
    return precision if precision != "auto" else "bfloat16" if native_bfloat16(device) else "float32"


def fast(solver: nn.Module, precision: str = "auto") -> nn.Module:
    """A copy of ``solver`` for inference: no gradients, channels-last, image priors in ``precision``.

    In bfloat16 results differ from those of float32 by less than 1/512 in root mean square on the shipped presets; single pixels
    at strong edges may differ by a few times that. In float32 they are equal up to rounding.

    Args:
        solver: any module; only networks in a restorer change their precision that say which layers must keep it, by an
            attribute ``whole``, as :class:`pnpsr.nets.ResUNet` does.
        precision: ``auto`` takes bfloat16 where the device has it, ``float32`` or ``bfloat16`` insist.

    Raises:
        ValueError: unknown precision.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.fast import fast
        >>> from pnpsr.kernels import gaussian
        >>> quick = fast(usrnet(T=1, widths=(2, 2, 2, 2)).eval(), "float32")
        >>> with torch.no_grad():
        ...     print(quick(torch.rand(1, 3, 8, 8), 2, k=gaussian(5, 1.0), sigma=0.0).x.shape)
        torch.Size([1, 3, 16, 16])
    """
    quick = copy.deepcopy(solver).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    first = next(quick.parameters(), None)
    reduce = resolved(precision, "cpu" if first is None else first.device) == "bfloat16" and first is not None
    restorer = getattr(quick, "restorer", None)
    if reduce and isinstance(restorer, nn.Module) and first is not None and first.dtype == torch.float32:
        _reduce(restorer)
    return quick


def _reduce(module: nn.Module) -> None:
    for name, child in module.named_children():
        if whole := getattr(child, "whole", ()):
            for layer in whole:
                setattr(child, layer, Whole(getattr(child, layer)))
            setattr(module, name, Reduced(child))
        else:
            _reduce(child)
