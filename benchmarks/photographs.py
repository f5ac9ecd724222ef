"""Make docs/photographs-measured.md: what was tried on photographs, done again, with panels.

    python benchmarks/photographs.py --data data [--minutes 60]

Every row and every panel is kept in ``runs/photographs`` as soon as it is measured, so that the same call goes on where it stopped;
a row is measured again once other weights restore at its scale or the code of ``pnpsr.photo`` is another, and until then says that
it is of another version. ``data/real`` holds photographs of others: what is found in them stands on the page, the pictures
themselves only in ``runs/photographs``. Rows that were never measured say so.
"""

import ast
import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import tyro
from photograph_rows import BORDER, HELD, ROWS, outcome, photographed, score
from torch import Tensor
from torch.nn.functional import interpolate

import pnpsr.photo
from pnpsr.files import replace_file
from pnpsr.images import crop_to_multiple, read_image, sample_picture
from pnpsr.kernels import gaussian, random_motion, resize_support
from pnpsr.photo.finish import trained_for
from pnpsr.photo.words import describe
from pnpsr.starts import upsample
from pnpsr.weights import presets

SCALES = (1, 2, 4)
PANEL = 240  # pixels of a side
HEAD = """# Photographs, measured

Made by `python benchmarks/photographs.py --data DATA`, on the weights that ship, in one thread of a CPU. Scores leave out a border
of {border} pixels. [What happens to a picture](photographs.md) has a page of its own.

"""


def main(
    *,
    data: Path | None = None,
    page: Path = Path("docs/photographs-measured.md"),
    work: Path = Path("runs/photographs"),
    minutes: float | None = None,
    only: tuple[str, ...] = (),
) -> None:
    """Measure what is missing and write the page.

    Args:
        data: folder with ``real/``; without it rows and panels of these pictures are left out.
        page: what is written, with the panels in a folder of its name.
        work: folder of what was measured.
        minutes: begin nothing new after so long.
        only: these rows and panels alone are measured.
    """
    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    (page.parent / page.stem).mkdir(parents=True, exist_ok=True)
    stop = float("inf") if minutes is None else time.monotonic() + 60 * minutes

    made = {scale: digest(scale) for scale in SCALES}

    def kept(name: str, scale: int, measure: Callable[[], str | None]) -> str | None:
        path, version = work / f"{name}.json", "held by a test" if name in HELD else made[scale]
        old = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if old.get("version") != version and time.monotonic() < stop and (not only or name in only):
            print(f"+ {name}", flush=True)
            found = measure()
            if found is not None:
                old = {"version": version, "found": found}
                replace_file(path, json.dumps(old, ensure_ascii=False, indent=1).encode())
        earlier = "" if old.get("version") == version else " (by another version)"
        return old["found"] + earlier if "found" in old else None

    rows = [(tried, kept(name, scale_in(tried), lambda name=name: outcome(name, data))) for name, (tried, _) in ROWS.items()]  # type: ignore[misc]
    samples = [kept(name, SAMPLES[name][1], lambda name=name: sample(name, page)) for name in SAMPLES]  # type: ignore[misc]
    real = sorted((data / "real").glob("*")) if data is not None else []
    found = [
        (path.name, scale, kept(f"{path.stem}-x{scale}", scale, lambda path=path, scale=scale: photograph(path, scale, work, page)))  # type: ignore[misc]
        for path in real
        for scale in SCALES
    ]
    replace_file(page, written(rows, samples, found).encode())


def scale_in(tried: str) -> int:
    """The scale that a row speaks of; 1 where it does not."""
    return int(next(iter(re.findall(r"×([124])\b", tried)), 1))


def spoken_of(path: Path) -> str:
    """The code of a file without comments and docstrings, which change nothing that comes out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = [*node.body[1:], ast.Pass()]
    return ast.unparse(tree)


def digest(scale: int) -> str:
    """Of the weights that restore photographs at ``scale``, and of the code that restores with them."""
    names = sorted({"usrnet", *trained_for(scale)})  # the image steps that restore are of one of them
    code = [spoken_of(path) for path in sorted(Path(pnpsr.photo.__file__).parent.glob("*.py"))]
    return hashlib.sha256("".join([*(presets()[name].sha256 for name in names), *code]).encode()).hexdigest()[:12]


def written(rows: list[tuple[str, str | None]], samples: list[str | None], real: list[tuple[str, int, str | None]]) -> str:
    """The page."""
    missing = "not measured yet"
    parts = [HEAD.format(border=BORDER), "## What was tried\n\n| tried | what comes out |\n|---|---|\n"]
    parts += [f"| {tried} | {(found or missing).replace('|', '/')} |\n" for tried, found in rows]
    parts += ["\n## Sample pictures\n\nBlurred, reduced, 0.5 % noise, 8 bits: aligned bicubic, restored, truth; and the kernels, "
              "found and true.\n\n", *(f"{one or missing}\n\n" for one in samples)]  # fmt: skip
    if real:
        parts.append("## Real photographs\n\nThe kernels that were found. The pictures are of others and not shown.\n\n")
        parts.append("| picture | scale | found | kernel |\n|---|---|---|---|\n")
        parts += [f"| `{name}` | {scale} | {found or f'{missing} |'} |\n" for name, scale, found in real]
    return "".join(parts).rstrip() + "\n"


SAMPLES: dict[str, tuple[str, int, tuple[int, int], Callable[[], Tensor]]] = {
    "astronaut-x1": ("astronaut", 1, (20, 120), lambda: random_motion(1, 21, generator=torch.Generator().manual_seed(3))),
    "coffee-x2": ("coffee", 2, (60, 140), lambda: gaussian(21, 3.0, width2=1.2, angle=0.5)),
    "chelsea-x4": ("chelsea", 4, (20, 100), lambda: gaussian(21, 2.6)),
}


def sample(name: str, page: Path) -> str:
    """A sample picture blurred and restored: its panel, and a line on it."""
    picture, scale, (top, left), kernel = SAMPLES[name]
    side = {1: 256, 2: 256, 4: 272}[scale]
    x, k = crop_to_multiple(sample_picture(picture)[..., top : top + side, left : left + side], scale), kernel()
    y = photographed(x, k, scale)
    r = pnpsr.restore(y, scale)
    bicubic = upsample(y, scale).clamp(0, 1)
    path = page.parent / page.stem / f"{name}.webp"
    size = max(*r.k.shape[-2:], *k.shape[-2:])
    panel(path, [bicubic, r.x, x], [resize_support(one.float(), size) for one in (r.k, k)])
    line = f"{picture}, ×{scale}: {describe(k)} in truth; found: {r.words}. Bicubic {score(bicubic, x)}, restored {score(r.x, x)}."
    return f"![{picture}, ×{scale}: bicubic, restored, truth, kernels]({page.stem}/{path.name})\n\n{line}"


def photograph(path: Path, scale: int, work: Path, page: Path) -> str:
    """A photograph restored: a panel of its window for those who have it, and its kernel and the words for the page."""
    y = read_image(path).image
    r = pnpsr.restore(y, scale)
    window = r.windows[0] if r.windows else None
    part = y if window is None else y[(..., *window.inside)]
    x = r.x if window is None else r.x[(..., *window.of(scale))]
    panel(work / f"{path.stem}-x{scale}.webp", [upsample(part, scale).clamp(0, 1), x], [r.k])
    small = page.parent / page.stem / f"{path.stem}-x{scale}.webp"
    panel(small, [], [r.k], side=64)
    return f"{r.words} | ![kernel of {path.stem}, ×{scale}]({page.stem}/{small.name})"


def panel(path: Path, pictures: list[Tensor], kernels: list[Tensor], side: int = PANEL) -> None:
    """Pictures and kernels side by side, the middle of each picture."""
    from PIL import Image

    shown = []
    for x in pictures:
        h, w = x.shape[-2:]
        top, left = max(0, h - side) // 2, max(0, w - side) // 2
        shown.append(interpolate(x[..., top : top + side, left : left + side], size=(side, side), mode="bicubic").clamp(0, 1))
    for k in kernels:
        shown.append(interpolate(k.clamp_min(0) / k.amax().clamp_min(1e-12), size=(side, side), mode="nearest"))
    row = torch.cat([x.expand(-1, 3, -1, -1) for x in shown], -1)
    pixels = (row[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, "WEBP", quality=88)


if __name__ == "__main__":
    tyro.cli(main)
