"""What a debiased or settled first kernel or a second solve is worth to the presets, on pictures nothing was learned from.

    python benchmarks/debiased.py --data DATA --out runs/debiased > table.md
    python benchmarks/debiased.py --data DATA --out runs/settled --what settled > table.md
    python benchmarks/debiased.py --data DATA --out runs/ensemble --what ensemble > table.md

Twelve kernels of IKR-Net's protocol, of which k9 to k12 are motion. A call that was stopped goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from first_kernel import HELD_OUT, MOTION, shown

from pnpsr import UnrolledSolver, load
from pnpsr.data import Folder, held_out
from pnpsr.data.pictures import Subset
from pnpsr.debiased import debiased, settling, unsharpened
from pnpsr.ensemble import ensemble
from pnpsr.evaluate import Row, difference, evaluate, from_solver, named_protocol, spread
from pnpsr.kernels import load_kernels

GROUPS = {"Gaussian": range(1, 9), "motion": MOTION, "all": range(1, 13)}
METRICS = {
    "kernel_mse": ("error", 1e5),
    "kernel_mse_aligned": ("error after the best shift", 1e5),
    "psnr": ("PSNR", 1.0),
    "psnr_aligned": ("PSNR after the best shift", 1.0),
}


View = Callable[[Any], UnrolledSolver]


def said(solver: Any) -> UnrolledSolver:
    """With its first kernel as the network says it."""
    return settling(unsharpened(solver), False)


PAIRS: dict[str, tuple[View, View]] = {  # what is compared with what, views of a preset
    "debiased": (said, lambda s: debiased(said(s))),
    "settled": (said, lambda s: settling(unsharpened(s))),
    "sharpened": (unsharpened, lambda s: s),
    "ensemble": (lambda s: s, ensemble),
}


def main(
    *,
    data: Path,
    out: Path,
    what: Literal["debiased", "settled", "sharpened", "ensemble"] = "debiased",
    scales: tuple[int, ...] = (1, 2, 4),
    sigmas: tuple[float, ...] = (0.0, 0.02),
    pictures: int = 10,
) -> None:
    """Measure and print.

    Args:
        data: folder with ``train`` and ``kernels/ikrnet12.npz``.
        out: folder for the rows.
        what: is compared with the preset as it is without.
        scales: of the presets ``ikrnet-xN``.
        sigmas: noise levels.
        pictures: so many of those held out.
    """
    torch.set_num_threads(1)
    _, rest = held_out(Folder(data / "train"), HELD_OUT)
    some, kernels = Subset(rest, range(pictures)), load_kernels(data / "kernels" / "ikrnet12.npz")
    print(f"torch {torch.__version__}; {pictures} held-out pictures × twelve kernels; kernel errors × 1e5; 95 % intervals\n")
    print(f"| scale | noise | kernels | | without | {what} | difference |\n|---|---|---|---|---|---|---|")
    for scale in scales:
        once, made = (view(load(f"ikrnet-x{scale}")) for view in PAIRS[what])
        for sigma in sigmas:
            protocol = replace(named_protocol("every-scale", kernels), conditions=((scale, sigma),), metrics=tuple(METRICS))
            methods = from_solver(f"no-{what}", once), from_solver(what, made)
            before, after = (evaluate(one, protocol, some, out / f"x{scale}-{sigma:g}").rows for one in methods)
            for label, group in GROUPS.items():
                for metric in METRICS:
                    print(f"| ×{scale} | {sigma:g} | {label} | {cells(before, after, group, metric)} |", flush=True)


def cells(before: Sequence[Row], after: Sequence[Row], kernels: range, metric: str) -> str:
    """A metric in words, both means and the difference, in brackets where the interval holds 0."""
    words, unit = METRICS[metric]
    old, new = ([_scaled(r, metric, unit) for r in rows if r.key.kernel in kernels] for rows in (before, after))
    gap = difference(new, old, metric)
    return " | ".join(
        [
            words,
            shown(spread(old, metric)),
            shown(spread(new, metric)),
            shown(gap, "+") if gap.apart else f"({shown(gap, '+')})",
        ]
    )


def _scaled(row: Row, metric: str, unit: float) -> Row:
    value = row.values[metric]
    return replace(row, values={metric: None if value is None else unit * value})


if __name__ == "__main__":
    tyro.cli(main)
