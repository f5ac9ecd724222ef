"""The page of the presets kernel by kernel, from folders of ``pnpsr evaluate``: ``docs/results/presets.md``.

    python benchmarks/today.py evaluation/x2-0 evaluation/x2-0.02 evaluation/x4-0 evaluation/x4-0.02

Each folder holds one preset at one scale and noise level, all pictures. What the page says of others stays.
"""

import argparse
import re
from pathlib import Path

import torch

from pnpsr.evaluate import read_rows, spread
from pnpsr.files import replace_file
from pnpsr.studies.complexity import processor
from pnpsr.weights import presets

PAGE = Path(__file__).parent.parent / "docs" / "results" / "presets.md"
ALL = 68  # pictures of CBSD68
CBSD68 = "data/test/cbsd68 --kernels data/kernels/ikrnet12.npz"
IMAGES = {"dan-setting1": "data/test/set5", "div2krk": "krk"}  # protocols that bring their kernels
HEAD = """# The presets of today, kernel by kernel

CBSD68 × the twelve kernels of IKR-Net, all 816 rows each where the command has no `--limit`, RGB in dB, kernel errors as mean
squares; Gaussian kernels are k1 to k8, motion kernels k9 to k12. Of the presets of DAN's second setting: CBSD68 with one kernel for
each picture, as `python benchmarks/div2krk_like.py data/test/cbsd68 --out krk` makes it, Y. Image priors in bfloat16 where the
processor has it (`pnpsr.fast`).
[What each costs](costs.md) has a page of its own.

"""


def main() -> None:
    """Write the page."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folders", nargs="+", type=Path)
    new = dict(section(folder) for folder in words.parse_args().folders)
    before = re.split(r"^## (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:] if PAGE.is_file() else []
    parts = dict(zip(before[::2], before[1::2], strict=True)) | new
    replace_file(PAGE, (HEAD + "\n".join(f"## {name}\n{text.rstrip()}\n" for name, text in parts.items())).encode())


def section(folder: Path) -> tuple[str, str]:
    """What a folder says: the preset, scale and noise, and the text below that line."""
    table = (folder / "table.md").read_text().strip()
    methods = re.findall(r"^\| (\S+) \|", table, re.MULTILINE)
    name = next(word for word in methods if word.partition("+")[0] in presets())  # the first that was asked for
    rows = read_rows(folder / f"{name}.csv")
    row = rows[0]
    scale, sigma = row.key.scale, f"{row.key.sigma:g}"
    protocol, pictures = row.protocol.partition("@")[0], len({one.key.image for one in rows})
    data = f"--images {IMAGES.get(protocol, CBSD68)} --protocol {protocol}"
    others = "".join(f" {path.stem}" for path in sorted(folder.glob("*.csv")) if path.stem != name)
    data += f" --limit {pictures}" if protocol not in IMAGES and pictures < ALL else ""
    how = f"--methods {name}{others} --scales {scale} --sigmas {sigma} --metrics {' '.join(row.values)}"
    return f"{name}, ×{scale}, σ = {sigma}", (
        f"\n```\npnpsr evaluate {data} {how} --out evaluation/{folder.name}\n```\n\n{table}\n\n"
        f"psnr with a 95 % interval over the pictures: {spread(rows)}\n\n"
        f"Measured on {processor()}, torch {torch.__version__.split('+')[0]}.\n"
    )


if __name__ == "__main__":
    main()
