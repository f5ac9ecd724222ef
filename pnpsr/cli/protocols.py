"""Arguments that decide what is evaluated: the protocol with its variations, the pictures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pnpsr import checks
from pnpsr.cli.pictures import pictures_at
from pnpsr.conventions import NAMED
from pnpsr.data import Pairs
from pnpsr.data.pictures import Subset
from pnpsr.evaluate import PROTOCOLS, Protocol, Triples, named_protocol, paired_protocol
from pnpsr.evaluate.paired import METRICS
from pnpsr.evaluate.protocol import GIVEN
from pnpsr.evaluate.run import Rows
from pnpsr.kernels import load_kernels


def choose_protocol(
    name: str,
    kernels: Path | None,
    scales: tuple[int, ...] | None,
    sigmas: tuple[float, ...] | None,
    metrics: tuple[str, ...] | None,
    convention: str | None,
    physics: str | None,
    colour: str | None,
    seed: int,
) -> Protocol:
    """A named protocol, narrowed to some of its conditions, with what is given in place of its own.

    Raises:
        ValueError: unknown names, kernels missing, conditions that the protocol does not have.
    """
    chosen = named_protocol(name, None if kernels is None else load_kernels(kernels))
    pairs = [(s, v) for s, v in chosen.conditions if s in (scales or (s,)) and v in (sigmas or (v,))]
    if not pairs or not {s for s, _ in pairs} >= set(scales or ()) or not {v for _, v in pairs} >= set(sigmas or ()):
        raise ValueError(f"protocol {name} has no such scales {scales} and sigmas {sigmas}; its pairs are {chosen.conditions}")
    way = chosen.convention if convention is None else NAMED.find(convention)
    if physics is not None and physics in NAMED and convention is None:
        way = NAMED[physics]  # and so kernels are read
    return replace(
        chosen,
        conditions=pairs,
        metrics=metrics or chosen.metrics,
        convention=way if physics is None else replace(way, quantised=None),
        physics=physics or chosen.physics,
        colour=colour or chosen.colour,
        seed=seed,
    )


def choose_pictures(images: str, protocol: Protocol, limit: int | None) -> Rows:
    """The pictures of a folder or of a data set class of deepinv's (``deepinv:NAME:FOLDER``), or what the protocol makes of it.

    Raises:
        ValueError: a limit below 1, no such class.
        FileNotFoundError: no such folder.
    """
    if limit is not None:
        checks.whole(limit, "limit")
    if (entry := PROTOCOLS.get(protocol.name)) is not None and entry.pictures is not None:
        return entry.pictures(images, limit)
    if protocol.kernels == GIVEN:
        return Triples(images, limit)
    pictures = pictures_at(images)
    return pictures if limit is None else Subset(pictures, range(min(limit, len(pictures.names))))


def choose_pairs(
    folders: tuple[str, str],
    scales: tuple[int, ...] | None,
    metrics: tuple[str, ...] | None,
    colour: str | None,
    limit: int | None,
    made: Sequence[str],
) -> tuple[Protocol, Pairs]:
    """Pairs of pictures and how they are compared; ``made`` are the options given that say how y is made.

    Raises:
        ValueError: there are such options; pictures without a partner; another scale than that of the pictures; no such metric.
        FileNotFoundError: no such folder.
    """
    if made:
        raise ValueError(f"pairs have their y as it is: leave out {', '.join(f'--{name}' for name in made)}")
    observed, sharp = (pictures_at(where) for where in folders)
    pairs = Pairs(observed, sharp)
    if scales not in (None, (pairs.scale,)):
        raise ValueError(f"the pairs are at scale {pairs.scale}, got --scales {' '.join(map(str, scales or ()))}")
    if limit is not None:
        pairs = pairs.part(range(min(checks.whole(limit, "limit"), len(pairs.names))))
    return paired_protocol(pairs.scale, metrics=metrics or METRICS, colour=colour or "rgb"), pairs
