"""Memory that a call holds, as the benchmarks measure it."""

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def peak_megabytes(call: Callable[[], object]) -> float:
    """The largest sum of tensors that the call holds at a time, in MiB; on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    level = peak = 0
    for event in record.profiler.kineto_results.events():
        if event.name() == "[memory]":
            level += event.nbytes()
            peak = max(peak, level)
    return peak / 2**20
