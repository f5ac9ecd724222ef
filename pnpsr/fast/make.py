"""``fast``: a copy of a solver for inference, put together from what the other files of this room have."""

import copy

import torch
from torch import nn

from pnpsr import checks
from pnpsr.fast.layers import pack, quicken, reduce
from pnpsr.fast.loop import Quick
from pnpsr.nets import EdgeNet
from pnpsr.solver import UnrolledSolver
from pnpsr.steps import HQSEstimator

PRECISIONS = ("auto", "float32", "bfloat16")


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


def fast(solver: nn.Module, precision: str = "auto", *, compiler: str | None = None) -> nn.Module:
    """A copy of ``solver`` for inference: no gradients, channels-last, networks in ``precision``, values checked once.

    Closed forms and the prior behind the kernel's keep float32, and so do the layers of a network that carry the picture itself
    around what the network adds to it, or say the kernel or the noise level. Values are checked when a solve starts, not in its
    iterations. What depends on y and on a kernel that nobody writes is computed once per solve, an upscaler without rectifiers
    becomes one convolution, and weights are laid out once for the processor.

    In bfloat16 results differ from those of float32 by less than 1/512 in root mean square on the shipped presets; single pixels
    at strong edges may differ by a few times that. In float32 they are equal up to rounding.

    Args:
        solver: any module; only networks in a step change their precision that say which layers must keep it, by an attribute
            ``whole``, as :class:`pnpsr.nets.ResUNet` does, and of those in starts :class:`pnpsr.nets.EdgeNet`.
        precision: ``auto`` takes bfloat16 where the device has it, ``float32`` or ``bfloat16`` insist.
        compiler: a backend of ``torch.compile`` for the networks of its steps, such as ``inductor``; None: none. It pays where many
            pictures of one size are restored.

    Raises:
        ValueError: unknown precision.

    Example:
        >>> import torch
        >>> from pnpsr import usrnet
        >>> from pnpsr.fast import fast
        >>> from pnpsr.kernels import gaussian
        >>> quick = fast(usrnet(T=1, widths=(2, 2, 2, 2)).eval(), "float32")
        >>> quick(torch.rand(1, 3, 8, 8), 2, k=gaussian(5, 1.0), sigma=0.0).x.shape
        torch.Size([1, 3, 16, 16])
    """
    quick = copy.deepcopy(solver).eval().requires_grad_(False).to(memory_format=torch.channels_last)
    first = next(quick.parameters(), None)
    reduced = resolved(precision, "cpu" if first is None else first.device) == "bfloat16" and first is not None
    quicken(quick)
    steps = [
        step for step in (getattr(quick, name, None) for name in ("restorer", "estimator", "tuner")) if isinstance(step, nn.Module)
    ]
    if reduced and first is not None and first.dtype == torch.float32:
        for step in steps:
            if not isinstance(step, HQSEstimator):  # its prior refines what a closed form says to the last digit
                reduce(step)
        for edges in [part for part in quick.modules() if isinstance(part, EdgeNet)]:  # in starts it is the one that pays
            reduce(edges)
    if compiler is None:
        pack(quick)
    else:
        for net in (net for step in steps for net in step.children()):
            net.compile(backend=compiler)
    for part in quick.modules():  # also a solver in a start
        if type(part) is UnrolledSolver:
            part.__class__, part.detach = Quick, ()
    return quick
