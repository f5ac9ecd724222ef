"""DAN's Table 4: four small networks trained alike, with block, group and softmax taken away one after the other."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from tqdm import tqdm

from pnpsr.conventions import PNPSR
from pnpsr.data import Folder, Setting, Stream, held_out, setting
from pnpsr.evaluate.named import dan_setting1
from pnpsr.evaluate.protocol import Protocol
from pnpsr.recipes import dan
from pnpsr.solver import UnrolledSolver
from pnpsr.studies.bench import Bench
from pnpsr.studies.candidates import Candidate
from pnpsr.studies.sweep import Sweep, sweep, tabulate
from pnpsr.studies.table import Findings, Line
from pnpsr.studies.variants import Variant, vary
from pnpsr.train import Options, train
from pnpsr.train.stages import DAN_STAGES
from pnpsr.train.validation import Validation

VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "A": {"version": 1},
        "B: DPCB": {"skip": "off", "softmax": False},
        "C: DPCB, DPCG": {"softmax": False},
        "D: DPCB, DPCG, softmax": {},
    }
)
SHARED = MappingProxyType({"width": 32, "groups": 5, "blocks": 1})  # 4 blocks in A, 5 in the others: the paper's 40 and 50


@dataclass(frozen=True)
class Budget:
    """What every variant is trained with."""

    steps: int
    batch: int = 8
    patch: int = 96
    rate: float = 4e-4
    held: int = 8  # pictures kept for validation, at most half of all


def ablation(bench: Bench, budget: Budget | None = None, shared: Mapping[str, Any] = SHARED) -> Findings:
    """PSNR and kernel error of the variants on held-out crops; PSNR on ``bench.images`` too, under setting 1, if there are any.

    Args:
        bench: with ``train_images`` and ``train_steps``; a trained variant is kept in its ``work`` folder.
        budget: in place of the usual one for ``bench.train_steps``.
        shared: arguments of the recipe that all variants have.

    Raises:
        ValueError: no pictures or steps to train with.
    """
    if bench.train_images is None or bench.train_steps < 1:
        raise ValueError("trains its four variants: --train-images FOLDER --train-steps N")
    budget = Budget(bench.train_steps) if budget is None else budget
    scale = (bench.scales or (4,))[0]
    named = setting("dan-setting1", scales=(scale,))
    solvers, lines, swept = dict[str, UnrolledSolver](), list[Line](), Sweep((), (), ())
    for name, changes in tqdm(VARIANTS.items(), desc="variants", disable=not bench.progress):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bench.seed)
            solvers[name] = dan(scale, **{**shared, **changes})
        scores = _trained(bench, name, solvers[name], named, budget)
        weights = sum(parameter.numel() for parameter in solvers[name].parameters())
        lines.append(Line(f"×{scale}", name, {**scores, "parameters, M": weights / 1e6}))
    if bench.images:
        protocol = bench.under(replace(dan_setting1(), convention=PNPSR, metrics=("psnr",)))
        swept = sweep(bench, protocol, [scale], lambda _, part: [_variant(n, s, part) for n, s in solvers.items()], bench.data())
        measured = {line.method: line for line in tabulate(swept.found, lambda one: [(f"×{scale}", one.data, "psnr")])}
        lines = [
            replace(one, values={**measured[one.method].values, **one.values}, rows=measured[one.method].rows) for one in lines
        ]
    spent, built = (", ".join(f"{n} {v}" for n, v in some.items()) for some in (asdict(budget), shared))
    notes = [
        f"Each variant: {spent}, seed {bench.seed}; recipe dan with {built}; the same batches for all. The paper's have 64 channels "
        "and ten times the blocks.",
        "The estimator of A writes the kernel's code, those of B and C all coefficients without softmax; the paper does not say.",
    ]
    return Findings(lines, [f"held-out crops of setting {named.name}, convention {named.convention}", *swept.protocols], notes)


def _trained(bench: Bench, name: str, solver: UnrolledSolver, named: Setting, budget: Budget) -> dict[str, float | None]:
    """Train it (or take it from an earlier call); the scores on held-out pictures."""
    from lightning.fabric import Fabric

    kind, _, index = bench.device.partition(":")
    fabric = Fabric(accelerator=kind, devices=[int(index)] if index else 1)
    pictures = Folder(bench.train_images or "")
    learning, checking = held_out(pictures, min(budget.held, len(pictures.names) // 2), bench.seed)
    stream = Stream(learning, named, batch=budget.batch, patch=budget.patch, seed=bench.seed)
    every = max(1, budget.steps // 100)
    options = Options(steps=budget.steps, rate=budget.rate, decay="halving", workers=0, validate_every=0, log_every=every)
    options = replace(options, save_every=max(100, budget.steps // 10), warmup=min(100, budget.steps // 10))
    note = {"variant": name, "recipe": str(getattr(solver, "record", "")), **asdict(budget), "pictures": list(pictures.names)}
    folder = bench.work / "dan-table4" / _digest(note | {"scale": named.scales[0], "seed": bench.seed})
    records = train(solver, stream, DAN_STAGES, options, folder=folder, resume=True, fabric=fabric, note=note)
    with tqdm(total=budget.steps, desc=name, unit="step", disable=not bench.progress, leave=False) as bar:
        for record in records:
            bar.update(record.step - bar.n)
            bar.set_postfix_str(", ".join(f"{n} {v:.4g}" for n, v in record.losses.items()))
    scores, _ = Validation(checking, named, count=budget.held, patch=2 * budget.patch).run(solver)
    solver.eval()
    return {"held out, dB": scores.psnr, "kernel error × 1e5": scores.kernel_error}


def _variant(name: str, solver: UnrolledSolver, protocol: Protocol) -> Variant:
    return replace(vary(Candidate(name[0], solver, None), protocol), label=name)


def _digest(note: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(note, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]
