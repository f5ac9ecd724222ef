"""Kernel steps that begin as "keep the first kernel": trained for minutes of one core, then scored against it. Markdown.

    python benchmarks/kernel_step.py train --kind sharp --minutes 25 --data DATA --out runs/step
    python benchmarks/kernel_step.py train --kind direct --minutes 25 --data DATA --out runs/step
    python benchmarks/kernel_step.py train --kind restored --minutes 3 --data DATA --out runs/step
    python benchmarks/kernel_step.py score --names sharp direct restored --data DATA --out runs/step

``sharp`` predicts sharp edges of x, from which the kernel follows in closed form; ``direct`` corrects log k0 by a network. Both see
the edges of y, of the closed-form x under k0, and of what that leaves of y. ``restored`` takes the edges of the x that the preset
restores with k0, and learns only how wrong k0 may be. The first kernel is that of ``ikrnet-x2``, frozen.

Any restorer is biased: what its x leaves of y correlates with x even if k0 is the true kernel. How much, other pictures tell that
are blurred with k0 and restored alike; ``restored``, and ``sharp --simulate``, subtract that.

Crops are periodic, as the pictures of the score are: the closed forms are then exact. A run that was stopped goes on.
"""

import csv
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import tyro
from first_kernel import HELD_OUT, MOTION, error, row, shown
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle, smooth_l1_loss

from pnpsr import Degradation, State, load
from pnpsr.conventions import PNPSR, convert_kernel
from pnpsr.data import Bank, BatchedStream, Folder, Sample, held_out, setting
from pnpsr.data.pictures import Subset
from pnpsr.evaluate import Row, difference, named_protocol, psnr, spread
from pnpsr.evaluate.cases import Failure, Synthetic
from pnpsr.kernels import load_kernels, turned
from pnpsr.nets import DPCG
from pnpsr.physics.gram import circular_gram
from pnpsr.physics.solve import solve
from pnpsr.prox import differences
from pnpsr.starts import Upsample
from pnpsr.train.average import Average

Kind = Literal["sharp", "direct", "restored"]
SCALE, SIZE, PRESET = 2, 21, "ikrnet-x2"
PHYSICS = Degradation(SCALE)
SCORED = 10  # of the held-out pictures; the others watch the training
FLOOR = 2e-3  # Σ (k - k0)² below which a first kernel counts as good enough
OTHERS, SIDE = 8, 144  # pictures that are blurred with k0 when a step is used, and their side


class Seen(NamedTuple):
    """What a network looks at, in units of the edges of y."""

    data: Tensor  # edges of y (b 2 h w)
    known: Tensor  # edges of A(k0) x (b 2 h w)
    edges: Tensor  # edges of x (b 2 sh sw)
    words: Tensor  # k0 and the noise level (b n)


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

    def step(self, k0: Tensor, gamma: Tensor, power: Tensor, size: Tensor | float = 1.0) -> Tensor:
        """(G + γ / v)⁻¹ (b - G k0) as (b 1 p q), v = k0^power in units of its mean or of ``size``, G in units of its diagonal."""
        root = (k0.flatten(1)[..., None] + 1e-5) ** (power / 2)
        root = root * (size / root.square().mean(1, keepdim=True)).sqrt()
        H = root * (self.gram / self.unit()) * root.mT + gamma * torch.eye(SIZE**2)
        return (root * solve(H, torch.linalg.cholesky(H.detach()), root * (self.rest / self.unit()))).reshape(k0.shape)


def evidence(d: Tensor, e: Tensor, k0: Tensor) -> Evidence:
    """From edges d of y (b 2 h w) and e of x (b 2 sh sw)."""
    gram, target = circular_gram(d, e, (SIZE, SIZE), (SCALE, SCALE), (0, 0))
    return Evidence(gram, target - gram @ k0.flatten(1)[..., None])


@torch.no_grad()
def seen(y: Tensor, k0: Tensor) -> Seen:
    """x = argmin |y - (x ⊗ k0)↓s|² + α |x - bicubic|², α = 0.1 + 3 σ² as in the choice of the turn, and its edges; y (b 1 h w)."""
    state = State(y, SCALE)
    sigma = state.believed().expand(len(y), 1, 1, 1)
    x = PHYSICS.prox_image(y, k0, Upsample("bicubic")(state), 0.1 + 3 * sigma.square())
    data, known, edges = differences(y, 1), differences(PHYSICS(x, k0), 1), differences(x, SCALE)
    unit = contrast(y)
    words = torch.cat([(k0.flatten(1) * SIZE**2).sqrt(), (sigma / unit + 1e-3).log().flatten(1)], 1)
    return Seen(data / unit, known / unit, edges / unit, words)


def contrast(y: Tensor) -> Tensor:
    """The root mean square of the edges, (b 1 1 1)."""
    return differences(y, 1).square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3


def simulated(x: Tensor, y: Tensor, k0: Tensor, sigma: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Pictures x (b c sh sw) under k0, with as much noise beside their contrast as y has."""
    blurred, squares = PHYSICS(x, k0), contrast(y).square()
    clean = (squares - 2 * sigma.square()).maximum(squares / 4).sqrt()  # a difference has twice the variance of its pixels
    return blurred + sigma * (contrast(blurred) / clean).clamp(max=3) * torch.randn(blurred.shape, generator=generator)


class Words(nn.Module):
    """What k0 and the noise say, and gains of features by it, which begin as 1."""

    def __init__(self, width: int, uses: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(SIZE**2 + 1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.gains = zeroed(nn.Linear(64, width * uses))
        self.uses = uses

    def forward(self, words: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """(b 64), and ``uses`` gains (b width 1 1)."""
        told = self.body(words)
        return told, (1 + self.gains(told))[..., None, None].chunk(self.uses, 1)


class Sharp(nn.Module):
    """k1 = argmin_k |d - (e ⊗ k)↓s|² + γ Σ (k - k0)² / v on the support, e and d by a network: Schuler et al. 2014, around k0.

    e starts as the edges of x and d as those of A(k0) x, whose minimiser is k0 whatever γ is. The network runs on polyphase
    components, and says by gains and additions what becomes of e, and how much of y - A(k0) x enters d. v is a power of k0, at
    first its root: where k0 is nothing, little is to be expected.
    """

    def __init__(self, width: int = 48, blocks: int = 2) -> None:
        super().__init__()
        folded = 2 * SCALE**2
        self.words = Words(width, 1 + blocks)
        self.head = nn.Conv2d(folded + 4, width, 5, padding=2)
        self.body = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in range(blocks)
        )
        self.tail = zeroed(nn.Conv2d(width, 2 * folded + 4, 3, padding=1))
        self.trust = zeroed(nn.Linear(64, 2))

    def forward(self, seen: Seen, k0: Tensor, others: Seen | None = None) -> tuple[Tensor, Tensor]:
        """k1 (b 1 p q), and the edges e (b 2 sh sw); ``others`` are simulated pictures, as many for each of the batch."""
        told, d, e = self.edges(seen)
        found = evidence(d, e, k0)
        if others is not None:
            each = len(others.data) // len(k0)
            found = found.less(evidence(*self.edges(others)[1:], k0.repeat_interleave(each, 0)), each)
        gamma, power = self.trust(told).clamp(-5, 5).exp()[..., None, None].unbind(1)
        return positive(k0 + found.step(k0, 10 * gamma, 0.5 * power)), e

    def edges(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """What k0 says (b 64), d and e."""
        folded, rest = pixel_unshuffle(seen.edges, SCALE), seen.data - seen.known
        told, gains = self.words(seen.words)
        with halved():
            h = self.head(torch.cat([folded, seen.data, rest], 1).contiguous(memory_format=torch.channels_last)).relu() * gains[0]
            for block, gain in zip(self.body, gains[1:], strict=True):
                h = (h + block(h) * gain).relu()
            says = self.tail(h).float()
        gain, more, part, beside = says.split([folded.shape[1], folded.shape[1], 2, 2], 1)
        return told, seen.known + part * rest + beside, pixel_shuffle(folded * (1 + gain) + more, SCALE)


class Direct(nn.Module):
    """k1 = softmax(log k0 + E): DAN's dual-path estimator (Luo et al. 2021) on y, x and A(k0) x - y, told k0; E starts as 0."""

    def __init__(self, width: int = 32, blocks: int = 3) -> None:
        super().__init__()
        self.words = Words(width, 2)
        self.head_y = nn.Conv2d(4, width, 5, padding=2)
        self.head_x = nn.Conv2d(2 * SCALE**2, width, 5, padding=2)
        self.body = DPCG(width, blocks, basic=3, conditional=3)
        self.tail = nn.Conv2d(width, 4 * width, 3, padding=1)
        self.mix = nn.Sequential(nn.Linear(4 * width + 64, 256), nn.ReLU(), zeroed(nn.Linear(256, SIZE**2)))

    def forward(self, seen: Seen, k0: Tensor, others: Seen | None = None) -> tuple[Tensor, None]:  # noqa: ARG002
        """k1 (b 1 p q)."""
        told, gains = self.words(seen.words)
        with halved():
            y = torch.cat([seen.data, seen.data - seen.known], 1).contiguous(memory_format=torch.channels_last)
            x = pixel_unshuffle(seen.edges, SCALE).contiguous(memory_format=torch.channels_last)
            h, _ = self.body(self.head_y(y) * gains[0], self.head_x(x) * gains[1])
            pooled = self.tail(h).relu().float().mean((2, 3))
        logits = (k0.flatten(1) + 1e-8).log() + self.mix(torch.cat([pooled, told], 1))
        return logits.softmax(1).reshape(k0.shape), None


class Restored(nn.Module):
    """k1 = k0 + the step to which the edges of the restored x lead, less that to which pictures blurred with k0 do.

    Learned is only log Σ (k - k0)², the size of v, from k0; γ and the power of v were set by hand on the watched pictures.
    """

    def __init__(self) -> None:
        super().__init__()
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
        gammas: tuple[float, float] = (5e-5, 3e-3),
        length: float = 1.5,
        most: float = 0.5,
    ) -> Tensor:
        """k (1 1 p q) of y (1 c h w) after ``rounds``, each of which restores y and ``pictures`` (n c sh sw) blurred with its k.

        γ is ``gammas[0]`` and, where there is noise, ``gammas[1]`` of its variance in units of the contrast. A step is taken
        ``length`` times, for a restorer that trusts its kernel hides a part of what is wrong; but Σ (k - k0)² grows by at most
        ``most`` of what is expected.
        """
        gray, sigma = y.mean(1, keepdim=True), State(y, SCALE).believed()
        gamma = gammas[0] + gammas[1] * (sigma / contrast(gray)).square()[:, 0]
        due, k = self.size(k0).exp()[:, None, None], k0
        for _ in range(rounds):
            many = k.expand(len(pictures), -1, -1, -1).contiguous()
            others = simulated(pictures, gray, many, sigma, torch.Generator().manual_seed(0))
            found, usual = (
                evidence(differences(t.mean(1, keepdim=True), 1), restored_edges(solver, t, h), h)
                for t, h in ((y, k), (others, many))
            )
            move = found.less(usual, len(pictures)).step(k, gamma, torch.tensor(0.75), due / SIZE**2)
            k = positive(k + move * (most * due / square(move)[:, None, None]).sqrt().clamp(max=length)[..., None])
        return k


def restored_edges(solver: Any, y: Tensor, k: Tensor) -> Tensor:
    """Edges of the gray x that the solver restores, (b 2 sh sw)."""
    with halved():
        return differences(solver(y, SCALE, k=k).x.mean(1, keepdim=True).float(), SCALE)


def positive(k: Tensor) -> Tensor:
    """k without negative entries, of sum 1."""
    k = k.clamp(min=0)
    return k / k.sum((-2, -1), keepdim=True)


def square(k: Tensor) -> Tensor:
    return k.square().sum((1, 2, 3))


def zeroed(layer: Any) -> Any:
    """A layer that begins by saying nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def halved() -> torch.autocast:
    """Convolutions in bfloat16, where the processor has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())


KINDS: dict[Kind, type[nn.Module]] = {"sharp": Sharp, "direct": Direct, "restored": Restored}


@dataclass(frozen=True)
class Batch:
    """Windows with their first kernels."""

    seen: Seen
    k0: Tensor
    k: Tensor
    edges: Tensor  # of the true x, in the same units
    others: Seen | None

    def share(self, e: Tensor | None) -> Tensor:
        """The squared error of edges e, over that of the edges of x."""
        if e is None:
            return torch.ones(())
        return (square(e - self.edges) / square(self.seen.edges - self.edges)).mean()


@torch.no_grad()
def batch(sample: Sample, first: Any, judged: bool, simulate: bool) -> Batch:
    """A sample with its first kernel, turned as the truth says, or as :class:`pnpsr.steps.ChooseTurn` does (``judged``)."""
    state, k = State(sample.y, SCALE), sample.known("k")
    k0 = first(state) if judged else first.start(state)
    if not judged:
        k0 = torch.where((square(turned(k0) - k) < square(k0 - k))[:, None, None, None], turned(k0), k0)
    edges = differences(sample.x, SCALE) / contrast(sample.y)
    others = simulated(sample.x.roll(1, 0), sample.y, k0, sample.known("sigma")) if simulate else None
    return Batch(seen(sample.y, k0), k0, k, edges, None if others is None else seen(others, k0))


def train(
    *,
    data: Path,
    out: Path,
    kind: Kind,
    minutes: float = 25,
    name: str = "",
    begin: str = "",
    simulate: bool = False,
    rate: float = 1e-3,
    size: int = 8,
    patch: int = 192,
    before: float = 0.2,
    beside: float = 0.1,
) -> None:
    """Train one step; ``out/NAME.pt`` holds it, ``out/NAME.csv`` its course.

    Args:
        data: folder with ``train``.
        out: where weights and logs go.
        kind: which step.
        minutes: of the processor's time, data and first kernels included.
        name: of the files, by default the kind.
        begin: another run, whose weights it starts from.
        simulate: subtract what another picture of the batch gives under k0.
        rate: of AdamW, after a warm-up of 200 steps; it falls as a cosine.
        size: windows per step.
        patch: their side.
        before: share of the time in which edges, where a step predicts them, are all that it learns.
        beside: weight of their error after that.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    learning, rest = held_out(Folder(data / "train"), HELD_OUT)
    named, first = setting("ikrnet", scales=(SCALE,), clean=0.33), load(PRESET).k0
    watched = BatchedStream(Bank(Subset(rest, range(SCORED, HELD_OUT)), 256, gray=True), named, batch=8, patch=256)
    watch = [batch(sample, first, True, simulate) for sample, _ in zip(watched.samples(), range(10), strict=False)]
    stream = BatchedStream(Bank(learning, patch, gray=True), named, batch=size, patch=patch)
    net = KINDS[kind]().to(memory_format=torch.channels_last)
    if begin:
        net.load_state_dict(torch.load(out / f"{begin}.pt")["net"])
    run = Run(out / (name or kind), kind, net, Average(net, 0.998), torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-4))
    run.resume()
    if not run.step:
        run.note("kept", watch)
    clock, due, lost = time.process_time() - run.spent, run.spent + 6 * minutes, Ratio()
    for sample in stream.samples(run.step):
        run.spent = time.process_time() - clock
        part = run.spent / (60 * minutes)
        if part >= 1:
            break
        for group in run.optimiser.param_groups:
            group["lr"] = rate * min(1, (run.step + 1) / 200) * (1 + math.cos(math.pi * part)) / 2
        lost.add(*run.learn(batch(sample, first, False, simulate), (0.0, 1.0) if part < before else (1.0, beside)))
        if run.step % 100 == 0:
            print(f"{run.path.name} {run.step} {run.spent:.0f} s  training k1/k0 {lost}", flush=True)
            lost = Ratio()
        if run.spent >= due:
            due += 6 * minutes
            run.note("watched", watch)
            run.save()
    run.note("last", watch)
    run.save()


class Ratio:
    """Squared errors of k0 and k1: of all kernels, and, each over what is usual for it, of those on few pixels, as motion's are."""

    def __init__(self) -> None:
        self.errors, self.edges = list[Tensor](), list[float]()

    def add(self, one: Batch, k1: Tensor, share: Tensor) -> None:
        motion = (one.k > 1e-4).sum((1, 2, 3)) < 100
        self.errors.append(torch.stack([square(one.k0 - one.k), square(k1 - one.k), motion.float()]))
        self.edges.append(float(share))

    def values(self) -> tuple[float, ...]:
        """k1 over k0: sums; weighted sums; those of motion; then the edges' share."""
        old, new, motion = torch.cat(self.errors, 1)
        weights = 1 / (old + FLOOR)
        sums = [float((w * new).sum() / (w * old).sum()) for w in (torch.ones_like(old), weights, weights * motion)]
        return (*sums, sum(self.edges) / len(self.edges))

    def __str__(self) -> str:
        return "{:.3f}, weighted {:.3f}, motion {:.3f}, edges {:.3f}".format(*self.values())


@dataclass
class Run:
    """A training and its files."""

    path: Path
    kind: Kind
    net: nn.Module
    average: Average[nn.Module]
    optimiser: torch.optim.Optimizer
    step: int = 0
    spent: float = 0.0

    def learn(self, one: Batch, weights: tuple[float, float]) -> tuple[Batch, Tensor, Tensor]:
        """One step on the squared errors of k1 and of the edges, each over what it was before."""
        if isinstance(self.net, Restored):
            k1, share = one.k0, torch.ones(())
            loss = smooth_l1_loss(self.net.size(one.k0), (square(one.k - one.k0) + 1e-6).log())
        else:
            k1, e = self.net(one.seen, one.k0, one.others)
            share = one.share(e)
            loss = (square(k1 - one.k) / (square(one.k0 - one.k) + FLOOR)).mean()
            loss = loss if e is None else weights[0] * loss + weights[1] * share
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.net)
        self.step += 1
        return one, k1.detach(), share.detach()

    def resume(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if (file := self.path.with_suffix(".pt")).is_file():
            kept = torch.load(file)
            for name in ("net", "average", "optimiser"):
                getattr(self, name).load_state_dict(kept[name])
            self.step, self.spent = kept["step"], kept["spent"]

    def save(self) -> None:
        states = {name: getattr(self, name).state_dict() for name in ("net", "average", "optimiser")}
        torch.save({**states, "step": self.step, "spent": self.spent, "kind": self.kind}, self.path.with_suffix(".tmp"))
        self.path.with_suffix(".tmp").replace(self.path.with_suffix(".pt"))

    @torch.no_grad()
    def note(self, what: str, watch: Sequence[Batch]) -> None:
        """The errors on the watched windows, of the moving average."""
        seen = Ratio()
        for one in watch:
            if isinstance(self.net, Restored):
                seen.add(one, one.k0, (self.average.module.size(one.k0) - square(one.k - one.k0).log()).abs().mean())
            else:
                k1, e = self.average.module(one.seen, one.k0, one.others)
                seen.add(one, k1, one.share(e))
        with self.path.with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow([what, self.step, f"{self.spent:.0f}", *(f"{value:.4f}" for value in seen.values())])
        print(f"{self.path.name} {what} {self.step} {self.spent:.0f} s  k1/k0 {seen}", flush=True)


@dataclass(frozen=True)
class Step:
    """A trained step as it is used."""

    solver: Any
    net: nn.Module
    pictures: Tensor  # (n c s s), to simulate with
    simulate: bool

    def __call__(self, y: Tensor, k0: Tensor) -> Tensor:
        """k1 of y (1 c h w)."""
        if isinstance(self.net, Restored):
            return self.net(self.solver, y, k0, self.pictures)
        gray = y.mean(1, keepdim=True)
        if not self.simulate:
            return self.net(seen(gray, k0), k0)[0]
        many = k0.expand(len(self.pictures), -1, -1, -1).contiguous()
        generator = torch.Generator().manual_seed(0)
        others = simulated(self.pictures.mean(1, keepdim=True), gray, many, State(gray, SCALE).believed(), generator)
        return self.net(seen(gray, k0), k0, seen(others, many))[0]


def trained(file: Path, solver: Any, pictures: Tensor, simulate: bool) -> Step:
    """The moving average of a run's weights."""
    kept = torch.load(file)
    net = KINDS[kept["kind"]]()
    net.load_state_dict({k.removeprefix("module."): v for k, v in kept["average"].items() if k.startswith("module.")})
    return Step(solver, net, pictures, simulate)


def score(
    *,
    data: Path,
    out: Path,
    names: tuple[str, ...] = ("sharp", "direct", "restored"),
    simulate: tuple[str, ...] = (),
    pictures: int = SCORED,
    sigmas: tuple[float, ...] = (0.0, 0.02),
    images: bool = False,
) -> None:
    """Errors of k0 and of every step's k1, and the differences, and the seconds that a step takes.

    Args:
        data: folder with ``train`` and ``kernels/ikrnet12.npz``.
        out: where the weights are.
        names: of the runs.
        simulate: those of them that were trained with ``--simulate``.
        pictures: so many of those held out.
        sigmas: noise levels.
        images: restore with either kernel, and compare PSNR too.
    """
    torch.set_num_threads(1)
    learning, rest = held_out(Folder(data / "train"), HELD_OUT)
    few = Bank(Subset(learning, range(3, len(learning.names), len(learning.names) // OTHERS)), SIDE)
    place = torch.rand(OTHERS, 4, generator=torch.Generator().manual_seed(1))
    place[:, 0] = (torch.arange(OTHERS) + 0.5) / len(few)  # one of each
    solver = load(PRESET)
    steps = {name: trained(out / f"{name}.pt", solver, few.crops(place, SIDE), name in simulate) for name in names}
    print(f"torch {torch.__version__}; {pictures} held-out pictures × twelve kernels; 95 % intervals\n")
    print("| noise | kernels | what | k0 | " + " | ".join(f"{name} | {name} − k0" for name in names) + " |")
    print("|" + "---|" * (4 + 2 * len(names)))
    for sigma in sigmas:
        rows = list(measured(solver, steps, sigma, Subset(rest, range(pictures)), data, images))
        for label, kernels in (("all", range(1, 13)), ("Gaussian", range(1, 9)), ("motion", MOTION)):
            for metric in ("kernel_mse", "psnr", "seconds") if images else ("kernel_mse", "seconds"):
                print(f"| {sigma:g} | {label} | {metric} | " + " | ".join(cells(rows, kernels, names, metric)) + " |", flush=True)


@torch.no_grad()
def measured(solver: Any, steps: dict[str, Step], sigma: float, pictures: Subset, data: Path, images: bool) -> Iterator[Row]:
    """The errors row by row, and the images' PSNR if asked for."""
    protocol = replace(named_protocol("ikrnet", load_kernels(data / "kernels" / "ikrnet12.npz")), conditions=((SCALE, sigma),))
    source = Synthetic(protocol, pictures)
    for case in source.cases(set(source.keys())):
        if isinstance(case, Failure):
            raise ValueError(f"{case.key.image}: {case.reason}")
        truth = convert_kernel(case.kernel(), protocol.convention, PNPSR, SCALE, interior=True, interpolate=True)
        k0 = solver.k0(State(case.y, SCALE))
        for label, step in {"k0": None, **steps}.items():
            begun = time.process_time()
            k = k0 if step is None else step(case.y, k0)
            values = {"kernel_mse": error(k, truth), "seconds": time.process_time() - begun}
            if images:
                values["psnr"] = float(psnr(solver(case.y, SCALE, k=k).x.clamp(0, 1), case.x, border=SCALE))
            yield replace(row(label, str(protocol), case, 0.0), values=values)


def cells(rows: Sequence[Row], kernels: range, names: Sequence[str], metric: str) -> list[str]:
    """Means and differences, with their intervals; a difference that is within its spread in brackets."""
    by = {label: [r for r in rows if r.method == label and r.key.kernel in kernels] for label in ("k0", *names)}
    texts = [shown(spread(by["k0"], metric))]
    for name in names:
        gap = difference(by[name], by["k0"], metric)
        texts += [shown(spread(by[name], metric)), shown(gap, "+") if gap.apart else f"({shown(gap, '+')})"]
    return texts


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"train": train, "score": score})
