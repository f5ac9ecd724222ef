"""What speaks for and against each guess at the blur of a window, before any of it is weighed.

S(x) = Σ|∇x| / √(N Σ|∇x|²) is low where few strong edges explain x (Krishnan, Tay, Fergus 2011), and does not change with
contrast. r is the root mean square of y - (x ⊗ k)↓s, away from the border, and r₀ the least of all guesses, which is noise: too
wide a kernel rings, and its x no longer explains y. r₀ is no less than what compression has changed
(:func:`pnpsr.photo.blocks.compression`): who is closer to y than that explains its blocks. a is the kernel's largest normalised
correlation with another guess: chance does not repeat itself; a straight line for which the spectrum speaks clearly, and more than
for all others, need not. d is the fine detail of y in the direction that has least (:func:`pnpsr.photo.detail.detail`): a picture
that has it everywhere cannot be blurred. L is what the power spectrum says for k (:class:`pnpsr.photo.spectrum.Spectrum`), L₀ the
most that it says for any. l is the kernel's length, and s how soft y is (:func:`pnpsr.photo.blocks.softness`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pnpsr.kernels import dirac
from pnpsr.photo.blocks import softness
from pnpsr.photo.detail import detail
from pnpsr.photo.explain import BORDER, agreement, gradient, residual, sparsity
from pnpsr.photo.spectrum import SHORTEST, Spectrum
from pnpsr.photo.windows import noise
from pnpsr.photo.words import extent, shape_of
from pnpsr.starts import upsample

NONE, SHARP, TRAINED, LINE = "none", "sharp", "trained", "straight line"  # names of guesses; trained ones go on with theirs
ROUNDING = 1 / 255 / 12**0.5  # standard deviation of 8-bit rounding: no picture explains y better
MODEL = 0.1  # of the mean gradient: what no kernel explains, because blur is never the same everywhere
LEAST = 0.02  # detail: less is noise
SURE, ENOUGH = 0.3, 128  # evidence from which a straight line needs nobody to agree, and the side of a window that can give it
MOST = 0.6  # evidence against a kernel that counts
HALF = 0.4  # softness from which on nothing is doubted for y's detail
SHORT = 2.5  # length in pixels: standard deviation along the longer axis


def says_blur(name: str) -> bool:
    """Whether the guess of that name says that there is a blur."""
    return name not in (NONE, SHARP)


@dataclass(frozen=True)
class Tried:
    """A guess, and what it makes of the window it is judged on."""

    name: str
    k: Tensor  # (1 1 p p)
    x: Tensor  # the window, restored with it (1 c sh sw)


@dataclass(frozen=True)
class Fact:
    """One guess; of the window as it is nothing but the misfit counts for anything, of a sharp picture gain and excess do."""

    name: str
    misfit: float  # r
    gain: float = 0.0  # log S(x) / S(y↑s)
    excess: float = 0.0  # log r / r₀, not below 0
    alone: float = 0.0  # 1 - a
    against: float = 0.0  # L₀ - L, up to 0.6
    short: float = 0.0  # max(0, 2.5 - l)

    @property
    def blurs(self) -> bool:
        """Whether it says that there is a blur."""
        return says_blur(self.name)


@dataclass(frozen=True)
class Facts:
    """All guesses at the blur of a window, in the order in which they came."""

    each: tuple[Fact, ...]
    detail: float  # log d
    soft: float  # max(0, 1 - s / 0.4)


def untouched(y: Tensor, scale: int) -> Tried:
    """The window as it is, enlarged by aligned bicubic interpolation: what every guess has to beat."""
    return Tried(NONE, dirac(3), upsample(y, scale).clamp(0, 1))


def facts(tried: Sequence[Tried], y: Tensor, scale: int, beside: Tried | None = None, lost: float = 0.0) -> Facts:
    """What is to be weighed.

    Args:
        tried: guesses at the blur of the window y, restored; one that is alone is compared with the noise of y.
        y: the window (1 c h w).
        scale: by which x is finer.
        beside: one more whose misfit counts for r₀, though it is not to be chosen.
        lost: to compression, root mean square: no misfit below counts as better.
    """
    border = _border(tried, y, scale)
    misfit = {t.name: residual(t.x, t.k.to(y), y, scale, border) for t in tried}
    acting = [r for name, r in misfit.items() if name != NONE]
    acting += [] if beside is None else [residual(beside.x, beside.k.to(y), y, scale, border)]
    floor = max(min(acting) if len(acting) > 1 else expected(y), ROUNDING, lost)
    usual = max(sparsity(upsample(y, scale).clamp(0, 1), BORDER * scale), 1e-6)
    blurs = [t for t in tried if says_blur(t.name)]
    alone, against = _doubts(blurs, y, scale)
    found = []
    for t in tried:
        r, about = misfit[t.name], {}
        if t.name != NONE:
            gain = math.log(max(sparsity(t.x, BORDER * scale) / usual, 1e-6))
            about = {"gain": gain, "excess": math.log(max(1.0, r / floor))}
        if says_blur(t.name):
            about |= {"alone": alone[t.name], "against": against[t.name], "short": max(0.0, SHORT - shape_of(t.k).along)}
        found.append(Fact(t.name, r, **about))
    return Facts(tuple(found), math.log(max(detail(y), LEAST)), max(0.0, 1 - softness(y, scale) / HALF))


def expected(y: Tensor) -> float:
    """What even the true kernel leaves of y unexplained: its noise and a tenth of its mean gradient, root mean square."""
    return math.hypot(max(noise(y), ROUNDING), MODEL * gradient(y))


def _border(tried: Sequence[Tried], y: Tensor, scale: int) -> int:
    """Pixels of y in which the widest kernel sees what lies outside, up to a fifth of a side."""
    widest = max(extent(t.k) for t in tried)
    return max(BORDER, min(widest // (2 * scale) + 1, min(y.shape[-2:]) // 5))


def _doubts(blurs: Sequence[Tried], y: Tensor, scale: int) -> tuple[dict[str, float], dict[str, float]]:
    """How far each is from agreeing with another, and what the power spectrum says against it."""
    spectrum = Spectrum(y, scale) if blurs and min(y.shape[-2:]) >= SHORTEST else None
    said = [0.0 if spectrum is None else spectrum.evidence(t.k) for t in blurs]
    alone, against = {}, {}
    for i, t in enumerate(blurs):
        sure = t.name == LINE and said[i] >= max(SURE, *said) and min(y.shape[-2:]) >= ENOUGH
        others = (agreement(t.k, other.k) for j, other in enumerate(blurs) if j != i)
        alone[t.name] = 0.0 if sure else 1 - max(others, default=1.0)
        against[t.name] = min(max(0.0, *said) - said[i], MOST)
    return alone, against
