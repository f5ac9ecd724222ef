"""Convolutions whose weights are laid out once for oneDNN, with what follows them in the same pass over memory."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr import checks

ELEMENTWISE = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid)
DTYPES = (torch.float32, torch.bfloat16)
ABLE = hasattr(torch.ops.mkldnn, "_convolution_pointwise") and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class Packed(nn.Module):
    """leaky(conv(v)), relu(conv(v)) or conv(v), in the dtype of the weights, whatever comes in.

    Elsewhere than on a processor with oneDNN, and in a trace, the same by the layers themselves.
    """

    def __init__(self, layer: nn.Conv2d, after: nn.Module | None = None) -> None:
        super().__init__()
        self.layer, self.after = layer, after
        self.word, self.numbers = _word(after)
        self._laid: tuple[object, Tensor] | None = None

    @property
    def weight(self) -> Tensor:
        """That of the convolution."""
        return self.layer.weight

    @property
    def bias(self) -> Tensor | None:
        """That of the convolution."""
        return self.layer.bias

    def forward(self, v: Tensor, plus: Tensor | None = None) -> Tensor:
        """What the layers make of v; ``plus`` is added to it, in the dtype of ``plus``."""
        layer = self.layer
        v = v.to(layer.weight.dtype)
        if not (ABLE and type(v) is Tensor and v.device.type == "cpu" and v.dtype in DTYPES) or checks.tracing():
            out = self._followed(layer(v))
        else:
            v, given = v.contiguous(memory_format=torch.channels_last), self._given(v)
            if plus is not None and plus.dtype == v.dtype and not self.word:
                with_sum = torch.ops.mkldnn._convolution_pointwise.binary
                return with_sum(v, plus, *given, "add", 1.0, None, [], None)
            out = torch.ops.mkldnn._convolution_pointwise(v, *given, self.word or "none", self.numbers, "")
        return out if plus is None else out.to(plus.dtype).add_(plus)

    def _followed(self, out: Tensor) -> Tensor:
        return out if self.after is None else self.after(out)

    def _given(self, v: Tensor) -> tuple[object, ...]:
        layer, weight = self.layer, self.layer.weight
        key = weight.data_ptr(), 0 if weight.is_inference() else weight._version
        if self._laid is None or self._laid[0] != key:
            lay: Callable[..., Tensor] = torch._C._nn.mkldnn_reorder_conv2d_weight
            how = layer.padding, layer.stride, layer.dilation, layer.groups
            self._laid = key, lay(weight.detach().to_mkldnn(), *how, list(v.shape))
        return self._laid[1], layer.bias, layer.padding, layer.stride, layer.dilation, layer.groups

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_laid": None}  # cannot be copied


def _word(after: nn.Module | None) -> tuple[str, list[float]]:
    """oneDNN's name of an activation, and its numbers."""
    if isinstance(after, nn.LeakyReLU):
        return "leaky_relu", [after.negative_slope]
    return ("relu", []) if isinstance(after, nn.ReLU) else ("", [])


class Pointwise(nn.Sequential):
    """Layers that look at each pixel by itself: of a single one products with matrices, without the cost of convolutions."""

    def forward(self, v: Tensor) -> Tensor:
        """What the layers make of v (b c h w)."""
        if v.shape[-2:] != (1, 1):
            return super().forward(v)  # type: ignore[no-untyped-call]
        v = v[..., 0, 0]
        for layer in self:
            v = F.linear(v, layer.weight[..., 0, 0], layer.bias) if isinstance(layer, nn.Conv2d) else layer(v)
        return v[..., None, None]


def pointwise(layers: Sequence[nn.Module]) -> bool:
    """Whether each of these looks at a pixel by itself, in float32."""
    one = (1, 1), (1, 1), (0, 0), 1
    kinds = ("kernel_size", "stride", "padding", "groups")
    return all(
        isinstance(layer, ELEMENTWISE)
        or (
            type(layer) is nn.Conv2d
            and tuple(getattr(layer, kind) for kind in kinds) == one
            and layer.weight.dtype == torch.float32
        )
        for layer in layers
    )


def packable(layer: nn.Module) -> bool:
    """Whether oneDNN takes this convolution: zeros around the picture, in numbers."""
    return type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
