"""Kernel steps that begin as "keep the first kernel": trained for minutes of one core, then scored against it. Markdown.

    python benchmarks/kernel_step.py train --kind sharp --minutes 25 --data DATA --out runs/step
    python benchmarks/kernel_step.py train --kind direct --minutes 25 --data DATA --out runs/step
    python benchmarks/kernel_step.py score --kinds sharp direct --data DATA --out runs/step

``sharp`` predicts sharp edges of x, from which the kernel follows in closed form; ``direct`` corrects log k0 by a network. Both see
the edges of y, of the closed-form x under k0, and of what that leaves of y. The first kernel is that of ``ikrnet-x2``, frozen.
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
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from pnpsr import Degradation, State, load
from pnpsr.conventions import PNPSR, convert_kernel
from pnpsr.data import Bank, BatchedStream, Folder, held_out, setting
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

Kind = Literal["sharp", "direct", "joined"]
SCALE, SIZE, PRESET = 2, 21, "ikrnet-x2"
PHYSICS = Degradation(SCALE)
SCORED = 10  # of the held-out pictures; the others watch the training
FLOOR = 2e-3  # Σ (k0 - k)² below which a first kernel counts as good enough


class Seen(NamedTuple):
    """What a step looks at, in units of the edges of y."""

    data: Tensor  # edges of y (b 2 h w)
    known: Tensor  # edges of A(k0) x (b 2 h w)
    edges: Tensor  # edges of x (b 2 sh sw)
    words: Tensor  # k0 and the noise level (b n)


@torch.no_grad()
def seen(y: Tensor, k0: Tensor) -> Seen:
    """x = argmin |y - (x ⊗ k0)↓s|² + α |x - bicubic|², α = 0.1 + 3 σ² as in the choice of the turn, and its edges; y (b 1 h w)."""
    state = State(y, SCALE)
    sigma = state.believed().expand(len(y), 1, 1, 1)
    x = PHYSICS.prox_image(y, k0, Upsample("bicubic")(state), 0.1 + 3 * sigma.square())
    data, known, edges = differences(y, 1), differences(PHYSICS(x, k0), 1), differences(x, SCALE)
    unit = data.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3
    words = torch.cat([(k0.flatten(1) * k0[0].numel()).sqrt(), (sigma / unit + 1e-3).log().flatten(1)], 1)
    return Seen(data / unit, known / unit, edges / unit, words)


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

    def forward(self, seen: Seen, k0: Tensor) -> tuple[Tensor, Tensor]:
        """k1 (b 1 p q), and the edges e (b 2 sh sw)."""
        folded, rest = pixel_unshuffle(seen.edges, SCALE), seen.data - seen.known
        told, gains = self.words(seen.words)
        with halved():
            h = self.head(torch.cat([folded, seen.data, rest], 1).contiguous(memory_format=torch.channels_last)).relu() * gains[0]
            for block, gain in zip(self.body, gains[1:], strict=True):
                h = (h + block(h) * gain).relu()
            says = self.tail(h).float()
        gain, more, part, beside = says.split([folded.shape[1], folded.shape[1], 2, 2], 1)
        e = pixel_shuffle(folded * (1 + gain) + more, SCALE)
        d = seen.known + part * rest + beside
        gamma, power = self.trust(told).clamp(-5, 5)[..., None].unbind(1)
        k = around(d, e, k0, 10 * gamma.exp(), 0.5 * power.exp()).clamp(min=0)
        return k / k.sum((-2, -1), keepdim=True), e


def around(d: Tensor, e: Tensor, k0: Tensor, gamma: Tensor, power: Tensor) -> Tensor:
    """The minimiser of :class:`Sharp`, v = k0^power; γ (b 1) of the mean diagonal of the normal matrix in coordinates k / √v."""
    gram, target = circular_gram(d, e, (SIZE, SIZE), (SCALE, SCALE), (0, 0))
    start = k0.flatten(1)[..., None]
    spread = (start + 1e-5) ** (power[..., None] / 2)
    H = spread * gram * spread.mT
    unit = H.diagonal(dim1=1, dim2=2).mean(1, keepdim=True) + 1e-3  # of a flat picture nothing
    H = H + (gamma * unit)[..., None] * torch.eye(SIZE**2)
    move = solve(H, torch.linalg.cholesky(H.detach()), spread * (target - gram @ start))
    return (start + spread * move).reshape(k0.shape)


class Joined(nn.Module):
    """k1 = softmax(log k + E): :class:`Sharp`'s k, corrected by layers that see k0, k and what they differ by; E starts as 0."""

    def __init__(self) -> None:
        super().__init__()
        self.sharp = Sharp()
        self.mix = nn.Sequential(nn.Linear(3 * SIZE**2 + 1, 384), nn.ReLU(), nn.Linear(384, 384), nn.ReLU())
        self.last = zeroed(nn.Linear(384, SIZE**2))

    def forward(self, seen: Seen, k0: Tensor) -> tuple[Tensor, Tensor]:
        """k1 (b 1 p q), and the edges (b 2 sh sw)."""
        k, e = self.sharp(seen, k0)
        k, start = k.flatten(1), k0.flatten(1)
        told = torch.cat([seen.words, (k * SIZE**2 + 1e-3).sqrt(), (k - start) * SIZE**2], 1)
        return ((k + 1e-8).log() + self.last(self.mix(told))).softmax(1).reshape(k0.shape), e


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

    def forward(self, seen: Seen, k0: Tensor) -> tuple[Tensor, None]:
        """k1 (b 1 p q)."""
        told, gains = self.words(seen.words)
        with halved():
            y = torch.cat([seen.data, seen.data - seen.known], 1).contiguous(memory_format=torch.channels_last)
            x = pixel_unshuffle(seen.edges, SCALE).contiguous(memory_format=torch.channels_last)
            h, _ = self.body(self.head_y(y) * gains[0], self.head_x(x) * gains[1])
            pooled = self.tail(h).relu().float().mean((2, 3))
        logits = (k0.flatten(1) + 1e-8).log() + self.mix(torch.cat([pooled, told], 1))
        return logits.softmax(1).reshape(k0.shape), None


KINDS: dict[Kind, type[nn.Module]] = {"sharp": Sharp, "direct": Direct, "joined": Joined}


def zeroed(layer: Any) -> Any:
    """A layer that begins by saying nothing."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def halved() -> torch.autocast:
    """Convolutions in bfloat16, where the processor has it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_avx512_bf16_supported())


@dataclass(frozen=True)
class Batch:
    """Windows with their first kernels."""

    seen: Seen
    k0: Tensor
    k: Tensor
    edges: Tensor  # of the true x, in the same units


def batch(sample: Any, first: Any, judged: bool) -> Batch:
    """A sample with its first kernel, turned as the truth says, or as :class:`pnpsr.steps.ChooseTurn` does (``judged``)."""
    with torch.no_grad():
        if judged:
            k0 = first(State(sample.y, SCALE))
        else:
            k0 = first.start(State(sample.y, SCALE))
            k0 = torch.where((square(turned(k0) - sample.k) < square(k0 - sample.k))[:, None, None, None], turned(k0), k0)
    what, data = seen(sample.y, k0), differences(sample.y, 1)
    unit = data.square().mean((1, 2, 3), keepdim=True).sqrt() + 1e-3
    return Batch(what, k0, sample.k, differences(sample.x, SCALE) / unit)


def square(k: Tensor) -> Tensor:
    return k.square().sum((1, 2, 3))


def train(
    *,
    data: Path,
    out: Path,
    kind: Kind,
    minutes: float = 25,
    name: str = "",
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
    watched = Bank(Subset(rest, range(SCORED, HELD_OUT)), 256, gray=True)
    watch = [batch(s, first, True) for s, _ in zip(BatchedStream(watched, named, batch=8, patch=256).samples(), range(8))]  # noqa: B905
    stream = BatchedStream(Bank(learning, patch, gray=True), named, batch=size, patch=patch)
    net = KINDS[kind]().to(memory_format=torch.channels_last)
    run = Run(out / (name or kind), net, Average(net, 0.998), torch.optim.AdamW(net.parameters(), rate, weight_decay=1e-4))
    run.resume()
    if not run.step:
        run.note("kept", watch)
    begun, due = time.process_time() - run.spent, run.spent + 60 * minutes / 10
    lost = Ratio()
    for sample in stream.samples(run.step):
        run.spent = time.process_time() - begun
        part = run.spent / (60 * minutes)
        if part >= 1:
            break
        for group in run.optimiser.param_groups:
            group["lr"] = rate * min(1, (run.step + 1) / 200) * (1 + math.cos(math.pi * part)) / 2
        one = batch(sample, first, False)
        lost.add(one, *learn(net, one, run.optimiser, (0.0, 1.0) if part < before and kind != "direct" else (1.0, beside)))
        run.average.update(net)
        run.step += 1
        if run.step % 100 == 0:
            print(f"{run.path.name} {run.step} {run.spent:.0f} s  training k1/k0 {lost}", flush=True)
            lost = Ratio()
        if run.spent >= due:
            due += 60 * minutes / 10
            run.note("watched", watch)
            run.save()
    run.note("last", watch)
    run.save()


def learn(net: nn.Module, one: Batch, optimiser: torch.optim.Optimizer, weights: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """One step on the squared errors of k1 and of the edges, each over what it was before; returns k1 and the edges' share."""
    k1, e = net(one.seen, one.k0)
    losses = [(square(k1 - one.k) / (square(one.k0 - one.k) + FLOOR)).mean(), torch.ones(())]
    if e is not None:
        losses[1] = (square(e - one.edges) / square(one.seen.edges - one.edges)).mean()
    optimiser.zero_grad()
    sum(weight * loss for weight, loss in zip(weights, losses, strict=True) if weight and loss.requires_grad).backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()
    return k1.detach(), losses[1].detach()


class Ratio:
    """Sums of squared errors of k0 and k1, of all kernels and of those on few pixels, as motion's are; and of edges."""

    def __init__(self) -> None:
        self.sums, self.counts, self.edges = torch.zeros(2, 2), torch.zeros(2), list[float]()

    def add(self, one: Batch, k1: Tensor, edges: Tensor) -> None:
        errors = torch.stack([square(k - one.k) for k in (one.k0, k1)])
        motion = (one.k > 1e-4).sum((1, 2, 3)) < 100
        self.sums += torch.stack([errors.sum(1), errors[:, motion].sum(1)])
        self.counts += torch.tensor([len(motion), int(motion.sum())])
        self.edges.append(float(edges))

    def values(self) -> list[float]:
        """Errors × 1e5 of k0 and k1: all, then motion; then the edges' share."""
        errors = 1e5 * self.sums / SIZE**2 / self.counts.clamp(min=1)[:, None]
        return [*errors.flatten().tolist(), sum(self.edges) / len(self.edges)]

    def __str__(self) -> str:
        before, after, old, new, edges = self.values()
        return f"{after / before:.3f}, motion {new / max(old, 1e-9):.3f}, edges {edges:.3f}"


@dataclass
class Run:
    """A training and its files."""

    path: Path
    net: nn.Module
    average: Average[nn.Module]
    optimiser: torch.optim.Optimizer
    step: int = 0
    spent: float = 0.0

    def resume(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if (file := self.path.with_suffix(".pt")).is_file():
            kept = torch.load(file)
            for name in ("net", "average", "optimiser"):
                getattr(self, name).load_state_dict(kept[name])
            self.step, self.spent = kept["step"], kept["spent"]

    def save(self) -> None:
        states = {name: getattr(self, name).state_dict() for name in ("net", "average", "optimiser")}
        torch.save({**states, "step": self.step, "spent": self.spent}, self.path.with_suffix(".tmp"))
        self.path.with_suffix(".tmp").replace(self.path.with_suffix(".pt"))

    @torch.no_grad()
    def note(self, what: str, watch: Sequence[Batch]) -> None:
        """The errors on the watched windows, of the moving average."""
        seen = Ratio()
        for one in watch:
            k1, e = self.average.module(one.seen, one.k0)
            share = torch.ones(()) if e is None else (square(e - one.edges) / square(one.seen.edges - one.edges)).mean()
            seen.add(one, k1, share)
        with self.path.with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow([what, self.step, f"{self.spent:.0f}", *(f"{value:.4f}" for value in seen.values())])
        print(f"{self.path.name} {what} {self.step} {self.spent:.0f} s  k1/k0 {seen}", flush=True)


def score(
    *,
    data: Path,
    out: Path,
    kinds: tuple[Kind, ...] = ("sharp", "direct"),
    pictures: int = SCORED,
    sigmas: tuple[float, ...] = (0.0, 0.02),
    images: bool = False,
) -> None:
    """Errors of k0 and of every step's k1, and the differences.

    Args:
        data: folder with ``train`` and ``kernels/ikrnet12.npz``.
        out: where the weights are.
        kinds: which steps.
        pictures: so many of those held out.
        sigmas: noise levels.
        images: restore with either kernel, and compare PSNR too.
    """
    torch.set_num_threads(1)
    steps = {kind: KINDS[kind]() for kind in kinds}
    for kind, net in steps.items():
        kept = torch.load(out / f"{kind}.pt")["average"]
        net.load_state_dict({key.removeprefix("module."): v for key, v in kept.items() if key.startswith("module.")})
    _, rest = held_out(Folder(data / "train"), HELD_OUT)
    solver, some = load(PRESET), Subset(rest, range(pictures))
    print(f"torch {torch.__version__}; {pictures} held-out pictures × twelve kernels; 95 % intervals\n")
    print("| noise | kernels | what | k0 | " + " | ".join(f"{kind} | {kind} − k0" for kind in kinds) + " |")
    print("|" + "---|" * (4 + 2 * len(kinds)))
    for sigma in sigmas:
        rows = list(measured(solver, steps, sigma, some, data, images))
        for label, kernels in (("all", range(1, 13)), ("Gaussian", range(1, 9)), ("motion", MOTION)):
            for metric in ("kernel_mse", "psnr") if images else ("kernel_mse",):
                print(f"| {sigma:g} | {label} | {metric} | " + " | ".join(cells(rows, kernels, kinds, metric)) + " |", flush=True)


@torch.no_grad()
def measured(solver: Any, steps: dict[Kind, nn.Module], sigma: float, pictures: Subset, data: Path, images: bool) -> Iterator[Row]:
    """The errors row by row, and the images' PSNR if asked for."""
    protocol = replace(named_protocol("ikrnet", load_kernels(data / "kernels" / "ikrnet12.npz")), conditions=((SCALE, sigma),))
    source = Synthetic(protocol, pictures)
    for case in source.cases(set(source.keys())):
        if isinstance(case, Failure):
            raise ValueError(f"{case.key.image}: {case.reason}")
        truth = convert_kernel(case.kernel(), protocol.convention, PNPSR, SCALE, interior=True, interpolate=True)
        k0 = solver.k0(State(case.y, SCALE))
        what = seen(case.y.mean(1, keepdim=True), k0)
        for label, k in {"k0": k0, **{kind: net(what, k0)[0] for kind, net in steps.items()}}.items():
            values = {"kernel_mse": error(k, truth)}
            if images:
                values["psnr"] = float(psnr(solver(case.y, SCALE, k=k).x.clamp(0, 1), case.x, border=SCALE))
            yield replace(row(label, str(protocol), case, 0.0), values=values)


def cells(rows: Sequence[Row], kernels: range, kinds: Sequence[Kind], metric: str) -> list[str]:
    """Means and differences, with their intervals; a difference that is within its spread in brackets."""
    by = {label: [r for r in rows if r.method == label and r.key.kernel in kernels] for label in ("k0", *kinds)}
    texts = [shown(spread(by["k0"], metric))]
    for kind in kinds:
        gap = difference(by[kind], by["k0"], metric)
        texts += [shown(spread(by[kind], metric)), shown(gap, "+") if gap.apart else f"({shown(gap, '+')})"]
    return texts


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"train": train, "score": score})
