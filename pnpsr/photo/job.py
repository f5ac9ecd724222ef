"""One picture to restore: what is asked for it, how it is cut, who listens."""

from dataclasses import dataclass

from torch import Tensor

from pnpsr.photo.ask import Ask
from pnpsr.photo.contrast import AS_IT_IS, Contrast
from pnpsr.photo.find import OUTPUT, Progress, Seen
from pnpsr.photo.plan import Plan
from pnpsr.photo.windows import Window, informative, noise


@dataclass(frozen=True)
class Job:
    """A picture, what is asked for it, and how it is cut."""

    y: Tensor
    ask: Ask
    plan: Plan
    progress: Progress | None = None
    seen: Seen | None = None

    def tell(self, what: str, done: int, total: int) -> None:
        """Report progress, where somebody listens."""
        if self.progress is not None:
            self.progress(what, done, total)

    def show(self, how: str, k: Tensor) -> None:
        """Show a kernel (1 1 p q) as it is found, where somebody watches."""
        if self.seen is not None:
            self.seen(how, k.detach().float().cpu())

    def noise(self) -> float:
        """The noise level, given or estimated."""
        return noise(self.y) if self.ask.sigma is None else float(self.ask.sigma)

    def contrast(self, sigma: float) -> Contrast:
        """How the picture is stretched for whoever restores it; a solver that was named sees it as it is."""
        named = self.ask.solver is not None or self.ask.size is not None
        return AS_IT_IS if named else Contrast.of(self.y, sigma)

    def windows(self, part: Tensor) -> tuple[Window, ...]:
        """The most informative windows of y, or of a part of it."""
        return tuple(informative(part, side=max(96, OUTPUT // max(self.ask.scale, 2))))
