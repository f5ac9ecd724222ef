"""Which guess at the blur to believe, without knowing the truth: by what each makes of the picture, beside the others.

    score = (S(x) / S(y↑s))^A · (r / r₀)^B · exp(C (1 - a)) · (d / d₀)^D · exp(E (L₀ - L)) · exp(F max(0, 2.5 - l))
            · exp(G max(0, 1 - s / 0.4)),

S(x) = Σ|∇x| / √(N Σ|∇x|²) is low where few strong edges explain x (Krishnan, Tay, Fergus 2011), and does not change with
contrast. r is the root mean square of y - (x ⊗ k)↓s, away from the border, and r₀ the least of all guesses, which is noise: too
wide a kernel rings, and its x no longer explains y. r₀ is no less than what compression has changed
(:func:`pnpsr.photo.blocks.compression`): who is closer to y than that explains its blocks. a is the kernel's largest normalised
correlation with another guess: chance does not repeat itself; a straight line for which the spectrum speaks clearly, and more than
for all others, need not. d is the fine detail of y in the direction that has least (:func:`pnpsr.photo.detail.detail`): a picture
that has it everywhere cannot be blurred. L is what the power spectrum says for k (:class:`pnpsr.photo.spectrum.Spectrum`), L₀ the
most that it says for any. l is the mean of the kernel's length and of that of the best kernel: at scale 1 a sharp picture of soft
things looks like a little blur, which is no reason to believe in a much longer one. s is how soft y is
(:func:`pnpsr.photo.blocks.softness`).

Leaving the picture as it is scores 1, and the lowest score wins; a guess of a sharp picture has the first two factors only. How the
exponents were found and how well they do: ``docs/photographs.md``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnpsr.kernels import dirac
from pnpsr.photo.blocks import softness
from pnpsr.photo.detail import detail
from pnpsr.photo.explain import BORDER, agreement, decibels, gradient, residual, sparsity
from pnpsr.photo.spectrum import SHORTEST, Spectrum
from pnpsr.photo.windows import noise
from pnpsr.photo.words import extent, shape_of
from pnpsr.starts import upsample

NONE, SHARP, TRAINED, LINE = "none", "sharp", "trained", "straight line"  # names of guesses; trained ones go on with theirs
ROUNDING = 1 / 255 / 12**0.5  # standard deviation of 8-bit rounding: no picture explains y better
MODEL = 0.1  # of the mean gradient: what no kernel explains, because blur is never the same everywhere


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


WEIGHTS = {1: Weights(2.8, 2.9, 4.75, 1.7, 2.4, 3.8, 0.0, 0.42), 2: Weights(8.0, 2.5, 3.1, 2.3, 2.2, 0.0, 8.0, 1.38)}
FINER = Weights(3.9, 5.2, 3.1, 2.3, 2.2, 0.0, 0.0, 1.38)  # at all other scales, and above scale 1 of a guess that is alone
LEAST = 0.02  # detail: less is noise
SURE = 0.3  # evidence from which a straight line needs nobody to agree
DETAILED = 8.0  # logarithm of what speaks against a solver's blur where y has all of its detail
HALF = 0.4  # softness from which on nothing is doubted for y's detail
SHORT = 2.5  # length in pixels: standard deviation along the longer axis


@dataclass(frozen=True)
class Tried:
    """A guess, and what it makes of the window it is judged on."""

    name: str
    k: Tensor  # (1 1 p p)
    x: Tensor  # the window, restored with it (1 c sh sw)


@dataclass(frozen=True)
class Candidate:
    """A guess and its score."""

    name: str  # none, sharp, straight line, coarse to fine 27, trained ikrnet-x2
    k: Tensor  # (1 1 p p)
    x: Tensor  # the window, restored with it (1 c sh sw)
    score: float  # lower is better, 1 for the window as it is
    explained: float  # PSNR of (x ⊗ k)↓s against y, in dB


def untouched(y: Tensor, scale: int) -> Tried:
    """The window as it is, enlarged by aligned bicubic interpolation: what every guess has to beat."""
    return Tried(NONE, dirac(3), upsample(y, scale).clamp(0, 1))


def ranked(
    tried: Sequence[Tried], y: Tensor, scale: int, beside: Tried | None = None, lost: float = 0.0, w: Weights | None = None
) -> tuple[Candidate, ...]:
    """All guesses with their scores, best first.

    Args:
        tried: guesses at the blur of the window y, restored; one that is alone is compared with the noise of y.
        y: the window (1 c h w).
        scale: by which x is finer.
        beside: one more whose misfit counts for r₀, though it is not to be chosen.
        lost: to compression, root mean square: no misfit below counts as better.
        w: the exponents, if not those of the scale.
    """
    w = w or WEIGHTS.get(scale, FINER)
    border = _border(tried, y, scale)
    misfit = {t.name: residual(t.x, t.k.to(y), y, scale, border) for t in tried}
    acting = [r for name, r in misfit.items() if name != NONE]
    acting += [] if beside is None else [residual(beside.x, beside.k.to(y), y, scale, border)]
    floor = max(min(acting) if len(acting) > 1 else expected(y), ROUNDING, lost)
    plain = [w.A * _gain(t, y, scale) if t.name != NONE else 0.0 for t in tried]
    logs: dict[str, float] = {}
    for t, log in zip(tried, plain, strict=True):
        logs[t.name] = log if t.name == NONE else log + w.B * math.log(max(1.0, misfit[t.name] / floor))
    blurs = [t for t in tried if t.name not in (NONE, SHARP)]
    short = [w.F / 2 * max(0.0, SHORT - shape_of(t.k).along) for t in blurs]
    for t, own, doubt in zip(blurs, short, _doubts(blurs, y, scale, w), strict=True):
        logs[t.name] += doubt + own
    if blurs:  # who wins is doubted once more for its length, and all others with it; all for the detail of y
        again = short[min(range(len(blurs)), key=lambda i: logs[blurs[i].name])]
        again += w.G * max(0.0, 1 - softness(y, scale) / HALF) if w.G else 0.0
        logs.update({t.name: logs[t.name] + again for t in blurs})
    found = [Candidate(t.name, t.k, t.x, math.exp(min(logs[t.name], 50.0)), decibels(misfit[t.name])) for t in tried]
    return tuple(sorted(found, key=lambda c: c.score))


def expected(y: Tensor) -> float:
    """What even the true kernel leaves of y unexplained: its noise and a tenth of its mean gradient, root mean square."""
    return math.hypot(max(noise(y), ROUNDING), MODEL * gradient(y))


def justified(k: Tensor, x: Tensor, y: Tensor, scale: int, other: Tensor | None, sharp: Tensor | None = None) -> bool:
    """Whether x (1 c sh sw) and k, made of the window y by a solver of the caller's, are better than leaving it alone.

    ``other`` is a kernel for y that was found in another way, with which k should agree, where there is one; ``sharp`` is y
    enlarged as what has no blur (1 c sh sw), by a solver that has learned to: where that is better, none is to be removed, and
    where y has its detail (:func:`pnpsr.photo.blocks.softness`) it is doubted that there is any.
    """
    tried, w, doubt = Tried("asked", k, x), WEIGHTS[1] if scale == 1 else FINER, 0.0
    if other is not None:
        doubt = w.C * (1 - agreement(k, other)) + w.F * max(0.0, SHORT - shape_of(other).along)
    if sharp is not None:
        doubt += DETAILED * (1 - softness(y, scale))
    guesses = [tried] if sharp is None else [tried, Tried(SHARP, dirac(3), sharp)]
    scores = {c.name: c.score for c in ranked(guesses, y, scale, w=w)}
    return scores["asked"] * math.exp(doubt) < min(1.0, scores.get(SHARP, 1.0))


def _border(tried: Sequence[Tried], y: Tensor, scale: int) -> int:
    """Pixels of y in which the widest kernel sees what lies outside, up to a fifth of a side."""
    widest = max(extent(t.k) for t in tried)
    return max(BORDER, min(widest // (2 * scale) + 1, min(y.shape[-2:]) // 5))


def _gain(t: Tried, y: Tensor, scale: int) -> float:
    """log S(x) / S(y↑s)."""
    border = BORDER * scale
    return math.log(max(sparsity(t.x, border) / max(sparsity(upsample(y, scale).clamp(0, 1), border), 1e-6), 1e-6))


def _doubts(blurs: Sequence[Tried], y: Tensor, scale: int, w: Weights) -> list[float]:
    """Logarithms of the factors of agreement, detail and power spectrum."""
    spectrum = Spectrum(y, scale) if min(y.shape[-2:]) >= SHORTEST else None
    said = [0.0 if spectrum is None else spectrum.evidence(t.k) for t in blurs]
    known = w.D * math.log(max(detail(y), LEAST) / w.usual)
    found = []
    for i, t in enumerate(blurs):
        sure = t.name == LINE and said[i] >= max(SURE, *said)
        alone = 0.0 if sure else 1 - max((agreement(t.k, other.k) for j, other in enumerate(blurs) if j != i), default=1.0)
        found.append(w.C * alone + known + w.E * min(max(0.0, *said) - said[i], 0.6))
    return found
