"""Make the results page: every study on the presets, the baselines, and an index of both.

    python benchmarks/results.py --data data

``data`` holds ``test/set5``, ``test/cbsd68``, ``kernels/ikrnet12.npz``, ``kernels/usrnet12.npz`` and, for the variants of one
study, ``train``. Everything goes on where it stopped, and what is finished is taken from ``runs/`` without solving again.
"""

import csv
import shlex
import subprocess
import sys
from pathlib import Path

import tyro

from pnpsr import checks
from pnpsr.files import replace_file
from pnpsr.studies import STUDIES
from pnpsr.studies.table import HERE, Line

SET5, CBSD68 = "{data}/test/set5", "{data}/test/cbsd68"
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
    "ikrnet-fig13": f"{TWELVE} --limit 1",
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
    folder = shlex.quote(str(data))
    for name, words in STUDY.items():
        if not only or name in only:
            run(f"pnpsr study {name} {words.format(data=folder)} --out {shlex.quote(str(out))}")
    for name, (title, words) in EVALUATION.items():
        if not only or name in only:
            evaluated(name, title, f"pnpsr evaluate {words.format(data=folder)} --out runs/evaluations/{name}", out)
    replace_file(out / "index.md", index(out).encode())


def evaluated(name: str, title: str, command: str, out: Path) -> None:
    """Run ``pnpsr evaluate`` and keep its table under the command that made it."""
    run(command)
    shown = Path(f"runs/evaluations/{name}/table.md").read_text(encoding="utf-8")
    head = f"# {title}\n\nMade by\n\n```\n{command}\n```\n\n"
    replace_file(out / f"{name}.md", (head + shown).encode())


def run(command: str) -> None:
    """The command, in a process of its own; 1 says that something was left out, which stands in its report."""
    print("+", command, flush=True)
    done = subprocess.run([sys.executable, "-m", *shlex.split(command)], check=False)
    if done.returncode not in (0, 1):
        raise SystemExit(done.returncode)


def index(out: Path) -> str:
    """All studies with their key figures beside the paper's."""
    parts = [
        "# Results\n\nThe tables and figures of both papers, measured on the presets that come with the package. The pages have "
        "the commands, the protocols and all lines of the papers; this one has a column of each. `make results DATA=folder` makes "
        "them, and makes the same CSV files again, byte for byte, except `*.timings.csv`."
    ]
    parts.append("| | shows | first pictures only |\n| --- | --- | --- |\n" + "\n".join(listed(name, out) for name in STUDY))
    parts.append("\n".join(f"* [{title}]({name}.md)" for name, (title, _) in EVALUATION.items()) + f"\n\n{ABSENT}")
    parts += [beside(name, column, out) for name, column in KEY.items() if (out / f"{name}.csv").is_file()]
    return "\n\n".join(parts) + "\n"


def listed(name: str, out: Path) -> str:
    """A study as a line of the list."""
    limit = STUDY[name].partition("--limit ")[2]
    link = f"[{name}]({name}.md)" if (out / f"{name}.md").is_file() else name
    return f"| {link} | {STUDIES[name]} | {limit or 'all'} |"


def beside(name: str, column: str, out: Path) -> str:
    """The column of a study, block by block: what was measured here, and the paper's best three lines."""
    with (out / f"{name}.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == HERE and row["column"] == column]
    error = "error" in str(STUDIES[name])
    shown = [f"## [{STUDIES[name]}]({name}.md)\n\n| | here | paper |\n| --- | --- | --- |"]
    for block in dict.fromkeys(row["block"] for row in rows):
        ours = [(float(row["value"]), row["method"]) for row in rows if row["block"] == block]
        theirs = [(value, line.method) for line in STUDIES[name].paper if line.block == block and (value := cell(line, column))]
        best = sorted(theirs, reverse=not error)[:3]
        shown.append("| " + " | ".join([block, *(", ".join(f"{m} {v:.2f}" for v, m in some) for some in (ours, best))]) + " |")
    return "\n".join(shown)


def cell(line: Line, column: str) -> float | None:
    """The value of a paper's line; an average that the paper does not print is taken over what it prints."""
    values = [value for value in line.values.values() if value is not None]
    return sum(values) / len(values) if column == "Av." and column not in line.values else line.values.get(column)


if __name__ == "__main__":
    tyro.cli(main)
