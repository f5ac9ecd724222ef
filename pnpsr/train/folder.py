"""A run's folder: checkpoints that are whole or not there, the best weights, what the run was asked to do."""

import io
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pnpsr.checkpoint import save
from pnpsr.files import replace_file
from pnpsr.solver import UnrolledSolver
from pnpsr.train.agreement import agreed, pictures_differ
from pnpsr.train.lock import Lock

PATTERN = "state-*.pt"


class RunFolder:
    """What a run leaves behind: ``run.json``, ``pictures.json``, ``state-*.pt`` (the last few), ``best`` and ``last.safetensors``.

    From :meth:`begin` to :meth:`end` it is locked: no other training may begin or go on in it.

    Args:
        path: made if it does not exist.
        keep: how many states stay.

    Raises:
        OSError: the folder cannot be made.

    Example:
        >>> from pnpsr.train import RunFolder
        >>> RunFolder("run").path.name
        'run'
    """

    def __init__(self, path: str | Path, keep: int = 2) -> None:
        self.path, self.keep = Path(path), keep
        self.path.mkdir(parents=True, exist_ok=True)
        self.loaded: Path | None = None  # the state that :meth:`load_state` read
        self._lock: Lock | None = None

    def begin(self, note: Mapping[str, Any], resume: bool, pictures: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Write what the run is, or check that it is the one to be resumed; clear what a killed run left half-written.

        Args:
            note: all that has a part in the numbers.
            resume: whether there may be a run already, which is to go on.
            pictures: digest of each training picture, by name.

        Returns:
            what the run is: ``note``, or the older one that it agrees with.

        Raises:
            ValueError: a training is running in the folder; it holds another run, or one that was not to be resumed.
        """
        self.end()
        self._lock = Lock(self.path)
        try:
            return self._begun(json.loads(json.dumps(note, default=str)), resume, pictures)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Others may train in the folder."""
        if self._lock is not None:
            self._lock.release()

    def _begun(self, asked: dict[str, Any], resume: bool, pictures: Mapping[str, str] | None) -> dict[str, Any]:
        file, names = self.path / "run.json", self.path / "pictures.json"
        if not resume and (file.exists() or self.states()):
            raise ValueError(f"{self.path} already holds a run; go on with it (resume) or choose another folder")
        for rest in self.path.glob(".*.tmp"):
            rest.unlink(missing_ok=True)
        before = json.loads(file.read_text()) if file.exists() else {}
        known: Mapping[str, str] = json.loads(names.read_text()) if names.exists() else pictures or {}
        found = [] if pictures is None or known == pictures else [f"pictures: {pictures_differ(known, pictures)}"]
        try:
            now = agreed(before, asked, self._advice(), found) if before else asked
        except ValueError as error:
            raise ValueError(f"{self.path} holds another run; {error}") from None
        if pictures is not None and not names.exists():
            replace_file(names, json.dumps(dict(pictures), indent=0).encode())
        if now.get("steps") != before.get("steps") or not before:
            replace_file(file, json.dumps(now, indent=1).encode())
        return now

    def _advice(self) -> str:
        weights = next((p for name in ("last", "best") if (p := self.path / f"{name}.safetensors").exists()), None)
        begin = f"begin another folder from its weights (--init {weights})" if weights else "begin another folder"
        return f"ask for what it was, or {begin}"

    def states(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        return sorted(self.path.glob(PATTERN))

    def save_state(self, step: int, state: Mapping[str, Any]) -> Path:
        """Write everything that is needed to go on after ``step``; then drop the oldest states.

        Raises:
            OSError: the disk is full or the folder is gone; earlier states are untouched.
        """
        buffer, path = io.BytesIO(), self.path / f"state-{step:08d}.pt"
        torch.save(dict(state), buffer)
        with self.guarded(f"checkpoint {path}"):
            replace_file(path, buffer.getvalue())
        for old in self.states()[: -self.keep]:
            old.unlink(missing_ok=True)
        return path

    def load_state(self, device: str | torch.device = "cpu") -> dict[str, Any] | None:
        """The newest checkpoint that can be read, or None where there is none yet.

        A damaged one is set aside, as ``.damaged``, with a warning.

        Raises:
            ValueError: there are some, and none can be read.
        """
        damaged = list[str]()
        for path in reversed(self.states()):
            try:
                state = dict(torch.load(path, map_location=device, weights_only=True))
            except Exception as error:  # a damaged file raises almost anything
                damaged.append(f"{path} cannot be read ({' '.join(str(error).split())[:200]})")
                path.rename(path.with_name(f"{path.name}.damaged"))
                continue
            self.loaded = path
            if damaged:
                warnings.warn(f"{'; '.join(damaged)}; going on from {path}")
            return state
        if damaged:
            raise ValueError(f"{'; '.join(damaged)}; no state is left to go on from: begin another folder")
        return None

    def save_weights(self, solver: UnrolledSolver, name: str, convention: str | None = None) -> Path | None:
        """``best`` or ``last`` as a file for :func:`pnpsr.load` that bears the convention; None for solvers of no recipe."""
        if getattr(solver, "record", None) is None:
            return None
        path = self.path / f"{name}.safetensors"
        with self.guarded(f"weights {path}"):
            save(solver, path, convention=convention)
        return path

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Let the OSError of a failed write of ``what`` also name the last good checkpoint, which it left as it was."""
        try:
            yield
        except OSError as error:
            last = self.states()
            kept = f"the last good checkpoint is {last[-1]}" if last else "no checkpoint was written before"
            kept = kept if self.path.is_dir() else f"the folder {self.path} is gone, and its checkpoints with it"
            raise OSError(error.errno, f"{what} could not be written ({error.strerror or error}); {kept}") from error
