"""The trainings of the presets: a plan as data, for a CPU or a GPU, that resumes wherever it was stopped.

    python benchmarks/presets.py --data DATA --out runs --only first-x2 --minutes 30
    python benchmarks/presets.py --data DATA --out runs --device cuda --minutes 9

``DATA/train`` holds the pictures. Each part of the plan is a run folder below ``--out``: run again, it goes on. ``--minutes`` is shared
out by the parts' weights; how many steps that is, is measured in the first seconds of a part and kept in its folder. Needs torch,
numpy, scipy, einops, safetensors, opencv-python, scikit-image and lightning, nothing else of the package's dependencies.
"""

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from pnpsr.checkpoint import load
from pnpsr.data import Bank, BatchedStream, Folder, held_out, setting
from pnpsr.recipes import RECIPES
from pnpsr.train import Options, stages_for, train
from pnpsr.train.stages import optional_stages
from pnpsr.train.validation import Validation

HELD_OUT = 20  # pictures; the same ones in every part


@dataclass(frozen=True)
class Part:
    """One training: what is built, from what it starts, on what it learns and for how long."""

    recipe: str
    arguments: dict[str, Any]
    setting: str
    scales: tuple[int, ...]
    batch: int = 8
    patch: int = 96
    margin: int = 0
    gray: bool = False
    stages: tuple[str, ...] = ()  # by name; the recipe's own if empty
    init: tuple[str, ...] = ()  # parts whose weights it takes over
    drawn: dict[str, Any] = field(default_factory=dict)  # in place of the setting's values
    options: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0  # share of the minutes


def first(scale: int, patch: int, **other: Any) -> Part:
    """A first kernel from statistics: gray, windows of larger pictures, the turn left open."""
    options = {"rate": 1e-3, "average": 0.998, "warmup": 500}
    return Part(
        *("first_kernel", {"size": 21, "width": 768}, "ikrnet", (scale,)),
        **{"batch": 16, "patch": patch, "margin": 12, "gray": True, "drawn": {"clean": 0.33}, "options": options, **other},
    )


PLAN: dict[str, Part] = {
    "first-x2": first(2, 192, weight=2.0),
    "first-x4": first(4, 288),
    "first-x1": first(1, 144),
    "first-x3": first(3, 216),
}


def main() -> None:
    """Run the parts that were asked for, in the plan's order."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, required=True)
    words.add_argument("--out", type=Path, required=True)
    words.add_argument("--only", nargs="*", default=list(PLAN), choices=list(PLAN), metavar="PART")
    words.add_argument("--minutes", type=float, required=True, help="of all parts together")
    words.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    words.add_argument("--threads", type=int, default=1)
    given = words.parse_args()
    torch.set_num_threads(given.threads)
    total = sum(PLAN[name].weight for name in given.only)
    for name in given.only:
        run(name, PLAN[name], given.data / "train", given.out, given.device, 60 * given.minutes * PLAN[name].weight / total)


def run(name: str, part: Part, data: Path, out: Path, device: str, seconds: float) -> None:
    """One part, to its end, on from its last checkpoint."""
    from lightning.fabric import Fabric

    folder = out / name
    learning, rest = held_out(Folder(data), HELD_OUT)
    named = setting(part.setting, scales=part.scales, **part.drawn)
    bank = Bank(learning, part.patch + 2 * part.margin, device, gray=part.gray)
    stream = BatchedStream(bank, named, batch=part.batch, patch=part.patch, margin=part.margin)
    validation = Validation(rest, named, count=48 if part.gray else 16, patch=288)
    fabric = Fabric(accelerator=device, devices=1, precision=part.options.get("precision", "32-true"))
    fabric.launch()
    steps = planned(folder, part, stream, fabric, seconds)
    usual = {"workers": 0, "log_every": 200, "validate_every": max(200, steps // 12), "save_every": 1000}
    options = Options(steps=steps, **{**usual, **part.options})
    solver = built(part, out)
    chosen = [stage for stage in (*stages_for(solver), *optional_stages(solver)) if not part.stages or stage.name in part.stages]
    note = {"recipe": part.recipe, "arguments": part.arguments, "setting": named.name, "scales": part.scales, "drawn": part.drawn}
    note |= {"batch": part.batch, "patch": part.patch, "margin": part.margin, "init": part.init, "convention": named.convention.name}
    for record in train(
        solver, stream, chosen, options, folder=folder, resume=True, validation=validation, fabric=fabric, note=note
    ):
        scores = "" if record.scores is None else f"  {record.scores.psnr:.2f} dB, kernel {record.scores.kernel_error:.3f}"
        print(f"{name} {record.step}/{steps} {record.losses['total']:.4f} {record.images_per_second:.0f}/s{scores}", flush=True)


def planned(folder: Path, part: Part, stream: BatchedStream, fabric: Any, seconds: float) -> int:
    """Steps that fill ``seconds``, measured on a throw-away solver; what an earlier call measured stays."""
    note = folder / "plan.json"
    if not note.exists():
        solver = RECIPES[part.recipe](**part.arguments)
        options = Options(steps=60, **{"workers": 0, "log_every": 10, "validate_every": 0, **part.options})
        clock = [(record.step, time.perf_counter()) for record in train(solver, stream, stages_for(solver)[-1:], options, fabric=fabric)]
        (a, then), (b, now) = clock[1], clock[-1]
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps({"steps": max(100, int(seconds * (b - a) / (now - then))), "device": str(fabric.device)}))
    return int(json.loads(note.read_text())["steps"])


def built(part: Part, out: Path) -> Any:
    """The recipe's solver, with the weights of the parts it starts from, wherever names and shapes agree."""
    torch.manual_seed(0)
    solver = RECIPES[part.recipe](**part.arguments)
    mine = solver.state_dict()
    for name in part.init:
        theirs = load(out / name / "last.safetensors").state_dict()
        mine |= {key: value for key, value in theirs.items() if key in mine and mine[key].shape == value.shape}
    solver.load_state_dict(mine)
    return solver


if __name__ == "__main__":
    main()
