"""What is found of a photograph's blur where the truth is known, and what is done where there is none.

    python benchmarks/found.py motion --data DATA     # kernels up to 45 pixels, every candidate beside the true kernel
    python benchmarks/found.py levin --data DATA      # the eight kernels of Levin et al. 2009, beside blind_hqs
    python benchmarks/found.py sharp                  # pictures without blur, through every route
    python benchmarks/found.py noise --data DATA      # the noise level of simulated photographs
    python benchmarks/found.py lights                 # clipped highlights

One line of CSV per case, as soon as it is measured; PSNR in dB without a border of 12 pixels, at the best shift of up to 3 pixels,
since y does not tell a shifted kernel from a shifted picture. DATA has test/cbsd68, train/cid22 and kernels/Levin09.npz.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pnpsr import blind_hqs
from pnpsr.bordered import solve
from pnpsr.data.camera import Camera
from pnpsr.fast import fast
from pnpsr.images import read_image, sample_picture
from pnpsr.kernels import dirac, gaussian, line, random_motion
from pnpsr.photo.explain import agreement, explained_by
from pnpsr.photo.facts import NONE
from pnpsr.photo.find import find
from pnpsr.photo.finish import finisher, judge, quieting, trained_for
from pnpsr.photo.restore import restore
from pnpsr.photo.windows import fine_noise, noise
from pnpsr.physics import Degradation, quantise
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import upsample

SHARP = ("astronaut", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "brick", "moon", "page", "retina", "rocket")
SIDE = {1: 192, 2: 304}  # of a crop in pixels of x
Row = tuple[Any, ...]


def seed(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)


def crop(x: Tensor, side: int) -> Tensor:
    """The middle of a picture."""
    h, w = x.shape[-2:]
    top, left = (h - side) // 2, (w - side) // 2
    return x[..., top : top + side, left : left + side]


def observed(x: Tensor, k: Tensor, scale: int, sigma: float = 0.005) -> Tensor:
    return quantise(Degradation(scale, boundary="reflect")(x, k, sigma, generator=seed(0)))


def psnr(x: Tensor, truth: Tensor, shift: int = 3) -> float:
    inner = (..., slice(12, -12), slice(12, -12))
    moved = (x.roll((i, j), (-2, -1)) for i in range(-shift, shift + 1) for j in range(-shift, shift + 1))
    return max(float(-10 * (m - truth)[inner].square().mean().log10()) for m in moved)


def pictures(data: Path | None, side: int) -> dict[str, Tensor]:
    """Two sample pictures and two of the test set."""
    found = {name: crop(sample_picture(name), side) for name in ("astronaut", "coffee")}
    for path in sorted((data / "test" / "cbsd68").iterdir())[20:60:30] if data else ():
        found[path.stem] = crop(read_image(path).image, side)
    return found


def quick(solver: Any) -> UnrolledSolver:
    return fast(solver)  # type: ignore[return-value]


def motion(data: Path | None, only: str = "", scales: tuple[int, ...] = (1, 2)) -> Iterator[Row]:
    yield (
        "picture",
        "blur",
        "scale",
        "input",
        "chosen",
        "name",
        "best",
        "always trained",
        "always straight line",
        "always 13",
        "always 27",
        "always 51",
        "true",
    )
    kernels = {
        "motion 31": random_motion(1, 31, generator=seed(2)),
        "line 31": line(31, length=31.0, angle=0.5),
        "motion 45": random_motion(1, 45, generator=seed(3)),
        "motion 15": random_motion(1, 15, generator=seed(1)),
        "Gaussian 2": gaussian(21, 2.0),
    }
    for scale in scales:
        looking, own = quick(judge(scale)), {name: quick(s) for name, s in trained_for(scale).items()}
        quiet = quick(quieting(scale))
        finish, exact = (quick(finisher(scale, known=known)) for known in (False, True))
        for blur, k in ((name, k) for name, k in kernels.items() if only in name):
            for name, x in pictures(data, SIDE[scale]).items():
                y = observed(x, k, scale)
                found = find(y, scale, looking, quiet, trained=own)
                made = {c.name: explained_by(finish, y, scale, c.k, found.sigma) for c in found.candidates if c.name != NONE}
                got = {c.name: psnr(made.get(c.name, c.x), x) for c in found.candidates}
                true = max(psnr(explained_by(s, y, scale, k, found.sigma), x) for s in (finish, exact))
                order = [f"coarse to fine {scale * (n - 1) + 1}" for n in ((13, 27, 51) if scale == 1 else (9, 17, 27))]
                ours = [round(got.get(n, float("nan")), 2) for n in (f"trained {next(iter(own), '')}", "straight line", *order)]
                best = found.candidates[0].name
                before = psnr(upsample(y, scale).clamp(0, 1), x)
                yield (
                    name,
                    blur,
                    scale,
                    *(round(v, 2) for v in (before, got[best])),
                    best,
                    round(max(got.values()), 2),
                    *ours,
                    round(true, 2),
                )


def levin(data: Path | None, only: str = "", count: int | None = None) -> Iterator[Row]:
    yield "picture", "kernel", "input", "found", "kernel correlation", "blind_hqs", "its kernel correlation"
    if data is None:
        raise SystemExit("levin needs --data")
    stored = np.load(data / "kernels" / "Levin09.npz")
    finish, quiet, own = quick(judge(1)), quick(quieting(1)), {name: quick(s) for name, s in trained_for(1).items()}
    for name in (name for name in sorted(stored.files) if only in name):
        k = torch.from_numpy(stored[name].astype(np.float32))[None, None]
        k = k / k.sum()
        for n, x in list(pictures(data, SIDE[1]).items())[:count]:
            y = observed(x, k, 1)
            found = find(y, 1, finish, quiet, trained=own)
            old = solve(blind_hqs(27), y, 1)
            ours = (psnr(found.candidates[0].x, x, 6), agreement(found.k, k))  # these kernels are up to 4 pixels off their centre
            theirs = (psnr(old.known("x"), x, 6), agreement(old.known("k"), k))
            yield n, name, *(round(v, 3) for v in (psnr(y, x, 6), *ours, *theirs))


def sharp(data: Path | None) -> Iterator[Row]:
    del data
    yield "picture", "scale", "route", "dB", "bicubic"
    for name in SHARP:
        x = crop(sample_picture(name), 256)
        for scale in (1, 2):
            y = quantise(x[..., ::scale, ::scale])
            before = 99.0 if scale == 1 else psnr(upsample(y, 2).clamp(0, 1), x, 0)
            for route in ("default", "blind_hqs", f"ikrnet-x{scale}"):
                if scale == 1 and route.startswith("ikrnet"):
                    continue
                r = restore(y, scale, solver=None if route == "default" else route, memory=4)
                same = r.x.shape == x.shape and torch.equal(r.x, x)
                yield name, scale, route, 99.0 if same else round(psnr(r.x, x, 0), 2), round(before, 2)


def grain(data: Path | None) -> Iterator[Row]:
    yield "picture", "noise", "blur", "true", "from pixel to pixel", "with flat places"
    if data is None:
        raise SystemExit("noise needs --data")
    for n, path in enumerate(sorted((data / "test" / "cbsd68").iterdir())[:48]):
        x, kind = crop(read_image(path).image, 256), ("white", "camera", "camera, JPEG")[n % 3]
        k = (dirac(3), gaussian(15, 1.5), random_motion(1, 15, generator=seed(n)))[n // 3 % 3]
        z = quantise(Degradation(1, boundary="reflect")(x, k))
        if kind == "white":
            y = quantise(z + (0.002, 0.005, 0.01, 0.02, 0.05)[n % 5] * torch.randn(z.shape, generator=seed(n)))
        else:
            camera = Camera(exposure=(1.0, 1.0), plain=float(kind == "camera"))
            y = camera.develop(z, camera.draw(1, seed(n)), seed(n + 1))
        true = float((y - z).square().mean().sqrt())
        yield (
            path.stem,
            kind,
            ("none", "Gaussian 1.5", "motion 15")[n // 3 % 3],
            *(f"{v:.4f}" for v in (true, fine_noise(y), noise(y))),
        )


def lights(data: Path | None) -> Iterator[Row]:
    del data
    yield "picture", "clipped", "share", "input", "all pixels", "without the clipped ones"
    finish, k = quick(finisher(1, known=False)), random_motion(1, 15, generator=seed(1))
    for name in ("astronaut", "coffee", "rocket", "chelsea"):
        x = crop(sample_picture(name), 160)
        lamps, places = torch.zeros_like(x), torch.randint(20, 140, (6, 2), generator=seed(1)).tolist()
        for a, b in places:
            lamps[..., a : a + 3, b : b + 3] = 8.0
        for kind, light in (("exposed by 1.8", 1.8 * x), ("lamps", torch.maximum(x, lamps))):
            y = Degradation(1, boundary="reflect").freeze(k=k)(light)
            y = quantise(y + 0.004 * torch.randn(y.shape, generator=seed(2)))
            truth = light.clamp(0, 1)
            plain, masked = solve(finish, y, 1, k=k, sigma=0.005).known("x"), explained_by(finish, y, 1, k, 0.005)
            share = float((y >= 1).any(1).float().mean())
            yield name, kind, *(round(v, 3) for v in (share, *(psnr(v, truth) for v in (y, plain, masked))))


PARTS: dict[str, Callable[[Path | None], Iterator[Row]]] = {
    "motion": motion,
    "levin": levin,
    "sharp": sharp,
    "noise": grain,
    "lights": lights,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--blur", default="", help="of motion, levin: only blurs with this in their name")
    parser.add_argument("--scale", type=int, help="of motion: only this one")
    parser.add_argument("--pictures", type=int, help="of levin: only so many")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    scales = (chosen.scale,) if chosen.scale else (1, 2)
    if chosen.part == "motion":
        rows = motion(chosen.data, chosen.blur, scales)
    else:
        rows = levin(chosen.data, chosen.blur, chosen.pictures) if chosen.part == "levin" else PARTS[chosen.part](chosen.data)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        sys.stdout.flush()
