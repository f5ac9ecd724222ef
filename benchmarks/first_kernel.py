"""How good the presets' first kernels are, which turn of them is chosen, and what was gained: Markdown, with intervals.

    python benchmarks/earlier.py ikrnet-x2@b349d561e35e ikrnet-x4@58082213fc9d --out runs/earlier
    python benchmarks/first_kernel.py --data DATA --before runs/earlier/ikrnet-x2@b349d561e35e.safetensors \
        runs/earlier/ikrnet-x4@58082213fc9d.safetensors > table.md

y are those of IKR-Net's protocol (twelve kernels, of which k9 to k12 are motion) on pictures that the trainings held out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

from pnpsr import State, load
from pnpsr.conventions import PNPSR, convert_kernel
from pnpsr.data import Folder, held_out
from pnpsr.data.pictures import Subset
from pnpsr.debiased import settling, unsharpened
from pnpsr.evaluate import Row, Spread, difference, kernel_mse, named_protocol, spread
from pnpsr.evaluate.cases import Case, Failure, Synthetic
from pnpsr.kernels import load_kernels, turned
from pnpsr.steps import ChooseTurn
from pnpsr.steps.turn import before_turning

HELD_OUT = 20  # as in the plan of the presets
MOTION = range(9, 13)
LABELS = ("before", "network", "better turn", "chosen")
PRESETS = {2: "ikrnet-x2", 4: "ikrnet-x4"}


def main(*, data: Path, before: tuple[Path, Path], pictures: int = 10, sigmas: tuple[float, ...] = (0.0, 0.02)) -> None:
    """Measure and print.

    Args:
        data: folder with ``train`` and ``kernels/ikrnet12.npz``.
        before: earlier weights of the two presets, whose first kernel is compared.
        pictures: so many of those held out.
        sigmas: noise levels.
    """
    torch.set_num_threads(1)
    _, rest = held_out(Folder(data / "train"), HELD_OUT)
    some = Subset(rest, range(pictures))
    print(f"torch {torch.__version__}; {pictures} held-out pictures × twelve kernels; mean square × 1e5; 95 % intervals\n")
    head = [
        "scale",
        "noise",
        "kernels",
        "before",
        "network",
        "better turn",
        "chosen",
        "better turn − before",
        "chosen − better turn",
    ]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for (scale, name), file in zip(PRESETS.items(), before, strict=True):
        for sigma in sigmas:
            rows = list(measured(load(name), load(file), scale, sigma, some, data))
            for label, kernels in (("all", range(1, 13)), ("motion", MOTION)):
                print("| " + " | ".join([f"×{scale}", f"{sigma:g}", label, *cells(rows, kernels)]) + " |", flush=True)


def measured(now: Any, then: Any, scale: int, sigma: float, pictures: Subset, data: Path) -> Iterator[Row]:
    """The errors of all first kernels, row by row."""
    protocol = replace(named_protocol("ikrnet", load_kernels(data / "kernels" / "ikrnet12.npz")), conditions=((scale, sigma),))
    source, net = Synthetic(protocol, pictures), before_turning(settling(unsharpened(now), False).k0)
    for case in source.cases(set(source.keys())):
        if isinstance(case, Failure):
            raise ValueError(f"{case.key.image}: {case.reason}")
        truth = convert_kernel(case.kernel(), protocol.convention, PNPSR, scale, interior=True, interpolate=True)
        state = State(case.y, scale)
        with torch.no_grad():
            k = net(state)
            found = {"before": then.k0(state), "network": k, "chosen": ChooseTurn(lambda _, k=k: k)(state)}
        errors = {label: error(one, truth) for label, one in found.items()}
        errors["better turn"] = min(error(k, truth), error(turned(k), truth))
        yield from (row(label, str(protocol), case, value) for label, value in errors.items())


def error(k: Tensor, truth: Tensor) -> float:
    return 1e5 * float(kernel_mse(k, truth))


def row(label: str, protocol: str, case: Case, value: float) -> Row:
    return Row(label, protocol, case.key, {"kernel_mse": value})


def cells(rows: Sequence[Row], kernels: range) -> list[str]:
    """Means and differences, with their intervals; a difference that is within its spread in brackets."""
    by = {
        label: [r for r in rows if r.method == label and r.key.kernel in kernels]
        for label in ("before", "network", "better turn", "chosen")
    }
    means = [shown(spread(some, "kernel_mse")) for some in by.values()]
    gaps = [difference(by[a], by[b], "kernel_mse") for a, b in (("better turn", "before"), ("chosen", "better turn"))]
    return [*means, *(shown(gap, "+") if gap.apart else f"({shown(gap, '+')})" for gap in gaps)]


def shown(found: Spread, sign: str = "") -> str:
    return f"{found.value:{sign}.2f} [{found.low:{sign}.2f}, {found.high:{sign}.2f}]"


if __name__ == "__main__":
    tyro.cli(main)
