"""Figures of studies: curves side by side, and the course of one restoration as a strip of pictures."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Sequence[tuple[float, float]]
MARKERS = "osD^vP*X"


def curves(panels: Mapping[tuple[str, str], Mapping[str, Curve]], along: str) -> "Figure":
    """One panel per (title, quantity), one curve per label; ``along`` names what they run over.

    Raises:
        ValueError: no panels.
    """
    from matplotlib.figure import Figure

    if not panels:
        raise ValueError("there are no curves to draw")
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.6, 2.9 * rows), dpi=120, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    for axis, ((title, quantity), lines) in zip(axes, panels.items(), strict=False):
        for marker, (label, points) in zip(MARKERS * len(lines), lines.items(), strict=False):
            axis.plot([x for x, _ in points], [y for _, y in points], marker=marker, markersize=3.5, linewidth=1.2, label=label)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(along, fontsize=8)
        axis.set_ylabel(quantity, fontsize=8)
        axis.tick_params(labelsize=8)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(fontsize=7, frameon=False)
    return figure


def strip(images: Mapping[str, Tensor], kernels: Mapping[str, Tensor]) -> "Figure":
    """Pictures (1 c h w) above their kernels (1 1 p q), one column per name; kernels each in their own range.

    Raises:
        ValueError: other names below than above, or none.
    """
    from matplotlib.figure import Figure

    if not images or list(images) != list(kernels):
        raise ValueError(f"pictures and kernels must have the same names, got {list(images)} and {list(kernels)}")
    h, w = next(iter(images.values())).shape[-2:]
    size = (1.8 * len(images), 1.8 * h / w + 1.8 + 0.3)
    figure = Figure(figsize=size, dpi=120, layout="constrained", facecolor="white")
    axes = figure.subplots(2, len(images), squeeze=False, height_ratios=[h / w, 1])
    for i, (name, x) in enumerate(images.items()):
        picture = x[0].detach().clamp(0, 1).cpu().permute(1, 2, 0).squeeze(-1).numpy()
        axes[0, i].imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes[0, i].set_title(name, fontsize=9)
        axes[1, i].imshow(kernels[name][0, 0].detach().cpu().numpy(), cmap="magma", interpolation="nearest")
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    return figure
