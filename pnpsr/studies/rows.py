"""Rows of one variant, or of all iterates of one run, each in a folder of its own where a repeated study finds them again."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from tqdm import tqdm

from pnpsr.evaluate import Evaluation, Failure, Protocol, evaluate, prepare
from pnpsr.evaluate.cases import Case
from pnpsr.evaluate.measures import measure, true_kernel
from pnpsr.evaluate.run import ROW, able
from pnpsr.evaluate.store import Owner, Table
from pnpsr.studies.bench import Bench, Data
from pnpsr.studies.variants import Trace, Variant

Values = dict[str, float | None]


def evaluated(bench: Bench, variant: Variant, protocol: Protocol, data: Data) -> Evaluation:
    """The rows of one variant."""
    return evaluate(
        variant.method,
        protocol,
        data.pictures,
        _folder(bench, variant, protocol, data),
        device=bench.device,
        threads=bench.threads,
        progress=bench.progress,
    )


def traced(bench: Bench, run: Trace, protocol: Protocol, data: Data) -> list[Evaluation]:
    """The rows of all variants of a trace: one run for each y that some variant has no row of."""
    folders = [_folder(bench, variant, protocol, data) for variant in run.variants]
    methods, failures = [variant.method for variant in run.variants], list[Failure]()
    sources = [prepare(method, protocol, data.pictures, folder) for method, folder in zip(methods, folders, strict=True)]
    keys, label = able(methods[0], sources[0]), f"{protocol.name}@{protocol.digest}"
    owners = [Owner(m.name, m.digest[0], label, protocol.columns, sources[0].pixels) for m in methods]
    with ExitStack() as stack:
        tables = [stack.enter_context(Table(folder, owner, keys)) for owner, folder in zip(owners, folders, strict=True)]
        wanted = [key for key in keys if any(key not in table.done for table in tables)]
        cases = sources[0].cases(set(wanted))
        for case in tqdm(cases, total=len(wanted), desc=methods[0].name, unit="y", disable=not bench.progress):
            values = _iterates(bench, run, protocol, case)
            if isinstance(values, Failure):
                failures.append(values)
                continue
            for table, row in zip(tables, values, strict=True):
                if case.key not in table.done:
                    table.add(case.key, row)
        return [Evaluation(table.finish(), failures if table is tables[0] else ()) for table in tables]


def _iterates(bench: Bench, run: Trace, protocol: Protocol, case: Case | Failure) -> Sequence[Values] | Failure:
    """The metrics of every variant on one y."""
    if isinstance(case, Failure):
        return case
    device = torch.device(bench.device)
    try:
        truth = true_kernel(case, protocol, run.variants[0].method)
        told = {"k": None if truth is None else truth.to(device), "sigma": case.key.sigma}
        results = list(run.run(case.y.to(device), case.key.scale, told))
        pairs = zip(run.T, run.variants, strict=True)
        return [measure(results[t - 1], case, protocol, variant.method, truth) for t, variant in pairs]
    except ROW as error:
        return Failure(case.key, f"{run.variants[0].method.name}: {error}")


def _folder(bench: Bench, variant: Variant, protocol: Protocol, data: Data) -> Path:
    """Named after everything that decides a row, so that nothing is ever mixed up."""
    record = json.dumps([protocol.record(), data.stamp, variant.method.record()], sort_keys=True)
    return bench.work / f"{protocol.name}-{hashlib.sha256(record.encode()).hexdigest()[:16]}"
