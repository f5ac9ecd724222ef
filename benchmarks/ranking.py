"""The exponents of pnpsr.photo.ranking: what speaks for every guess at the blur of known crops, and who chooses best.

    python benchmarks/ranking.py measure --scale 1 --data DATA --out runs/ranking
    python benchmarks/ranking.py fit --scale 1 --out runs/ranking

``measure`` blurs crops of training pictures as photographs are (motion, lines, Gaussians, lenses out of focus, nothing; white noise
in 8 bits, JPEG, a camera), lets every method guess, restores with every guess, and writes one line of JSON per crop: the facts and
the PSNR, at the best shift of up to 3 pixels. A crop that is there already is not measured again. ``judge`` are the image steps
whose restored pictures are looked at. ``fit`` looks for the exponents that gain most over leaving pictures alone, and says what
they gain on crops that they were not found on.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from found import crop, psnr, quick, seed
from torch import Tensor

from pnpsr.data import Camera, Folder
from pnpsr.data.jpeg import jpeg
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, disk, gaussian, line, random_motion
from pnpsr.photo.blocks import compression, softness
from pnpsr.photo.explain import explained_by
from pnpsr.photo.facts import NONE, SHARP, Fact, Tried, facts
from pnpsr.photo.find import find
from pnpsr.photo.finish import JUDGING, RESTORING, trained_for, with_kernel_given
from pnpsr.photo.ranking import FINER, WEIGHTS, Weights
from pnpsr.physics import Degradation, quantise
from pnpsr.released import open_solver
from pnpsr.starts import upsample
from pnpsr.weights import presets

Kind = Literal["photo", "plain"]
SIDES = {1: 256, 2: 384, 3: 420, 4: 480}  # of a crop, in pixels of x
QUIET = ("retina", "page", "moon", "brick", "grass", "astronaut", "coffee", "chelsea")  # sharp, or as good as
NOISY = ("rocket", "coffee", "astronaut", "coins", "camera", "chelsea", "grass", "brick")  # under 2 to 4 % of white noise
FLAT = ("0.2", "0.4", "0.6", "0.8")  # pictures of one value, which have grain and nothing else
SAMPLES = 1000  # number of the first of these
SMALL, MANY = 2000, 60  # number of the first small crop, and how many there are
LOSS, MOST = 3.0, 6.0  # what a decibel lost counts, beside one that is gained; and as many count
EQUAL = 60.0  # dB: no picture is nearer than that
PARTS, DIVISIONS = 8, 6  # of the crops, one part held out each time


def blurs(i: int, scale: int) -> tuple[str, Tensor]:
    """What is done to crop i."""
    g = seed(1000 + i)
    u, v = torch.rand(2, generator=g).tolist()
    wide = 21 if scale == 1 else 21 + 2 * scale
    kinds = {
        "none": lambda: (dirac(3), 0.0),
        "Gaussian": lambda: (gaussian(wide + 8, 0.7 * max(scale, 1) ** 0.5 + 1.8 * u), u),
        "motion": lambda: (random_motion(1, (n := 9 + 2 * int(8 * u)), generator=g), n),
        "long motion": lambda: (random_motion(1, (n := 27 + 2 * int(9 * u)), generator=g), n),
        "line": lambda: (line(37, length=9 + 26 * u, angle=math.pi * v), u),
        "lens": lambda: (disk(13, 1.2 + 3.5 * u), u),
    }
    order = ("motion", "none", "line", "Gaussian", "long motion", "none", "motion", "lens")
    if i >= SMALL:
        order = ("none", "motion", "none", "Gaussian", "none", "lens")
    elif i >= SAMPLES:
        order = ("none",)
    return order[i % len(order)], kinds[order[i % len(order)]]()[0]


def observed(x: Tensor, k: Tensor, scale: int, i: int) -> tuple[str, Tensor]:
    """The photograph of crop i, in 8 bits."""
    g = seed(2000 + i)
    y = Degradation(scale, boundary="reflect")(x, k)
    if k.shape[-1] == 3 and i % 16 >= 8:  # a sharp picture that was made smaller as programs do it
        y = torch.nn.functional.avg_pool2d(x, scale)
    kind = "noisy" if i >= SAMPLES + len(QUIET) + len(FLAT) else ("white", "camera", "JPEG")[i // 2 % 3]
    if i >= SMALL:
        kind = ("none", "white", "camera", "none", "JPEG")[i % 5]
    if kind == "none":
        return kind, quantise(y)
    if kind == "camera":
        camera = Camera(exposure=(1.0, 1.0))
        return kind, camera.develop(y, camera.draw(1, g), g)
    u, v = torch.rand(2, generator=g).tolist()
    y = quantise(y + (0.02 + 0.02 * u if kind == "noisy" else 0.003 + 0.012 * u) * torch.randn(y.shape, generator=g))
    if kind == "JPEG":
        y = quantise(jpeg(y, 50 + 45 * v))
    return kind, y


def judges(scale: int) -> dict[Kind, Any]:
    """Image steps that may judge: of the preset for photographs, and of the plain one."""
    kinds: tuple[tuple[Kind, str], ...] = (("photo", "photo"), ("plain", "ikrnet"))
    found = {kind: f"{name}-x{scale}" for kind, name in kinds}
    return {kind: quick(with_kernel_given(open_solver(name))) for kind, name in found.items() if name in presets()}  # type: ignore[arg-type]


def kind_of(name: str) -> Kind:
    """That of a preset for photographs, or of the others."""
    return "photo" if name.startswith("photo") else "plain"


def sources(data: Path, scale: int, count: int) -> Iterator[tuple[int, str, Tensor]]:
    """Numbers, names and crops: of training pictures, of samples that are as sharp as they are, and small ones."""
    pictures = Folder(data / "train" / "cid22")
    for i in range(count):
        n = (37 * i + 11 * scale) % len(pictures.names)
        yield i, pictures.names[n], crop(pictures.read(n), SIDES[scale])
    for i, name in enumerate((*QUIET, *FLAT, *NOISY), SAMPLES):
        x = torch.full((1, 3, SIDES[scale], SIDES[scale]), float(name)) if name in FLAT else sample_picture(name)
        yield i, name, crop(x, min(SIDES[scale], *(n // scale * scale for n in x.shape[-2:])))
    for i in range(SMALL, SMALL + MANY):
        n = (23 * i + 5 * scale) % len(pictures.names)
        yield i, pictures.names[n], crop(pictures.read(n), (96, 128)[i // 2 % 2] * scale)


@torch.no_grad()
def measure(*, data: Path, out: Path, scale: int, count: int = 40, part: tuple[int, int] = (0, 1)) -> None:
    """Measure the crops ``part[0]`` modulo ``part[1]``.

    Args:
        data: folder with ``train/cid22``.
        out: where the lines go.
        scale: factor.
        count: crops of training pictures.
        part: which share of them, of how many.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"x{scale}-{part[0]}.jsonl"
    there = {row["crop"] for path in out.glob(f"x{scale}-*.jsonl") for row in rows(path)}
    looking, own = judges(scale), {name: quick(s) for name, s in trained_for(scale).items()}
    for i, name, x in sources(data, scale, count):
        if i in there or i % part[1] != part[0]:
            continue
        blur, k = blurs(i, scale)
        noise, y = observed(x, k, scale, i)
        row: dict[str, Any] = {"crop": i, "picture": name, "blur": blur, "noise": noise}
        row["before"] = psnr(upsample(y, scale).clamp(0, 1), x)
        row |= one(y, x, scale, looking, own)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        got = {n: round(v, 2) for n, v in row[next(iter(looking))]["psnr"].items()}
        print(i, name, blur, noise, round(row["before"], 2), got, flush=True)


def one(y: Tensor, x: Tensor, scale: int, looking: dict[Kind, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What every judge sees of the guesses at the blur of y."""
    found = find(y, scale, looking[kind_of(JUDGING[scale])], looking["plain"], trained=own)
    if not found.candidates:
        return {name: {"facts": {"each": [], "detail": 0.0, "soft": 0.0}, "psnr": {}} for name in looking}
    part = y[(..., *found.window.inside)]
    top, left = (scale * s.start for s in found.window.inside)
    truth = x[..., top : top + scale * part.shape[-2], left : left + scale * part.shape[-1]]
    row: dict[str, Any] = {}
    for judge, solver in looking.items():
        made = {c.name: explained_by(solver, part, scale, c.k.to(part), found.sigma) for c in found.candidates if c.name != NONE}
        tried = [Tried(c.name, c.k, made.get(c.name, c.x)) for c in found.candidates]
        sharp = Tried(SHARP, dirac(3), explained_by(solver, part, scale, dirac(3), found.sigma))
        seen = facts(tried, part, scale, sharp, compression(y) * softness(part, scale))
        row[judge] = {"facts": asdict(seen), "psnr": {t.name: psnr(t.x, truth) for t in tried}}
    return row


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


@dataclass(frozen=True)
class Cases:
    """Crops as a judge sees them, and what every guess gains over leaving one alone, (n m) each; absent guesses are masked out."""

    about: list[str]
    names: list[list[str]]
    terms: Tensor  # (n m 5): gain, excess, alone, against, short
    blurs: Tensor
    there: Tensor
    gains: Tensor
    detail: Tensor  # (n)
    soft: Tensor  # (n)

    @property
    def sharp(self) -> Tensor:
        """(n): nothing was blurred."""
        return torch.tensor([": none" in text for text in self.about])

    def logs(self, w: Tensor) -> Tensor:
        """(n m): :meth:`pnpsr.photo.ranking.Weights.logs` of all crops, differentiable in w, the eight values of the weights."""
        A, B, C, D, E, F, G, usual = w
        excess, alone, against, short = self.terms.unbind(2)[1:]
        blurred = C * alone + E * against + F / 2 * short + (D * (self.detail - usual.log()) + G * self.soft)[:, None]
        found = A * self.terms[..., 0] + B * excess + torch.where(self.blurs, blurred, torch.zeros(()))
        best = found.masked_fill(~self.blurs, torch.inf).argmin(1, keepdim=True)
        found = found + torch.where(self.blurs, F / 2 * short.gather(1, best), torch.zeros(()))
        return found.masked_fill(~self.there, 1e3)

    def chosen(self, w: Tensor) -> Tensor:
        """(n): the gains of the guesses that the exponents take."""
        return self.gains.gather(1, self.logs(w).argmin(1, keepdim=True))[:, 0]

    def summary(self, w: Tensor) -> str:
        """Mean gain, that of the best guesses, the worst, what is lost, and on sharp pictures."""
        got, best = self.chosen(w), self.gains.masked_fill(~self.there, -99).amax(1).clamp(min=0)
        flat = got[self.sharp]
        lost = got.clamp(max=0).mean()
        return f"{got.mean():.2f} of {best.mean():.2f}, worst {got.min():.1f}, lost {lost:.2f}, sharp {flat.mean():.2f}"

    def found(self, some: Tensor, prior: Tensor, plan: "Search") -> Tensor:
        """The exponents that gain most on ``some`` crops, near ``prior``: by Adam on their logarithms."""
        worth = torch.where(self.gains >= 0, self.gains.clamp(max=MOST), LOSS * self.gains.clamp(min=-MOST))[some]
        log = prior.log().requires_grad_()
        optimiser = torch.optim.Adam([log], 0.05)
        for step in range(plan.steps):
            left = 1 - step / plan.steps
            optimiser.param_groups[0]["lr"] = 0.05 * left
            chances = (-self.logs(log.exp())[some] / (plan.chance * (1 + 4 * left))).softmax(1)
            loss = plan.near * (log - prior.log()).square().sum() - (chances * worth).sum(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return log.exp().detach()


def cases(out: Path, scale: int, judge: Kind, restorer: Kind) -> Cases:
    """All that was measured."""
    every = sorted((r for path in out.glob(f"x{scale}-*.jsonl") for r in rows(path)), key=lambda r: r["crop"])
    every = [row for row in every if row[judge]["facts"]["each"]]
    facts_of = [row[judge]["facts"] for row in every]
    shape = (len(every), max(len(f["each"]) for f in facts_of))
    terms, gains = torch.zeros(*shape, 5), torch.zeros(shape)
    blurs, there = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    for n, (row, about) in enumerate(zip(every, facts_of, strict=True)):
        values = row[restorer]["psnr"]
        for m, one in enumerate(Fact(**f) for f in about["each"]):
            terms[n, m] = torch.tensor([one.gain, one.excess, one.alone, one.against, one.short])
            blurs[n, m], there[n, m] = one.blurs, True
            gains[n, m] = min(values[one.name], EQUAL) - min(values.get(NONE, row["before"]), EQUAL)
    told = [f"{row['picture']}: {row['blur']}, {row['noise']}" for row in every]
    names = [[f["name"] for f in about["each"]] for about in facts_of]
    detail, soft = (torch.tensor([about[name] for about in facts_of]) for name in ("detail", "soft"))
    return Cases(told, names, terms, blurs, there, gains, detail, soft)


@dataclass(frozen=True)
class Search:
    """How exponents are looked for.

    Args:
        chance: temperature at which the scores become chances in the end; five times as much at first.
        near: weight of the squared distance of the logarithms of the exponents from those that there are.
        steps: of Adam.
    """

    chance: float = 0.3
    near: float = 0.05
    steps: int = 400


def fit(
    *,
    out: Path,
    scale: int,
    judge: Kind | None = None,
    restorer: Kind | None = None,
    plan: Annotated[Search, tyro.conf.arg(name="")] = Search(),
    start: tuple[float, ...] = (),
    lines: bool = False,
) -> None:
    """The best exponents, and what those gain that were found on seven eighths of the crops, on the others; six divisions.

    Args:
        out: where the lines are.
        scale: factor.
        judge: whose restored pictures are looked at, if not those of whose they are in use.
        restorer: whose the result is, likewise.
        plan: how they are looked for.
        start: exponents to begin with and to stay near, if not those that there are: A B C D E F G and the usual detail.
        lines: print every crop.
    """
    torch.set_num_threads(1)
    every = cases(out, scale, judge or kind_of(JUDGING[scale]), restorer or kind_of(RESTORING[scale]))
    begin = torch.tensor(start or astuple(WEIGHTS.get(scale, FINER)))
    prior, n = begin.clamp(min=0.3), len(every.about)  # of an exponent of 0 there is no logarithm
    best = every.found(torch.arange(n), prior, plan)
    print(f"{n} crops; as they are: {every.summary(begin)}\nfound: {every.summary(best)}")
    print(", ".join(f"{field.name} {value:.2f}" for field, value in zip(fields(Weights), best.tolist(), strict=True)))
    held = torch.zeros(DIVISIONS, n)
    for i in range(DIVISIONS):
        order = torch.randperm(n, generator=torch.Generator().manual_seed(i))
        for part in range(PARTS):
            out_of_it = order[part::PARTS]
            kept = torch.ones(n, dtype=torch.bool)
            kept[out_of_it] = False
            held[i, out_of_it] = every.chosen(every.found(kept.nonzero()[:, 0], prior, plan))[out_of_it]
    print(f"held out: {held.mean():.2f}, lost {held.clamp(max=0).mean():.2f}")
    if lines:
        for i in range(n):
            taken = [int(every.logs(w)[i].argmin()) for w in (begin, best)]
            told = (f"{every.names[i][m]} {every.gains[i, m]:+.2f}" for m in taken)
            print(every.about[i], *told, f"best {every.gains[i][every.there[i]].max():+.2f}", sep="; ")


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"measure": measure, "fit": fit})
