"""Turn finished training runs into a preset of the package: weights, index entry, log and curve.

    python benchmarks/publish.py ikrnet-x4 runs/ikrnet-x4 --after runs/usrnet runs/start-x4 --hardware "2 CPU cores" \
        --scores evaluation/ikrnet-x4.csv
"""

import csv
import hashlib
import json
import shlex
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro
from parts import PRESET, Part, bare, part_from, pinned, written
from presets import PLAN

from pnpsr import load, save
from pnpsr.evaluate import read_rows
from pnpsr.files import replace_file
from pnpsr.plot import save_figure
from pnpsr.weights import presets

HERE = Path(__file__).parent.parent
WEIGHTS, DOCS = HERE / "pnpsr" / "weights", HERE / "docs" / "training"
PARTS, EARLIER = Path("docs/training/parts"), Path("runs/earlier")
POINTS = 200  # of each curve in the committed log


@dataclass
class Log:
    """What a run wrote: steps, total losses and validation scores."""

    name: str
    steps: list[int]
    losses: list[float]
    validation: list[dict[str, str]]


def main(
    name: Annotated[str, tyro.conf.Positional],
    run: Annotated[Path, tyro.conf.Positional],
    *,
    after: tuple[Path, ...] = (),
    which: str = "last",
    hardware: str,
    scores: tuple[Path, ...] = (),
    onto: bool = False,
    bits: dict[str, int] | None = None,
) -> None:
    """Publish the weights of ``run`` as preset ``name``.

    Args:
        name: of the preset.
        run: folder of the last training.
        after: folders of the trainings whose weights it started from, in their order.
        which: last or best.
        hardware: what it was trained on.
        scores: CSV files of ``pnpsr evaluate``.
        onto: the first of the trainings began with the preset as it is so far: its commands, steps and log come before.
        bits: parts whose weights are kept in so many bits, 8, 12 or 16: ``--bits k0 8 restorer 12``.
    """
    lines = [command for folder in (*after, run) for command in commands(folder, name)]  # before the weights are replaced
    solver = load(run / f"{which}.safetensors")
    target = WEIGHTS / f"{name}.safetensors"
    save(solver, target, half=True, bits=bits or {})
    notes = [json.loads((folder / "run.json").read_text()) for folder in (*after, run)]
    index = json.loads((WEIGHTS / "index.json").read_text())
    before = index[name] if onto else {"commands": [], "steps": 0}
    record = asdict(solver.record)
    index[name] = {
        "recipe": record["recipe"],
        "arguments": record["arguments"],
        "setting": notes[-1]["setting"],
        "convention": notes[-1]["convention"],
        "commands": before["commands"] + lines,
        "steps": before["steps"] + sum(note["steps"] for note in notes),
        "hardware": hardware,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "scores": means(scores) if scores else index.get(name, {}).get("scores", {}),
    }
    replace_file(WEIGHTS / "index.json", (json.dumps(dict(sorted(index.items())), indent=1) + "\n").encode())
    DOCS.mkdir(parents=True, exist_ok=True)
    logs = [read(folder) for folder in (*after, run)]
    log = DOCS / f"{name}.csv"
    write(logs, log, log.read_text().splitlines()[1:] if onto else [])
    save_figure(curves(name, logs), DOCS / f"{name}.webp")
    print(f"{target}: {target.stat().st_size / 2**20:.2f} MiB")


def commands(folder: Path, preset: str) -> list[str]:
    """The distinct commands of a run, without the paths of this machine; presets that they begin with by digest, fetched first."""
    lines = dict.fromkeys((folder / "commands.txt").read_text().splitlines())
    words = [[w if w == word[0] or not w.startswith("/") else "PICTURES" for w in word] for word in map(shlex.split, lines)]
    if words[0][1] == "benchmarks/presets.py":
        part, file = part_of(folder), PARTS / preset / f"{folder.name}.json"
        (HERE / file).parent.mkdir(parents=True, exist_ok=True)
        replace_file(HERE / file, written(part).encode())
        began = [word.removeprefix(PRESET) for word in part.init if word.startswith(PRESET)]
        words = [_renamed(word, str(file)) for word in words]
    else:
        known = json.loads((folder / "run.json").read_text()).get("began", {})
        began = [f"{name}@{digest}" for name, digest in known.items() if name in presets()]
        words = [_begun(word, began) for word in words]
    fetched = [f"python benchmarks/earlier.py {' '.join(began)} --out {EARLIER}"] if began else []
    return [*fetched, *dict.fromkeys(shlex.join(w) for w in words)]


def _renamed(words: list[str], file: str) -> list[str]:
    """The command of a part, with the file that is kept of it."""
    at = next(i for i, word in enumerate(words) if word in ("--part", "--only"))
    return [*words[:at], "--part", file, *words[at + 2 :]]


def _begun(words: list[str], began: list[str]) -> list[str]:
    """The command of a training, with files of these versions in place of presets after ``--init``."""
    files, reads = {bare(version): str(EARLIER / f"{version}.safetensors") for version in began}, False
    for i, word in enumerate(words):
        reads = word == "--init" if word.startswith("--") else reads
        words = [*words[:i], files.get(word, word) if reads else word, *words[i + 1 :]]
    return words


def part_of(folder: Path) -> Part:
    """What was trained there; of a run without ``part.json`` the plan's part, if it is that of the run.

    Raises:
        ValueError: it is not.
    """
    if (folder / "part.json").is_file():
        return part_from((folder / "part.json").read_text(encoding="utf-8"))
    part, run = pinned(PLAN[folder.name]), json.loads((folder / "run.json").read_text())
    same = {"recipe": part.recipe, "arguments": part.arguments, "setting": part.setting, "scales": part.scales, "batch": part.batch}
    same |= {"patch": part.patch, "margin": part.margin, "init": [bare(word) for word in part.init], "rate": part.options["rate"]}
    if differ := [name for name, value in json.loads(json.dumps(same)).items() if run[name] != value]:
        raise ValueError(f"{folder} is not what the plan has under that name now ({', '.join(differ)}): write its part.json")
    return part


def read(folder: Path) -> Log:
    """The log of a run, thinned."""
    with (folder / "records.csv").open() as file:
        rows = list(csv.DictReader(file))
    block = max(1, len(rows) // POINTS)
    groups = [rows[i : i + block] for i in range(0, len(rows), block)]
    totals = [[float(row["losses"].rsplit("total=", 1)[1]) for row in group] for group in groups]
    validation = folder / "validation.csv"
    with validation.open() as file:
        scores = list(csv.DictReader(file))
    return Log(folder.name, [int(group[-1]["step"]) for group in groups], [sum(t) / len(t) for t in totals], scores)


def write(logs: list[Log], path: Path, before: list[str]) -> None:
    """One CSV for all runs: losses (means of neighbouring records) and validation scores; ``before`` are lines of earlier ones."""
    lines = ["run,step,loss,psnr,kernel_error,sigma_error", *before]
    for log in logs:
        lines += [f"{log.name},{step},{loss:.5g},,," for step, loss in zip(log.steps, log.losses, strict=True)]
        lines += [f"{log.name},{r['step']},,{r['psnr']},{r['kernel_error']},{r['sigma_error']}" for r in log.validation]
    replace_file(path, ("\n".join(lines) + "\n").encode())


def curves(name: str, logs: list[Log]):
    """Losses above, validation below, one column per run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(logs), 5), dpi=100, layout="constrained")
    panels = figure.subplots(3, len(logs), squeeze=False)
    for column, log in zip(panels.T, logs, strict=True):
        column[0].plot(log.steps, log.losses, linewidth=1)
        scale = "log" if min(log.losses) > 0 else "linear"  # a logarithm may be the loss itself
        column[0].set(title=f"{name}: {log.name}", yscale=scale, ylabel="loss")
        for panel, key, label in ((column[1], "psnr", "PSNR, dB"), (column[2], "kernel_error", "kernel MSE × 1e5")):
            panel.plot([int(r["step"]) for r in log.validation], [float(r[key]) for r in log.validation], marker="o", markersize=3)
            panel.set(ylabel=label, xlabel="step")
    return figure


def means(files: tuple[Path, ...]) -> dict[str, dict[str, float]]:
    """Mean of every metric by protocol, scale and noise level."""
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        for row in read_rows(file):
            label = f"{row.protocol.partition('@')[0]} ×{row.key.scale} sigma={row.key.sigma:g}"
            for metric, value in row.values.items():
                if value is not None:
                    groups[label][metric].append(value)
    return {
        label: {"rows": max(map(len, by.values())), **{m: round(sum(v) / len(v), 7) for m, v in by.items()}}
        for label, by in groups.items()
    }


if __name__ == "__main__":
    tyro.cli(main)
