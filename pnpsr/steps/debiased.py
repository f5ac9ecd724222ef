"""The first kernel, looked at again: a kernel step from the restored x, less what that step says where the kernel is right."""

from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.images import dead_leaves
from pnpsr.kernels import centroid
from pnpsr.kernels.grid import offsets, unit
from pnpsr.needs import Needs, needs_of
from pnpsr.physics.edges import differences
from pnpsr.physics.physics import Fit
from pnpsr.physics.solve import anchored
from pnpsr.slots import Slotted
from pnpsr.state import State, Step

# set by hand on four pictures that nothing was learned from and nothing is scored on, under the test's motion kernels, and on six
# crops of others under random ones
POWER = 0.75  # of k, in which a tap is expected to move
SHARE = 0.5  # of the bias of simulated pictures, that a photograph has too
CAUTION = 16.0  # times the variance that simulated pictures show: a photograph is no such picture
MOST = 0.5  # Σ (k - k₀)², as a part of what is expected
FLOOR = 1e-5  # of k: no tap is quite fixed
FLAT = 1e-3  # contrast, and energy, below which a picture is as good as flat
LIKE = 0.02  # (k - g)² over k² below which k is a Gaussian
PICTURES, SIDE = 8, 144  # that are simulated


class Debiased(Slotted):
    """k ← k₀ + √v (√v G √v + γ)⁻¹ √v (r - r̄ / 2), twice: a start that looks at what its kernel makes of y.

    ``restoring`` makes x of y with k₀. The normal equations G, r = b - G k₀ of the kernel step on the edges of x and y would
    give a better kernel, if x were right. But x was made to explain y by k₀, and what remains correlates with its edges whether
    k₀ is right or not. How much, is simulated: other pictures (:func:`pnpsr.images.dead_leaves`) are blurred with k₀, so that k₀
    *is* right, and restored alike. The mean r̄ of theirs is bias, half of which is subtracted, for no photograph is such a
    picture; that they differ says how far to trust an r, and is γ (the idea of indirect inference: Gouriéroux, Monfort, Renault
    1993).

    v = k^¾ says how far a tap may move, and half of :func:`expected` how far all together: statistics find a Gaussian well, and a
    path badly. The second look begins with the kernel of the first. Sum and centroid stay, for a shift of k and one of x cannot
    be told apart. To start with, not to learn through: k₀ passes gradients, the step does not.

    Args:
        start: step that returns k₀ (b 1 p q).
        restoring: step that returns x of y with the kernel of the state, such as :class:`pnpsr.debiased.Solved`.
        rounds: how often, each time from the kernel of the round before.

    Raises:
        TypeError: a part that cannot be called; on a call: a start that returns no kernel, a restoring that returns no image.
        ValueError: (on a call) a noise level that is neither given nor to be seen; a physics of one size; a scale or kernel that is
            too large for the simulated pictures.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation, State
        >>> from pnpsr.kernels import random_motion
        >>> from pnpsr.starts import upsample
        >>> from pnpsr.steps import Debiased
        >>> k0 = random_motion(1, 9, generator=torch.Generator().manual_seed(0))
        >>> def restoring(s: State) -> torch.Tensor:
        ...     return s.physics.prox_image(s.y, s.k, upsample(s.y, s.scale), 0.1)
        >>> start = Debiased(lambda state: k0, restoring, rounds=1)
        >>> k = start(State(torch.rand(1, 3, 24, 24), Degradation(2)))
        >>> k.shape, round(float(k.sum()), 4)
        (torch.Size([1, 1, 9, 9]), 1.0)
    """

    SLOTS: ClassVar = {"start": "state -> k", "restoring": "state -> x"}

    def __init__(self, start: Step, restoring: Step, *, rounds: int = 2) -> None:
        super().__init__()
        self.start, self.restoring, self.rounds = start, restoring, checks.whole(rounds, "rounds")

    @property
    def needs(self) -> Needs:
        """What the start and the restoring need, but for the kernel."""
        return needs_of(self.start) & replace(needs_of(self.restoring), kernel=False, longest=None)

    def forward(self, state: State) -> Tensor:
        """The kernel (b 1 p q)."""
        first = self.start(state)
        if not isinstance(first, Tensor):
            raise TypeError(f"start must return a kernel, got {type(first).__name__}")
        with torch.no_grad(), precision.exact(first):
            k = k0 = first.expand(len(state.y), -1, -1, -1)
            due = expected(k0)
            for _ in range(self.rounds):
                k = self._round(state, k0, k, due)
        return first + (k - k0).detach()

    def _round(self, state: State, k0: Tensor, k: Tensor, due: Tensor) -> Tensor:
        """The kernel after one more look, from k, never far from k0."""
        others = self._simulated(state, k)
        usual, found = self._look(others), self._look(replace(state, k=k, k0=k, x=None, x0=None))
        part = others.y[0, 0].numel() / state.physics.count(state.y).clamp_min(1)  # the more there is to see, the surer
        gamma = CAUTION * usual.variance(k) * (part[:, 0] + 1 / PICTURES).to(usual.rest)
        far = k - k0 + found.less(usual).step(k, gamma, due[:, 0].to(gamma)).to(k)
        size = far.square().sum((1, 2, 3), keepdim=True).clamp_min(torch.finfo(k.dtype).tiny)
        return unit((k0 + far * (MOST * due / size).sqrt().clamp(max=1)).clamp_min(0))

    def _look(self, s: State) -> "Look":
        """What the restored x says of the kernel of the state."""
        x, k, wide = self.restoring(s), s.known("k"), precision.double(s.y)
        if not isinstance(x, Tensor):
            raise TypeError(f"restoring must return an image, got {type(x).__name__}")
        G, b = s.physics.normal_equations(s.y.to(wide), x.to(wide), (k.shape[-2], k.shape[-1]), Fit(1, gray=True))
        return Look(G, b - G @ k.to(wide).flatten(1)[..., None])

    def _simulated(self, state: State, k: Tensor) -> State:
        """Pictures under each k, (b n) of them as one batch, with as much noise beside their contrast as y has."""
        b, n, channels = len(k), PICTURES, state.physics.image_shape(state.y)[1]
        x, grain = (t.to(k) for t in _drawn())
        x = x if channels == 3 else x.mean(1, keepdim=True).expand(-1, channels, -1, -1)
        grain = grain[:, [c % 3 for c in range(channels)]]
        physics, many = state.physics.whole, k.repeat_interleave(n, 0)
        rows, columns = (SIDE - SIDE % (s * physics.multiple) for s in physics.scale)
        if min(rows, columns) < max(k.shape[-2:]):
            raise ValueError(
                f"a second look simulates pictures of {SIDE} x {SIDE}: too few pixels for scale {physics.scale} "
                f"and kernels of {k.shape[-2]} x {k.shape[-1]}"
            )
        x = x[..., :rows, :columns]
        clean = physics(x.repeat(b, 1, 1, 1), many)
        sigma = state.believed().expand(b, 1, 1, 1)
        squares = contrast(state.completed).square()
        # a difference has twice the variance of its pixels; that of the mean of independent channels has less: this is cautious
        signal = (squares - 2 * sigma.square()).maximum(squares / 4).sqrt()
        ratio = (contrast(physics.complete(clean)) / signal.repeat_interleave(n, 0)).clamp(max=3)
        sigma = (ratio * sigma.repeat_interleave(n, 0)).clamp(max=1)
        grain = grain[:, : clean.shape[1], : clean.shape[2], : clean.shape[3]].repeat(b, 1, 1, 1)
        y = physics.observed((clean + sigma * grain).clamp(-1, 2))  # as far as a y may go
        return State(y, physics, None if state.sigma is None else sigma, None, many, k0=many)


@cache
def _drawn() -> tuple[Tensor, Tensor]:
    """The pictures that are simulated with, and noise for them."""
    generator = torch.Generator().manual_seed(5)
    grain = (PICTURES, 3, SIDE, SIDE)
    return dead_leaves(PICTURES, SIDE, generator=generator), torch.randn(
        grain, generator=generator, dtype=torch.float32, device="cpu"
    )


@dataclass(frozen=True)
class Look:
    """G and b - G k of the normal equations Σ |d - A_e k|² of edges d of y and e of x, in gray."""

    gram: Tensor  # (b pq pq)
    rest: Tensor  # (b pq 1)

    def energy(self) -> Tensor:
        """The mean diagonal of G, (b 1 1)."""
        return self.gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]

    def less(self, usual: "Look") -> "Look":
        """Without a share of the bias of simulated pictures, as many for each of these: in proportion to their energies."""
        rest, energy = (rearrange(t, "(b n) p q -> b n p q", b=len(self.rest)).sum(1) for t in (usual.rest, usual.energy()))
        return Look(self.gram, self.rest - SHARE * rest * (self.energy() / (energy + FLAT)))

    def variance(self, k: Tensor) -> Tensor:
        """c (b 1 1): the rests of pictures, as many for each of k (b 1 p q), vary by c G, both in units of the energy."""
        v, pairs = spread(k).to(self.gram), (self.rest, self.gram.diagonal(dim1=1, dim2=2)[..., None])
        rest, diagonal = (rearrange(t / (self.energy() + FLAT), "(b n) p q -> b n p q", b=len(k)) for t in pairs)
        return (rest.var(1) * v).sum(1, keepdim=True) / ((diagonal.mean(1) * v).sum(1, keepdim=True) + FLAT)

    def step(self, k: Tensor, gamma: Tensor, due: Tensor) -> Tensor:
        """√v (√v G √v + γ)⁻¹ √v (b - G k) as (b 1 p q), Σ v = ``due``, G in units of its energy; sum and centroid stay."""
        v, energy = spread(k).to(self.gram), self.energy() + FLAT
        move = anchored(self.gram / energy, self.rest / energy, (v * due).sqrt(), gamma)
        rows, columns = offsets((k.shape[-2], k.shape[-1]), move)
        fixed = torch.stack([t.expand(k.shape[-2:]).flatten() for t in (torch.ones_like(rows), rows, columns)])
        moved = v * fixed.mT
        return (move - moved @ torch.linalg.solve(fixed @ moved, fixed @ move)).reshape(k.shape)


def spread(k: Tensor) -> Tensor:
    """k^¾ (b pq 1), of sum 1: how far each tap may move, beside the others."""
    v = (k.flatten(1)[..., None].clamp_min(0) + FLOOR) ** POWER
    return v / v.sum(1, keepdim=True)


def contrast(y: Tensor) -> Tensor:
    """The root mean square of the edges of the mean of the channels, (b 1 1 1)."""
    return differences(y.mean(1, keepdim=True), 1).square().mean((1, 2, 3), keepdim=True).sqrt() + FLAT


def expected(k: Tensor) -> Tensor:
    """How wrong k (b 1 p q) is expected to be, (b 1 1 1): f² / (f + |k|² / 50), f = Σ (k - g)², g the Gaussian of its moments.

    Statistics of second order find a Gaussian well, and a path badly.

    Example:
        >>> from pnpsr.kernels import gaussian, line
        >>> from pnpsr.steps.debiased import expected
        >>> float(expected(gaussian(21, 2.0))) < 1e-6 < 1e-3 < float(expected(line(21, length=11)))
        True
    """
    wide = unit(k.to(precision.double(k)).clamp_min(0))
    rows, columns = offsets((k.shape[-2], k.shape[-1]), wide)
    middle = centroid(wide)[:, :, None, None, None]
    d = torch.stack([(n - m).expand(wide.shape) for n, m in zip((rows, columns), middle.unbind(1), strict=True)], -1)
    covariance = torch.einsum("bcpq,bcpqi,bcpqj->bij", wide, d, d) + 1e-3 * torch.eye(2, dtype=wide.dtype, device=k.device)
    g = torch.exp(-torch.einsum("bcpqi,bij,bcpqj->bcpq", d, torch.linalg.inv(covariance), d) / 2)
    f, energy = ((t).square().sum((1, 2, 3), keepdim=True) for t in (wide - unit(g), wide))
    return (f.square() / (f + LIKE * energy)).to(k)
