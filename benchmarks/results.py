"""Make the results page: every study on the presets, the baselines, and an index of both.

    python benchmarks/results.py --data data

``data`` holds ``test/set5``, ``test/cbsd68``, ``kernels/ikrnet12.npz``, ``kernels/usrnet12.npz`` and, for the variants of one
study, ``train``. Everything goes on where it stopped, and what is finished is taken from ``runs/`` without solving again.
"""

import csv
import hashlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import tyro
from earlier import found
from shortfalls import shortfalls

from pnpsr import checks
from pnpsr.files import replace_file
from pnpsr.studies import STUDIES
from pnpsr.studies.table import HERE, Line
from pnpsr.weights import presets

SET5, CBSD68 = "{data}/test/set5", "{data}/test/cbsd68"
# The presets that ship have no kernel step in their iterations; what is shown of one is that of earlier weights.
EARLIER, WITH_STEP = Path("runs/earlier"), ("ikrnet-x4@58082213fc9d",)
STEP = [f"{one.partition('@')[0]}={EARLIER}/{one}.safetensors" for one in WITH_STEP]
TWELVE = f"--images {CBSD68} --kernels {{data}}/kernels/ikrnet12.npz"

# Whole test sets where a table's averages stand beside the paper's; the first pictures where one line is compared with another.
STUDY: dict[str, str] = {
    "dan-table1": f"--images {SET5}",
    "dan-table3": f"--images {SET5}",
    "dan-table4": f"--images {SET5} --train-images {{data}}/train --train-steps 400",
    "dan-table5": f"--images {SET5}",
    "dan-fig8": f"--images {SET5}",
    "dan-fig9": f"--images {SET5}",
    "ikrnet-table1": f"{TWELVE} --preset ikrnet-x4",
    "ikrnet-table2": f"{TWELVE} --preset ikrnet-x2",
    "ikrnet-table3": f"{TWELVE} --preset ikrnet-x4 ikrnet-x2",
    "ikrnet-table4": f"--images {SET5} {CBSD68} --preset ikrnet-x4 --limit 5",
    "ikrnet-table5": TWELVE,
    "ikrnet-table6": f"{TWELVE} --limit 3",
    "ikrnet-table7": f"{TWELVE} --limit 3",
    "ikrnet-table8": f"{TWELVE} --limit 5",
    "ikrnet-table9": f"{TWELVE} --limit 5",
    "ikrnet-fig13": f"{TWELVE} --preset {STEP[0]} --limit 1",
}
KEY = {  # the column that the index shows
    "dan-table1": "Set5 PSNR",
    "dan-table3": "Set5",
    **dict.fromkeys((f"ikrnet-table{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9)), "Av."),
}
EVALUATION: dict[str, tuple[str, str]] = {
    "baselines": (
        "Presets beside methods without training, true kernels and wrong ones",
        f"--protocol ikrnet --sigmas 0 --limit 1 {TWELVE} --metrics psnr ssim kernel_mse kernel_mse_aligned data_psnr --methods "
        "bicubic bicubic_centre blind_hqs kernel_first ikrnet-x4 ikrnet-x2 usrnet usrnet+gaussian usrnet+dirac usrnet+kernel_first "
        "tv_hqs deepinv_hqs",
    ),
    "usrnet-table1": (
        "The protocol of USRNet's Table 1",
        f"--protocol usrnet-table1 --limit 2 --images {CBSD68} --kernels {{data}}/kernels/usrnet12.npz --methods usrnet bicubic",
    ),
}
HEAD = """# Results

The tables and figures of both papers, measured on the presets that come with the package. The pages have the commands, the
protocols and all lines of the papers; this one has a column of each. `make results DATA=folder` makes them. On the same machine
with the same versions it makes the same CSV files again, byte for byte, except `*.timings.csv`; on another processor, or with
another torch, the last digits differ. On which machine and torch those whose spread is not measured were made is not recorded;
the others are of an AMD EPYC with AVX-512 bf16 or an Intel Xeon with AMX, and torch 2.14.1.

Every number is of one seed of noise and of one training. How far differences hold on other pictures is measured where the
list below says so, and stands on those pages: what is within its spread there is no result. Elsewhere it was not measured: read
nothing into differences of a few hundredths of a dB. The papers' methods were trained on the papers' pictures,
[the presets](../training.md#how-the-presets-were-made) on 483 photographs, most of them from the collection that CBSD68 comes
from, though not of its own part."""
TODAY = "* [The weights that ship, kernel by kernel](presets.md), by `pnpsr evaluate` as the page says"
ABSENT = "`dan-table2` needs DIV2KRK, which was not at hand; the command is `pnpsr study dan-table2 --images DIV2KRK`."


def main(*, data: Path = Path("data"), out: Path = Path("docs/results"), only: tuple[str, ...] = ()) -> None:
    """Run what is not finished and write ``out``.

    Args:
        data: folder of pictures and kernels.
        out: folder of the results.
        only: these studies and evaluations; all by default.
    """
    for name in only:
        checks.choice(name, (*STUDY, *EVALUATION), "only")
    EARLIER.mkdir(parents=True, exist_ok=True)
    for one in WITH_STEP:
        replace_file(EARLIER / f"{one}.safetensors", found(one)[1])
    for name, words in STUDY.items():
        if not only or name in only:
            run(f"pnpsr study {name} {words} --out {shlex.quote(str(out))}", data)
            written_as_data(out / f"{name}.md", data)
            remember(name, out)
    for name, (title, words) in EVALUATION.items():
        if not only or name in only:
            evaluated(name, title, f"pnpsr evaluate {words} --out runs/evaluations/{name}", data, out)
            remember(name, out)
    replace_file(out / "index.md", index(out).encode())


def evaluated(name: str, title: str, command: str, data: Path, out: Path) -> None:
    """Run ``pnpsr evaluate`` and keep its table under the command that made it."""
    run(command, data)
    shown = Path(f"runs/evaluations/{name}/table.md").read_text(encoding="utf-8")
    head = f"# {title}\n\nMade by\n\n```\n{command.format(data='data')}\n```\n\n"
    replace_file(out / f"{name}.md", (head + shown).encode())


def written_as_data(page: Path, data: Path) -> None:
    """Name the folder in a page's command as the documents do, wherever it is on this machine."""
    text = page.read_text(encoding="utf-8").replace(f"{shlex.quote(str(data))}/", "data/")
    replace_file(page, text.encode())


def run(command: str, data: Path) -> None:
    """The command, in a process of its own; 1 says that something was left out, which stands in its report."""
    command = command.format(data=shlex.quote(str(data)))
    print("+", command, flush=True)
    done = subprocess.run([sys.executable, "-m", *shlex.split(command)], check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)


def used(name: str, out: Path) -> list[str]:
    """The presets that a study or evaluation has measured: those of its command, or its own, at the scales of its CSV file."""
    words = STUDY.get(name) or EVALUATION[name][1]
    named = [preset for preset in presets() if re.search(rf"(?<![\w-]){preset}(?![\w-])", words)]
    if named or name not in STUDY or "--train-images" in words:  # variants that are trained for a study are no presets
        return named
    text = (out / f"{name}.csv").read_text(encoding="utf-8") if (out / f"{name}.csv").is_file() else ""
    blocks = " ".join(row["block"] for row in csv.DictReader(text.splitlines()) if row["source"] == HERE)
    return [preset for preset in STUDIES[name].presets if preset in presets() and f"×{preset[-1]}" in blocks]


def remember(name: str, out: Path) -> None:
    """Write which weights a result was measured with."""
    kept = [row for row in weights(out) if row[0] != name]
    order = [*STUDY, *EVALUATION]
    rows = sorted(
        [*kept, *((name, preset, version(name, preset)) for preset in used(name, out))], key=lambda row: order.index(row[0])
    )
    text = "result,preset,sha256\n" + "".join(",".join(row) + "\n" for row in rows)
    replace_file(out / "weights.csv", text.encode())


def version(name: str, preset: str) -> str:
    """The digest of the weights that a result is measured with: those that ship, or an earlier version that its command names."""
    pinned = re.search(rf"{preset}@[0-9a-f]+", STUDY.get(name) or EVALUATION[name][1])
    return hashlib.sha256(found(pinned[0])[1]).hexdigest() if pinned else presets()[preset].sha256


def weights(out: Path) -> list[tuple[str, str, str]]:
    """Result, preset, digest of its weights, as far as they were remembered."""
    if not (out / "weights.csv").is_file():
        return []
    with (out / "weights.csv").open(encoding="utf-8") as file:
        return [(row["result"], row["preset"], row["sha256"]) for row in csv.DictReader(file)]


def earlier(name: str, out: Path) -> list[str]:
    """The presets whose weights are others by now than those that the result was measured with."""
    known = {preset: sha256 for result, preset, sha256 in weights(out) if result == name}
    return [preset for preset in used(name, out) if known.get(preset) != presets()[preset].sha256]


def index(out: Path) -> str:
    """What is bad, the list of all studies, their key figures beside the paper's."""
    parts = [HEAD]
    parts.append(
        "## First, what is bad\n\n"
        + "\n".join(f"* {one}" for one in shortfalls(out, [name for name in STUDY if earlier(name, out)]))
    )
    parts.append(
        "## All pages\n\n| | shows | first pictures only | weights | spread over pictures |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(listed(name, out) for name in STUDY)
    )
    parts.append(
        "\n".join(
            f"* [{title}]({name}.md), first {limit(name)} picture(s), weights {now(name, out)}"
            for name, (title, _) in EVALUATION.items()
        )
        + f"\n{TODAY}\n\n{ABSENT}"
    )
    parts += [beside(name, column, out) for name, column in KEY.items() if (out / f"{name}.csv").is_file()]
    return "\n\n".join(parts) + "\n"


def listed(name: str, out: Path) -> str:
    """A study as a line of the list."""
    link = f"[{name}]({name}.md)" if (out / f"{name}.md").is_file() else name
    spread = "measured" if (out / f"{name}.differences.csv").is_file() else "not measured"
    return f"| {link} | {STUDIES[name]} | {limit(name) or 'all'} | {now(name, out)} | {spread} |"


def limit(name: str) -> str:
    """How many pictures of each folder a study takes; empty if all."""
    found = re.search(r"--limit (\d+)", STUDY.get(name) or EVALUATION[name][1])
    return found[1] if found else ""


def now(name: str, out: Path) -> str:
    """Whether a result was measured with the weights that ship today."""
    changed = earlier(name, out)
    return f"**earlier ones of {', '.join(changed)}**" if changed else "those that ship" if used(name, out) else "trained for it"


def beside(name: str, column: str, out: Path) -> str:
    """The column of a study, block by block: what was measured here, and all lines of the paper, the best first."""
    with (out / f"{name}.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == HERE and row["column"] == column]
    error = "error" in str(STUDIES[name])
    heads = (f"here, first {limit(name)} pictures", "paper, all pictures") if limit(name) else ("here", "paper")
    note = "Levels are of other pictures and cannot be compared; differences between lines can.\n\n" if limit(name) else ""
    note += f"Measured with earlier weights of {', '.join(changed)}.\n\n" if (changed := earlier(name, out)) else ""
    shown = [f"## [{STUDIES[name]}]({name}.md)\n\n{note}| | {' | '.join(heads)} |\n| --- | --- | --- |"]
    for block in dict.fromkeys(row["block"] for row in rows):
        ours = [(float(row["value"]), row["method"]) for row in rows if row["block"] == block]
        theirs = [(value, line.method) for line in STUDIES[name].paper if line.block == block and (value := cell(line, column))]
        best = sorted(theirs, reverse=not error)
        shown.append("| " + " | ".join([block, *(", ".join(f"{m} {v:.2f}" for v, m in some) for some in (ours, best))]) + " |")
    return "\n".join(shown)


def cell(line: Line, column: str) -> float | None:
    """The value of a paper's line; an average that the paper does not print is taken over what it prints."""
    values = [value for value in line.values.values() if value is not None]
    return sum(values) / len(values) if column == "Av." and column not in line.values else line.values.get(column)


if __name__ == "__main__":
    tyro.cli(main)
