"""Which guess at the blur to believe, without knowing the truth: by what each makes of the picture, beside the others.

    score = (S(x) / S(y↑s))^A · (r / r₀)^B · exp(C (1 - a)) · (d / d₀)^D · exp(E (L₀ - L)) · exp(F max(0, 2.5 - l))
            · exp(G max(0, 1 - s / 0.4)),

with what :mod:`pnpsr.photo.facts` says of each; l is the mean of the kernel's length and of that of the best kernel: a
sharp picture of soft things looks like a little blur, which is no reason to believe in a much longer one.

Leaving the picture as it is scores 1, and the lowest score wins; a guess of a sharp picture has the first two factors only. How the
exponents were found and how well they do: ``docs/photographs.md``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnpsr.kernels import dirac
from pnpsr.photo.blocks import softness
from pnpsr.photo.explain import agreement, decibels
from pnpsr.photo.facts import SHARP, SHORT, Facts, Tried, facts
from pnpsr.photo.words import shape_of


@dataclass(frozen=True)
class Weights:
    """The exponents at a scale, and the detail of a picture that is as likely blurred as not."""

    A: float
    B: float
    C: float
    D: float
    E: float
    F: float
    G: float
    usual: float

    def logs(self, seen: Facts) -> list[float]:
        """Logarithms of the scores, in the order of the guesses."""
        logs = [self.A * f.gain + self.B * f.excess for f in seen.each]
        blurs = [i for i, f in enumerate(seen.each) if f.blurs]
        if not blurs:
            return logs
        known = self.D * (seen.detail - math.log(self.usual)) + self.G * seen.soft
        for i in blurs:
            f = seen.each[i]
            logs[i] += known + self.C * f.alone + self.E * f.against + self.F / 2 * f.short
        best = min(blurs, key=lambda i: logs[i])  # who wins is doubted once more for its length, and all others with it
        again = self.F / 2 * seen.each[best].short
        return [log + again if f.blurs else log for log, f in zip(logs, seen.each, strict=True)]


WEIGHTS = {1: Weights(4.0, 3.5, 17.0, 2.1, 4.6, 2.6, 0.3, 0.5), 2: Weights(15.7, 4.0, 3.2, 1.0, 4.0, 0.4, 14.3, 0.67)}
FINER = Weights(3.9, 5.2, 3.1, 2.3, 2.2, 0.0, 0.0, 1.38)  # at all other scales, and above scale 1 of a guess that is alone
ALONE = Weights(2.8, 2.9, 4.75, 1.7, 2.4, 3.8, 0.0, 0.42)  # of a guess that is alone at scale 1
DETAILED = 8.0  # logarithm of what speaks against a solver's blur where y has all of its detail


@dataclass(frozen=True)
class Candidate:
    """A guess and its score."""

    name: str  # none, sharp, straight line, coarse to fine 27, trained ikrnet-x2
    k: Tensor  # (1 1 p p)
    x: Tensor  # the window, restored with it (1 c sh sw)
    score: float  # lower is better, 1 for the window as it is
    explained: float  # PSNR of (x ⊗ k)↓s against y, in dB


def ranked(
    tried: Sequence[Tried], y: Tensor, scale: int, beside: Tried | None = None, lost: float = 0.0, w: Weights | None = None
) -> tuple[Candidate, ...]:
    """All guesses with their scores, best first; as :func:`pnpsr.photo.facts.facts`, with exponents w if not those of the scale."""
    seen = facts(tried, y, scale, beside, lost)
    logs = (w or WEIGHTS.get(scale, FINER)).logs(seen)
    found = [
        Candidate(t.name, t.k, t.x, math.exp(min(log, 50.0)), decibels(f.misfit))
        for t, f, log in zip(tried, seen.each, logs, strict=True)
    ]
    return tuple(sorted(found, key=lambda c: c.score))


def justified(k: Tensor, x: Tensor, y: Tensor, scale: int, other: Tensor | None, sharp: Tensor | None = None) -> bool:
    """Whether x (1 c sh sw) and k, made of the window y by a solver of the caller's, are better than leaving it alone.

    ``other`` is a kernel for y that was found in another way, with which k should agree, where there is one; ``sharp`` is y
    enlarged as what has no blur (1 c sh sw), by a solver that has learned to: where that is better, none is to be removed, and
    where y has its detail (:func:`pnpsr.photo.blocks.softness`) it is doubted that there is any.
    """
    tried, w, doubt = Tried("asked", k, x), ALONE if scale == 1 else FINER, 0.0
    if other is not None:
        doubt = w.C * (1 - agreement(k, other)) + w.F * max(0.0, SHORT - shape_of(other).along)
    if sharp is not None:
        doubt += DETAILED * (1 - softness(y, scale))
    guesses = [tried] if sharp is None else [tried, Tried(SHARP, dirac(3), sharp)]
    scores = {c.name: c.score for c in ranked(guesses, y, scale, w=w)}
    return scores["asked"] * math.exp(doubt) < min(1.0, scores.get(SHARP, 1.0))
