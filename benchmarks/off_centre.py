"""First kernels that learned from motion kernels with a point of the path at their centre, beside the usual centroid: Markdown.

    for n in centred off-centre; do
        python benchmarks/presets.py --data DATA --out runs --part docs/training/parts/trials/first-x2-$n.json --steps 5000
    done
    python benchmarks/off_centre.py --data DATA --runs runs --out runs/off-centre > table.md

Pictures, kernels and intervals as in :mod:`debiased`; images are restored by the image steps of ``ikrnet-x2``.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import tyro
from debiased import GROUPS, METRICS, cells
from first_kernel import HELD_OUT

from pnpsr import load
from pnpsr.data import Folder, held_out
from pnpsr.data.pictures import Subset
from pnpsr.debiased import unsharpened
from pnpsr.evaluate import evaluate, from_solver, named_protocol
from pnpsr.kernels import load_kernels
from pnpsr.solver import UnrolledSolver

SCALE = 2
TRIALS = "first-x2-centred", "first-x2-off-centre"


def main(*, data: Path, runs: Path, out: Path, sigma: float = 0.0, pictures: int = 10) -> None:
    """Measure and print.

    Args:
        data: folder with ``train`` and ``kernels/ikrnet12.npz``.
        runs: folder of the two trainings.
        out: folder for the rows.
        sigma: noise level.
        pictures: so many of those held out.
    """
    torch.set_num_threads(1)
    _, rest = held_out(Folder(data / "train"), HELD_OUT)
    protocol = named_protocol("every-scale", load_kernels(data / "kernels" / "ikrnet12.npz"))
    protocol = replace(protocol, conditions=((SCALE, sigma),), metrics=tuple(METRICS))
    print(f"torch {torch.__version__}; {pictures} held-out pictures × twelve kernels; kernel errors × 1e5; 95 % intervals\n")
    print("| noise | kernels | | centroid | point of the path | difference |\n|---|---|---|---|---|---|")
    solver, some = unsharpened(load(f"ikrnet-x{SCALE}")), Subset(rest, range(pictures))
    begun = {name: beginning(solver, load(runs / name / "last.safetensors")) for name in TRIALS}
    before, after = (evaluate(from_solver(name, one), protocol, some, out).rows for name, one in begun.items())
    for label, group in GROUPS.items():
        for metric in METRICS:
            print(f"| {sigma:g} | {label} | {cells(before, after, group, metric)} |", flush=True)


def beginning(solver: Any, first: Any) -> UnrolledSolver:
    """A view of the solver that begins with the first kernel of another."""
    view = solver.only(*solver.order)
    view.k0 = first.k0
    return view


if __name__ == "__main__":
    tyro.cli(main)
