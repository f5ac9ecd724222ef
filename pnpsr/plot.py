"""Figures of images, kernels and convergence. Plain ``matplotlib.figure.Figure`` objects: no backend, no global state."""

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.files import replace_file
from pnpsr.starts import upsample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]  # top, left, height, width as fractions of the image

WIDTH = 10.0  # inches
DPI = 120
CELLS = 5  # kernels and curves per row
SUFFIXES = (".png", ".pdf", ".svg")
ACCENT = "#e4572e"
LINE = "#1f5a8a"


def show_images(
    images: Mapping[str, Tensor], *, notes: Mapping[str, str] | None = None, zoom: Box | None = None, columns: int = 4
) -> "Figure":
    """A grid of pictures (1 1 h w) or (1 3 h w), clamped to [0, 1], each under its name.

    Args:
        images: by title; low and high resolution may be mixed.
        notes: a line under the picture of that name, for example its PSNR.
        zoom: part to enlarge in a corner of every picture: (top, left, height, width) as fractions of its sides.
        columns: pictures per row.

    Raises:
        ValueError: no pictures, a batch, NaN, notes for pictures that are not there, a zoom outside the picture.
    """
    notes = _notes(notes, images)
    tallest = max((image.shape[-2] / image.shape[-1] for image in map(_checked, images, images.values())), default=1.0)
    figure, panels = _grid(len(images), columns, "images", ratio=tallest, widest=5.0)
    for panel, (name, image) in zip(panels, images.items(), strict=True):
        _draw_image(panel, image, name, notes.get(name), zoom)
    return figure


def show_kernels(kernels: Mapping[str, Tensor], *, columns: int = 6) -> "Figure":
    """A grid of kernels (b 1 p q), one panel per sample, each in its own range; the cross marks the centre p // 2.

    Raises:
        ValueError: no kernels, other shapes, NaN.
    """
    singles: dict[str, Tensor] = {}
    for name, k in kernels.items():
        parts = checks.kernel(k, name)[:, None]
        singles |= {name if len(parts) == 1 else f"{name} {i + 1}": part for i, part in enumerate(parts)}
    figure, panels = _grid(len(singles), columns, "kernels", ratio=1.0, widest=2.5)
    for panel, (name, k) in zip(panels, singles.items(), strict=True):
        _draw_kernel(panel, k, name)
    return figure


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
    """
    s1, s2 = checks.factors(scale)
    images = {"input": upsample(_checked("y", y), scale, "nearest"), "bicubic": upsample(y, scale), "restored": x}
    images |= {} if truth is None else {"truth": truth}
    for name, image in images.items():
        if _checked(name, image).shape[-2:] != images["input"].shape[-2:]:
            raise ValueError(f"{name} of {tuple(image.shape)} does not fit y of {tuple(y.shape)} at scale {scale}")
    kernels = {"kernel, estimated": k} if true_kernel is None else {"kernel, true": true_kernel, "kernel, estimated": k}
    notes, curves = _notes(notes, images), curves or {}
    titles = {"input": f"input, {y.shape[-2]} × {y.shape[-1]}", "bicubic": f"bicubic × {s1 if s1 == s2 else f'{s1}, {s2}'}"}

    cells, rows = len(kernels) + len(curves), math.ceil((len(kernels) + len(curves)) / CELLS)
    widths = [1.0] * math.ceil(cells / rows)
    if rows == 1:  # kernels are square, curves take what is left
        widths[len(kernels) :] = [(CELLS - len(kernels)) / max(1, len(curves))] * len(curves)
    upper, lower = min(WIDTH, WIDTH / len(images) * x.shape[-2] / x.shape[-1] + 0.6), 2.1 * rows
    figure = _figure(upper + lower)
    halves = figure.add_gridspec(2, 1, height_ratios=[upper, lower])
    top, bottom = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    for panel, (name, image) in zip(top.subplots(1, len(images)), images.items(), strict=True):
        _draw_image(panel, image, titles.get(name, name), notes.get(name), zoom)
    panels = list(np.ravel(bottom.subplots(rows, len(widths), squeeze=False, width_ratios=widths)))
    for panel, (name, kernel) in zip(panels, kernels.items(), strict=False):
        _draw_kernel(panel, _checked(name, checks.kernel(kernel, name)), name)
    for panel, (name, values) in zip(panels[len(kernels) :], curves.items(), strict=False):
        _draw_curve(panel, values, name, first)
    for panel in panels[cells:]:
        panel.set_axis_off()
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure as PNG, PDF or SVG, after the path's suffix; all of the file or none of it.

    Raises:
        ValueError: another suffix, a folder.
        FileNotFoundError: no such folder.
    """
    path = checks.writable(path)
    checks.choice(path.suffix.lower(), SUFFIXES, f"the suffix of {path}")
    data = BytesIO()
    figure.savefig(data, format=path.suffix[1:].lower())
    replace_file(path, data.getvalue())


def _figure(height: float, width: float = WIDTH) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def _grid(count: int, columns: int, what: str, *, ratio: float, widest: float) -> "tuple[Figure, list[Axes]]":
    """A figure and ``count`` axes, ``columns`` per row, of this ratio of height to width and not above so many inches wide."""
    if count == 0:
        raise ValueError(f"there are no {what} to show")
    columns = min(checks.whole(columns, "columns"), count)
    rows = math.ceil(count / columns)
    width = min(WIDTH / columns, widest)
    figure = _figure(rows * (width * ratio + 0.5), columns * width)
    panels = list(np.ravel(figure.subplots(rows, columns, squeeze=False)))
    for panel in panels[count:]:
        panel.set_axis_off()
    return figure, panels[:count]


def _checked(name: str, image: Tensor) -> Tensor:
    if checks.image(image, name).shape[0] != 1 or image.shape[1] not in (1, 3):
        raise ValueError(f"{name} must be one picture, (1 1 h w) or (1 3 h w), got {tuple(image.shape)}; show a batch one by one")
    return image


def _notes(notes: Mapping[str, str] | None, images: Mapping[str, Tensor]) -> Mapping[str, str]:
    for name in notes or {}:
        checks.choice(name, tuple(images), "notes")
    return notes or {}


def _pixels(image: Tensor) -> NDArray[np.generic]:
    """(h w) or (h w 3)."""
    return image[0].detach().float().cpu().permute(1, 2, 0).squeeze(-1).numpy()


def _bare(panel: "Axes", title: str, note: str | None = None) -> None:
    panel.set_title(title, fontsize=10)
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    if note is not None:
        panel.set_xlabel(note, fontsize=9)


def _draw_image(panel: "Axes", image: Tensor, title: str, note: str | None, zoom: Box | None) -> None:
    pixels = _pixels(image.detach().clamp(0, 1))
    panel.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    _bare(panel, title, note)
    if zoom is None:
        return
    from matplotlib.patches import Rectangle

    top, left, height, width = zoom
    if not (min(height, width) > 0 <= min(top, left) and top + height <= 1 >= left + width):
        raise ValueError(f"zoom must be (top, left, height, width) as fractions within the picture, got {zoom}")
    h, w = pixels.shape[:2]
    top, left, height, width = top * h - 0.5, left * w - 0.5, height * h, width * w  # pixel n covers n - 0.5 .. n + 0.5
    panel.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=ACCENT, linewidth=1.2))
    side = 0.45 * min(1.0, (h * width) / (w * height)), 0.45 * min(1.0, (w * height) / (h * width))
    over = left + width > (1 - side[0]) * w and top + height > (1 - side[1]) * h  # do not cover what is enlarged
    inset = panel.inset_axes((0 if over else 1 - side[0], 0, *side))
    inset.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    inset.set(xlim=(left, left + width), ylim=(top + height, top), xticks=[], yticks=[])
    inset.spines[:].set(color=ACCENT, linewidth=1.2)


def _draw_kernel(panel: "Axes", k: Tensor, title: str) -> None:
    values = _pixels(k)
    panel.imshow(values, cmap="magma", vmin=min(0.0, float(values.min())), interpolation="nearest")
    panel.axhline(values.shape[0] // 2, color="white", linewidth=0.6, alpha=0.45)
    panel.axvline(values.shape[1] // 2, color="white", linewidth=0.6, alpha=0.45)
    _bare(panel, title)


def _draw_curve(panel: "Axes", values: Sequence[float], title: str, first: int) -> None:
    from matplotlib.ticker import MaxNLocator

    heights = np.asarray(values, dtype=float)
    if heights.ndim != 1 or heights.size == 0:
        raise ValueError(f"the curve {title!r} must be one number per iteration, got shape {heights.shape}")
    panel.plot(np.arange(first, first + heights.size), heights, color=LINE, linewidth=1.5, marker="o", markersize=2.5)
    if heights.min() > 0 and heights.max() > 30 * heights.min():
        panel.set_yscale("log")
    panel.set_title(title, fontsize=10)
    panel.set_xlabel("iteration t", fontsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
