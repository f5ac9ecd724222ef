"""Where the time of an iteration goes, before and after ``pnpsr.fast``, for each recipe at full width: Markdown.

    OMP_NUM_THREADS=1 python benchmarks/where.py > table.txt

Every operator of PyTorch's is timed by the processor's clock as it is called; what the whole takes when nobody looks at operators
is measured by itself. The difference is Python's.
"""

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from cases import SOLVERS, built, problem
from torch.utils._python_dispatch import TorchDispatchMode

from pnpsr.fast import fast
from pnpsr.state import State

SIDE, RUNS = 256, 7  # of x
KINDS = {  # by a part of an operator's name, the first that fits
    "convolutions": ("convolution",),
    "transforms": ("fft",),
    "matrices": ("mm", "linalg", "cholesky", "triangular", "bmm", "matmul"),
    "copies, casts, shuffles": (
        "copy",
        "clone",
        "cat",
        "shuffle",
        "pad",
        "empty",
        "roll",
        "flip",
        "index",
        "gather",
        "fill",
        "zeros",
    ),
}
COLUMNS = (*KINDS, "element by element")


class Clock(TorchDispatchMode):
    """Adds up milliseconds by kind of operator."""

    def __init__(self) -> None:
        super().__init__()
        self.spent: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        begin = time.process_time()
        out = func(*args, **(kwargs or {}))
        name = str(func)
        kind = next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), COLUMNS[-1])
        self.spent[kind] += 1e3 * (time.process_time() - begin)  # type: ignore[assignment]
        return out


def spent(step: Callable[[], State]) -> dict[str, float]:
    """Medians of an iteration and of its kinds of operators, in milliseconds."""
    rows: list[dict[str, float]] = []
    step()
    for _ in range(RUNS):
        begin = time.process_time()
        step()
        total = 1e3 * (time.process_time() - begin)
        with Clock() as clock:
            step()
        rows.append({"total": total, **{kind: clock.spent[kind] for kind in COLUMNS}})
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def main() -> None:
    """Print the table."""
    print("## Where the time goes\n")
    print(f"One iteration on x of {SIDE} x {SIDE}, in ms, each kind of operator by itself. Bound: how much faster than")
    print("the plain loop it would be with nothing to do but its own convolutions, as pnpsr.fast computes them. All rows")
    print("come from one process, which has memory from before; where the plain loop must ask for it in every iteration,")
    print("as in the tables above, it takes longer.\n")
    print(f"| recipe | way | ms | {' | '.join(COLUMNS)} | Python | plain loop / this | bound |")
    print("|---" * (len(COLUMNS) + 6) + "|")
    for name in SOLVERS:
        solver, scale = built(name)
        y, _, k = problem(SIDE, SIDE, scale)
        known = {"k": k, "sigma": 0.05} if solver.k0 is None else {}
        plain = 0.0
        for way, one in (("plain loop", solver), ("pnpsr.fast", fast(solver))):
            state = one.start(y, scale, **known)  # type: ignore[operator]
            row = spent(lambda one=one, state=state: one.step(state))  # type: ignore[misc]
            plain, kinds = plain or row["total"], [row[kind] for kind in COLUMNS]
            cells = [f"{value:.1f}" for value in (row["total"], *kinds, max(0.0, row["total"] - sum(kinds)))]
            bound = f"{plain / row['convolutions']:.2f}" if way == "pnpsr.fast" else ""
            print(f"| {name} | {way} | {' | '.join(cells)} | {plain / row['total']:.2f} | {bound} |", flush=True)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
