"""Trained presets that come with the package: weights, and an index that says how each was made and what it scores."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One entry of the index: where the weights come from, so that anybody can make them again.

    Example:
        >>> from pnpsr.weights import presets
        >>> presets()["dan-x2"].recipe
        'dan'
    """

    name: str
    recipe: str
    arguments: Mapping[str, Any]  # of the recipe
    setting: str  # what it was trained on
    convention: str  # how y was made, by its name in pnpsr.conventions
    commands: tuple[str, ...]  # in their order; earlier weights that one begins with are named by digest, and fetched before
    steps: int  # of all commands together
    hardware: str
    sha256: str  # of the weights' file
    scores: Mapping[str, Any]  # measured, each with its protocol

    @property
    def scales(self) -> tuple[int, ...] | None:
        """The factors it was trained for, from its name's ending (``ikrnet-x2``); None: any."""
        ending = re.search(r"-x(\d)$", self.name)
        return None if ending is None else (int(ending[1]),)


@cache
def presets() -> Mapping[str, Preset]:
    """The presets by name, as the index has them.

    Example:
        >>> from pnpsr.weights import presets
        >>> "dan-x2" in presets()
        True
    """
    entries = json.loads(files("pnpsr.weights").joinpath("index.json").read_text(encoding="utf-8"))
    return MappingProxyType({name: Preset(name, **{**e, "commands": tuple(e["commands"])}) for name, e in entries.items()})


def preset_file(name: str) -> Path:
    """The file of a preset's weights, once its checksum has been compared with the index.

    Raises:
        FileNotFoundError: no such preset; :func:`presets` lists them.
        KeyError: a file that the index does not know.
        ValueError: the file is damaged.

    Example:
        >>> from pnpsr.weights import preset_file
        >>> preset_file("dan-x2").suffix
        '.safetensors'
    """
    with as_file(files("pnpsr.weights").joinpath(f"{name}.safetensors")) as path:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != presets()[name].sha256:
            raise ValueError(f"the weights of preset {name!r} are damaged (sha256 {found[:12]}...): install the package again")
        return path
