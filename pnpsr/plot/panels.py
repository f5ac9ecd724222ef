"""What every figure is made of: the sheet, its panels, and one picture, kernel or curve in one panel."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pnpsr import checks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]  # top, left, height, width as fractions of the image

WIDTH = 10.0  # inches
DPI = 120
ACCENT = "#e4572e"
LINE = "#1f5a8a"
COLOURS = (LINE, ACCENT, "#2e8b57", "#8a4f9e", "#b8860b", "#444444")


def sheet(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def panel_grid(count: int, columns: int, what: str, *, ratio: float, widest: float, times: int = 1) -> "tuple[Figure, list[Axes]]":
    """A figure and its axes, ``columns`` per row, of this ratio of height to width and not above so many inches wide.

    With ``times`` every row of ``count`` axes stands so many times below itself.
    """
    if count == 0:
        raise ValueError(f"there are no {what} to show")
    columns = min(checks.whole(columns, "columns"), count)
    rows = math.ceil(count / columns) * times
    width = min(WIDTH / columns, widest)
    figure = sheet(rows * (width * ratio + 0.5), columns * width)
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes[rows - times :, (count - 1) % columns + 1 :].flat:
        panel.set_axis_off()
    last = rows - times
    return figure, [*axes[:last].flat, *axes[last:, : (count - 1) % columns + 1].flat]


def one_picture(name: str, image: Tensor) -> Tensor:
    """``image`` itself, if it is one picture of one or three colours."""
    if checks.image(image, name).shape[0] != 1 or image.shape[1] not in (1, 3):
        raise ValueError(f"{name} must be one picture, (1 1 h w) or (1 3 h w), got {tuple(image.shape)}; show a batch one by one")
    return image


def checked_notes(notes: Mapping[str, str] | None, images: Mapping[str, Tensor]) -> Mapping[str, str]:
    """The notes, each of which belongs to a picture."""
    for name in notes or {}:
        checks.choice(name, tuple(images), "notes")
    return notes or {}


def values_of(image: Tensor) -> NDArray[np.generic]:
    """(h w) or (h w 3)."""
    return image[0].detach().float().cpu().permute(1, 2, 0).squeeze(-1).numpy()


def bare(panel: "Axes", title: str, note: str | None = None) -> None:
    """A title above, a note below, nothing else."""
    panel.set_title(title, fontsize=10)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    if note is not None:
        panel.set_xlabel(note, fontsize=9)


def inner(zoom: Box) -> Box:
    """The part to enlarge, if it lies within the picture."""
    top, left, height, width = zoom
    if not (min(height, width) > 0 <= min(top, left) and top + height <= 1 >= left + width):
        raise ValueError(f"zoom must be (top, left, height, width) as fractions within the picture, got {zoom}")
    return zoom


def draw_image(panel: "Axes", image: Tensor, title: str, note: str | None, zoom: Box | None) -> None:
    """One picture, with an enlarged part in a corner."""
    pixels = values_of(image.detach().clamp(0, 1))
    panel.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    bare(panel, title, note)
    if zoom is None:
        return
    from matplotlib.patches import Rectangle

    top, left, height, width = inner(zoom)
    h, w = pixels.shape[:2]
    top, left, height, width = top * h - 0.5, left * w - 0.5, height * h, width * w  # pixel n covers n - 0.5 .. n + 0.5
    panel.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=ACCENT, linewidth=1.2))
    side = 0.45 * min(1.0, (h * width) / (w * height)), 0.45 * min(1.0, (w * height) / (h * width))
    over = left + width > (1 - side[0]) * w and top + height > (1 - side[1]) * h  # do not cover what is enlarged
    inset = panel.inset_axes((0 if over else 1 - side[0], 0, *side))
    inset.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    inset.set(xlim=(left, left + width), ylim=(top + height, top), xticks=[], yticks=[])
    inset.spines[:].set(color=ACCENT, linewidth=1.2)


def draw_kernel(panel: "Axes", k: Tensor, title: str, *, log: bool = False) -> None:
    """One kernel, with its centre p // 2 as a cross and its centre of mass as a dot."""
    values = values_of(k)
    if log:
        top = float(np.abs(values).max()) or 1.0
        panel.imshow(np.log10(np.maximum(np.abs(values) / top, 1e-4)), cmap="magma", vmin=-4, vmax=0, interpolation="nearest")
    else:
        panel.imshow(values, cmap="magma", vmin=min(0.0, float(values.min())), interpolation="nearest")
    rows, columns = values.shape
    panel.axhline(rows // 2, color="white", linewidth=0.6, alpha=0.45)
    panel.axvline(columns // 2, color="white", linewidth=0.6, alpha=0.45)
    mass = float(values.sum())
    if abs(mass) > 1e-3:
        down, right = float((values.sum(1) @ np.arange(rows)) / mass), float((values.sum(0) @ np.arange(columns)) / mass)
        if 0 <= down < rows and 0 <= right < columns:  # a kernel with negative parts may have it anywhere
            panel.plot([right], [down], marker="o", markersize=3.5, color=ACCENT, markeredgecolor="white", markeredgewidth=0.5)
    bare(panel, title)


def draw_curve(
    panel: "Axes", values: Sequence[float] | Mapping[str, Sequence[float]], title: str, first: int, across: str = "iteration t"
) -> None:
    """One curve, or several under their names."""
    from matplotlib.ticker import MaxNLocator

    several = dict(values) if isinstance(values, Mapping) else {"": values}
    drawn = {name: np.asarray(one, dtype=float) for name, one in several.items()}
    for heights in drawn.values():
        if heights.ndim != 1 or heights.size == 0:
            raise ValueError(f"the curve {title!r} must be one number per iteration, got shape {heights.shape}")
    for (name, heights), colour in zip(drawn.items(), itertools.cycle(COLOURS)):
        steps = np.arange(first, first + heights.size)
        panel.plot(steps, heights, color=colour, linewidth=1.5, marker="o", markersize=2.5 if heights.size < 60 else 0, label=name)
    low, high = min(h.min() for h in drawn.values()), max(h.max() for h in drawn.values())
    if low > 0 and high > 30 * low:
        panel.set_yscale("log")
    if isinstance(values, Mapping):
        panel.legend(fontsize=8, frameon=False)
    panel.set_title(title, fontsize=10)
    panel.set_xlabel(across, fontsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
