"""Figures as files."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from pnpsr import checks
from pnpsr.files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".pdf", ".svg")


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write the figure as PNG, PDF or SVG, after the path's suffix; all of the file or none of it.

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
    figure.savefig(data, format=path.suffix[1:].lower())
    replace_file(path, data.getvalue())
