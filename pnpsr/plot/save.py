"""Figures as files."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pnpsr import checks
from pnpsr.files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".webp", ".pdf", ".svg")
OPTIONS: dict[str, dict[str, Any]] = {".webp": {"pil_kwargs": {"quality": 85}}}  # a tenth of a PNG of photographs


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure as PNG, WebP, PDF or SVG, after the path's suffix; all of the file or none of it.

    Raises:
        ValueError: another suffix, a folder.
        FileNotFoundError: no such folder.

    Example:
        >>> import pathlib
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.plot import save_figure, show_kernels
        >>> save_figure(show_kernels({"k": gaussian(9, 1.0)}), "kernel.png")
        >>> pathlib.Path("kernel.png").is_file()
        True
    """
    path = checks.writable(path)
    checks.choice(path.suffix.lower(), SUFFIXES, f"the suffix of {path}")
    data = BytesIO()
    kind = path.suffix.lower()
    figure.savefig(data, format=kind[1:], **OPTIONS.get(kind, {}))
    replace_file(path, data.getvalue())
