"""Pictures: side by side, before and after, and one column for every iterate."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from pnpsr.plot.panels import ACCENT, WIDTH, Box, checked_notes, draw_image, draw_kernel, inner, one_picture, panel_grid, sheet
from pnpsr.starts import upsample
from pnpsr.state import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    Example:
        >>> import torch
        >>> from pnpsr.plot import show_images
        >>> figure = show_images({"one": torch.rand(1, 1, 8, 8), "two": torch.rand(1, 3, 8, 8)}, notes={"one": "gray"})
        >>> len(figure.get_axes())
        2
    """
    notes = checked_notes(notes, images)
    tallest = max((image.shape[-2] / image.shape[-1] for image in map(one_picture, images, images.values())), default=1.0)
    figure, panels = panel_grid(len(images), columns, "images", ratio=tallest, widest=5.0)
    for panel, (name, image) in zip(panels, images.items(), strict=True):
        draw_image(panel, image, name, notes.get(name), zoom)
    return figure


def show_before_after(before: Tensor, after: Tensor, *, split: float = 0.5, zoom: Box | None = None) -> "Figure":
    """One picture, left of a line as it was and right of it as it is now; a part of both, enlarged beside it.

    Args:
        before: (1 c h w), as large as ``after`` or smaller by whole factors: then each pixel is drawn as a block.
        after: (1 c h w).
        split: where the line stands, as a fraction of the width.
        zoom: (top, left, height, width) as fractions of the sides.

    Raises:
        ValueError: a batch, sizes or colours that do not fit, a split or a zoom outside the picture.

    Example:
        >>> import torch
        >>> from pnpsr.plot import show_before_after
        >>> figure = show_before_after(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16), zoom=(0.25, 0.25, 0.5, 0.5))
        >>> [panel.get_title() for panel in figure.get_axes()]
        ['before | after', 'before', 'after']
    """
    if not 0 <= split <= 1:
        raise ValueError(f"split must be a fraction of the width, 0 to 1, got {split}")
    h, w = one_picture("before", before).shape[-2:]
    tall, wide = one_picture("after", after).shape[-2:]
    if tall % h or wide % w or before.shape[1] != after.shape[1]:
        raise ValueError(f"before of {tuple(before.shape)} does not fit after of {tuple(after.shape)}")
    old = upsample(before, (tall // h, wide // w), "nearest")
    both, line = after.clone(), round(split * wide)
    both[..., :line] = old[..., :line]
    columns = [1.0] if zoom is None else [1.0, 0.45 * min(1.5, (zoom[3] * wide) / (zoom[2] * tall))]
    figure = sheet(min(WIDTH, 6.0 * tall / wide) + 0.5, 6.0 * sum(columns))
    left, *right = figure.subfigures(1, len(columns), width_ratios=columns, squeeze=False)[0]
    panel = left.subplots()
    draw_image(panel, both, "before | after", None, None)
    panel.axvline(line - 0.5, color=ACCENT, linewidth=1.2)
    if zoom is not None:
        from matplotlib.patches import Rectangle

        top, start, height, width = (round(part * side) for part, side in zip(inner(zoom), (tall, wide, tall, wide), strict=True))
        panel.add_patch(Rectangle((start - 0.5, top - 0.5), width, height, fill=False, edgecolor=ACCENT, linewidth=1.2))
        for one, (name, picture) in zip(right[0].subplots(2, 1), {"before": old, "after": after}.items(), strict=True):
            draw_image(one, picture[..., top : top + height, start : start + width], name, None, None)
    return figure


def show_iterates(states: Sequence[State], *, notes: Sequence[str] | None = None, zoom: Box | None = None) -> "Figure":
    """A strip: for every state x above and k below, under its t.

    Args:
        states: of one picture, as ``solver.iterate`` yields them; choose some of many, ``states[::4]``.
        notes: a line under each x, for example its PSNR.
        zoom: part of x to show in place of all of it: (top, left, height, width) as fractions.

    Raises:
        ValueError: no states, states of a batch, or another number of notes.

    Example:
        >>> import torch
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.plot import show_iterates
        >>> solver = blind_hqs(5, T=2, finish=1)
        >>> figure = show_iterates(list(solver.iterate(solver.start(torch.rand(1, 1, 12, 12), 2))))
        >>> len(figure.get_axes())
        6
    """
    if not states:
        raise ValueError("there are no states to show")
    if notes is not None and len(notes) != len(states):
        raise ValueError(f"notes must be one per state, got {len(notes)} for {len(states)}")
    pictures = [one_picture(f"x of t = {s.t}", s.known("x")) for s in states]
    tall, wide = pictures[0].shape[-2:]
    if zoom is not None:
        top, left, height, width = (round(part * side) for part, side in zip(inner(zoom), (tall, wide, tall, wide), strict=True))
        pictures = [x[..., top : top + height, left : left + width] for x in pictures]
    cell = min(WIDTH / len(states), 2.5)
    figure = sheet(cell * (pictures[0].shape[-2] / pictures[0].shape[-1] + 1) + 0.9, cell * len(states))
    panels = figure.subplots(2, len(states), squeeze=False)
    for i, (state, x) in enumerate(zip(states, pictures, strict=True)):
        draw_image(panels[0, i], x, f"x, t = {state.t}", None if notes is None else notes[i], None)
        draw_kernel(panels[1, i], state.known("k"), f"k, t = {state.t}")
    return figure
