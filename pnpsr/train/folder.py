"""A run's folder: checkpoints that are whole or not there, the best weights, what the run was asked to do."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from pnpsr.checkpoint import save
from pnpsr.files import replace_file
from pnpsr.solver import UnrolledSolver

PATTERN = "state-*.pt"


class RunFolder:
    """What a run leaves behind: ``run.json``, ``state-*.pt`` (the last few), ``best.safetensors``, ``last.safetensors``.

    Args:
        path: made if it does not exist.
        keep: how many states stay.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, path: str | Path, keep: int = 2) -> None:
        self.path, self.keep = Path(path), keep
        self.path.mkdir(parents=True, exist_ok=True)

    def begin(self, note: Mapping[str, Any], resume: bool) -> None:
        """Write what the run is, or check that it is the one to be resumed; clear what a killed run left half-written.

        Raises:
            ValueError: the folder holds another run, or one that was not to be resumed.
        """
        file = self.path / "run.json"
        asked = json.loads(json.dumps(note, default=str))
        if not resume and (file.exists() or self.states()):
            raise ValueError(f"{self.path} already holds a run; go on with it (resume) or choose another folder")
        if file.exists():
            before = json.loads(file.read_text())
            # what an earlier version did not note had no other value then
            differ = [f"{n}: {before[n]!r} then, {asked[n]!r} now" for n in asked if n in before and asked[n] != before[n]]
            if differ:
                raise ValueError(f"{self.path} holds another run; " + "; ".join(differ))
        else:
            replace_file(file, json.dumps(asked, indent=1).encode())
        for rest in self.path.glob(".*.tmp"):
            rest.unlink(missing_ok=True)

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
        """The newest checkpoint, or None where there is none yet.

        Raises:
            ValueError: it cannot be read.
        """
        states = self.states()
        if not states:
            return None
        try:
            return dict(torch.load(states[-1], map_location=device, weights_only=True))
        except Exception as error:  # a damaged file raises almost anything
            raise ValueError(f"{states[-1]} cannot be read ({error}); remove it to go on from the one before") from error

    def save_weights(self, solver: UnrolledSolver, name: str) -> Path | None:
        """``best`` or ``last`` as a file for :func:`pnpsr.load`; None for solvers that no recipe built."""
        if getattr(solver, "record", None) is None:
            return None
        path = self.path / f"{name}.safetensors"
        with self.guarded(f"weights {path}"):
            save(solver, path)
        return path

    @contextmanager
    def guarded(self, what: str) -> Iterator[None]:
        """Let the OSError of a failed write of ``what`` also name the last good checkpoint, which it left as it was."""
        try:
            yield
        except OSError as error:
            last = self.states()
            kept = f"the last good checkpoint is {last[-1]}" if last else "no checkpoint was written before"
            raise OSError(error.errno, f"{what} could not be written ({error.strerror or error}); {kept}") from error
