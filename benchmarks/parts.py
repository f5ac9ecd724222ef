"""One training of a preset as data, in a plan or in a file, with the digests of the weights that it begins with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pnpsr.checkpoint import load
from pnpsr.conventions import NAMED
from pnpsr.weights import presets

PRESET, DIGITS = "preset:", 12
FREE = ("weight", "gpu")  # say nothing about the training once it is chosen


@dataclass(frozen=True)
class Part:
    """One training: what is built, from what it starts, on what it learns and for how long."""

    recipe: str
    arguments: dict[str, Any]
    setting: str
    scales: tuple[int, ...]
    batch: int = 8
    patch: int = 96
    margin: int = 0
    wide: int = 0
    gray: bool = False
    stages: tuple[str, ...] = ()  # by name; the recipe's own if empty
    init: tuple[str, ...] = ()  # parts, or preset:NAME, or preset:NAME@DIGEST, whose weights it takes over
    drawn: dict[str, Any] = field(default_factory=dict)  # in place of the setting's values
    options: dict[str, Any] = field(default_factory=dict)
    grow: bool = False  # weights that are smaller than those of this solver's are set into them, so that it does what they did
    deep: bool = False  # every loss on all iterates
    psnr: float = 0.0  # weight of a loss on the logarithm of the squared error, in place of the stages' own on the image
    weight: float = 1.0  # share of the minutes
    gpu: dict[str, Any] = field(default_factory=dict)  # what is larger there


def pinned(part: Part) -> Part:
    """The part with the digest of every preset that it begins with, as it ships now."""
    ships = {PRESET + name: f"{PRESET}{name}@{one.sha256[:DIGITS]}" for name, one in presets().items()}
    return replace(part, init=tuple(ships.get(name, name) for name in part.init))


def bare(word: str) -> str:
    """An entry of ``init`` without its digest."""
    return word.partition("@")[0]


def written(part: Part) -> str:
    """The part as JSON; conventions by name."""
    plain = {name: value for name, value in asdict(part).items() if name not in FREE}
    if "convention" in part.drawn:
        plain["drawn"] = {**part.drawn, "convention": part.drawn["convention"].name}
    return json.dumps(plain, indent=1) + "\n"


def part_from(text: str) -> Part:
    """The part of :func:`written`."""
    plain: Mapping[str, Any] = json.loads(text)
    drawn = dict(plain["drawn"])
    if "convention" in drawn:
        drawn["convention"] = NAMED.find(drawn["convention"])
    lists = {name: tuple(plain[name]) for name in ("scales", "stages", "init")}
    return Part(**{**plain, **lists, "drawn": drawn})


def begun(word: str, out: Path) -> Any:
    """The solver that an entry of ``init`` names: a part's run below ``out``, a preset, or that version of a preset which it says.

    Raises:
        ValueError: the preset that ships is another version, and ``out/earlier`` does not have that one.
    """
    if not word.startswith(PRESET):
        return load(out / word / "last.safetensors")
    name, _, digest = word.removeprefix(PRESET).partition("@")
    if presets()[name].sha256.startswith(digest):
        return load(name)
    file = out / "earlier" / f"{name}@{digest}.safetensors"
    if not file.is_file() or not hashlib.sha256(file.read_bytes()).hexdigest().startswith(digest):
        raise ValueError(
            f"this training begins with an earlier version of {name}: "
            f"python benchmarks/earlier.py {name}@{digest} --out {file.parent}"
        )
    return load(file)
