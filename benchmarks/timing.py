"""Calls beside their peers: in one process, in turns, medians and ratios."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One case: what was timed, by name, the first being ours; ``x`` is the quantity that a plot goes along, if any."""

    group: str
    case: str
    milliseconds: Mapping[str, float]
    x: float | None = None
    part: str = ""

    def ratios(self) -> dict[str, float]:
        """How many times as long as ours each peer takes."""
        own, *others = self.milliseconds
        return {name: self.milliseconds[name] / self.milliseconds[own] for name in others}


def interleaved(calls: Mapping[str, Call], *, seconds: float, device: str = "cpu", most: int = 401) -> dict[str, float]:
    """The median milliseconds of each call. Each is called once before; then all take turns until the time is over.

    At least three turns are taken. On a CPU with one thread the clock counts the processor's time, which other programs cannot
    lengthen by their share of it; on a GPU events count. A call that returns a number has measured itself.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    begin = time.perf_counter()
    while len(next(iter(taken.values()))) < most:
        for name, call in calls.items():
            taken[name].append(_cuda(call) if device == "cuda" else _cpu(call))
        if time.perf_counter() - begin > seconds and len(next(iter(taken.values()))) >= 3:
            break
    return {name: statistics.median(values) for name, values in taken.items()}


def warm(call: Call, device: str = "cpu") -> Call:
    """The call, timed right after one that is not, where a peer leaves nothing of ours in the processor's caches."""

    def second() -> float:
        call()
        return _cpu(call)

    return second if device == "cpu" else call


def _cpu(call: Call) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    begin = clock()
    told = call()
    return told if isinstance(told, float) else 1e3 * (clock() - begin)


def _cuda(call: Call) -> float:
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    call()
    last.record()
    torch.cuda.synchronize()
    return first.elapsed_time(last)
