"""Every metric of a protocol as a function of what is known about one row; None where it has no meaning."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.conventions import PNPSR, convert_kernel, degrade
from pnpsr.evaluate.aligned import psnr_aligned
from pnpsr.evaluate.cases import Case, low
from pnpsr.evaluate.kernels import kernel_l1, kernel_mse, kernel_psnr
from pnpsr.evaluate.method import Method, Result
from pnpsr.evaluate.metrics import psnr, ssim
from pnpsr.evaluate.perceptual import lpips
from pnpsr.evaluate.protocol import Protocol
from pnpsr.evaluate.registry import METRICS, Metric
from pnpsr.physics import Physics, quantise


@dataclass(frozen=True, eq=False)
class Seen:
    """One solved row: what was found, what is true, under which protocol. ``x`` is clamped and, if it says so, rounded.

    Example:
        >>> from pnpsr.evaluate import Seen
        >>> Seen.__dataclass_fields__.keys() >= {"case", "x", "k"}
        True
    """

    protocol: Protocol
    case: Case
    x: Tensor
    k: Tensor | None  # the kernel that the method used, given or estimated
    estimated: bool  # the kernel is the method's own
    truth: Tensor | None  # the true kernel in the method's convention; None: it has none there
    method: Method

    @property
    def border(self) -> int:
        """Pixels of x left out on each side."""
        return self.protocol.border_at(self.case.key.scale)


def true_kernel(case: Case, protocol: Protocol, method: Method) -> Tensor | None:
    """The kernel that means to the method what the case's means to the protocol; None if no kernel does, or nobody knows it."""
    if case.k is None:
        return None
    if protocol.physics is not None and method.physics and method.convention == PNPSR:
        return case.k  # which it reads as the physics does
    try:
        return convert_kernel(case.k, protocol.convention, method.convention, case.key.scale, interior=True, interpolate=True)
    except ValueError:
        return None


def physics_told(case: Case, protocol: Protocol, method: Method) -> Physics | None:
    """What a method is to invert, the pixels that count included; None: blur and ↓s, which its convention states."""
    model = protocol.model(case.key.scale, low(case.x, case.key.scale))
    if case.mask is None:
        return model
    return (method.convention.at(case.key.scale) if model is None else model).masked(case.mask)


def measure(result: Result, case: Case, protocol: Protocol, method: Method, truth: Tensor | None) -> dict[str, float | None]:
    """The protocol's metrics of one result, by name.

    Raises:
        ValueError: the result holds NaN, or the border leaves too little.
    """
    x = result.x.detach().to("cpu", case.x.dtype).clamp(0, 1)
    given = "k" in method.needs
    k = result.k if result.k is not None else truth if given else None
    k = None if k is None else k.detach().to("cpu", case.x.dtype)
    if not checks.finite(x):
        raise ValueError("x holds NaN")
    seen = Seen(protocol, case, quantise(x) if protocol.round_x else x, k, not given and k is not None, truth, method)
    return {name: _value(METRICS.find(name), seen) for name in protocol.columns}


def _value(metric: Metric, seen: Seen) -> float | None:
    """One metric of one row.

    Raises:
        TypeError: it returned something that is no number.
    """
    if metric.images:
        inner = (checks.inside(t, seen.border, "x") for t in (seen.x, seen.case.x))
        value = metric.run(*inner)
    else:
        value = metric.run(seen)
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"metric {metric.name!r} must return a number, got a {type(value).__name__}: {error}") from error


def _image(metric: Callable[..., Tensor], colour: str | None = None) -> Callable[[Seen], Tensor]:
    def measured(s: Seen) -> Tensor:
        wanted = s.protocol.colour if colour is None else colour
        x, truth = (t.expand(-1, 3, -1, -1) if wanted != "rgb" and t.shape[1] == 1 else t for t in (s.x, s.case.x))
        return metric(x, truth, border=s.border, colour=wanted)

    return measured


def _kernel(metric: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Seen], Tensor | None]:
    """Only of kernels that the method found itself: one that it was told would score what was told."""
    return lambda s: metric(s.k, s.truth) if s.estimated and s.k is not None and s.truth is not None else None


def _data(s: Seen) -> Tensor | None:
    """PSNR of degrade(x, k) against y, in the method's own terms; where its boundary is not that of y, within it."""
    if s.k is None:
        return None
    if (model := physics_told(s.case, s.protocol, s.method)) is not None:
        return _seen(model, s) if s.method.physics else None
    again = degrade(s.x, s.k, s.case.key.scale, s.method.convention)
    size = (s.k.shape[-2], s.k.shape[-1])
    same = s.method.convention.boundary == s.protocol.convention.boundary
    border = (0, 0) if same else s.method.convention.border(size, s.case.key.scale)
    if any(2 * b >= n for b, n in zip(border, again.shape[-2:], strict=True)):
        return None
    return psnr(again, s.case.y, border=border)


def _seen(model: Physics, s: Seen) -> Tensor:
    """The same under a physics, over the pixels that are observed."""
    y, counts = s.case.y, model.observed(torch.ones_like(s.case.y))
    errors = (model.freeze(k=s.k)(s.x) - y).square() * counts
    return -10 * (errors.sum() / counts.sum()).log10()


for _name, _run in {
    "psnr": _image(psnr),
    "psnr_aligned": _image(psnr_aligned),
    "ssim": _image(ssim),
    "psnr_rgb": _image(psnr, "rgb"),
    "psnr_y": _image(psnr, "y"),
    "ssim_rgb": _image(ssim, "rgb"),
    "ssim_y": _image(ssim, "y"),
    "lpips": lambda s: lpips(s.x, s.case.x, border=s.border),
    "kernel_mse": _kernel(kernel_mse),
    "kernel_mse_aligned": _kernel(lambda k, truth: kernel_mse(k, truth, align=True)),
    "kernel_psnr": _kernel(kernel_psnr),
    "kernel_psnr_aligned": _kernel(lambda k, truth: kernel_psnr(k, truth, align=True)),
    "kernel_l1": _kernel(kernel_l1),
    "data_psnr": _data,
}.items():
    METRICS[_name] = Metric(_name, _run, images=False)
