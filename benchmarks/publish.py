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

from pnpsr import load, save
from pnpsr.evaluate import read_rows
from pnpsr.files import replace_file
from pnpsr.plot import save_figure

HERE = Path(__file__).parent.parent
WEIGHTS, DOCS = HERE / "pnpsr" / "weights", HERE / "docs" / "training"
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
    bytewise: tuple[str, ...] = (),
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
        bytewise: parts whose weights are kept in 8 bits.
    """
    solver = load(run / f"{which}.safetensors")
    target = WEIGHTS / f"{name}.safetensors"
    save(solver, target, half=True, bytewise=bytewise)
    notes = [json.loads((folder / "run.json").read_text()) for folder in (*after, run)]
    index = json.loads((WEIGHTS / "index.json").read_text())
    before = index[name] if onto else {"commands": [], "steps": 0}
    record = asdict(solver.record)
    index[name] = {
        "recipe": record["recipe"],
        "arguments": record["arguments"],
        "setting": notes[-1]["setting"],
        "convention": notes[-1]["convention"],
        "commands": before["commands"] + [command for folder in (*after, run) for command in commands(folder)],
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
    save_figure(curves(name, logs), DOCS / f"{name}.png")
    print(f"{target}: {target.stat().st_size / 2**20:.2f} MiB")


def commands(folder: Path) -> list[str]:
    """The distinct commands of a run, without the paths of this machine."""
    lines = dict.fromkeys((folder / "commands.txt").read_text().splitlines())
    words = [[w if w == word[0] or not w.startswith("/") else "PICTURES" for w in word] for word in map(shlex.split, lines)]
    return list(dict.fromkeys(shlex.join(w) for w in words))


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
        column[0].set(title=f"{name}: {log.name}", yscale="log", ylabel="loss")
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
