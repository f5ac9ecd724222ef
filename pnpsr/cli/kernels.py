"""``pnpsr kernels``: draw kernels, or show those in a file."""

from pathlib import Path

from pnpsr import checks
from pnpsr.cli.choose import KernelChoice
from pnpsr.kernels import centroid, load_kernels, save_kernels
from pnpsr.plot import save_figure, show_kernels


def kernels(choice: KernelChoice, *, count: int = 12, out: Path = Path("kernels")) -> None:
    """Draw kernels of a family, or show all that a file holds: writes an .npz and one picture of them.

    Args:
        choice: which kernels; with a file all kernels in it are shown.
        count: how many to draw; random families differ from one to the next.
        out: folder for the results; made if it does not exist.
    """
    k = load_kernels(choice.kernel) if choice.kernel is not None else choice.draw(checks.whole(count, "--count"))
    out.mkdir(parents=True, exist_ok=True)
    stem = choice.kernel.stem if choice.kernel is not None else choice.family
    for index, (row, column) in enumerate(centroid(k).tolist()):
        print(f"{stem} {index + 1}: centre of mass ({row:+.2f}, {column:+.2f}) from p // 2, largest {k[index].max():.4f}")
    save_kernels(out / f"{stem}.npz", k)
    save_figure(show_kernels({f"{stem} {i + 1}": one[None] for i, one in enumerate(k)}), out / f"{stem}.png")
    print("wrote    ", out / f"{stem}.npz", out / f"{stem}.png")
