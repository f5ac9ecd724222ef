"""One blind restoration at a glance."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.plot.panels import WIDTH, Box, checked_notes, draw_curve, draw_image, draw_kernel, one_picture, sheet
from pnpsr.starts import upsample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = 5  # kernels and curves per row


def demo_figure(
    y: Tensor,
    x: Tensor,
    k: Tensor,
    *,
    scale: Scale,
    truth: Tensor | None = None,
    true_kernel: Tensor | None = None,
    curves: Mapping[str, Sequence[float]] | None = None,
    first: int = 1,
    notes: Mapping[str, str] | None = None,
    zoom: Box | None = None,
) -> "Figure":
    """One blind restoration at a glance: input, aligned bicubic, restored, truth; kernels; what happened over the iterations.

    Args:
        y: the input (1 c h w), shown enlarged without interpolation.
        x: the restored image (1 c sh sw).
        k: the estimated kernel (1 1 p q).
        scale: the factor between the two.
        truth: the true image, where there is one.
        true_kernel: the true kernel, where there is one.
        curves: by axis title, one value per iteration; a range of more than 30 is drawn on a logarithmic axis.
        first: the iteration t of each curve's first value: 1 for the states that ``iterate`` yields, 0 where the start is included.
        notes: lines under "input", "bicubic", "restored" or "truth".
        zoom: part to enlarge, as in :func:`show_images`.

    Raises:
        ValueError: a batch, sizes that do not fit the scale, notes for pictures that are not there, empty curves.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.plot import demo_figure
        >>> figure = demo_figure(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16), gaussian(5, 1.0), scale=2)
        >>> [panel.get_title() for panel in figure.get_axes()]
        ['input, 8 × 8', 'bicubic × 2', 'restored', 'kernel, estimated']
    """
    s1, s2 = checks.factors(scale)
    images = {"input": upsample(one_picture("y", y), scale, "nearest"), "bicubic": upsample(y, scale), "restored": x}
    images |= {} if truth is None else {"truth": truth}
    for name, image in images.items():
        if one_picture(name, image).shape[-2:] != images["input"].shape[-2:]:
            raise ValueError(f"{name} of {tuple(image.shape)} does not fit y of {tuple(y.shape)} at scale {scale}")
    kernels = {"kernel, estimated": k} if true_kernel is None else {"kernel, true": true_kernel, "kernel, estimated": k}
    notes, curves = checked_notes(notes, images), curves or {}
    titles = {"input": f"input, {y.shape[-2]} × {y.shape[-1]}", "bicubic": f"bicubic × {s1 if s1 == s2 else f'{s1}, {s2}'}"}

    cells, rows = len(kernels) + len(curves), math.ceil((len(kernels) + len(curves)) / CELLS)
    widths = [1.0] * math.ceil(cells / rows)
    if rows == 1:  # kernels are square, curves take what is left
        widths[len(kernels) :] = [(CELLS - len(kernels)) / max(1, len(curves))] * len(curves)
    upper, lower = min(WIDTH, WIDTH / len(images) * x.shape[-2] / x.shape[-1] + 0.6), 2.1 * rows
    figure = sheet(upper + lower)
    halves = figure.add_gridspec(2, 1, height_ratios=[upper, lower])
    top, bottom = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    for panel, (name, image) in zip(top.subplots(1, len(images)), images.items(), strict=True):
        draw_image(panel, image, titles.get(name, name), notes.get(name), zoom)
    panels = list(np.ravel(bottom.subplots(rows, len(widths), squeeze=False, width_ratios=widths)))
    for panel, (name, kernel) in zip(panels, kernels.items(), strict=False):
        draw_kernel(panel, one_picture(name, checks.kernel(kernel, name)), name)
    for panel, (name, values) in zip(panels[len(kernels) :], curves.items(), strict=False):
        draw_curve(panel, values, name, first)
    for panel in panels[cells:]:
        panel.set_axis_off()
    return figure
