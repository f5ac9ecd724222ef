"""Apply a protocol to a method: every row once, in order, whatever happened before."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from pnpsr import checks
from pnpsr.data import Pictures
from pnpsr.evaluate.cases import Case, Failure, Key, Source, Synthetic
from pnpsr.evaluate.measures import measure, true_kernel
from pnpsr.evaluate.method import Method
from pnpsr.evaluate.protocol import Protocol
from pnpsr.evaluate.rows import Row
from pnpsr.evaluate.store import Table, agree
from pnpsr.evaluate.triples import Triples

Solved = tuple[Key, dict[str, float | None]] | Failure


@dataclass(frozen=True)
class Evaluation:
    """All rows of one method, in the order of the protocol, and those that could not be made."""

    rows: Sequence[Row]
    failures: Sequence[Failure]


def evaluate(
    method: Method,
    protocol: Protocol,
    pictures: "Pictures | Triples",
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    threads: int = 1,
    progress: bool = False,
) -> Evaluation:
    """Solve and measure every picture × kernel × condition; rows go to ``out/METHOD.csv`` one by one.

    A call that was cut short goes on where it stopped when it is repeated. The same call gives the same file, byte for byte.

    Args:
        method: what to evaluate.
        protocol: under which conditions, and how it is measured.
        pictures: sharp pictures, or :class:`Triples` where the protocol's kernels are ``"given"``.
        out: folder; made if it does not exist. It remembers protocol, pictures and methods.
        device: where the method computes. Degradations, noise and metrics are computed on the CPU, so they do not depend on it.
        threads: how many rows are solved at a time, for methods on the CPU; each then uses one thread.
        progress: show a bar with the time that is left.

    Raises:
        ValueError: the folder holds results of another protocol, other pictures or another method of that name; a method that
            cannot do a scale of the protocol.
        TypeError: no method, no protocol.
    """
    checks.whole(threads, "threads")
    source, folder = prepare(method, protocol, pictures, out), Path(out)
    keys, failures = source.keys(), list[Failure]()
    label = f"{protocol.name}@{protocol.digest}"
    with (
        Table(folder / f"{method.name}.csv", method.name, label, protocol.metrics, keys) as table,
        tqdm(total=len(keys), initial=len(table.done), desc=method.name, unit="row", disable=not progress) as bar,
    ):
        wanted = {key for key in keys if key not in table.done}
        for row in _solved(method, protocol, source.cases(wanted), torch.device(device), threads):
            if isinstance(row, Failure):
                failures.append(row)
            else:
                table.add(*row)
            bar.update()
        return Evaluation(table.sort(), tuple(failures))


def prepare(method: Method, protocol: Protocol, pictures: "Pictures | Triples", out: str | Path) -> Source:
    """The rows to make, once everything but the computing is sure: :func:`evaluate` begins with this, and has the same errors.

    For several methods call it for each before the first is evaluated: mistakes then show before hours of computing.
    """
    source, folder = _source(method, protocol, pictures), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    agree(folder / "protocol.json", {**protocol.record(), "images": list(pictures.names)}, "protocol")
    agree(folder / f"{method.name}.json", method.record(), "method")
    return source


def _solved(
    method: Method, protocol: Protocol, cases: Iterator[Case | Failure], device: torch.device, threads: int
) -> Iterator[Solved]:
    """Rows in the order of the cases; no more than a few of these are held at a time."""
    if threads == 1:
        yield from (_row(method, protocol, case, device) for case in cases)
        return
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: deque[Future[Solved]] = deque()
        for case in cases:
            waiting.append(pool.submit(_row, method, protocol, case, device))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _row(method: Method, protocol: Protocol, case: Case | Failure, device: torch.device) -> Solved:
    if isinstance(case, Failure):
        return case
    try:
        truth = true_kernel(case, protocol, method)
        if truth is None and "k" in method.needs:
            raise ValueError(f"no kernel means in {method.convention} what this one means in {protocol.convention}")
        told = {"k": None if truth is None else truth.to(device), "sigma": case.key.sigma}
        with torch.no_grad():
            result = method(case.y.to(device), case.key.scale, told)
        return case.key, measure(result, case, protocol, method, truth)
    except (ValueError, RuntimeError) as error:
        return Failure(case.key, f"{method.name}: {error}")


def _source(method: Method, protocol: Protocol, pictures: "Pictures | Triples") -> Source:
    if not isinstance(method, Method) or not isinstance(protocol, Protocol):
        raise TypeError(f"evaluate takes a Method and a Protocol, got {type(method).__name__} and {type(protocol).__name__}")
    if method.scales is not None and not set(protocol.scales) <= set(method.scales):
        able, asked = (", ".join(f"×{s}" for s in some) for some in (method.scales, protocol.scales))
        raise ValueError(f"{method.name} can do {able}, the protocol asks for {asked}; narrow it, or give weights for each scale")
    return pictures.under(protocol) if isinstance(pictures, Triples) else Synthetic(protocol, pictures)
