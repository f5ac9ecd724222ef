"""The kernel step of a large picture: all of it, a crop, or some windows; errors of the kernel and times: Markdown.

    OMP_NUM_THREADS=1 python benchmarks/windows.py > table.txt

x is a mosaic of scikit-image's pictures, turned and mirrored, y its blurred and decimated version with noise. The kernel step
reads y and either x itself or what a preset made of y. Times stand beside one pass of that preset's image prior over x.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from einops import rearrange
from torch import Tensor

from pnpsr import load
from pnpsr.fast import fast
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, random_motion
from pnpsr.photo.windows import informative
from pnpsr.physics import Degradation

PRESET, SCALE, SIZE, NOISE, GAMMA, TILE = "ikrnet-x2", 2, 21, 0.01, 1e-2, 256
CIRCULAR = "all of it, circular"
TILES = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry", "camera", "moon", "grass", "brick", "coins")


def mosaic(rows: int, columns: int) -> Tensor:
    """(1 3 h w): cuts of the pictures, each time another part, turned and mirrored."""
    generator, made = torch.Generator().manual_seed(0), []
    for i in range(rows * columns):
        picture = sample_picture(TILES[i % len(TILES)])
        top, left = (int(torch.randint(0, n - TILE + 1, (), generator=generator)) for n in picture.shape[-2:])
        cut = picture[..., top : top + TILE, left : left + TILE].expand(1, 3, -1, -1).rot90(i % 4, (-2, -1))
        made.append(cut.flip(-1) if i % 3 == 0 else cut)
    return rearrange(torch.stack(made), "(r c) 1 z h w -> 1 z (r h) (c w)", r=rows)


def cut(y: Tensor, x: Tensor, side: int, count: int) -> tuple[Tensor, Tensor]:
    """``count`` windows of ``side`` pixels of x, and y's: as channels, which share one kernel."""
    found = informative(y, count, side // SCALE)
    join = [torch.cat([t[..., w.of(s)[0], w.of(s)[1]] for w in found], dim=1) for t, s in ((y, 1), (x, SCALE))]
    return join[0], join[1]


def middle(t: Tensor, side: int) -> Tensor:
    """The square in the middle."""
    top, left = ((n - side) // 2 for n in t.shape[-2:])
    return t[..., top : top + side, left : left + side]


def milliseconds(call: Callable[[], object], runs: int = 3) -> float:
    """The median of some calls, of the processor's time."""
    took = []
    for _ in range(runs):
        begin = time.process_time()
        call()
        took.append(1e3 * (time.process_time() - begin))
    return statistics.median(took)


def problems(x: Tensor, restore: Callable[[Tensor], Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """y, x and k of two blurs, first with x itself, then with what was made of y."""
    generator = torch.Generator().manual_seed(1)
    blurs = gaussian(SIZE, 2.5, width2=1.2, angle=0.6), random_motion(1, SIZE, generator=torch.Generator().manual_seed(3))
    seen = [Degradation(SCALE)(x, k) for k in blurs]
    seen = [y + NOISE * torch.randn(y.shape, generator=generator) for y in seen]
    pairs = list(zip(seen, blurs, strict=True))
    return [(y, x, k) for y, k in pairs] + [(y, restore(y), k) for y, k in pairs]


def parts() -> dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]:
    """What the kernel step reads, by name."""
    found: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
        CIRCULAR: lambda y, x: (y, x),
        "all of it, valid": lambda y, x: (y, x),
    }
    for n in (1024, 512):
        found[f"the middle {n} x {n}, valid"] = lambda y, x, n=n: (middle(y, n // SCALE), middle(x, n))  # type: ignore[misc]
    for c, n in ((8, 256), (4, 256), (16, 128)):
        found[f"{c} windows of {n} x {n}, valid"] = partial(cut, side=n, count=c)
    return found


def main() -> None:
    """Print the table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--tiles", type=int, nargs=2, default=(10, 12), help="rows and columns of the mosaic, of 256 pixels each")
    x, quick, near = mosaic(*words.parse_args().tiles), fast(load(PRESET)), gaussian(SIZE, 2.0)
    h, w = x.shape[-2:]
    prior = milliseconds(lambda: quick.restorer.prior(x, 0.1))  # type: ignore[union-attr, operator]
    known = problems(x, lambda y: quick(y, SCALE).x)  # type: ignore[no-any-return]
    print("## The kernel step of a large picture\n")
    far = " and ".join(f"{float((near - k).norm() / k.norm()):.2f}" for *_, k in known[:2])
    print(f"x of {h} x {w} ({h * w / 1e6:.1f} megapixels), ×{SCALE}, noise {NOISE}, two kernels k of {SIZE} x {SIZE}.")
    print(f"Errors are |k' - k| / |k| of what the step finds, from x itself and from what {PRESET} made of y, with a")
    print(f"weight of {GAMMA} on a kernel whose errors are {far}. Windows are those with the most edges, joined as")
    print(f"channels. One pass of the preset's image prior over x takes {prior:.0f} ms.\n")
    print("| kernel step on | ms | of one pass | Gaussian, x itself | motion, x itself | Gaussian, x made | motion, x made |")
    print("|---" * 7 + "|")
    for name, part in parts().items():

        def step(y: Tensor, x: Tensor, inside: bool = name != CIRCULAR) -> Tensor:
            return Degradation(SCALE).prox_kernel(y, x, near, GAMMA, relative=True, inside=inside)

        read = [part(y, x) for y, x, _ in known]
        errors = [float((step(*pair) - k).norm() / k.norm()) for pair, (*_, k) in zip(read, known, strict=True)]
        took = milliseconds(lambda step=step, read=read: step(*read[0]))  # type: ignore[misc]
        print(f"| {name} | {took:.0f} | {took / prior:.2f} | {' | '.join(f'{error:.3f}' for error in errors)} |", flush=True)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
