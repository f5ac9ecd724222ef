"""Methods as words of a command line: ``NAME``, ``FILE``, ``NAME=FILE,FILE``, each with options ``+WORD``."""

import re
from collections.abc import Callable
from pathlib import Path

from torch import nn

from pnpsr.checkpoint import UNTRAINED, load
from pnpsr.conventions import NAMED, PNPSR
from pnpsr.evaluate import Method, bicubic, bicubic_centre, deepinv_hqs, from_solver, two_step
from pnpsr.evaluate.solvers import ASSUMED
from pnpsr.recipes import RECIPES, tv_hqs
from pnpsr.released import open_solver
from pnpsr.solver import UnrolledSolver
from pnpsr.weights import presets

BUILT_IN: dict[str, Callable[[str], Method]] = {
    "bicubic": lambda _: bicubic(),
    "bicubic_centre": lambda _: bicubic_centre(),
    "deepinv_hqs": lambda boundary: deepinv_hqs(boundary=boundary),
    "two_step": lambda boundary: two_step(
        "two_step", from_solver("blind_hqs", load("blind_hqs"), boundary=boundary), tv_hqs().eval(), boundary=boundary
    ),
}
WEIGHTLESS = ("tv_hqs", *UNTRAINED)
OPTIONS = ("sigma", "direct", "two_step", *ASSUMED, *NAMED)


def method_from(word: str, *, circular: bool, device: str = "cpu") -> Method:
    """The method that a word means, for y whose border is periodic or not.

    ``bicubic``, ``bicubic_centre``, ``deepinv_hqs``, ``two_step``; ``blind_hqs``, ``tv_hqs`` (no weights); a preset; a
    checkpoint of :func:`pnpsr.save` or an official ``.pth``, called after its file or ``NAME=FILE``; ``NAME=FILE,FILE`` for one
    file per scale. Options after a solver: ``+sigma`` tells it the noise level; ``+gaussian`` or ``+dirac`` is the kernel that a
    non-blind one assumes; ``+two_step`` gives it the kernel that ``blind_hqs`` finds; the name of a convention says how it reads
    kernels; ``+direct`` spares y the extension of a border that is not periodic, which a network without closed forms, such as
    DAN, does not need.

    Raises:
        ValueError: an unknown word or option; what :func:`from_solver` refuses.
        FileNotFoundError: no such file or solver.
    """
    word, options = _options(word)
    label, files = _files(word)
    name = "+".join((label, *options))
    if label in BUILT_IN and not files:
        if options:
            raise ValueError(f"{label} takes no options, got {', '.join(options)}")
        return BUILT_IN[label]("circular" if circular else "reflect" if label == "deepinv_hqs" else "extend")
    named = presets().get(label) if not files else None
    if named is not None:  # a preset reads kernels as it was trained to; the networks of DAN need no periodic border
        options += tuple(o for o in (named.convention, "direct") if named.convention != PNPSR.name and o not in options)
    known = label in WEIGHTLESS or named is not None
    solvers = [_named(label)] if known and not files else [open_solver(file) for file in files]
    boundary = "circular" if circular or "direct" in options else "extend"
    if "two_step" in options:
        if len(solvers) > 1 or set(options) - {"two_step", "direct"} or not isinstance(solvers[0], UnrolledSolver):
            raise ValueError(f"{name}: +two_step goes with one solver and no option but +direct")
        return two_step(
            name, from_solver("blind_hqs", load("blind_hqs"), boundary=boundary), solvers[0].to(device), boundary=boundary
        )
    assumed = [option for option in options if option in ASSUMED]
    conventions = [option for option in options if option in NAMED]
    if len(assumed) > 1 or len(conventions) > 1:
        raise ValueError(f"{name}: one kernel can be assumed and one convention named, got {', '.join((*assumed, *conventions))}")
    return from_solver(
        name,
        *(solver.to(device) for solver in solvers),
        boundary=boundary,
        sigma="sigma" in options,
        kernel=assumed[0] if assumed else None,
        convention=NAMED[conventions[0]] if conventions else PNPSR,
    )


def _options(word: str) -> tuple[str, tuple[str, ...]]:
    """The word without its options, and these."""
    found: list[str] = []
    while "+" in word and (option := word.rpartition("+")[2]) in OPTIONS:
        found.insert(0, option)
        word = word.rpartition("+")[0]
    last = word.rpartition("+")[2]
    if "+" in word and not Path(word.partition("=")[2] or word).exists():
        raise ValueError(f"{last!r} is no option of a method; options are {', '.join(OPTIONS)}")
    return word, tuple(found)


def _files(word: str) -> tuple[str, tuple[Path, ...]]:
    """The name and the files of ``NAME=FILE,FILE``, ``FILE`` or ``NAME``."""
    label, equals, files = word.partition("=")
    if equals and not Path(word).exists():
        return label, tuple(Path(file) for file in files.split(","))
    if word in BUILT_IN or word in WEIGHTLESS or word in presets():
        return word, ()
    if not Path(word).is_file():
        known = ", ".join((*BUILT_IN, *WEIGHTLESS, *presets()))
        raise FileNotFoundError(f"there is no checkpoint at {word}, and no method of that name; without a file there are {known}")
    return re.sub(r"[^A-Za-z0-9_.-]", "_", Path(word).stem).lstrip("."), (Path(word),)


def _named(label: str) -> nn.Module:
    """A preset, or a recipe that needs no weights."""
    return load(label) if label in presets() else RECIPES[label]().eval()
