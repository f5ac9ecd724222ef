"""Where the presets are behind, gain nothing or get worse: what the results page says first, in numbers from its own CSV files."""

import csv
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pnpsr.studies.table import PAPER
from pnpsr.weights import presets

Cells = dict[tuple[str, str, str], float]  # by block, method and column
LOGS = Path(__file__).parent.parent / "docs" / "training"
BLOCKS = {4: "CBSD68 ×4", 2: "CBSD68 ×2"}
TWELVE = (
    ("ikrnet-table1", 4, "no noise"),
    ("ikrnet-table2", 2, "no noise"),
    ("ikrnet-table3", 4, "2 % noise"),
    ("ikrnet-table3", 2, "2 % noise"),
)


def shortfalls(out: Path, stale: Collection[str] = ()) -> list[str]:
    """One sentence or two on each weak side, for the studies whose CSV files are in ``out``.

    Those that rest on studies in ``stale`` say that they are of earlier weights.
    """
    parts: tuple[tuple[Callable[[Path], Iterator[str]], tuple[str, ...]], ...] = (
        (_twelve, ("ikrnet-table1", "ikrnet-table2", "ikrnet-table3")),
        (_kernels, ("ikrnet-table5",)),
        (_kernel_step, ("ikrnet-table9",)),
        (_iterations, ("ikrnet-fig13",)),
        (_noise, ("ikrnet-table6",)),
        (_dan, ("dan-table1",)),
        (_loop, ("dan-table3", "dan-fig9")),
        (_unseen, ()),
    )
    found = []
    for write, names in parts:
        if all((out / f"{name}.csv").is_file() for name in names):
            old = " Measured with earlier weights." if {*names} & {*stale} else ""
            found += [sentence + old for sentence in write(out)]
    return found


def _twelve(out: Path) -> Iterator[str]:
    for study, scale, noise in TWELVE:
        ours, theirs = read(out, study)
        block = f"CBSD68 ×{scale}"
        mine, bicubic = column(ours, block, "ikrnet"), column(ours, block, "bicubic")
        averages = {m: v for (b, m, c), v in theirs.items() if b == block and c == "Av."}
        below = [f"{k} (by {bicubic[k] - v:.2f})" for k, v in mine.items() if v < bicubic[k]]
        yield (
            f"`ikrnet-x{scale}`, twelve kernels, {noise}: {mine['Av.']:.2f} dB. Of the table's methods "
            f"{better(averages, mine['Av.'])}." + (f" It is below bicubic on {', '.join(below)}." if below else "")
        )


def _kernels(out: Path) -> Iterator[str]:
    ours, theirs = read(out, "ikrnet-table5")
    mine, paper = column(ours, "CBSD68 ×4", "ikrnet"), column(theirs, "CBSD68 ×4", "IKR-Net")
    worst = sorted(paper, key=lambda k: mine[k] - paper[k])[:-4:-1]
    shown = ", ".join(f"{mine[k]:.2f} on {k} (the paper {paper[k]:.2f})" for k in worst)
    count = sum(mine[k] > paper[k] for k in paper)
    yield f"The kernels of `ikrnet-x4` are worse than the paper's on {count} of {len(paper)}; errors × 1e5 of {shown}."


def _kernel_step(out: Path) -> Iterator[str]:
    _, theirs = read(out, "ikrnet-table9")
    own = {
        s: gain(out, "ikrnet-table9", b, "ikrnet, debiased kernel", "ikrnet, first kernel only", "Av.") for s, b in BLOCKS.items()
    }
    paper = {s: theirs[b, "IKR-Net, with D_k-P_k", "Av."] - theirs[b, "IKR-Net, without D_k-P_k", "Av."] for s, b in BLOCKS.items()}
    yield (
        f"What is done to its first kernel, a second look included, is worth {own[4]} to `ikrnet` "
        f"at ×4 and {own[2]} at ×2; the kernel step: "
        f"{_papers(paper)}."
    )


def _iterations(out: Path) -> Iterator[str]:
    errors = list(column(read(out, "ikrnet-fig13")[0], "ikrnet ×4", "kernel error × 1e5").values())
    yield (
        f"In the restoration of Fig. 13 the kernel error {'rises' if errors[-1] > errors[0] else 'falls'} from {errors[0]:.2f} to "
        f"{errors[-1]:.2f} over the iterations."
    )


def _noise(out: Path) -> Iterator[str]:
    _, theirs = read(out, "ikrnet-table6")
    own = {s: gain(out, "ikrnet-table6", b, "ikrnet, σ zero", "ikrnet, σ predicted", "Av.") for s, b in BLOCKS.items()}
    paper = {s: theirs[b, "IKR-Net, σ zero", "Av."] - theirs[b, "IKR-Net, σ predicted", "Av."] for s, b in BLOCKS.items()}
    yield (
        f"The noise level hardly matters to `ikrnet`: with 2 % noise, told zero in place of what it predicts, it changes by "
        f"{own[4]} at ×4 and {own[2]} at ×2; {_papers(paper)}."
    )


def _papers(gain: dict[int, float]) -> str:
    return f"in the paper that is {gain[4]:+.2f} and {gain[2]:+.2f} dB"


def _dan(out: Path) -> Iterator[str]:
    ours, theirs = read(out, "dan-table1")
    for scale in (2, 4):
        block, mine = f"×{scale}", ours[f"×{scale}", "dan", "Set5 PSNR"]
        scores = {m: v for (b, m, c), v in theirs.items() if b == block and c == "Set5 PSNR"}
        yield f"`dan-x{scale}`, Set5: {mine:.2f} dB. Of the table's methods {better(scores, mine)}."


def _loop(out: Path) -> Iterator[str]:
    _, theirs = read(out, "dan-table3")
    own = {s: gain(out, "dan-table3", f"×{s}", "dan, true kernel", "dan, estimated kernel", "Set5") for s in (2, 4)}
    paper = theirs["×4", "DANv2 (GT kernel)", "Set5"] - theirs["×4", "DANv2", "Set5"]
    yield (
        f"`dan` loses by its own kernels: the true one is worth {own[2]} at ×2 and {own[4]} at ×4, in the paper "
        f"{paper:+.2f} dB at ×4."
    )
    for scale in (2, 4):
        T, values = presets()[f"dan-x{scale}"].arguments["T"], column(read(out, "dan-fig9")[0], f"Set5 ×{scale}", "dan")
        first, settled = values.pop("T = 1"), values[f"T = {T}"]
        yield (
            f"`dan-x{scale}` does not settle: {first:.2f} dB at T = 1, then between {min(values.values()):.2f} and "
            f"{max(values.values()):.2f} dB up to T = {len(values) + 1}, and {settled:.2f} dB at its own T = {T}."
        )


def _unseen(_: Path) -> Iterator[str]:
    """Kernel errors on the validation crops, drawn as in training, beside those on Gaussian8."""
    pairs = []
    for scale in (4, 2):
        with (LOGS / f"dan-x{scale}.csv").open(encoding="utf-8") as file:
            last = [float(row["kernel_error"]) for row in csv.DictReader(file) if row["kernel_error"]][-1]
        test = 1e5 * presets()[f"dan-x{scale}"].scores[f"dan-setting1 ×{scale} sigma=0"]["kernel_mse"]
        pairs.append(f"{last:.1f} and {test:.2f} at ×{scale}")
    yield (
        "Gaussian8 flatters the kernels of `dan`. Errors × 1e5 on its validation crops, whose kernels go down to a width of "
        f"0.2, and on Gaussian8: {', '.join(pairs)}."
    )


def gain(out: Path, study: str, block: str, method: str, minus: str, column: str) -> str:
    """What a method has more than another, and whether that is within the spread, where that was measured."""
    ours, _ = read(out, study)
    told = f"{ours[block, method, column] - ours[block, minus, column]:+.2f} dB"
    if not (file := out / f"{study}.differences.csv").is_file():
        return told
    with file.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            names = (row["method"], row["minus"])
            if (row["block"], row["column"]) == (block, column) and {*names} == {method, minus}:
                inside = float(row["low"]) <= 0 <= float(row["high"])
                return f"{told} ({'within' if inside else 'beyond'} the spread over {row['pictures']} pictures)"
    return told


def better(scores: dict[str, float], mine: float) -> str:
    """Those above ``mine``, with their values."""
    above = sorted(((v, m) for m, v in scores.items() if v > mine), reverse=True)
    if not above:
        return f"none of {len(scores)} is above it"
    return f"{len(above)} of {len(scores)} are above it: " + ", ".join(f"{m} {v:.2f}" for v, m in above)


def column(cells: Cells, block: str, method: str) -> dict[str, float]:
    """A line: its values by column."""
    return {c: v for (b, m, c), v in cells.items() if (b, m) == (block, method)}


def read(out: Path, study: str) -> tuple[Cells, Cells]:
    """What was measured here, and what the paper prints."""
    ours, theirs = Cells(), Cells()
    with (out / f"{study}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            (theirs if row["source"] == PAPER else ours)[row["block"], row["method"], row["column"]] = float(row["value"])
    return ours, theirs
