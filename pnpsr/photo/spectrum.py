"""What the power spectrum of a picture says on its blur: no phases, no restoring, and so no way to please it with a sharp look."""

import math
from heapq import nlargest
from itertools import product

import torch
from torch import Tensor
from torch.fft import fft2, fftfreq

LOWEST = 0.02  # cycles per pixel of y: below are shapes, of which a picture has too few for a mean
RINGS = 12  # of frequencies, equally wide in their logarithm
FLOORS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # what a kernel takes away, noise and borders bring back: one of these in every ring
ANGLES = 36  # of lines that are tried
STARTS = 4  # lines from which a better one is looked for
LENGTHS = (5, 7, 9, 12, 15, 19, 23, 27, 31, 36, 42, 48)  # of these, in pixels of y
SHORTEST = 48  # side of a picture that has enough frequencies


class Spectrum:
    """The periodogram P of y (1 c h w), and how likely it is under a kernel: -mean(log S + P / S) over frequencies (Whittle 1953).

    S(f) = C_r (Σ_a |K(f_a)|² |f_a|⁻² / Σ_a |f_a|⁻² + n_r), summed over the frequencies f_a of x that fold onto f; C_r and n_r are
    fitted in rings of |f|. How fast power falls with |f| therefore says nothing, soft things, noise and compression make that:
    the dark stripes and the directions that a kernel leaves in P are what counts.

    Args:
        y: floats in [0, 1], at least 48 pixels a side (``SHORTEST``).
        scale: by which x is finer than y.
    """

    def __init__(self, y: Tensor, scale: int) -> None:
        g = y.float().mean(1)[0]
        h, w = g.shape
        window = torch.outer(torch.hann_window(h, periodic=False), torch.hann_window(w, periodic=False))
        window = window / window.square().sum().sqrt()
        f, columns = torch.hypot(*_frequencies(h, w)), fftfreq(w).expand(h, w)
        self.scale, self.seen = scale, (f > LOWEST) & (f < 0.5) & (columns >= 0)
        self.P = fft2((g - (g * window.square()).sum()) * window).abs().square()[self.seen] + 1e-12
        self.ring = ((f[self.seen] / LOWEST).log() / math.log(0.5 / LOWEST) * RINGS).long().clamp(0, RINGS - 1)
        self.count = self._by_ring(torch.ones_like(self.P)).clamp_min(1)
        self.rows, self.columns = _frequencies(h * scale, w * scale)
        self.falling = torch.hypot(self.rows, self.columns).clamp_min(1 / (scale * max(h, w))) ** -2
        self.whole = self._folded(torch.ones_like(self.falling))
        self.sharp = self._likelihood(torch.ones_like(self.falling))

    def evidence(self, k: Tensor) -> float:
        """By how much P is likelier under k (1 1 p q) than without blur, per frequency; above 0 speaks for k."""
        return self._likelihood(fft2(k[0, 0].float(), s=self.falling.shape).abs().square()) - self.sharp

    def straight(self) -> tuple[float, float]:
        """Angle and length in pixels of x of the straight line that makes P likeliest, as :func:`pnpsr.kernels.line` takes them."""
        tried = product((math.pi * i / ANGLES for i in range(ANGLES)), (float(self.scale * n) for n in LENGTHS))
        likely = nlargest(STARTS, tried, key=self._of_line)  # long lines have narrow peaks, that a grid sees from their foot
        angle, length = max((self._nearby(start) for start in likely), key=self._of_line)
        return angle % math.pi, length

    def _nearby(self, best: tuple[float, float]) -> tuple[float, float]:
        turn, stretch = math.pi / ANGLES / 2, 0.08
        for _ in range(5):
            angle, length = best
            near = product((angle - turn, angle, angle + turn), (length * (1 - stretch), length, length * (1 + stretch)))
            best = max(near, key=self._of_line)
            turn, stretch = turn / 2, stretch / 2
        return best

    def _of_line(self, which: tuple[float, float]) -> float:
        angle, length = which
        return self._likelihood(torch.sinc((self.rows * math.cos(angle) + self.columns * math.sin(angle)) * length).square())

    def _likelihood(self, power: Tensor) -> float:
        """Of |K|² (sh sw): C_r = mean P / (A + n_r) in each ring, where P / S has mean 1."""
        A = self._folded(power) / self.whole
        found = []
        for floor in FLOORS:
            S = A + floor
            C = self._by_ring(self.P / S) / self.count
            found.append(-(self.count * C.clamp_min(1e-30).log() + self._by_ring(S.log())))
        return float(torch.stack(found).amax(0).sum() / self.count.sum())

    def _folded(self, power: Tensor) -> Tensor:
        s, (h, w) = self.scale, self.seen.shape
        return (power * self.falling).reshape(s, h, s, w).sum((0, 2))[self.seen]

    def _by_ring(self, values: Tensor) -> Tensor:
        return values.new_zeros(RINGS).index_add_(0, self.ring, values)


def _frequencies(h: int, w: int) -> tuple[Tensor, Tensor]:
    return fftfreq(h)[:, None].expand(h, w), fftfreq(w).expand(h, w)
