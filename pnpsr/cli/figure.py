"""The figure of a restored photograph: where its blur was looked for, what came of it there, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pnpsr.cli.report import Truth
from pnpsr.photo import Restoration
from pnpsr.photo.windows import Window
from pnpsr.plot import demo_figure, save_figure
from pnpsr.starts import upsample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMALL = 700  # pixels: up to here a picture is drawn as a whole
MARK = "#e4572e"


def write_figure(path: Path, y: Tensor, r: Restoration, truth: Truth, notes: dict[str, str]) -> Path:
    """Input, bicubic, restored, truth (of a large picture: in its most informative window), kernels, candidates, convergence."""
    window = r.windows[0] if r.windows else Window(0, 0, min(256, y.shape[-2]), min(256, y.shape[-1]), 0.0)
    if max(y.shape[-2:]) * r.scale <= SMALL:
        figure = demo_figure(y, r.x, r.k, scale=r.scale, truth=truth.x, true_kernel=truth.k, curves=r.curves, notes=notes)
    else:
        figure = _of_window(y, r, truth, window)
    save_figure(figure, path)
    return path


def thumbnail(x: Tensor, longest: int) -> Tensor:
    """x (1 c h w), reduced so that its longer side is at most ``longest``."""
    h, w = x.shape[-2:]
    factor = longest / max(h, w)
    if factor >= 1:
        return x
    small = x[..., :: max(1, int(1 / factor / 2)), :: max(1, int(1 / factor / 2))]  # averaging all of a large picture takes memory
    size = (max(1, round(h * factor)), max(1, round(w * factor)))
    return interpolate(small, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def _of_window(y: Tensor, r: Restoration, truth: Truth, window: Window) -> "Figure":
    from matplotlib.figure import Figure

    s, part = r.scale, y[(..., *window.inside)]
    pictures = {
        f"input, {y.shape[-2]} × {y.shape[-1]}; marked: where the blur was looked for": thumbnail(y, SMALL),
        "input there": upsample(part, s, "nearest"),
        "bicubic": upsample(part, s),
        "restored": r.x[(..., *window.of(s))],
    }
    pictures |= {} if truth.x is None else {"truth": truth.x[(..., *window.of(s))]}
    figure = Figure(figsize=(10, 7.2), dpi=120, layout="constrained", facecolor="white")
    figure.suptitle(r.words, fontsize=10)
    halves = figure.add_gridspec(2, 1, height_ratios=[1.3, 1])
    top, bottom = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    for i, (panel, (title, image)) in enumerate(zip(top.subplots(1, len(pictures)), pictures.items(), strict=True)):
        _image(panel, image, title if i else "input")
        if i == 0:
            _marks(panel, r.windows, image.shape[-1] / y.shape[-1])
    panels = bottom.subplots(1, 3)
    kernel = r.k[0, 0].numpy()
    panels[0].imshow(kernel, cmap="magma", interpolation="nearest")
    _bare(panels[0], "kernel")
    _ranking(panels[1], r)
    for name, values in r.curves.items():
        panels[2].plot(np.arange(1, len(values) + 1), values, marker="o", markersize=2.5)
        panels[2].set_title(f"{name} there, per iteration", fontsize=9)
    if not r.curves:
        panels[2].set_axis_off()
    return figure


def _ranking(panel: Any, r: Restoration) -> None:
    if r.found is None or not r.found.candidates:
        panel.set_axis_off()
        return
    ranked = r.found.candidates
    panel.barh([c.name for c in ranked][::-1], [c.score for c in ranked][::-1], color=["#9db4c8"] * (len(ranked) - 1) + [MARK])
    panel.set_title("candidates: score, lower is better", fontsize=9)
    panel.set_xlim(left=0.9 * min(c.score for c in ranked))
    panel.tick_params(labelsize=8)


def _marks(panel: Any, windows: tuple[Window, ...], factor: float) -> None:
    from matplotlib.patches import Rectangle

    for i, w in enumerate(windows):
        corner = (w.left * factor, w.top * factor)
        width = 1.8 if i == 0 else 0.8
        panel.add_patch(Rectangle(corner, w.width * factor, w.height * factor, fill=False, edgecolor=MARK, linewidth=width))


def _image(panel: Any, image: Tensor, title: str) -> None:
    panel.imshow(image[0].clamp(0, 1).permute(1, 2, 0).squeeze(-1).to(torch.float32).numpy(), cmap="gray", vmin=0, vmax=1)
    _bare(panel, title)


def _bare(panel: Any, title: str) -> None:
    panel.set_title(title, fontsize=9)
    panel.set_xticks([])
    panel.set_yticks([])
