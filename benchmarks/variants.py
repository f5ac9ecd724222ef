"""What the parts are worth: variants of one solver, trained with equal budgets from equal pieces, scored on the same crops.

    python benchmarks/variants.py --images folder --seconds 900 --out runs/variants
    python benchmarks/variants.py --images folder --steps 2000 --scale 4 --init ikrnet-x4 --only exact no-kernel-step

Each variant is a recipe with other options, stages or hand-overs. Tensors of the same name and shape begin equal, or as the
files of ``--init`` have them. With ``--seconds`` a variant gets the steps that fit, by the speed of its first ones. Run again,
the same command goes on where it stopped. Writes ``variants.csv`` and ``variants.md``: PSNR in dB, kernel errors (mean squares)
x 1e5, at T iterations of test; ``start`` is the first kernel.
"""

import csv
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from pnpsr import UnrolledSolver, checks, load
from pnpsr.cli.training import take
from pnpsr.data import Folder, Setting, Stream, held_out, setting
from pnpsr.recipes import RECIPES
from pnpsr.train import Options, Stage, train
from pnpsr.train.options import Precision
from pnpsr.train.stages import MIXED_STAGES, deepened
from pnpsr.train.validation import Validation

PROBE = 6  # steps whose speed decides how many fit in --seconds


@dataclass(frozen=True)
class Variant:
    """One row: a recipe's options that differ from the common ones, and what else is done otherwise."""

    recipe: str
    options: Mapping[str, Any] = field(default_factory=dict)
    deep: bool = False

    def build(self, common: Mapping[str, Any], scale: int) -> UnrolledSolver:
        """The solver with its first weights, which depend on nothing else."""
        torch.manual_seed(0)
        built = {"scale": scale} if self.recipe == "mixed" else {}
        solver: Any = RECIPES[self.recipe](**{**common, **built, **self.options})
        return solver

    def stage(self) -> Stage:
        """All parts at once, on the last iterate or on all."""
        return deepened(MIXED_STAGES[0]) if self.deep else MIXED_STAGES[0]


HQS = {"estimator": "hqs"}  # closed-form kernel step on the support, gamma learned in units of the Gram trace
PRINTED = {"first": "statistics", "start": "bicubic"}  # IKR-Net's recipe: gamma is one constant in the units of the image
EXACT = {**PRINTED, "domain": "support", "constraint": "sum", "project": True}
DAN = {"groups": 3, "blocks": 5}  # as the presets' restorers have
VARIANTS: dict[str, Variant] = {
    "exact": Variant("mixed", HQS),  # what the others change
    "no-kernel-step": Variant("mixed", {"estimator": "none"}),
    "grid": Variant("mixed", {**HQS, "domain": "grid"}),
    "grid-as-printed": Variant("ikrnet", PRINTED),  # no constraint either
    "gamma-0.1": Variant("ikrnet", {**EXACT, "gamma": 0.1}),
    "gamma-20": Variant("ikrnet", {**EXACT, "gamma": 20.0}),  # about 0.01 of the mean Gram trace of crops of 96 x 96 at scale 2
    "gamma-relative": Variant("mixed", {**HQS, "learn_gamma": False}),
    "gamma-per-iteration": Variant("mixed", {**HQS, "gammas": 4}),  # iterations beyond the fourth take the fourth's
    "dan-estimator": Variant("mixed", {"estimator": "dan"}),
    "dan-restorer": Variant("mixed", {**DAN, "estimator": "dan", "restorer": "dan"}),
    "dan-restorer-data": Variant("mixed", {**DAN, "estimator": "dan", "restorer": "dan+data"}),
    "exact-dan-restorer-data": Variant("mixed", {**HQS, **DAN, "restorer": "dan+data"}),
    "start-encoder": Variant("mixed", {**HQS, "start": "encoder"}),
    "start-dirac": Variant("mixed", {**HQS, "start": "dirac"}),
    "deep": Variant("mixed", HQS, deep=True),
    "detach-x-k": Variant("mixed", {**HQS, "detach": ("x", "k")}),
    "detach-nothing": Variant("mixed", {**HQS, "detach": ()}),
    "T-2": Variant("mixed", {**HQS, "T": 2}),
    "T-8": Variant("mixed", {**HQS, "T": 8}),
}


@dataclass(frozen=True)
class Bench:
    """What all variants share."""

    stream: Stream
    validation: Validation
    options: Options
    seconds: float | None
    out: Path
    note: Mapping[str, Any]

    def steps(self, solver: UnrolledSolver, variant: Variant, folder: Path) -> int:
        """As asked for; as begun with, where a run goes on; or what fits in the seconds."""
        if self.seconds is None:
            return self.options.steps
        if (folder / "run.json").exists():
            return int(json.loads((folder / "run.json").read_text())["steps"])
        probe = replace(self.options, steps=PROBE, log_every=1, average=0.0, validate_every=0)
        before = {name: value.clone() for name, value in solver.state_dict().items()}
        times = [perf_counter()]
        for _ in train(solver, self.stream, [variant.stage()], probe):
            times.append(perf_counter())
        solver.load_state_dict(before)
        return max(1, int(self.seconds * (PROBE - 1) / (times[-1] - times[1])))

    def run(self, name: str, solver: UnrolledSolver, taken: int, tests: Sequence[int]) -> dict[str, object]:
        """Train and score one variant: its row."""
        folder, variant = self.out / name, VARIANTS[name]
        options = replace(self.options, steps=self.steps(solver, variant, folder))
        records = train(solver, self.stream, [variant.stage()], options, folder=folder, resume=True, note=self.note)
        with tqdm(total=options.steps, desc=name, unit="step") as bar:
            for record in records:
                bar.update(record.step - bar.n)
        with (folder / "records.csv").open(newline="") as file:
            speeds = sorted(float(row["images_per_second"]) for row in csv.DictReader(file))
        begun = self.validation.run(solver.only())[0]
        row: dict[str, object] = {
            "variant": name,
            "weights": sum(p.numel() for p in solver.parameters()),
            "taken": taken,
            "steps": options.steps,
            "ms per step": f"{1000 * self.stream.batch / speeds[len(speeds) // 2]:.0f}",
            "T": solver.T,
            "k, start": f"{begun.kernel_error:.2f}",
        }
        for T in sorted({*tests, solver.T}):
            view = solver.only(*solver.order)
            view.T = T
            scores = self.validation.run(view)[0]
            row |= {f"x, T = {T}": f"{scores.psnr:.2f}", f"k, T = {T}": f"{scores.kernel_error:.2f}"}
        return row


def pieces(common: Mapping[str, Any], scale: int) -> dict[str, UnrolledSolver]:
    """All variants, with equal first weights wherever two have a tensor of the same name and shape."""
    pool: dict[tuple[str, torch.Size], Tensor] = {}
    solvers = {}
    for name, variant in VARIANTS.items():
        solver = solvers[name] = variant.build(common, scale)
        learned = {n for n, _ in solver.named_parameters() if "gamma" not in n}  # gamma's first value is part of the variant
        state = {n: pool.setdefault((n, v.shape), v.clone()) if n in learned else v for n, v in solver.state_dict().items()}
        solver.load_state_dict(state)
    return solvers


def initial(solver: UnrolledSolver, files: Sequence[str]) -> int:
    """Take what fits from each file; how many tensors that were. A variant that shares nothing with a file begins anew."""
    count = 0
    for file in files:
        theirs, mine = load(file).state_dict(), solver.state_dict()
        if any(name in mine and mine[name].shape == value.shape for name, value in theirs.items()):
            count += take(solver, file, partial=True)
    return count


def write(rows: Sequence[Mapping[str, object]], out: Path, about: str) -> None:
    """Both tables; a column that only some variants have is empty in the others."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with (out / "variants.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(str(row.get(name, "")) for name in columns) + " |" for row in rows]
    (out / "variants.md").write_text(about + "\n\n" + "\n".join(lines) + "\n")


def main(
    images: Path,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    scale: int = 2,
    size: int = 21,
    T: int = 4,
    tests: tuple[int, ...] = (2, 4, 8),
    widths: tuple[int, ...] = (16, 32, 64, 64),
    kernel_widths: tuple[int, ...] = (8, 16, 32, 32),
    batch: int = 8,
    patch: int = 96,
    rate: float = 5e-4,
    average: float = 0.995,
    precision: Precision = "32-true",
    data: str = "ikrnet",
    hold_out: int = 20,
    validate_on: int = 40,
    validation_patch: int = 240,
    init: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    threads: int = 1,
    workers: int = 0,
    seed: int = 0,
    out: Path = Path("runs/variants"),
) -> None:
    """Train and score the variants.

    Args:
        images: folder of sharp pictures.
        seconds: of training for each variant; or else
        steps: of each variant.
        scale: of all.
        size: of the kernels.
        T: iterations in training, unless the variant says otherwise.
        tests: iterations at test.
        widths: of the image prior.
        kernel_widths: of the kernel prior.
        batch: samples per step.
        patch: side of the sharp crops.
        rate: of Adam, falling to zero as a cosine.
        average: decay of the weights' moving average.
        precision: of the networks.
        data: named setting.
        hold_out: pictures kept for validation.
        validate_on: crops, the same for all.
        validation_patch: their side.
        init: files or presets to take matching tensors from.
        only: names of variants.
        threads: on a CPU.
        workers: background processes that draw data.
        seed: of the data.
        out: folder.
    """
    if (seconds is None) == (steps is None):
        raise ValueError("give either --seconds or --steps, the budget of each variant")
    for name in only or ():
        checks.choice(name, tuple(VARIANTS), "only")
    torch.set_num_threads(threads)
    chosen: Setting = setting(data, scales=(scale,), size=size)
    training, validating = held_out(Folder(images), hold_out, seed)
    out.mkdir(parents=True, exist_ok=True)
    bench = Bench(
        Stream(training, chosen, batch=batch, patch=patch, seed=seed),
        Validation(validating, chosen, count=validate_on, patch=validation_patch),
        Options(steps=steps or 1, rate=rate, average=average, precision=precision, workers=workers, validate_every=0, keep=1),
        seconds,
        out,
        {"scale": scale, "size": size, "T": T, "widths": widths, "data": data, "batch": batch, "patch": patch, "init": init},
    )
    about = f"```\n{shlex.join(['python', 'benchmarks/variants.py', *sys.argv[1:]])}\n```\n\ntorch {torch.__version__}, "
    about += f"{threads} thread(s), {validate_on} crops of {validation_patch} x {validation_patch}"
    common = {"size": size, "T": T, "widths": widths, "kernel_widths": kernel_widths, "hidden": 32}
    solvers, rows = pieces(common, scale), []
    for name in only or VARIANTS:
        rows.append(bench.run(name, solvers[name], initial(solvers[name], init), tests))
        write(rows, out, about)
    print((out / "variants.md").read_text())


if __name__ == "__main__":
    tyro.cli(main)
