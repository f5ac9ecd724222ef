"""What is asked for, and whether it can be done: refused before anything is computed, in words that say what to do."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.bordered import BOUNDARIES
from pnpsr.needs import needs_of
from pnpsr.photo.restoration import LOUDEST
from pnpsr.recipes import blind_hqs
from pnpsr.released import open_solver
from pnpsr.weights import presets


@dataclass(frozen=True)
class Ask:
    """The arguments of :func:`pnpsr.photo.restore` that concern how, and not where."""

    scale: int
    solver: str | nn.Module | None = None
    k: Tensor | None = None
    sigma: float | None = None
    size: int | None = None
    T: int | None = None
    boundary: str = "extend"
    kernels_per: int | None = None
    precision: str = "auto"
    device: torch.device = torch.device("cpu")  # noqa: RUF009  immutable

    @classmethod
    def of(
        cls,
        scale: int,
        solver: str | nn.Module | None,
        k: Tensor | None,
        sigma: float | None,
        size: int | None,
        T: int | None,
        boundary: str,
        kernels_per: int | None,
        precision: str,
        device: str | torch.device,
    ) -> "Ask":
        """What is asked for, if it makes sense whatever the picture.

        Raises:
            TypeError, ValueError: it does not.
        """
        try:
            place = torch.device(device)
        except RuntimeError as error:
            raise ValueError(f"device must be cpu, cuda, cuda:1 or mps, got {device!r}") from error
        return cls(scale, solver, k, sigma, size, T, boundary, kernels_per, precision, place).checked()

    def checked(self) -> "Ask":
        """Itself, if it makes sense.

        Raises:
            TypeError, ValueError: it does not.
        """
        checks.whole(self.scale, "scale")
        checks.choice(self.boundary, BOUNDARIES, "boundary")
        if self.sigma is not None and not 0 <= float(self.sigma) <= LOUDEST:
            raise ValueError(f"sigma must lie between 0 and {LOUDEST}, a fraction of white (0.02 for 2 %), got {self.sigma:g}")
        if self.T is not None and checks.whole(self.T, "T", 0) == 0:
            raise ValueError("T must be at least 1 to restore anything, got 0")
        if self.size is not None and (self.solver not in (None, "blind_hqs") or self.k is not None):
            raise ValueError("size is for the classical method alone: leave it out, or leave out the preset and the kernel")
        if self.kernels_per is not None and checks.whole(self.kernels_per, "kernels_per") < 256:
            raise ValueError(f"kernels_per must be at least 256 pixels, got {self.kernels_per}: less tells nothing on a blur")
        if self.k is not None:
            checks.kernel(self.k, "k")
        _there(self.device)
        return self

    def opened(self) -> nn.Module | None:
        """The solver that was asked for, on its device; None where the choice is left to the picture.

        Raises:
            FileNotFoundError: no such preset or file.
            ValueError: one that is for another scale, or that needs a kernel where none is given.
        """
        name = self.solver if isinstance(self.solver, str) else None
        if self.size is not None:
            solver: nn.Module = blind_hqs(checks.whole(self.size, "size"))
        elif self.solver is None:
            return None
        else:
            solver = open_solver(self.solver) if isinstance(self.solver, str) else self.solver
        needs, called = needs_of(solver), name or "this solver"
        if needs.scales is not None and self.scale not in needs.scales:
            fit = " or ".join(map(str, needs.scales))
            raise ValueError(f"{called} is for scale {fit}, not {self.scale}; {_instead(self.scale)}")
        if needs.kernel and self.k is None:
            raise ValueError(f"{called} needs the kernel: give it (k=, --kernel FILE), or leave the preset out")
        if needs.longest is not None and (self.T or 0) > needs.longest:
            raise ValueError(f"{called} can do {needs.longest} iteration(s), {self.T} were asked for")
        return solver.to(self.device)

    def identity(self) -> dict[str, object]:
        """Everything that a tile depends on besides y and how it was cut."""
        k = None if self.k is None else hashlib.sha256(self.k.cpu().numpy().tobytes()).hexdigest()[:16]
        solver = self.solver if isinstance(self.solver, str | None) else repr(self.solver)
        if isinstance(solver, str) and Path(solver).is_file():
            solver = hashlib.sha256(Path(solver).read_bytes()).hexdigest()[:16]
        return {
            "scale": self.scale, "solver": solver, "k": k, "sigma": self.sigma, "size": self.size, "T": self.T,
            "boundary": self.boundary, "kernels_per": self.kernels_per, "precision": self.precision, "device": self.device.type,
        }  # fmt: skip


def _instead(scale: int) -> str:
    fit = [name for name, preset in presets().items() if preset.scales == (scale,)]
    return f"take {' or '.join(fit)}" if fit else "leave the preset out"


def _there(device: torch.device) -> None:
    kind = device.type
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device on this machine; use --device cpu (device='cpu')")
    if kind == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"there is no CUDA device {device.index} on this machine, {torch.cuda.device_count()} are there")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ValueError("there is no Apple GPU on this machine; use --device cpu (device='cpu')")
    if kind not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device must be cpu, cuda, cuda:1 or mps, got {device}")
