"""Apply a protocol to a method: every row once, in order, whatever happened before."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pnpsr import checks
from pnpsr.data import Pairs, Pictures
from pnpsr.evaluate.cases import Case, Failure, Key, Source, Synthetic
from pnpsr.evaluate.measures import measure, physics_told, true_kernel
from pnpsr.evaluate.method import Method, Result
from pnpsr.evaluate.paired import PairedRows
from pnpsr.evaluate.protocol import Protocol
from pnpsr.evaluate.rows import Row
from pnpsr.evaluate.store import Owner, Table, agree, remember
from pnpsr.evaluate.triples import Triples

Solved = tuple[Key, dict[str, float | None]] | Failure
Rows = Pictures | Triples | Pairs | Source
ROW = (ValueError, RuntimeError, ArithmeticError, OSError, MemoryError)  # one row's trouble; others are programming errors


@dataclass(frozen=True)
class Evaluation:
    """All rows of one method, in the order of the protocol; those that could not be made; sentences on what was computed anew.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset
        >>> from pnpsr.evaluate import bicubic, evaluate, Evaluation, grid, Protocol
        >>> from pnpsr.kernels import gaussian
        >>> protocol = Protocol("mine", grid((2,)), gaussian(5, 1.0))
        >>> done = evaluate(bicubic(), protocol, FromDataset([torch.rand(3, 32, 32)]), "results")
        >>> isinstance(done, Evaluation), len(done.rows), list(done.failures)
        (True, 1, [])
    """

    rows: Sequence[Row]
    failures: Sequence[Failure]
    notes: Sequence[str] = ()


def evaluate(
    method: Method,
    protocol: Protocol,
    pictures: Rows,
    out: str | Path,
    *,
    device: str | torch.device = "cpu",
    threads: int = 1,
    share: tuple[int, int] = (0, 1),
    progress: bool = False,
    ready: Callable[[], object] | None = None,
) -> Evaluation:
    """Solve and measure every picture × kernel × condition; rows are on disk one by one, and in ``out/METHOD.csv`` in the end.

    A call that was cut short goes on where it stopped when it is repeated. On one machine with the same versions the same calls
    give the same file, byte for byte. A row is taken from disk only if the picture, everything that the method is made of and
    pnpsr's version are what they were; else it is computed anew, and ``notes`` say so. A method that has no description (see
    ``Method.identity``) is always computed anew.

    Args:
        method: what to evaluate.
        protocol: under which conditions, and how it is measured.
        pictures: sharp pictures; or :class:`Triples` where the protocol's kernels are ``"given"``; or :class:`pnpsr.data.Pairs`
            under :func:`paired_protocol`; or a source of rows of your own, with the methods of :class:`pnpsr.evaluate.Source`.
        out: folder; made if it does not exist. Several processes may fill it at a time.
        device: where the method computes. Degradations, noise and metrics are computed on the CPU, so they do not depend on it.
        threads: how many rows are solved at a time, each on one thread of the CPU, so that the rows do not depend on the number.
        share: (i, n): of all rows only every n-th, from the i-th on, for n calls that share the work.
        progress: show a bar with the time that is left.
        ready: called when the rows are there, before they are merged: where n calls with a ``share`` each wait for one another.

    Raises:
        ValueError: the folder holds results of another protocol; a method that can do no scale of the protocol, or needs of
            pairs what nobody knows.
        TypeError: no method, no protocol, a method or metric that returns something else.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset
        >>> from pnpsr.evaluate import bicubic, evaluate, grid, Protocol
        >>> from pnpsr.kernels import gaussian
        >>> protocol = Protocol("mine", grid((2,), (0.0, 0.01)), gaussian(5, 1.0))
        >>> done = evaluate(bicubic(), protocol, FromDataset([torch.rand(3, 32, 32)]), "results")
        >>> [row.key.sigma for row in done.rows]
        [0.0, 0.01]
    """
    checks.whole(threads, "threads")
    place, count = share
    if not 0 <= checks.whole(place, "share", 0) < checks.whole(count, "share"):
        raise ValueError(f"share must be (i, n) with i from 0 to n - 1, got {share}")
    source, folder = prepare(method, protocol, pictures, out), Path(out)
    keys, failures, (digest, why) = able(method, source), list[Failure](), method.digest
    owner = Owner(method.name, digest, f"{protocol.name}@{protocol.digest}", protocol.columns, source.pixels)
    differs = remember(folder / f"{method.name}.json", method.record())
    with (
        Table(folder, owner, keys) as table,
        tqdm(total=len(keys), initial=len(table.done), desc=method.name, unit="row", disable=not progress) as bar,
    ):
        wanted = {key for i, key in enumerate(keys) if key not in table.done and i % count == place}
        for row in _solved(method, protocol, source.cases(wanted), torch.device(device), threads):
            if isinstance(row, Failure):
                failures.append(row)
            else:
                table.add(*row)
            bar.update()
        notes = (*_notes(method, table.stale, differs, why), *_narrowed(method, protocol), *_untold(method, protocol))
        if ready is not None:
            ready()
        return Evaluation(table.finish(), tuple(failures), notes)


def prepare(method: Method, protocol: Protocol, pictures: Rows, out: str | Path) -> Source:
    """The rows to make, once everything but the computing is sure: :func:`evaluate` begins with this, and has the same errors.

    For several methods call it for each before the first is evaluated: mistakes then show before hours of computing.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset
        >>> from pnpsr.evaluate import bicubic, grid, prepare, Protocol
        >>> from pnpsr.kernels import gaussian
        >>> protocol = Protocol("mine", grid((2,)), gaussian(5, 1.0))
        >>> prepare(bicubic(), protocol, FromDataset([torch.rand(3, 32, 32)]), "results") is not None
        True
    """
    source, folder = _source(method, protocol, pictures), Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    agree(folder / "protocol.json", protocol.record(), "protocol")
    return source


def able(method: Method, source: Source) -> list[Key]:
    """The rows that a method can make: those of its scales."""
    return [key for key in source.keys() if method.scales is None or key.scale in method.scales]


def _narrowed(method: Method, protocol: Protocol) -> tuple[str, ...]:
    missing = [scale for scale in protocol.scales if method.scales is not None and scale not in method.scales]
    return (f"{method.name} has no rows at {', '.join(f'×{s}' for s in missing)}, which it cannot do",) if missing else ()


def _untold(method: Method, protocol: Protocol) -> tuple[str, ...]:
    if protocol.physics is None or method.physics:
        return ()
    return (f"{method.name} inverts blur and ↓s alone: of the protocol's physics it saw y as an image without gaps",)


def _notes(method: Method, stale: int, differs: str, why: str) -> tuple[str, ...]:
    if why:
        told = f"{method.name} has no description ({why}), so its rows are computed anew in every call"
        return (f"{told}: put it at the top of a module, or say what it depends on, Method(identity=...)",)
    if not stale:
        return ()
    reason = f"the method is another one ({differs})" if differs else "of other pictures, or made otherwise"
    return (f"{stale} row(s) of {method.name} on disk were computed anew: {reason}",)


def _solved(
    method: Method, protocol: Protocol, cases: Iterator[Case | Failure], device: torch.device, threads: int
) -> Iterator[Solved]:
    """Rows in the order of the cases; no more than a few of these are held at a time.

    What solves, what measures and what degrades have threads of their own, each of which computes on one: sums are then always
    taken in the same order, and a device does not wait for metrics.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    solving, measuring = (ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,)) for n in (threads, 1))
    waiting: deque[Future[Solved]] = deque()
    try:
        for case in cases:
            solved = solving.submit(_solve, method, protocol, case, device)
            waiting.append(measuring.submit(_measured, solved, method, protocol, case))
            while waiting and (waiting[0].done() or len(waiting) > 2 * threads):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pool in (solving, measuring):
            pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _solve(method: Method, protocol: Protocol, case: Case | Failure, device: torch.device) -> Any:
    """The result, with the true kernel as the method reads it; or why there is none."""
    if isinstance(case, Failure):
        return case
    try:
        truth, model = true_kernel(case, protocol, method), physics_told(case, protocol, method)
        if truth is None and "k" in method.needs:
            raise ValueError(f"no kernel means in {method.convention} what this one means in {protocol.convention}")
        told = {"k": None if truth is None else truth.to(device), "sigma": case.key.sigma}
        with torch.no_grad():
            found = method(case.y.to(device), case.key.scale if model is None else model, told)
            return Result(found.x.cpu(), None if found.k is None else found.k.cpu()), truth
    except ROW as error:
        return Failure(case.key, f"{method.name}: {error or type(error).__name__}")


def _measured(solved: "Future[Any]", method: Method, protocol: Protocol, case: Case | Failure) -> Solved:
    found = solved.result()
    if isinstance(found, Failure) or isinstance(case, Failure):
        return found
    try:
        return case.key, measure(found[0], case, protocol, method, found[1])
    except ROW as error:
        return Failure(case.key, f"{method.name}: {error or type(error).__name__}")


def _source(method: Method, protocol: Protocol, pictures: Rows) -> Source:
    if not isinstance(method, Method) or not isinstance(protocol, Protocol):
        raise TypeError(f"evaluate takes a Method and a Protocol, got {type(method).__name__} and {type(protocol).__name__}")
    if method.scales is not None and not set(protocol.scales) & set(method.scales):
        can, asked = (", ".join(f"×{s}" for s in some) for some in (method.scales, protocol.scales))
        raise ValueError(f"{method.name} can do {can}, the protocol asks for {asked}")
    source = source_of(protocol, pictures)
    if secret := [name for name in method.needs if name in getattr(source, "unknown", ())]:
        raise ValueError(
            f"{method.name} must be told {' and '.join(secret)}, which nobody knows of these pictures: take a blind method"
        )
    return source


def source_of(protocol: Protocol, pictures: Rows) -> Source:
    """Where the rows of a protocol on these pictures come from; a source of rows is its own.

    Raises:
        TypeError: neither pictures, nor triples, nor pairs, nor a source.
        ValueError: pairs under a protocol that makes its own y.
    """
    if isinstance(pictures, Pairs):
        return PairedRows(protocol, pictures)
    if isinstance(pictures, Triples):
        return pictures.under(protocol)
    if all(callable(getattr(pictures, name, None)) for name in ("keys", "cases", "pixels")):
        return pictures  # type: ignore[return-value]
    if not hasattr(pictures, "names") or not hasattr(pictures, "read"):
        raise TypeError(
            f"pictures must have names and read(i), or be rows with keys(), cases(wanted) and pixels(key); got {pictures!r}"
        )
    return Synthetic(protocol, pictures)  # type: ignore[arg-type]
