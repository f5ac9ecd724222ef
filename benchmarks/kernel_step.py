"""Kernel steps that begin as "keep the first kernel": trained for minutes of one core, then scored against it. Markdown.

    python benchmarks/kernel_step.py train --kind sharp --minutes 25 --data DATA --out runs/step
    python benchmarks/kernel_step.py train --kind direct --minutes 25 --data DATA --out runs/step
    python benchmarks/kernel_step.py train --kind restored --minutes 3 --data DATA --out runs/step
    python benchmarks/kernel_step.py score --names sharp direct restored --data DATA --out runs/step

``sharp`` predicts sharp edges of x, from which the kernel follows in closed form; ``direct`` corrects log k0 by a network. Both see
the edges of y, of the closed-form x under k0, and of what that leaves of y. ``restored`` takes the edges of the x that the preset
restores with k0, and learns only how wrong k0 may be. The first kernel is that of ``--preset``, frozen and not settled, and so
is the scale.

Any restorer is biased: what its x leaves of y correlates with x even if k0 is the true kernel. How much, other pictures tell that
are blurred with k0 and restored alike; ``restored``, and ``sharp --simulate``, subtract that.

Crops are periodic, as the pictures of the score are: the closed forms are then exact. With ``--margin`` every other batch has a
border. A run that was stopped goes on.
"""

import csv
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from first_kernel import HELD_OUT, MOTION, row, shown
from kernel_nets import SIZE, Direct, Restored, Seen, Sharp, contrast, seen, simulated, square
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from pnpsr import State, checks, load
from pnpsr.bordered import extended, margins
from pnpsr.conventions import PNPSR, convert_kernel
from pnpsr.data import Bank, BatchedStream, Folder, Sample, Setting, held_out, setting
from pnpsr.data.pictures import Subset
from pnpsr.debiased import settling, unsharpened
from pnpsr.evaluate import Protocol, Row, difference, kernel_mse, named_protocol, psnr, psnr_aligned, spread
from pnpsr.evaluate.cases import Failure, Synthetic
from pnpsr.fast import fast
from pnpsr.kernels import load_kernels, turned
from pnpsr.prox import differences
from pnpsr.steps import ChooseTurn
from pnpsr.steps.turn import before_turning
from pnpsr.train.average import Average
from pnpsr.weights import presets

Kind = Literal["sharp", "direct", "restored"]
PRESET = "ikrnet-x2"
SCORED = 10  # of the held-out pictures; the others watch the training
KERNELS = {"kernel_mse": False, "kernel_mse_aligned": True}
IMAGES = {"psnr": psnr, "psnr_aligned": psnr_aligned}
FLOOR = 2e-3  # Σ (k - k0)² below which a first kernel counts as good enough
OTHERS, SIDE = 8, 144  # pictures that are blurred with k0 when a step is used, and their side


KINDS: dict[Kind, Callable[[int], nn.Module]] = {"sharp": Sharp, "direct": Direct, "restored": Restored}


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
        e, old, true = (self.inner(t) for t in (e, self.seen.edges, self.edges))
        return (square(e - true) / (square(old - true) + 1)).mean()  # of a flat picture nothing is left

    def inner(self, edges: Tensor) -> Tensor:
        """Those of x that lie where y was given; where it has a border, without the row and column that meet it."""
        if self.seen.shape is None:
            return edges
        h, w = (edges.shape[-2] - self.edges.shape[-2]) // 2, (edges.shape[-1] - self.edges.shape[-1]) // 2
        s = self.edges.shape[-1] // self.seen.shape[-1]
        return edges[..., h : h + self.edges.shape[-2] - s, w : w + self.edges.shape[-1] - s]


@torch.no_grad()
def batch(sample: Sample, first: Any, judged: bool, simulate: bool, bordered: bool = False) -> Batch:
    """A sample with its first kernel, turned as the truth says, or, if it is turned at all, as in use (``judged``).

    ``bordered``: y has a border, beyond which it is continued as a photograph is.
    """
    scale, k = sample.scale, sample.known("k")
    given = sample.y if bordered else None
    y = sample.y if given is None else extended(given, margins(*given.shape[-2:], SIZE))
    state = State(y, scale, given=given)
    k0 = first(state) if judged else before_turning(first)(state)
    if not judged and isinstance(first, ChooseTurn):
        k0 = torch.where((square(turned(k0) - k) < square(k0 - k))[:, None, None, None], turned(k0), k0)
    edges = differences(sample.x, scale) / contrast(sample.y)
    others = simulated(sample.x.roll(1, 0), sample.y, k0, sample.known("sigma"), scale) if simulate else None
    return Batch(seen(y, k0, scale, given), k0, k, edges, None if others is None else seen(others, k0, scale))


@dataclass(frozen=True)
class Plan:
    """How a step learns.

    Args:
        minutes: of the processor's time, data and first kernels included.
        rate: of AdamW, after a warm-up of 200 steps; it falls as a cosine.
        size: windows per step.
        patch: their side.
        before: share of the time in which edges, where a step predicts them, are all that it learns.
        beside: weight of their error after that.
        margin: pixels around every other batch of windows that are blurred into them and cut off, as around a part of a
            photograph; 0: all windows are periodic.
    """

    minutes: float = 25
    rate: float = 1e-3
    size: int = 8
    patch: int = 192
    before: float = 0.2
    beside: float = 0.1
    margin: int = 0

    def speed(self, part: float, step: int) -> float:
        """The rate, where ``part`` of the time is over."""
        return self.rate * min(1, (step + 1) / 200) * (1 + math.cos(math.pi * part)) / 2

    def weights(self, part: float) -> tuple[float, float]:
        """Of the errors of k1 and of the edges."""
        return (0.0, 1.0) if part < self.before else (1.0, self.beside)


def train(
    *,
    data: Path,
    out: Path,
    kind: Kind,
    plan: Annotated[Plan, tyro.conf.arg(name="")] = Plan(),
    preset: str = PRESET,
    name: str = "",
    begin: str = "",
    simulate: bool = False,
) -> None:
    """Train one step; ``out/NAME.pt`` holds it, ``out/NAME.csv`` its course.

    Args:
        data: folder with ``train``.
        out: where weights and logs go.
        kind: which step.
        plan: how it learns.
        preset: whose first kernel it begins with.
        name: of the files, by default the kind.
        begin: another run, whose weights it starts from.
        simulate: subtract what another picture of the batch gives under k0.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    learning, rest = held_out(Folder(data / "train"), HELD_OUT)
    scale, first = scale_of(preset), settling(unsharpened(load(preset)), False).k0
    named = setting("ikrnet", scales=(scale,), clean=0.33)
    side = 256 - 256 % scale
    if simulate and plan.margin:
        raise ValueError("simulate is for periodic windows: leave out margin")
    few = Windows(Subset(rest, range(SCORED, HELD_OUT)), named, first, simulate, judged=True)
    watch = {"watched": list(islice(few.batches(8, side, 0), 6))}
    if plan.margin:
        watch["watched, a border"] = list(islice(few.batches(8, side - 2 * plan.margin, plan.margin), 6))
    net = KINDS[kind](scale).to(memory_format=torch.channels_last)
    if begin:
        net.load_state_dict(torch.load(out / f"{begin}.pt")["net"])
    optimiser = torch.optim.AdamW(net.parameters(), plan.rate, weight_decay=1e-4)
    run = Run(out / (name or kind), kind, net, Average(net, 0.998), optimiser)
    run.resume()
    around = (0, plan.margin) if plan.margin else (0,)
    run.go(Windows(learning, named, first, simulate).in_turn(plan.size, plan.patch, around, run.step), watch, plan)


@dataclass(frozen=True)
class Windows:
    """Batches of gray windows of pictures, with their first kernels."""

    pictures: Subset
    setting: Setting
    first: Any
    simulate: bool
    judged: bool = False

    def in_turn(self, size: int, side: int, margins: Sequence[int], start: int) -> Iterator[Batch]:
        """Batch n has margin n modulo their number, and is a function of n alone; from ``start`` on."""
        turns = len(margins)
        drawn = [self.batches(size, side, margin, -((i - start) // turns), seed=i) for i, margin in enumerate(margins)]
        return (next(drawn[n % turns]) for n in count(start))

    def batches(self, size: int, side: int, margin: int, start: int = 0, seed: int = 0) -> Iterator[Batch]:
        """``size`` windows each, with so much around them that only takes part in the blur; from step ``start`` on."""
        bank = Bank(self.pictures, side + 2 * margin, gray=True)
        stream = BatchedStream(bank, self.setting, batch=size, patch=side, margin=margin, seed=seed)
        return (batch(sample, self.first, self.judged, self.simulate, margin > 0) for sample in stream.samples(start))


def scale_of(preset: str) -> int:
    """The one factor that a preset is for."""
    checks.choice(preset, tuple(presets()), "preset")
    scales = presets()[preset].scales or ()
    if len(scales) != 1:
        raise ValueError(f"preset must be for one scale, got {preset}, which is for {scales or 'any'}")
    return scales[0]


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

    def go(self, batches: Iterator[Batch], watch: Mapping[str, Sequence[Batch]], plan: Plan) -> None:
        """To the end of the plan; watched and saved ten times."""
        if not self.step:
            self.note(watch, "kept, ")
        clock, due, lost = time.process_time() - self.spent, self.spent + 6 * plan.minutes, Ratio()
        while (part := self.spent / (60 * plan.minutes)) < 1:
            for group in self.optimiser.param_groups:
                group["lr"] = plan.speed(part, self.step)
            lost.add(*self.learn(next(batches), plan.weights(part)))
            self.spent = time.process_time() - clock
            if self.step % 100 == 0:
                print(f"{self.path.name} {self.step} {self.spent:.0f} s  training k1/k0 {lost}", flush=True)
                lost = Ratio()
            if self.spent >= due:
                due += 6 * plan.minutes
                self.note(watch)
                self.save()
        self.save()

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
    def note(self, watch: Mapping[str, Sequence[Batch]], before: str = "") -> None:
        """The errors on the watched windows, of the moving average."""
        for what, windows in watch.items():
            seen = Ratio()
            for one in windows:
                if isinstance(self.net, Restored):
                    seen.add(one, one.k0, (self.average.module.size(one.k0) - square(one.k - one.k0).log()).abs().mean())
                else:
                    k1, e = self.average.module(one.seen, one.k0, one.others)
                    seen.add(one, k1, one.share(e))
            with self.path.with_suffix(".csv").open("a", encoding="utf-8", newline="") as file:
                csv.writer(file).writerow(
                    [before + what, self.step, f"{self.spent:.0f}", *(f"{value:.4f}" for value in seen.values())]
                )
            print(f"{self.path.name} {before}{what} {self.step} {self.spent:.0f} s  k1/k0 {seen}", flush=True)


@dataclass(frozen=True)
class Step:
    """A trained step as it is used."""

    solver: Any
    net: nn.Module
    scale: int
    pictures: Tensor  # (n c s s), to simulate with
    simulate: bool

    def __call__(self, y: Tensor, k0: Tensor) -> Tensor:
        """k1 of y (1 c h w)."""
        if isinstance(self.net, Restored):
            return self.net(self.solver, y, k0, self.pictures)
        gray = y.mean(1, keepdim=True)
        if not self.simulate:
            return self.net(seen(gray, k0, self.scale), k0)[0]
        many = k0.expand(len(self.pictures), -1, -1, -1).contiguous()
        generator = torch.Generator().manual_seed(0)
        others = simulated(
            self.pictures.mean(1, keepdim=True), gray, many, State(gray, self.scale).believed(), self.scale, generator
        )
        return self.net(seen(gray, k0, self.scale), k0, seen(others, many, self.scale))[0]


def trained(file: Path, solver: Any, scale: int, pictures: Tensor, simulate: bool) -> Step:
    """The moving average of a run's weights."""
    kept = torch.load(file)
    net = KINDS[kept["kind"]](scale)
    net.load_state_dict({k.removeprefix("module."): v for k, v in kept["average"].items() if k.startswith("module.")})
    return Step(solver, net, scale, pictures, simulate)


def score(
    *,
    data: Path,
    out: Path,
    preset: str = PRESET,
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
        preset: whose first kernel they begin with.
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
    scale, solver = scale_of(preset), settling(unsharpened(load(preset)), False)
    quick = fast(solver)
    crops = few.crops(place, SIDE)
    steps = {name: trained(out / f"{name}.pt", quick, scale, crops, name in simulate) for name in names}
    print(f"torch {torch.__version__}; {pictures} held-out pictures × twelve kernels; 95 % intervals\n")
    print("| noise | kernels | what | k0 | " + " | ".join(f"{name} | {name} − k0" for name in names) + " |")
    print("|" + "---|" * (4 + 2 * len(names)))
    for sigma in sigmas:
        source = Synthetic(twelve(data, scale, sigma), Subset(rest, range(pictures)))
        rows = list(measured(solver.k0, quick, steps, source, images))
        for label, kernels in (("all", range(1, 13)), ("Gaussian", range(1, 9)), ("motion", MOTION)):
            for metric in (*KERNELS, *(IMAGES if images else ()), "seconds"):
                print(f"| {sigma:g} | {label} | {metric} | " + " | ".join(cells(rows, kernels, names, metric)) + " |", flush=True)


def twelve(data: Path, scale: int, sigma: float) -> Protocol:
    """The twelve kernels at a scale and a noise level."""
    return replace(named_protocol("ikrnet", load_kernels(data / "kernels" / "ikrnet12.npz")), conditions=((scale, sigma),))


@torch.no_grad()
def measured(first: Any, solver: Any, steps: dict[str, Step], source: Synthetic, images: bool) -> Iterator[Row]:
    """The errors row by row, and the images' PSNR if asked for."""
    protocol = source.protocol
    scale = int(protocol.conditions[0][0])
    for case in source.cases(set(source.keys())):
        if isinstance(case, Failure):
            raise ValueError(f"{case.key.image}: {case.reason}")
        truth = convert_kernel(case.kernel(), protocol.convention, PNPSR, scale, interior=True, interpolate=True)
        k0 = first(State(case.y, scale))
        for label, step in {"k0": None, **steps}.items():
            begun = time.process_time()
            k = k0 if step is None else step(case.y, k0)
            values = {"seconds": time.process_time() - begun}
            values |= {name: 1e5 * float(kernel_mse(k, truth, align=align)) for name, align in KERNELS.items()}
            if images:
                x = solver(case.y, scale, k=k).x.clamp(0, 1)
                values |= {name: float(measure(x, case.x, border=scale)) for name, measure in IMAGES.items()}
            print(*case.key, label, values, file=sys.stderr, flush=True)  # what was measured, should this be stopped
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
