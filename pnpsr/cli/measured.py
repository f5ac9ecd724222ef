"""``pnpsr restore --physics NAME --mask FILE``: a y that is more than blurred and smaller, by one solver that inverts all of it."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pnpsr.bordered import inverts, iterates
from pnpsr.conventions import named_physics
from pnpsr.fast import fast
from pnpsr.images import Picture, read_image
from pnpsr.needs import needs_of
from pnpsr.photo import Restoration
from pnpsr.photo.ask import Ask
from pnpsr.photo.explain import decibels
from pnpsr.photo.find import Progress
from pnpsr.photo.plan import plan
from pnpsr.photo.words import sentence
from pnpsr.physics import Degradation, Physics
from pnpsr.recipes import blind_hqs, tv_hqs
from pnpsr.solver import Iterative


@dataclass(frozen=True)
class Measurement:
    """What made y: a physics by its name, by default blur and ↓s; and which of its pixels count, by default all."""

    physics: str | None = None
    mask: Tensor | None = None  # (1 1 h w) of ones and zeros

    @classmethod
    def of(cls, physics: str | None, mask: Path | None) -> "Measurement | None":
        """The two words of the command; None where neither is given.

        Raises:
            FileNotFoundError: no such picture.
        """
        if physics is None and mask is None:
            return None
        white = None if mask is None else (read_image(mask, channels=1).image > 0.5).float()
        return cls(physics, white)

    def model(self, y: Tensor, scale: int) -> Physics:
        """The physics of a y (1 c h w).

        Raises:
            ValueError: an unknown name, a y or a mask that does not fit.
        """
        size = (y.shape[-2], y.shape[-1])
        found = Degradation(scale) if self.physics is None else named_physics(self.physics, scale, size)
        if self.mask is None:
            found.image_shape(y)  # refuses a y that does not fit
            return found
        if self.mask.shape[-2:] != y.shape[-2:]:
            raise ValueError(f"the mask has {tuple(self.mask.shape[-2:])} pixels, the picture {size}: white where a pixel counts")
        return found.masked(self.mask)

    def restore(self, picture: Picture, ask: Ask, progress: Progress | None = None) -> Restoration:
        """x and k by the solver that was asked for; by default the untrained ones, ``tv_hqs`` where the kernel is known.

        In one piece, and nothing is ranked.

        Raises:
            ValueError: a solver that is told the scale alone; what :func:`pnpsr.bordered.iterates` refuses.
        """
        y, model = picture.image.to(ask.device), self.model(picture.image, ask.scale)
        if model.scale != (ask.scale, ask.scale):
            raise ValueError(f"the physics {self.physics!r} has scale {model.scale}, --scale says {ask.scale}")
        solver = self._solver(ask)
        sigma = ask.sigma
        if sigma is None and needs_of(solver).sigma:
            shown = model.noise_level(y)
            sigma = None if shown is None else float(shown)
        k = None if ask.k is None else ask.k.to(y)
        curve, last, total = list[float](), None, ask.T or (solver.T if isinstance(solver, Iterative) else 1)
        counts = model.observed(torch.ones_like(y))
        for t, last in enumerate(iterates(solver, y, model, sigma=sigma, k=k, T=ask.T, boundary=ask.boundary), 1):
            left = (model.freeze(k=last.known("k"))(last.known("x")) - y) * counts
            curve.append(float((left.square().sum() / counts.sum()).sqrt()))
            if progress is not None:
                progress("restoring", t, total)
        if last is None:
            raise ValueError(f"the solver has no iterations: T must be at least 1, got {total}")
        x, kernel, believed = last.known("x").float().cpu(), last.known("k").float().cpu(), last.hyper.sigma
        level = sigma if sigma is not None else None if believed is None else float(believed.mean())
        cut = plan(y.shape[-2], y.shape[-1], x.shape[1], ask.scale, tile=max(*y.shape[-2:], 256))
        words = sentence(kernel, level or 0.0, decibels(curve[-1]))
        return Restoration(x, kernel, level, ask.scale, True, words, cut, curves={"data residual": curve}, notes=(f"by {model!r}",))

    @staticmethod
    def _solver(ask: Ask) -> nn.Module:
        named = ask.opened()
        if named is None:
            named = (blind_hqs() if ask.k is None else tv_hqs()).to(ask.device)
        if not inverts(named):
            raise ValueError(f"{type(named).__name__} is told the scale alone, and can invert no physics; leave the preset out")
        return fast(named, ask.precision)
