"""What the steps say, kept on the device: nothing is read back before somebody asks, and a step that went wrong is remembered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pnpsr.train.record import Diverged

if TYPE_CHECKING:
    from lightning.fabric import Fabric

PROBED = 3  # steps at the beginning of a stage whose losses must differ


@dataclass(frozen=True)
class Reading:
    """The numbers of one step."""

    losses: Mapping[str, float]  # means over the processes, with "total"
    norm: float  # of the gradient


class Gauge:
    """Losses and gradient norms of a stage's steps.

    Args:
        fabric: whose processes are averaged over.
        overflow: an infinite gradient is no accident (fp16's loss scale skips such a step).
    """

    def __init__(self, fabric: "Fabric", overflow: bool = False) -> None:
        self.fabric, self.overflow = fabric, overflow
        self.names: tuple[str, ...] = ()
        self.rows = dict[str, Tensor]()
        self.probed = list[Tensor]()

    def see(self, step: int, terms: Mapping[str, Tensor], norm: Tensor) -> None:
        """Take note of a step, without waiting for it."""
        now = torch.stack([*(v.detach().float() for v in terms.values()), norm.detach().float()])
        good = torch.isfinite(now[-2:] if not self.overflow else now[-2:-1]).all()
        if not self.rows:
            self.names = tuple(terms)
            self.rows = {"now": now, "fault": torch.zeros_like(now), "step": now.new_zeros(1, dtype=torch.float64)}
        first = ~good & (self.rows["step"] == 0)
        self.rows = {
            "now": now,
            "fault": torch.where(first, now, self.rows["fault"]),
            "step": torch.where(first, torch.full_like(self.rows["step"], step), self.rows["step"]),
        }
        if len(self.probed) < PROBED:
            self.probed.append(now)

    def read(self) -> Reading:
        """The last step's numbers: this waits for the device.

        Raises:
            Diverged: a loss or a gradient was NaN or infinite, now or in an earlier step, which is named.
        """
        mine = torch.cat([self.rows[name].double() for name in ("now", "fault", "step")])
        gathered: Any = self.fabric.all_gather(mine)
        rows = gathered.reshape(-1, len(mine)).tolist()
        count = len(self.names) + 1
        if faults := sorted((row[-1], row) for row in rows if row[-1]):
            step, row = faults[0]
            raise Diverged(f"step {int(step)}: {self._fault(row[count : 2 * count])}")
        means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        return Reading(dict(zip(self.names, means, strict=False)), means[count - 1])

    def probe(self, weights: Mapping[str, float]) -> None:
        """Once the first steps are there: each loss must have changed from one to the next, and something must have learned.

        Args:
            weights: of the losses by name; those of 0 are only watched.

        Raises:
            ValueError: a loss that is constant, or has no gradient.
        """
        rows = torch.stack(self.probed).tolist()
        for name, column in zip(self.names, zip(*rows, strict=True), strict=False):
            if weights.get(name) and len(set(column)) == 1:
                raise ValueError(
                    f"loss {name!r} was {column[0]:g} in each of the first {PROBED} steps: it does not depend on what the solver "
                    "computes. In a loss o.last.known('x') is the result and o.truth.x the truth"
                )
        if not any(row[-1] for row in rows):
            raise ValueError(
                f"the gradient was zero in the first {PROBED} steps: the losses do not reach the parts that the stage trains"
            )

    def _fault(self, row: list[float]) -> str:
        losses = dict(zip(self.names, row, strict=False))
        if abs(losses["total"]) < float("inf"):
            return f"the gradient's norm is {row[-1]:g} at a loss of {losses['total']:.4g}"
        return "the loss is " + ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
