"""What the kernel step of a preset is worth on pictures that end, beside the same ones that are periodic. Markdown.

    python benchmarks/borders.py --presets ikrnet-x1 ikrnet-x2 --data DATA

Held-out pictures of 320 x 320, under a motion of up to 21 pixels each and a Gaussian of 0.8 to 2.4, as they are (periodic), and
with 24 pixels of every border cut off; noise is told. Kernel errors x 1e5 after the best shift, without the step → with it.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
import tyro
from first_kernel import HELD_OUT
from found import crop
from kernel_step import scale_of
from torch import Tensor, nn

from pnpsr import Degradation, load
from pnpsr.bordered import solve
from pnpsr.data import Folder, held_out
from pnpsr.debiased import unsharpened
from pnpsr.evaluate import kernel_mse
from pnpsr.fast import fast
from pnpsr.kernels import gaussian, random_motion

SIDE, CUT, SIZE = 320, 24, 21
SIGMAS = (0.0, 0.01)
KINDS = ("motion", "Gaussian")
BORDERS = {"periodic": "circular", "a border": "extend"}


def kernel(kind: str, i: int, count: int) -> Tensor:
    """The kernel of picture i."""
    if kind == "motion":
        return random_motion(1, SIZE, generator=torch.Generator().manual_seed(i))
    return gaussian(SIZE, 0.8 + 1.6 * i / max(count - 1, 1))


def cases(x: Tensor, k: Tensor, scale: int, sigma: float, i: int) -> Iterator[tuple[str, Tensor]]:
    """y of x, periodic, and y without its border."""
    y = Degradation(scale)(x, k, sigma, generator=torch.Generator().manual_seed(i)).clamp(0, 1)
    inner = slice(CUT // scale, -(CUT // scale))
    yield "periodic", y
    yield "a border", y[..., inner, inner]


@torch.no_grad()
def main(*, data: Path, presets: tuple[str, ...], count: int = 10) -> None:
    """Print the table.

    Args:
        data: folder with ``train``.
        presets: blind presets for one scale each that have a kernel step.
        count: pictures.
    """
    torch.set_num_threads(1)
    pictures = held_out(Folder(data / "train"), HELD_OUT)[1]
    heads = [f"{kind}, {how}" for kind in KINDS for how in BORDERS]
    print(f"| preset | noise | {' | '.join(heads)} |\n|---|---|{'---|' * len(heads)}")
    for name in presets:
        scale = scale_of(name)
        ways: list[nn.Module] = [fast(s) for s in (unsharpened(load(name)), load(name))]
        for sigma in SIGMAS:
            found: dict[str, list[list[float]]] = {head: [] for head in heads}
            for i in range(count):
                x = crop(pictures.read(i), SIDE // scale * scale)
                for kind in KINDS:
                    k = kernel(kind, i, count)
                    for how, y in cases(x, k, scale, sigma, i):
                        made = (solve(way, y, scale, sigma=sigma, boundary=BORDERS[how]).known("k").float() for way in ways)
                        found[f"{kind}, {how}"].append([1e5 * float(kernel_mse(each, k, align=True)) for each in made])
            means = (torch.tensor(found[head]).mean(0).tolist() for head in heads)
            print(f"| `{name}` | {sigma} | {' | '.join(f'{a:.2f} → {b:.2f}' for a, b in means)} |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
