"""A look at every picture before the first step: which can be read, and what they are."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from pnpsr.data.pictures import Named, Pictures, Subset, digest

T = TypeVar("T")
Progress = Callable[[int, int], None]  # (pictures done, pictures in all)


@dataclass(frozen=True)
class Survey:
    """What the pictures of a collection are.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, Survey, surveyed
        >>> survey = surveyed(FromDataset([torch.rand(3, 8, 8)]))
        >>> isinstance(survey, Survey), dict(survey.broken)
        (True, {})
    """

    whole: Subset  # those that can be read, in their order
    broken: Mapping[str, str] = field(default_factory=dict)  # the others, by name, each with the reason


def refuse(broken: Mapping[str, str]) -> None:
    """Complain about all broken pictures at once.

    Raises:
        ValueError: there are some.
    """
    if broken:
        told = "; ".join(f"{name}: {reason}" for name, reason in broken.items())
        raise ValueError(
            f"{len(broken)} picture(s) cannot be used; remove or mend them, or leave them out (--skip-broken True): {told}"
        )


def surveyed(pictures: Pictures, progress: Progress | None = None, *, threads: int | None = None) -> Survey:
    """Decode every picture once, a few at a time, and say which cannot be.

    Args:
        pictures: the collection.
        progress: called with (done, in all) after each picture.
        threads: that decode at the same time; by default one per core, at most 8.

    Raises:
        ValueError: not one of them can be read.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, surveyed
        >>> len(surveyed(FromDataset([torch.rand(3, 8, 8)])).whole.names)
        1
    """
    count = len(pictures.names)
    found = dict[int, str]()
    for index, reason in in_turn(lambda i: _trouble(pictures, i), count, threads):
        if reason is not None:
            found[index] = reason
        if progress is not None:
            progress(index + 1, count)
    kept = [i for i in range(count) if i not in found]
    broken = {pictures.names[i]: reason for i, reason in found.items()}
    if not kept:
        refuse(broken)
    return Survey(Subset(pictures, kept), broken)


def content(pictures: Named) -> dict[str, str]:
    """Digest of each picture's content, by its name.

    Raises:
        ValueError, OSError: one cannot be read.
    """
    return {pictures.names[i]: one for i, one in in_turn(lambda i: digest(pictures, i), len(pictures.names))}


def _trouble(pictures: Pictures, index: int) -> str | None:
    try:
        getattr(pictures, "check", pictures.read)(index)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    return None


def in_turn(act: Callable[[int], T], count: int, threads: int | None = None) -> Iterator[tuple[int, T]]:
    """(i, act(i)) in order, a few computed ahead; decoders and digests leave Python's lock to others."""
    workers = threads or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if workers == 1:
        yield from ((i, act(i)) for i in range(count))
        return
    with ThreadPoolExecutor(workers) as pool:
        indices = iter(range(count))
        waiting = [(i, pool.submit(act, i)) for i in islice(indices, 2 * workers)]
        while waiting:
            index, future = waiting.pop(0)
            waiting += [(i, pool.submit(act, i)) for i in islice(indices, 1)]
            yield index, future.result()
