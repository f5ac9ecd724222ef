"""Records on disk: two CSV files, TensorBoard, and pictures of what the weights can do."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pnpsr.data import Sample
from pnpsr.files import replace_file
from pnpsr.plot import demo_figure, save_figure
from pnpsr.state import State
from pnpsr.train.validation import Scores

if TYPE_CHECKING:
    from pnpsr.train.record import Record


class Log:
    """Appends records to ``records.csv`` and ``validation.csv`` and to ``tensorboard/``; panels go to ``panels/``.

    Args:
        folder: the run's.
        step: the last step that counts: rows behind it, which a killed run wrote after its last checkpoint, are dropped.
        tensorboard: write event files too, where TensorBoard is installed.

    Example:
        >>> from pnpsr.train import Log
        >>> Log("run", tensorboard=False) is not None
        True
    """

    def __init__(self, folder: str | Path, step: int = 0, *, tensorboard: bool = True) -> None:
        self.folder = Path(folder)
        for name in ("records.csv", "validation.csv", "left_out.csv"):
            self._truncate(self.folder / name, step)
        self.events = None
        if tensorboard and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self.events = SummaryWriter(self.folder / "tensorboard", purge_step=step + 1)

    def write(self, record: "Record") -> None:
        """One record, and its validation where it has one."""
        row = {"step": record.step, "stage": record.stage, "rate": f"{record.rate:.4g}", "norm": f"{record.norm:.4g}"}
        row |= {"images_per_second": f"{record.images_per_second:.3g}"}
        self._append("records.csv", {**row, "losses": " ".join(f"{n}={v:.6g}" for n, v in record.losses.items())})
        scalars = {f"loss/{name}": value for name, value in record.losses.items()} | {"rate": record.rate, "norm": record.norm}
        if record.scores is not None:
            scores = {
                "psnr": record.scores.psnr,
                "kernel_error": record.scores.kernel_error,
                "sigma_error": record.scores.sigma_error,
            }
            named = {name: value for name, value in scores.items() if value is not None}
            self._append("validation.csv", {"step": record.step, "stage": record.stage, **_rounded(scores)})
            scalars |= {f"validation/{name}": value for name, value in named.items()}
        if self.events is not None:
            for name, value in scalars.items():
                self.events.add_scalar(name, value, record.step)

    def left_out(self, step: int, name: str, reason: str) -> None:
        """A picture, or a sample, that a step went without."""
        self._append("left_out.csv", {"step": step, "picture": name, "reason": reason})

    def panel(self, step: int, sample: Sample, s: State, scores: Scores) -> Path | None:
        """Input, restored, truth and kernels of one validation sample, as a picture; None where Matplotlib is not installed."""
        if find_spec("matplotlib") is None:
            return None
        (self.folder / "panels").mkdir(exist_ok=True)
        path = self.folder / "panels" / f"{step:08d}.png"
        notes = {"restored": f"mean of all: {scores.psnr:.2f} dB"}
        figure = demo_figure(
            s.completed, s.known("x"), s.known("k"), scale=s.scale, truth=sample.x, true_kernel=sample.k, notes=notes
        )
        save_figure(figure, path)
        if self.events is not None:
            self.events.add_image("restored", s.known("x")[0], step)
        return path

    def close(self) -> None:
        """Flush what TensorBoard still holds; a folder that is gone has said so already, by what ended the run."""
        if self.events is not None and self.folder.is_dir():
            self.events.close()

    def _append(self, name: str, row: dict[str, object]) -> None:
        path = self.folder / name
        fresh = not path.exists() or path.stat().st_size == 0
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    @staticmethod
    def _truncate(path: Path, step: int) -> None:
        if not path.exists():
            return
        # a row that was torn, or that a power cut left as zeros, has no line end or no number
        head, *rows = [row for row in path.read_text(errors="replace").splitlines(keepends=True) if row.endswith("\n")] or [""]
        whole = [row for row in rows if row.split(",", 1)[0].isdecimal() and int(row.split(",", 1)[0]) <= step]
        replace_file(path, (head + "".join(whole)).encode())


def _rounded(values: dict[str, float | None]) -> dict[str, object]:
    return {name: "" if value is None else f"{value:.4f}" for name, value in values.items()}
