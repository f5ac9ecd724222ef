"""What :mod:`kernel_step` trains and scores: three kernel steps around a first kernel, and what they look at."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from pnpsr import Degradation, State
from pnpsr.fast import native_bfloat16
from pnpsr.nets import DPCG, EdgeNet
from pnpsr.nets.edges import Words, zeroed
from pnpsr.physics.gram import circular_gram
from pnpsr.physics.physics import Fit
from pnpsr.physics.solve import anchored
from pnpsr.prox import differences
from pnpsr.starts import Upsample
from pnpsr.steps.sharpened import within

SIZE = 21  # of all kernels


class Seen(NamedTuple):
    """What a network looks at, in units of the edges of y."""

    data: Tensor  # edges of y (b 2 h w)
    known: Tensor  # edges of A(k0) x (b 2 h w)
    edges: Tensor  # edges of x (b 2 sh sw)
    k0: Tensor  # (b 1 p p)
    noise: Tensor  # the noise level (b 1 1 1)
    shape: tuple[int, int] | None = None  # of y before it was continued beyond its border, where it has one


class Evidence(NamedTuple):
    """G and b - G k0 of the normal equations Σ |d - (e ⊗ k)↓s|²."""

    gram: Tensor  # (b pq pq)
    rest: Tensor  # (b pq 1)

    def unit(self) -> Tensor:
        """The mean diagonal of G, (b 1 1)."""
        return self.gram.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-3  # of a flat picture nothing

    def less(self, others: "Evidence", each: int) -> "Evidence":
        """Without the bias that ``others``, ``each`` to one of these, show: in proportion to their energies."""
        sums = (t.unflatten(0, (-1, each)).sum(1) for t in (others.rest, others.unit()))
        rest, unit = sums
        return Evidence(self.gram, self.rest - rest * (self.unit() / unit))

    def step(self, k0: Tensor, gamma: Tensor, power: Tensor, size: Tensor | float = 1.0, still: bool = False) -> Tensor:
        """(G + γ / v)⁻¹ (b - G k0) as (b 1 p q), v = k0^power in units of its mean or of ``size``, G in units of its diagonal.

        ``still``: neither the sum nor the centroid changes, for y does not tell a shift of k from one of x.
        """
        root = (k0.flatten(1)[..., None] + 1e-5) ** (power / 2)
        root = root * (size / root.square().mean(1, keepdim=True)).sqrt()
        move = anchored(self.gram / self.unit(), self.rest / self.unit(), root, gamma)
        if still:
            line = torch.arange(SIZE) - SIZE // 2.0
            moments = torch.stack([torch.ones(SIZE**2), line.repeat_interleave(SIZE), line.repeat(SIZE)])
            spread = root.square() * moments.T
            move = move - spread @ torch.linalg.solve(moments @ spread, moments @ move)
        return move.reshape(k0.shape)


def evidence(d: Tensor, e: Tensor, k0: Tensor, shape: tuple[int, int] | None = None) -> Evidence:
    """From edges d of y (b 2 h w) and e of x (b 2 sh sw), of which the inner ``shape`` alone was observed."""
    scale = e.shape[-1] // d.shape[-1]
    if shape is not None:
        gram, target = Degradation(scale).normal_equations(*within(d, e, shape, SIZE), (SIZE, SIZE), Fit(inside=True))
        return Evidence(gram, target - gram @ k0.flatten(1)[..., None])
    gram, target = circular_gram(d, e, (SIZE, SIZE), (scale, scale), (0, 0))
    return Evidence(gram, target - gram @ k0.flatten(1)[..., None])


@torch.no_grad()
def seen(y: Tensor, k0: Tensor, scale: int, given: Tensor | None = None) -> Seen:
    """x = argmin |y - (x ⊗ k0)↓s|² + α |x - bicubic|², α = 0.1 + 3 σ² as in the choice of the turn, and its edges; y (b 1 h w).

    ``given``: y before it was continued beyond its border.
    """
    state, physics, shown = State(y, scale), Degradation(scale), y if given is None else given
    sigma = State(shown, scale).believed().expand(len(y), 1, 1, 1)
    x = physics.prox_image(y, k0, Upsample("bicubic")(state), 0.1 + 3 * sigma.square())
    data, known, edges = differences(y, 1), differences(physics(x, k0), 1), differences(x, scale)
    unit = contrast(shown)
    return Seen(data / unit, known / unit, edges / unit, k0, sigma / unit, None if given is None else tuple(given.shape[-2:]))


def contrast(y: Tensor) -> Tensor:
    """The root mean square of the edges, (b 1 1 1)."""
    return differences(y, 1).square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3


def simulated(x: Tensor, y: Tensor, k0: Tensor, sigma: Tensor, scale: int, generator: torch.Generator | None = None) -> Tensor:
    """Pictures x (b c sh sw) under k0, with as much noise beside their contrast as y has."""
    blurred, squares = Degradation(scale)(x, k0), contrast(y).square()
    clean = (squares - 2 * sigma.square()).maximum(squares / 4).sqrt()  # a difference has twice the variance of its pixels
    return blurred + sigma * (contrast(blurred) / clean).clamp(max=3) * torch.randn(blurred.shape, generator=generator)


class Sharp(EdgeNet):
    """k1 = argmin_k |d - (e ⊗ k)↓s|² + γ Σ (k - k0)² / v on the support, as :class:`pnpsr.steps.Sharpened` takes it, in batches."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale, SIZE)

    def forward(self, seen: Seen, k0: Tensor, others: Seen | None = None) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """k1 (b 1 p q), and the edges e (b 2 sh sw); ``others`` are simulated pictures, as many for each of the batch."""
        d, e, gamma, power = self.said(seen)
        found = evidence(d, e, k0, seen.shape)
        if others is not None:
            each = len(others.data) // len(k0)
            found = found.less(evidence(*self.said(others)[:2], k0.repeat_interleave(each, 0)), each)
        return positive(k0 + found.step(k0, gamma, power)), e

    def said(self, seen: Seen) -> tuple[Tensor, ...]:
        """d, e, γ and the power of k0, convolutions in bfloat16 where the processor has it."""
        with halved():
            out = super().forward(*(t.contiguous(memory_format=torch.channels_last) for t in seen[:3]), seen.k0, seen.noise)
        return tuple(t.float() for t in out)


class Direct(nn.Module):
    """k1 = softmax(log k0 + E): DAN's dual-path estimator (Luo et al. 2021) on y, x and A(k0) x - y, told k0; E starts as 0."""

    def __init__(self, scale: int, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.words = Words(SIZE, width, 2)
        self.head_y = nn.Conv2d(4, width, 5, padding=2)
        self.head_x = nn.Conv2d(2 * scale**2, width, 5, padding=2)
        self.body = DPCG(width, blocks, basic=3, conditional=3)
        self.tail = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.mix = nn.Sequential(nn.Linear(4 * width + 64, 256), nn.ReLU(), zeroed(nn.Linear(256, SIZE**2)))

    def forward(self, seen: Seen, k0: Tensor, others: Seen | None = None) -> tuple[Tensor, None]:  # noqa: ARG002
        """k1 (b 1 p q)."""
        told, gains = self.words(seen.k0, seen.noise)
        with halved():
            y = torch.cat([seen.data, seen.data - seen.known], 1).contiguous(memory_format=torch.channels_last)
            x = pixel_unshuffle(seen.edges, self.scale).contiguous(memory_format=torch.channels_last)
            h, _ = self.body(self.head_y(y) * gains[0], self.head_x(x) * gains[1])
            pooled = self.tail(h).relu().float().mean((2, 3))
        logits = (k0.flatten(1) + 1e-8).log() + self.mix(torch.cat([pooled, told], 1))
        return logits.softmax(1).reshape(k0.shape), None


class Restored(nn.Module):
    """k1 = k0 + the step to which the edges of the restored x lead, less that to which pictures blurred with k0 do.

    Learned is only log Σ (k - k0)², the size of v, from k0; γ and the power of v were set by hand on the watched pictures.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.doubt = nn.Sequential(nn.Linear(SIZE**2, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 1))

    def size(self, k0: Tensor) -> Tensor:
        """Expected log Σ (k - k0)², (b)."""
        return -6 + self.doubt((k0.flatten(1) * SIZE**2).sqrt())[:, 0]

    @torch.no_grad()
    def forward(
        self,
        solver: Any,
        y: Tensor,
        k0: Tensor,
        pictures: Tensor,
        rounds: int = 2,
        gammas: tuple[float, float] = (5e-5, 1e-3),
        length: float = 2.0,
        most: float = 0.5,
    ) -> Tensor:
        """k (1 1 p q) of y (1 c h w) after ``rounds``, each of which restores y and ``pictures`` (n c sh sw) blurred with its k.

        γ is ``gammas[0]`` and, where there is noise, ``gammas[1]`` of its variance in units of the contrast. A step is taken
        ``length`` times, for a restorer that trusts its kernel hides a part of what is wrong; but Σ (k - k0)² is at most ``most``
        of what is expected. All four were set by hand on the watched pictures.
        """
        gray, sigma = y.mean(1, keepdim=True), State(y, self.scale).believed()
        gamma = gammas[0] + gammas[1] * (sigma / contrast(gray)).square()[:, 0]
        due, k = self.size(k0).exp()[:, None, None], k0
        for _ in range(rounds):
            found = unbiased(solver, self.scale, y, k, pictures, sigma)
            far = k - k0 + length * found.step(k, gamma, torch.tensor(0.75), due / SIZE**2, still=True)
            k = positive(k0 + far * (most * due / square(far)[:, None, None]).sqrt().clamp(max=1)[..., None])
        return k


def unbiased(solver: Any, scale: int, y: Tensor, k: Tensor, pictures: Tensor, sigma: Tensor) -> Evidence:
    """What the edges of the x that the solver restores say of k, less what those of ``pictures`` (n c sh sw) blurred with k do."""
    many = k.expand(len(pictures), -1, -1, -1).contiguous()
    others = simulated(pictures, y.mean(1, keepdim=True), many, sigma, scale, torch.Generator().manual_seed(0))
    found, usual = (
        evidence(differences(t.mean(1, keepdim=True), 1), restored_edges(solver, scale, t, h), h)
        for t, h in ((y, k), (others, many))
    )
    return found.less(usual, len(pictures))


def restored_edges(solver: Any, scale: int, y: Tensor, k: Tensor) -> Tensor:
    """Edges of the gray x that the solver restores, (b 2 sh sw)."""
    return differences(solver(y, scale, k=k).x.mean(1, keepdim=True), scale)


def positive(k: Tensor) -> Tensor:
    """k without negative entries, of sum 1."""
    k = k.clamp(min=0)
    return k / k.sum((-2, -1), keepdim=True)


def square(k: Tensor) -> Tensor:
    return k.square().sum((1, 2, 3))


def halved() -> torch.autocast:
    """Convolutions in bfloat16, where the processor has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16("cpu"))
