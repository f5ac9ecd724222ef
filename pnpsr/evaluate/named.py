"""The protocols of the papers, each as one expression. ``dataclasses.replace`` makes variants."""

from torch import Tensor

from pnpsr.conventions import DAN, IKRNET, KERNELGAN, PNPSR, USRNET
from pnpsr.evaluate.protocol import GIVEN, Protocol, grid
from pnpsr.evaluate.registry import PROTOCOLS, register_protocol
from pnpsr.evaluate.triples import Triples

IMAGE, KERNEL = ("psnr", "psnr_aligned", "ssim"), ("kernel_mse", "kernel_psnr", "kernel_psnr_aligned", "data_psnr")


@register_protocol("dan-setting1")
def dan_setting1() -> Protocol:
    """Gaussian8 at ×2, ×3, ×4, no noise; y and x in 8 bits, Y, border = scale (Luo et al. 2021, section 4.1 and Table 1).

    With the convention of DAN's released code: reflecting border, correlation, bicubic reduction. ``DAN_PAPER`` is Eq. 1.
    """
    metrics = (*IMAGE, "kernel_l1", *KERNEL)
    return Protocol("dan-setting1", grid((2, 3, 4)), "gaussian8", DAN, round_y=True, round_x=True, colour="y", metrics=metrics)


@register_protocol("div2krk", pictures=Triples)
def div2krk() -> Protocol:
    """DIV2KRK at ×2 and ×4 as distributed; x in 8 bits, Y, border = scale (DAN's setting 2, Table 2)."""
    metrics = (*IMAGE, *KERNEL)
    return Protocol("div2krk", grid((2, 4)), GIVEN, KERNELGAN, round_x=True, colour="y", metrics=metrics)


@register_protocol("ikrnet")
def ikrnet(kernels: Tensor) -> Protocol:
    """Twelve kernels at ×4 and ×2 with 0, 2 and 3 % noise; floats, RGB, border = scale² (Ates et al. 2023, section 4.2).

    The border and the crop to multiples of 4 are those that give back the released log (26.6527 dB on nine pictures). The released
    pictures were truncated to 8 bits before the noise: ``replace(p, convention=IKRNET.stored("truncate"))``.
    """
    metrics = (*IMAGE, "psnr_y", *KERNEL)
    return Protocol("ikrnet", grid((4, 2), (0.0, 0.02, 0.03)), kernels, IKRNET, border="scale²", multiple=4, metrics=metrics)


@register_protocol("usrnet-table1")
def usrnet_table1(kernels: Tensor) -> Protocol:
    """Twelve kernels at ×2, ×3, ×4 without noise, and at ×3 with 1 % and 3 % (Zhang et al. 2020, Table 1).

    As in the released test: y truncated to 8 bits before the noise, x rounded to 8 bits, RGB, border = scale², sides multiples of 8
    and the scale.
    """
    conditions = ((2, 0.0), (3, 0.0), (3, 0.01), (3, 0.03), (4, 0.0))
    convention = USRNET.stored("truncate")
    return Protocol(
        "usrnet-table1", conditions, kernels, convention, round_x=True, border="scale²", multiple=8, metrics=(*IMAGE, *KERNEL)
    )


@register_protocol("every-scale")
def every_scale(kernels: Tensor) -> Protocol:
    """Any kernels at ×1 to ×4 with 0 to 3 % noise; floats, RGB, border = scale². No paper's: for what their tables leave out."""
    conditions = grid((1, 2, 3, 4), (0.0, 0.01, 0.02, 0.03))
    return Protocol("every-scale", conditions, kernels, PNPSR, border="scale²", multiple=12, metrics=(*IMAGE, "psnr_y", *KERNEL))


def named_protocol(name: str, kernels: Tensor | None = None) -> Protocol:
    """A protocol by name; ``kernels`` (n 1 p q) for those whose kernels were published as a file.

    Raises:
        ValueError: an unknown name, missing kernels, or kernels for a protocol that has its own.
        TypeError: the function of that name built something else.

    Example:
        >>> from pnpsr.evaluate import named_protocol
        >>> named_protocol("dan-setting1").name
        'dan-setting1'
    """
    entry = PROTOCOLS.find(name)
    if entry.kernels and kernels is None:
        raise ValueError(f"the kernels of protocol {name} are a file of its authors: give it with --kernels FILE")
    if not entry.kernels and kernels is not None:
        raise ValueError(f"protocol {name} has kernels of its own; leave out the file")
    found = entry.build(kernels) if entry.kernels else entry.build()
    if not isinstance(found, Protocol):
        raise TypeError(f"protocol {name!r} must be built as a Protocol, its function returned {type(found).__name__}")
    return found
