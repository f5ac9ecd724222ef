"""Pictures that come in one by one, are restored one after the other, and can be watched meanwhile."""

import base64
import io
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import numpy as np
from torch import Tensor

from pnpsr.cli.batch import Options, plainly, restore_file
from pnpsr.cli.inputs import inputs
from pnpsr.cli.report import Truth
from pnpsr.photo.ask import Ask

SHOWN = 96  # pixels of a kernel on the page, about
MOST = 60  # kernels that are kept to be looked at


@dataclass
class Order:
    """A picture, what is wanted of it, and how far it is."""

    path: Path
    ask: Ask
    truth: Truth
    state: str = "waiting"  # working, done, failed
    what: str = ""
    done: int = 0
    total: int = 1
    words: str = ""
    files: dict[str, Path] = field(default_factory=dict)
    kernels: list[tuple[str, str]] = field(default_factory=list)  # how each was found, and its picture as a data URL
    began: float = field(default_factory=time.perf_counter)
    seconds: float | None = None

    def progress(self, what: str, done: int, total: int) -> None:
        """Take note of how far it is."""
        self.what, self.done, self.total = what, done, total

    def seen(self, how: str, k: Tensor) -> None:
        """Take note of a kernel."""
        if len(self.kernels) < MOST:
            self.kernels.append((how, kernel_url(k)))

    def told(self, since: int = 0) -> dict[str, Any]:
        """How far it is, as JSON can hold it, with the kernels from number ``since`` on."""
        return {
            "state": self.state, "what": self.what, "done": self.done, "total": self.total, "words": self.words,
            "seconds": round(time.perf_counter() - self.began if self.seconds is None else self.seconds, 1),
            "kernels": [{"how": how, "image": image} for how, image in self.kernels[since:]],
            "files": {kind: path.name for kind, path in self.files.items()},
        }  # fmt: skip


class Desk:
    """Takes orders and works on one at a time, so that memory holds one picture; results stay in ``folder``."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder, self.device = folder, device
        self.orders: dict[int, Order] = {}
        self.lock, self.queue = Lock(), SimpleQueue[Order]()
        Thread(target=self._work, daemon=True).start()

    def take(self, name: str, write: Callable[[Path], Truth], scale: int, preset: str | None) -> int:
        """A picture called ``name``, which ``write`` puts where it is told to: the number of the order.

        Raises:
            ValueError, FileNotFoundError: a scale or preset that cannot be meant.
        """
        ask = Ask.of(scale, preset, None, None, None, None, "extend", None, "auto", self.device)
        ask.opened()
        with self.lock:
            number = 1 + max([*self.orders, *(int(p.name) for p in self.folder.glob("*") if p.name.isdigit())], default=0)
            path = self.folder / str(number) / safe(name)
            path.parent.mkdir(parents=True)
            self.orders[number] = order = Order(path, ask, Truth())
        try:
            order.truth = write(path)
        except (ValueError, OSError):
            order.state = "failed"
            raise
        self.queue.put(order)
        return number

    def _work(self) -> None:
        while True:
            order = self.queue.get()
            order.state, order.began = "working", time.perf_counter()
            try:
                self._restore(order)
                state = "done"
            except Exception as error:  # whatever it is, the next order must not wait for ever
                order.words, state = plainly(error), "failed"
            order.seconds = time.perf_counter() - order.began
            order.state = state  # last: who sees it may ask for the files

    def _restore(self, order: Order) -> None:
        (one,) = inputs([order.path], order.path.parent / "restored")
        options = Options(order.ask, report=True, quiet=True, progress=order.progress, seen=order.seen)
        told = restore_file(one, options, order.truth, detailed=False)
        ends = {"restored": "_restored", "kernel": "_kernel", "report": "_report"}
        paths = [Path(file) for file in told["files"] if not file.endswith("_kernel.png")]
        order.files = {kind: next(p for p in paths if p.stem.endswith(end)) for kind, end in ends.items()}
        order.words = "; ".join([told["words"], *told["notes"]])


def safe(name: str) -> str:
    """A file name without folders, signs that mean something to a shell, or a leading dot."""
    plain = re.sub(r"[^\w .-]", "_", re.split(r"[/\\]", name)[-1]).strip(". ")
    return plain[-100:].lstrip(". ") or "picture"


def kernel_url(k: Tensor) -> str:
    """A kernel (1 1 p q) as a data URL of a small PNG, its largest value white."""
    from PIL import Image

    levels = (k[0, 0].float().cpu() / k.max().clamp_min(1e-12).cpu()).clamp(0, 1).mul(255).round().byte().numpy()
    times = max(1, round(SHOWN / max(levels.shape)))
    file = io.BytesIO()
    Image.fromarray(np.kron(levels, np.ones((times, times), np.uint8))).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
