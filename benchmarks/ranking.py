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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
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
from pnpsr.photo.facts import NONE, SHARP, Fact, Facts, Tried, facts
from pnpsr.photo.find import find
from pnpsr.photo.finish import finisher, trained_for, with_kernel_given
from pnpsr.photo.ranking import FINER, WEIGHTS, Weights
from pnpsr.physics import Degradation, quantise
from pnpsr.released import open_solver
from pnpsr.starts import upsample
from pnpsr.weights import presets

SIDES = {1: 256, 2: 384, 3: 420, 4: 480}  # of a crop, in pixels of x
QUIET = ("retina", "page", "moon", "brick", "grass", "astronaut", "coffee", "chelsea")  # sharp, or as good as
FLAT = ("0.2", "0.4", "0.6", "0.8")  # pictures of one value, which have grain and nothing else
SAMPLES = 1000  # number of the first of these
LOSS = 3.0  # what a decibel lost counts, beside one that is gained


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
    return order[i % len(order)], kinds[order[i % len(order)]]()[0]


def observed(x: Tensor, k: Tensor, scale: int, i: int) -> tuple[str, Tensor]:
    """The photograph of crop i, in 8 bits."""
    g = seed(2000 + i)
    y = Degradation(scale, boundary="reflect")(x, k)
    if k.shape[-1] == 3 and i % 16 >= 8:  # a sharp picture that was made smaller as programs do it
        y = torch.nn.functional.avg_pool2d(x, scale)
    kind = ("white", "camera", "JPEG")[i // 2 % 3]
    if kind == "camera":
        camera = Camera(exposure=(1.0, 1.0))
        return kind, camera.develop(y, camera.draw(1, g), g)
    u, v = torch.rand(2, generator=g).tolist()
    y = quantise(y + (0.003 + 0.012 * u) * torch.randn(y.shape, generator=g))
    if kind == "JPEG":
        y = quantise(jpeg(y, 50 + 45 * v))
    return kind, y


def judges(scale: int) -> dict[str, Any]:
    """Image steps that may judge: those that restore, those of the photographs' preset, those of true kernels."""
    found = {"restorer": finisher(scale, known=False)}
    if (name := f"photo-x{scale}") in presets():
        found["photo"] = with_kernel_given(open_solver(name))  # type: ignore[arg-type]
    return {name: quick(solver) for name, solver in found.items()}


def sources(data: Path, scale: int, count: int) -> Iterator[tuple[int, str, Tensor]]:
    """Numbers, names and crops: of training pictures, and from ``SAMPLES`` on of samples that are as sharp as they are."""
    pictures = Folder(data / "train" / "cid22")
    for i in range(count):
        n = (37 * i + 11 * scale) % len(pictures.names)
        yield i, pictures.names[n], crop(pictures.read(n), SIDES[scale])
    for i, name in enumerate((*QUIET, *FLAT), SAMPLES):
        x = torch.full((1, 3, SIDES[scale], SIDES[scale]), float(name)) if name in FLAT else sample_picture(name)
        yield i, name, crop(x, min(SIDES[scale], *(n // scale * scale for n in x.shape[-2:])))


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
        blur, k = ("none", dirac(3)) if i >= SAMPLES else blurs(i, scale)
        noise, y = observed(x, k, scale, i)
        row: dict[str, Any] = {"crop": i, "picture": name, "blur": blur, "noise": noise}
        row["before"] = psnr(upsample(y, scale).clamp(0, 1), x)
        row |= one(y, x, scale, looking, own)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
        print(
            i, name, blur, noise, round(row["before"], 2), {n: round(v, 2) for n, v in row["restorer"]["psnr"].items()}, flush=True
        )


def one(y: Tensor, x: Tensor, scale: int, looking: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """What every judge sees of the guesses at the blur of y."""
    found = find(y, scale, looking["restorer"], trained=own)
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
class Case:
    """A crop as a judge sees it, and what every guess gains over leaving it alone when the image steps restore that are to."""

    picture: str
    blur: str
    seen: Facts
    gains: tuple[float, ...]

    def chosen(self, w: Weights) -> int:
        """The guess that the exponents take."""
        logs = w.logs(self.seen)
        return int(np.argmin(logs))


def cases(out: Path, scale: int, judge: str, restorer: str) -> list[Case]:
    """All that was measured."""
    found = []
    for row in sorted((r for path in out.glob(f"x{scale}-*.jsonl") for r in rows(path)), key=lambda r: r["crop"]):
        about = row[judge]["facts"]
        if not about["each"]:
            continue
        each = tuple(Fact(**f) for f in about["each"])
        values = row[restorer]["psnr"]
        gains = tuple(values[f.name] - values.get(NONE, row["before"]) for f in each)
        found.append(Case(row["picture"], row["blur"], Facts(each, about["detail"], about["soft"]), gains))
    return found


def worth(gain: float) -> float:
    """What a gain counts: decibels lost more than those gained, and far ones less."""
    return min(gain, 6.0) if gain >= 0 else LOSS * max(gain, -6.0)


def objective(w: Weights, chosen: Sequence[Case]) -> float:
    """The mean worth of what is chosen, and a little of by how much it is."""
    total = 0.0
    for case in chosen:
        logs = np.asarray(w.logs(case.seen))
        soft = np.exp(-(logs - logs.min()) / 0.15)
        total += float(soft @ [worth(g) for g in case.gains] / soft.sum())
    return total / max(len(chosen), 1)


def searched(chosen: Sequence[Case], start: Weights, prior: Weights, rounds: int = 40, number: int = 0) -> Weights:
    """Coordinate by coordinate, with random factors, from ``start``; exponents that change nothing stay near ``prior``."""
    draws = np.random.default_rng(number)
    names = [f.name for f in fields(Weights)]
    best = start

    def value(w: Weights) -> float:
        far = sum(math.log((a + 0.3) / (b + 0.3)) ** 2 for a, b in zip(astuple(w), astuple(prior), strict=True))
        return objective(w, chosen) - 0.01 * far

    top = value(best)
    for _ in range(rounds):
        for name in draws.permutation(names):
            for factor in np.exp(draws.normal(0, 0.4, 4)):
                values = asdict(best)
                values[name] = (values[name] + 0.1 * (name != "usual")) * float(factor)
                trial = Weights(**values)
                if (now := value(trial)) > top:
                    best, top = trial, now
    return best


def summary(w: Weights, chosen: Sequence[Case]) -> str:
    """Mean gain, worst, on sharp pictures, and what the best guesses gain."""
    gains = [case.gains[case.chosen(w)] for case in chosen]
    flat = [g for g, case in zip(gains, chosen, strict=True) if case.blur == "none"]
    best = [max(*case.gains, 0.0) for case in chosen]
    return f"{np.mean(gains):.2f} of {np.mean(best):.2f}, worst {min(gains):.1f}, sharp {np.mean(flat):.2f} (worst {min(flat):.1f})"


def fit(
    *,
    out: Path,
    scale: int,
    judge: Literal["restorer", "photo"] = "restorer",
    restorer: Literal["restorer", "photo"] = "restorer",
    quarters: int = 4,
    lines: bool = False,
) -> None:
    """The best exponents, and what those gain that were found on the other quarters.

    Args:
        out: where the lines are.
        scale: factor.
        judge: whose restored pictures are looked at.
        restorer: whose the result is.
        quarters: parts of the crops, each held out once.
        lines: print every crop.
    """
    every, now = cases(out, scale, judge, restorer), WEIGHTS.get(scale, FINER)
    print(f"{len(every)} crops; as they are: {summary(now, every)}")
    starts = [now, FINER, *WEIGHTS.values()]

    def found(some: Sequence[Case]) -> Weights:
        trials = [searched(some, start, now, number=n) for n, start in enumerate(starts)]
        return max(trials, key=lambda w: objective(w, some))

    best = found(every)
    print(f"found: {summary(best, every)}\n" + ", ".join(f"{f.name} {getattr(best, f.name):.2f}" for f in fields(Weights)))
    gains: list[float] = []
    for q in range(quarters):
        inside = [case for i, case in enumerate(every) if i % quarters == q]
        w = found([case for i, case in enumerate(every) if i % quarters != q])
        gains += [case.gains[case.chosen(w)] for case in inside]
    print(f"held out: {np.mean(gains):.2f}, worst {min(gains):.1f}")
    if lines:
        for case in every:
            a, b = case.chosen(now), case.chosen(best)
            print(
                case.picture,
                case.blur,
                *(f"{case.seen.each[i].name} {case.gains[i]:+.2f}" for i in (a, b)),
                f"best {max(case.gains):+.2f}",
                sep="; ",
            )


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"measure": measure, "fit": fit})
