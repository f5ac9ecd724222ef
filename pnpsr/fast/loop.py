"""The loop for inference: what was checked at the start is trusted, and what does not change is computed once."""

from dataclasses import replace

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.physics import Degradation, Physics
from pnpsr.physics.image_step import Spectra, image_step, spectra
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State


class Quick(UnrolledSolver):
    """:class:`pnpsr.UnrolledSolver` without gradients, whose iterations do not look at values."""

    def start(
        self,
        y: Tensor,
        physics: Physics | Scale | None = None,
        *,
        sigma: float | Tensor | None = None,
        x: Tensor | None = None,
        k: Tensor | None = None,
        mask: Tensor | None = None,
        scale: Scale | None = None,
        given: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> State:
        """As :meth:`pnpsr.UnrolledSolver.start`; where nothing writes k, its spectra are computed here."""
        with torch.no_grad():
            s = super().start(y, physics, sigma=sigma, x=x, k=k, mask=mask, scale=scale, given=given, noise=noise)
            if self.estimator is None and type(s.physics) is Degradation and s.physics.closed:
                s = replace(s, physics=Prepared(s.physics, s.y, s.known("k")))
        return s

    def step(self, s: State) -> State:
        """As :meth:`pnpsr.UnrolledSolver.step`; :func:`pnpsr.bordered.solve` looks at the result."""
        if checks.tracing():  # which looks at nothing anyway
            return super().step(s)
        with torch.no_grad(), checks.trusted():
            if s.y.device.type != "cpu" or s.once(_some_black):  # elsewhere a look would wait, and a graph cannot be recorded
                return super().step(s)
            for slot in self.order:
                if (write := getattr(self, slot)) is not None:
                    s = s.write(self.WRITES[slot], write(s))
        return replace(s, t=s.t + 1)


class Prepared(Degradation):
    """A degradation that keeps the spectra of one y and one kernel, for as many image steps as a solve takes with them."""

    def __init__(self, base: Degradation, y: Tensor, k: Tensor) -> None:
        vars(self).update(vars(base))
        self.y, self.k = y, k
        self.shift = self._shift((k.shape[-2], k.shape[-1]))
        self.taken = self.taps(k).flip(-2, -1)
        self.known: Spectra = spectra(y, self.taken, self.scale, self.shift, y.dtype)

    def prox_image(self, y: Tensor, k: Tensor, x0: Tensor, alpha: float | Tensor) -> Tensor:
        """As :meth:`Degradation.prox_image`."""
        if y is not self.y or k is not self.k:
            return super().prox_image(y, k, x0, alpha)
        return image_step(y, self.taken, x0, alpha, self.scale, self.shift, self.known)


def _some_black(s: State) -> bool:
    """Whether a picture is zero throughout: such a sample keeps its x and k, which asks for a look at each."""
    return bool((s.y.abs().amax((1, 2, 3)) == 0).any())
