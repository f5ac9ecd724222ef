"""The trainings of the presets: a plan as data, for a CPU or a GPU, that resumes wherever it was stopped.

    python benchmarks/presets.py --data DATA --out runs --only first-x2 --minutes 30
    python benchmarks/presets.py --data DATA --out runs --device cuda --minutes 9
    python benchmarks/presets.py --data DATA --out runs --part docs/training/parts/ikrnet-x2/first-x2.json --steps 51995

``DATA/train`` holds the pictures. Each part of the plan is a run folder below ``--out``: run again, it goes on. ``--minutes`` is
shared out by the parts' weights; how many steps that is, is measured in the first seconds of a part and kept in its folder.
What was run is kept as ``part.json`` in its folder, with the digests of the presets that it began with; ``--part`` runs that again.
Needs torch, numpy, scipy, einops, safetensors, opencv-python, scikit-image and lightning, no other dependency of the package.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from parts import Part, bare, begun, part_from, pinned, written

from pnpsr.conventions import DAN
from pnpsr.data import Bank, BatchedStream, Folder, held_out, setting
from pnpsr.recipes import RECIPES
from pnpsr.train import Options, Stage, stages_for, train
from pnpsr.train.losses import image_log_l2
from pnpsr.train.stages import deepened, optional_stages
from pnpsr.train.validation import Validation

FIRST = "net.layers.0.weight"  # of a first kernel from statistics, below what chooses its turn and what fits it again
HELD_OUT = 20  # pictures; the same ones in every part
VALIDATE = {"count": 24, "patch": 288}  # samples per scale


def first(scale: int, patch: int, width: int = 768, setting: str = "ikrnet", **other: Any) -> Part:
    """A first kernel from statistics: gray, windows of larger pictures, the turn left open."""
    options = {"rate": 1e-3, "average": 0.998, "warmup": 500}
    return Part(
        *("first_kernel", {"size": 21, "width": width}, setting, (scale,)),
        **{"batch": 16, "patch": patch, "margin": 12, "gray": True, "drawn": {"clean": 0.33}, "options": options, **other},
        gpu={"batch": 256, "options": {**options, "rate": 2e-3}},
    )


def restorer(
    scale: int, patch: int, turn: bool = True, width: int = 768, before: int | None = None, setting: str = "ikrnet", **other: Any
) -> Part:
    """The image steps on the kernels that they will get, from the image prior of a preset (of scale ``before``)."""
    widths = (16, 32, 64, 64) if scale < 3 else (24, 40, 80, 80)
    made = {"size": 21, "T": 5, "widths": widths, "hidden": 32, "per_iteration": True, "start": "bicubic"}
    made |= {
        "first": "statistics",
        "first_width": width,
        "turn": turn,
        "thorough": True,
        "settle": setting == "ikrnet",
    }
    made |= {"kernel_step": False, "percent": True, "proportional": True}
    if setting == "ikrnet":
        made["sharp"] = scale
    options = {"rate": 5e-4, "average": 0.998, "precision": "bf16-mixed", "log_every": 50, "save_every": 200}
    fixed = {
        "batch": 8,
        "patch": patch,
        "wide": 288,
        "drawn": {"clean": 0.4, "gray": 0.03, "correlated": 0.1},
        "options": options,
        "psnr": 0.02,
    }
    # from scratch a wide net needs hours of a CPU until it passes the narrow one; folded, it costs a GPU a quarter
    fixed["gpu"] = {"arguments": {**made, "hidden": 64, "widths": (64, 128, 256, 512), "fold": 2 if scale > 1 else 1}, "batch": 48}
    fixed["init"] = (f"preset:ikrnet-x{before or scale}", *(() if before is None else (f"first-x{scale}",)))
    return Part("ikrnet", made, setting, (scale,), stages=("restorer",), **{**fixed, **other})


def photo(scale: int, window: int, patch: int, before: int, **other: Any) -> dict[str, Part]:
    """Both for photographs, as a camera makes them: ``photo-xN`` on the kernels of ``first-photo-xN``, which see a ``window``."""
    near = 1 if scale < 3 else 3  # the first kernels of the same width
    width = 512
    kernel = first(scale, window, width, "photograph", drawn={}, init=(f"first-x{near}",), **other)
    init = (f"preset:ikrnet-x{before}", f"first-photo-x{scale}")
    image = restorer(scale, patch, scale < 3, width, setting="photograph", drawn={"gray": 0.03}, init=init, batch=4, **other)
    return {f"first-photo-x{scale}": kernel, f"photo-x{scale}": image}


def dan(scale: int, size: int = 21, setting: str = "dan-setting1", **other: Any) -> Part:
    """DAN's two networks in the convention of its code, losses on all iterates; that on the image asks for what is measured."""
    made = {"scale": scale, "size": size, "width": 32, "groups": 3, "blocks": 5, "T": 3}
    options = {"rate": 8e-4, "average": 0.995, "precision": "bf16-mixed", "log_every": 50, "save_every": 200}
    fixed = {"patch": 36 * scale, "drawn": {"convention": DAN}, "options": options, "deep": True, "psnr": 0.02}
    fixed["init"] = (f"preset:dan-x{scale}",)
    gpu = {"arguments": {**made, "width": 64, "groups": 5, "blocks": 10, "T": 4}, "batch": 64, "patch": 64 * scale}
    return Part("dan", made, setting, (scale,), gpu=gpu, **{**fixed, **other})


def usrnet(**other: Any) -> Part:
    """Known kernels, all scales, and every kind of noise that is white in space."""
    made = {"T": 5, "widths": (16, 32, 64, 64), "hidden": 32, "start": "bicubic"}
    options = {"rate": 5e-4, "average": 0.998, "precision": "bf16-mixed", "log_every": 50, "save_every": 200}
    fixed = {"patch": 96, "drawn": {"gray": 0.2, "correlated": 0.5, "jpeg": 0.25}}
    fixed |= {"options": options, "init": ("preset:usrnet",)}
    gpu = {"arguments": {**made, "T": 8, "hidden": 64, "widths": (64, 128, 256, 512)}, "batch": 48}
    return Part("usrnet", made, "usrnet", (1, 2, 3, 4), gpu=gpu, **{**fixed, **other})


PLAN: dict[str, Part] = {
    "first-x2": first(2, 192, weight=2.0),
    "first-x4": first(4, 288),
    "first-x1": first(1, 144, 512),
    "first-x3": first(3, 216, 512),
    "restorer-x2": restorer(2, 192, batch=4, weight=3.0),
    # at 4 the sparser image is that of the wrong turn in four cases of ten
    "restorer-x4": restorer(4, 240, turn=False, batch=4, weight=3.0),
    "restorer-x1": restorer(1, 160, batch=4, width=512, before=2),
    "restorer-x3": restorer(3, 216, turn=False, batch=4, width=512, before=4),
    "dan-x2": dan(2),
    "dan-x4": dan(4),
    "dan-x3": dan(3, init=("preset:dan-x4",)),
    # from the networks of the first setting, as far as kernels of another size let them be taken over
    "dan-setting2-x2": dan(2, 11, "div2krk", drawn={}),
    "dan-setting2-x4": dan(4, 31, "div2krk", drawn={}),
    "usrnet": usrnet(weight=2.0),
    **photo(1, 144, 160, before=2),
    **photo(2, 192, 192, before=2),
    **photo(4, 288, 240, before=4),
}


def main() -> None:
    """Run the parts that were asked for, in the plan's order."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path, required=True)
    words.add_argument("--out", type=Path, required=True)
    chosen = words.add_mutually_exclusive_group()
    chosen.add_argument("--only", nargs="*", default=list(PLAN), choices=list(PLAN), metavar="PART")
    chosen.add_argument("--part", type=Path, help="file of a part, in place of the plan; its name is that of the run")
    budget = words.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float, help="of all parts together")
    budget.add_argument("--steps", type=int, help="of each part, in place of a time")
    words.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    words.add_argument("--threads", type=int, default=1)
    given = words.parse_args()
    torch.set_num_threads(given.threads)
    plan = {name: PLAN[name] for name in given.only}
    if given.part is not None:
        plan = {given.part.stem: part_from(given.part.read_text(encoding="utf-8"))}
    total = sum(part.weight for part in plan.values())
    for name, part in plan.items():
        folder, share = given.out / name, part.weight / total
        if given.steps is not None:
            note(folder, given.steps, given.device)
        run(name, part, given.data / "train", given.out, given.device, 60 * (given.minutes or 0) * share)


def run(name: str, part: Part, data: Path, out: Path, device: str, seconds: float) -> None:
    """One part, to its end, on from its last checkpoint."""
    from lightning.fabric import Fabric

    part = replace(part, **part.gpu) if device == "cuda" else part
    folder = out / name
    part = kept(folder, part)
    learning, rest = held_out(Folder(data), HELD_OUT)
    named = setting(part.setting, scales=part.scales, **part.drawn)
    bank = Bank(learning, max(part.patch + 2 * part.margin, part.wide), device, gray=part.gray)
    stream = BatchedStream(bank, named, batch=part.batch, patch=part.patch, margin=part.margin, wide=part.wide)
    validation = Validation(rest, named, **VALIDATE)
    fabric = Fabric(accelerator=device, devices=1, precision=part.options.get("precision", "32-true"))
    fabric.launch()
    steps = planned(folder, part, stream, fabric, seconds, out)
    usual = {"workers": 0, "log_every": 200, "validate_every": max(200, steps // 12), "save_every": 1000}
    options = Options(steps=steps, **{**usual, **part.options})
    solver = built(part, out)
    chosen = stages(part, solver)
    told = {"recipe": part.recipe, "arguments": part.arguments, "setting": named.name, "scales": part.scales, "drawn": part.drawn}
    told |= {
        "batch": part.batch,
        "patch": part.patch,
        "margin": part.margin,
        "init": [bare(word) for word in part.init],
        "began": {bare(word): word.partition("@")[2] for word in part.init},
        "convention": named.convention.name,
    }
    for record in train(
        solver, stream, chosen, options, folder=folder, resume=True, validation=validation, fabric=fabric, note=told
    ):
        scores = "" if record.scores is None else f"  {record.scores.psnr:.2f} dB, kernel {record.scores.kernel_error:.3f}"
        print(f"{name} {record.step}/{steps} {record.losses['total']:.4f} {record.images_per_second:.0f}/s{scores}", flush=True)


def planned(folder: Path, part: Part, stream: BatchedStream, fabric: Any, seconds: float, out: Path) -> int:
    """Steps that fill ``seconds``, measured on a throw-away solver; what an earlier call measured stays."""
    plan = folder / "plan.json"
    if not plan.exists():
        solver = built(part, out)
        options = Options(steps=24, **{**part.options, "workers": 0, "log_every": 4, "validate_every": 0})
        clock = [
            (record.step, time.perf_counter()) for record in train(solver, stream, stages(part, solver), options, fabric=fabric)
        ]
        (a, then), (b, now) = clock[1], clock[-1]
        note(folder, max(100, int(seconds * (b - a) / (now - then))), str(fabric.device))
    return int(json.loads(plan.read_text())["steps"])


def note(folder: Path, steps: int, device: str) -> None:
    """How long the part is, and the command that makes it so, unless that stands there already."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "plan.json").exists():
        (folder / "plan.json").write_text(json.dumps({"steps": steps, "device": device}))
        command = f"python benchmarks/presets.py --data DATA --out runs --part runs/{folder.name}/part.json --steps {steps}"
        (folder / "commands.txt").write_text(command + (" --device cuda\n" if device.startswith("cuda") else "\n"))


def kept(folder: Path, part: Part) -> Part:
    """The part with its digests, as it was when the run began."""
    file = folder / "part.json"
    if file.is_file():
        return replace(part, init=part_from(file.read_text(encoding="utf-8")).init)
    if (folder / "run.json").is_file():  # of a time when digests were not kept: nobody knows them now
        return part
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(written(pinned(part)), encoding="utf-8")
    return pinned(part)


def stages(part: Part, solver: Any) -> list[Stage]:
    """Those of the recipe, or the part's own choice among them and the optional ones."""
    usual = stages_for(solver)
    chosen = [stage for stage in (*usual, *optional_stages(solver)) if stage.name in part.stages] if part.stages else list(usual)
    if part.psnr:
        chosen = [replace(stage, losses={**stage.losses, "image": (part.psnr, image_log_l2)}) for stage in chosen]
    return [deepened(stage) for stage in chosen] if part.deep else chosen


def built(part: Part, out: Path) -> Any:
    """The recipe's solver, with the weights of the parts or presets it starts from, wherever names and shapes agree."""
    torch.manual_seed(0)
    solver = RECIPES[part.recipe](**part.arguments)
    mine = solver.state_dict()
    for name in part.init:
        theirs = taken(begun(name, out), solver)
        if part.grow:
            theirs = grown(theirs, mine, solver)
        mine |= {key: value for key, value in theirs.items() if key in mine and mine[key].shape == value.shape}
    solver.load_state_dict(mine)
    return solver


def grown(theirs: dict[str, Any], mine: dict[str, Any], solver: Any) -> dict[str, Any]:
    """``theirs`` in the shapes of ``mine``: new features begin as they are there, and nobody who was there before reads them yet.

    So a wider net begins with what the narrow one had learned (Chen, Goodfellow, Shlens 2016).
    """
    turned = {f"{name}.weight" for name, m in solver.named_modules() if isinstance(m, torch.nn.ConvTranspose2d)}
    wide = {}
    for key, value in theirs.items():
        into = mine.get(key)
        if into is None or into.ndim != value.ndim or any(a > b for a, b in zip(value.shape, into.shape, strict=True)):
            continue
        into = into.clone()
        if into.ndim > 1:
            outputs = 1 if key in turned else 0
            into.narrow(outputs, 0, value.shape[outputs]).zero_()
        into[tuple(slice(n) for n in value.shape)] = value
        wide[key] = into
    return wide


def taken(before: Any, solver: Any) -> dict[str, Any]:
    """Weights of ``before`` as ``solver`` has them: under a start that is now chosen from, for a sigma that is now in percent."""
    theirs, mine = before.state_dict(), solver.state_dict()
    there, here = (next((key.removesuffix(FIRST) for key in names if key.endswith(FIRST)), "") for names in (theirs, mine))
    if there and here and there != here:
        theirs = {here + key.removeprefix(there) if key.startswith(there) else key: value for key, value in theirs.items()}
    first = "tuner.mlp.mlp.0.weight"
    if first in theirs and solver.tuner.percent and not before.tuner.percent:
        theirs = {**theirs, first: theirs[first] * theirs[first].new_tensor([0.01, 1.0]).reshape(1, 2, 1, 1)}
    return theirs


if __name__ == "__main__":
    main()
