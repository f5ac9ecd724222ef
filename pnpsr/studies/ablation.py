"""DAN's Table 4: four small networks trained alike, with block, group and softmax taken away one after the other."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
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
from pnpsr.studies.contrasts import contrasts
from pnpsr.studies.solvers import Candidate
from pnpsr.studies.sweep import Found, Sweep, sweep, tabulate
from pnpsr.studies.table import Findings, Line
from pnpsr.studies.variants import Variant, vary
from pnpsr.train import Options, train
from pnpsr.train.stages import DAN_STAGES
from pnpsr.train.validation import Validation
from pnpsr.values import expression

VARIANTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "A": {"version": 1},
        "B: DPCB": {"skip": "off", "softmax": False},
        "C: DPCB, DPCG": {"softmax": False},
        "D: DPCB, DPCG, softmax": {},
    }
)
SHARED = MappingProxyType({"width": 32, "groups": 5, "blocks": 1})  # 4 blocks in A, 5 in the others: the paper's 40 and 50
RATE = 4e-4  # the paper's
HELD = 8  # pictures kept for validation, at most half of all; each gives one crop


def ablation(bench: Bench) -> Findings:
    """PSNR and kernel error of the variants on held-out crops; PSNR on ``bench.images`` too, under setting 1, if there are any.

    A trained variant is kept in the bench's ``work`` folder, where a repeated study finds it.

    Raises:
        ValueError: no pictures or steps to train with.
    """
    if bench.train_images is None or bench.train_steps < 1:
        raise ValueError("trains its four variants: --train-images FOLDER --train-steps N")
    scale = (bench.scales or (4,))[0]
    named = setting("dan-setting1", scales=(scale,))
    solvers, lines, swept = dict[str, UnrolledSolver](), list[Line](), Sweep((), (), ())
    for name, changes in tqdm(VARIANTS.items(), desc="variants", disable=not bench.progress):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(bench.seed)
            solvers[name] = dan(scale, **{**SHARED, **changes})
        scores = _trained(bench, name, solvers[name], named)
        weights = sum(parameter.numel() for parameter in solvers[name].parameters())
        lines.append(Line(f"×{scale}", name, {**scores, "parameters, M": weights / 1e6}))
    if bench.images:
        protocol = bench.under(replace(dan_setting1(), convention=PNPSR, metrics=("psnr",)))
        swept = sweep(bench, protocol, [scale], lambda _, part: [_variant(n, s, part) for n, s in solvers.items()], bench.data())
        measured = {line.method: line for line in tabulate(swept.found, _cells)}
        lines = [replace(measured[one.method], values={**measured[one.method].values, **one.values}) for one in lines]
    protocols = [f"held out: crops of setting {named.name}, convention {named.convention}", *swept.protocols]
    return Findings(lines, protocols, _notes(bench), swept.left_out, contrasts=contrasts(swept.found, _cells))


def _trained(bench: Bench, name: str, solver: UnrolledSolver, named: Setting) -> dict[str, float | None]:
    """Train it, or take it from an earlier call; the scores on held-out pictures."""
    from lightning.fabric import Fabric

    kind, _, index = bench.device.partition(":")
    fabric = Fabric(accelerator=kind, devices=[int(index)] if index else 1)
    pictures, steps = Folder(bench.train_images or ""), bench.train_steps
    learning, checking = held_out(pictures, min(HELD, len(pictures.names) // 2), bench.seed)
    stream = Stream(learning, named, batch=bench.train_batch, patch=bench.train_patch, seed=bench.seed)
    options = Options(steps, RATE, "halving", warmup=min(100, steps // 10), workers=0, validate_every=0)
    options = replace(options, save_every=max(100, steps // 10), log_every=max(1, steps // 100))
    note = {
        "variant": name,
        "recipe": str(expression(solver)),
        "pictures": list(pictures.names),
        "scale": named.scales[0],
    }
    note |= {"steps": steps, "batch": stream.batch, "patch": stream.patch, "seed": bench.seed}
    folder = bench.work / "dan-table4" / hashlib.sha256(json.dumps(note).encode()).hexdigest()[:16]
    records = train(solver, stream, DAN_STAGES, options, folder=folder, resume=True, fabric=fabric, note=note)
    with tqdm(total=steps, desc=name, unit="step", disable=not bench.progress) as bar:
        for record in records:
            bar.update(record.step - bar.n)
            bar.set_postfix_str(", ".join(f"{n} {v:.4g}" for n, v in record.losses.items()))
    scores, _ = Validation(checking, named, count=HELD, patch=2 * bench.train_patch).run(solver)
    solver.eval()
    return {"held out, dB": scores.psnr, "kernel error × 1e5": scores.kernel_error}


def _cells(one: Found) -> list[tuple[str, str, str]]:
    return [(f"×{one.row.key.scale}", one.data, "psnr")]


def _variant(name: str, solver: UnrolledSolver, protocol: Protocol) -> Variant:
    return replace(vary(Candidate(name[0], solver), protocol), label=name)


def _notes(bench: Bench) -> list[str]:
    built = ", ".join(f"{name} {value}" for name, value in SHARED.items())
    spent = f"{bench.train_steps} steps of {bench.train_batch} crops of {bench.train_patch} pixels"
    return [
        f"Each variant: recipe dan with {built}; {spent}, the same for all; rate {RATE:g}, seed {bench.seed}. The paper's have 64 "
        "channels, ten times the blocks, and 400,000 steps of 64 crops.",
        "The estimator of A writes the kernel's code, those of B and C all coefficients without softmax; the paper does not say.",
    ]
