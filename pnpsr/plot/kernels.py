"""Kernels as they are, and their spectra."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.plot.panels import ACCENT, bare, draw_kernel, one_picture, panel_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_kernels(kernels: Mapping[str, Tensor], *, log: bool = False, columns: int = 6) -> "Figure":
    """A grid of kernels (b 1 p q), one panel per sample, each in its own range.

    The cross marks the centre p // 2, the dot the centre of mass.

    Args:
        kernels: by title.
        log: a second panel below each, log10(|k| / max k) down to 1e-4: tails, and what is a little below zero.
        columns: kernels per row.

    Raises:
        ValueError: no kernels, other shapes, NaN.

    Example:
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.plot import show_kernels
        >>> figure = show_kernels({"narrow": gaussian(9, 0.8), "wide": gaussian(9, 2.0)}, log=True)
        >>> len(figure.get_axes())
        4
    """
    singles: dict[str, Tensor] = {}
    for name, k in kernels.items():
        parts = checks.kernel(k, name)[:, None]
        singles |= {name if len(parts) == 1 else f"{name} {i + 1}": part for i, part in enumerate(parts)}
    columns, count = min(checks.whole(columns, "columns"), max(1, len(singles))), len(singles)
    drawn = [
        (name, k, below) for row in _rows(list(singles.items()), columns) for below in (False, True)[: 1 + log] for name, k in row
    ]
    figure, panels = panel_grid(count, columns, "kernels", ratio=1.0, widest=2.5, times=1 + log)
    for panel, (name, k, below) in zip(panels, drawn, strict=True):
        draw_kernel(panel, k, f"{name}, log10" if below else name, log=below)
    return figure


def _rows(items: list[tuple[str, Tensor]], columns: int) -> list[list[tuple[str, Tensor]]]:
    return [items[i : i + columns] for i in range(0, len(items), columns)]


def show_spectra(
    things: Mapping[str, Tensor], *, scale: Scale | None = None, size: int = 64, window: bool = False, columns: int = 4
) -> "Figure":
    """log10 |F v| of pictures or kernels, zero frequency in the middle, relative to the largest: what a blur takes, what ↓s folds.

    Args:
        things: by title, pictures (1 1 h w) or (1 3 h w), whose channels are averaged, or kernels (1 1 p q).
        scale: draws a frame around what lies below the Nyquist frequency of the grid of y; the rest is folded into it by ↓s.
        size: at least so many frequencies per axis, by zeros around what is smaller.
        window: fade the borders out by a Hann window, or a photograph's spectrum is the cross of its borders.
        columns: panels per row.

    Raises:
        ValueError: nothing to show, a batch, NaN.

    Example:
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.plot import show_spectra
        >>> figure = show_spectra({"narrow": gaussian(9, 0.8), "wide": gaussian(9, 2.0)}, scale=2)
        >>> len(figure.get_axes())
        2
    """
    checks.whole(size, "size")
    tallest = max((v.shape[-2] / v.shape[-1] for v in map(one_picture, things, things.values())), default=1.0)
    figure, panels = panel_grid(len(things), columns, "spectra", ratio=tallest, widest=3.0)
    for panel, (name, v) in zip(panels, things.items(), strict=True):
        spectrum = _spectrum(v.detach().double().mean(1)[0], size, window)
        panel.imshow(spectrum.cpu().numpy(), cmap="viridis", vmin=-4, vmax=0, extent=(-0.5, 0.5, 0.5, -0.5), aspect="auto")
        panel.set_box_aspect(v.shape[-2] / v.shape[-1])
        if scale is not None:
            from matplotlib.patches import Rectangle

            s1, s2 = checks.factors(scale)
            panel.add_patch(Rectangle((-0.5 / s2, -0.5 / s1), 1 / s2, 1 / s1, fill=False, edgecolor=ACCENT, linewidth=1.2))
        bare(panel, name)
    return figure


def _spectrum(v: Tensor, size: int, window: bool) -> Tensor:
    """(h w) -> log10 of the magnitudes, at least (size size)."""
    if window:
        fade = [torch.hann_window(n, periodic=False, dtype=v.dtype, device=v.device) for n in v.shape]
        v = (v - v.mean()) * fade[0][:, None] * fade[1]
    magnitude = torch.fft.fftshift(torch.fft.fft2(v, s=(max(size, v.shape[0]), max(size, v.shape[1]))).abs())
    return (magnitude / magnitude.max().clamp(min=1e-30)).clamp(min=1e-4).log10()
