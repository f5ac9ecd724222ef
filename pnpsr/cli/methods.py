"""Methods as words of a command line: ``NAME``, ``FILE``, ``NAME=FILE,FILE``, ``module:function``, each with options ``+WORD``."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from pnpsr.checkpoint import UNTRAINED, convention_of, load
from pnpsr.conventions import NAMED, PNPSR
from pnpsr.evaluate import METHODS, Method, from_solver, kernel_first
from pnpsr.evaluate.method import TRUTHS
from pnpsr.evaluate.registry import keywords
from pnpsr.evaluate.solvers import ASSUMED
from pnpsr.needs import needs_of
from pnpsr.recipes import RECIPES
from pnpsr.released import VIEWS, label_of, open_solver, read_word
from pnpsr.values import by_words
from pnpsr.weights import presets

WEIGHTLESS = ("tv_hqs", *UNTRAINED)
OPTIONS = ("sigma", "direct", "kernel_first", *VIEWS, *ASSUMED)  # and the name of a convention


def method_from(word: str, *, circular: bool, device: str = "cpu") -> Method:
    """The method that a word means, for y whose border is periodic or not.

    A name in ``METHODS`` (``bicubic``, ``kernel_first``, ...); ``blind_hqs``, ``tv_hqs`` (no weights); a preset; a checkpoint of
    :func:`pnpsr.save` or an official ``.pth``, called after its file or ``NAME=FILE``; ``NAME=FILE,FILE`` for one file per scale;
    ``module:name`` or ``file.py:name`` for what one's own module has: a function (y, scale) -> x, which may ask for the true
    ``k`` and ``sigma`` by arguments of these names, a :class:`Method`, or a solver. Options after a solver: ``+sigma`` tells it the
    noise level; ``+gaussian`` or ``+dirac`` is the kernel that a non-blind one assumes; ``+kernel_first`` gives it the kernel that
    ``blind_hqs`` finds; ``+debiased`` looks at the first kernel of a blind one again, ``+ensemble`` restores twice; the name of a
    convention says how it reads kernels; ``+direct`` spares y the extension of a border that is not periodic, which a network
    without closed forms, such as DAN, does not need.

    Raises:
        ValueError: an unknown word or option; what :func:`from_solver` refuses.
        FileNotFoundError: no such file or solver.
        TypeError: a function that cannot be called as a method.
    """
    label, files, options = _read(word)
    name = "+".join((label, *options))
    boundary = "circular" if circular or "direct" in options else "extend"
    if not files and label in METHODS:
        if options:
            raise ValueError(f"{label} takes no options, got {', '.join(options)}")
        return METHODS[label](boundary)
    if len(files) == 1 and ":" in files[0] and not Path(files[0]).exists():
        found = by_words(files[0])
        if not isinstance(found, nn.Module):
            return _own(found, name, label, options)
        solvers = [found.eval()]
    elif files:
        solvers = [open_solver(file) for file in files]
    else:
        solvers = [load(label) if label in presets() else RECIPES[label]().eval()]
    told = _told(label, files)
    if told != PNPSR.name and not set(options) & NAMED.keys():
        options += (told,)  # kernels are read as the solver was trained to
        if not any(needs_of(solver).periodic for solver in solvers):  # the networks of DAN need no periodic border
            options, boundary = (*options, "direct"), "circular"
    return _solving(name, [solver.to(device) for solver in solvers], options, boundary)


def _told(label: str, files: tuple[str, ...]) -> str:
    """The convention that a preset, or a checkpoint of a training, was trained under; pnpsr's own where nothing says another."""
    own = [convention_of(file) for file in files if Path(file).suffix == ".safetensors" and Path(file).is_file()]
    named = (
        {convention or PNPSR.name for convention in own} if files else {p.convention for n, p in presets().items() if n == label}
    )
    if len(named) > 1:
        raise ValueError(f"{label} has files of the conventions {', '.join(sorted(named))}: evaluate them apart")
    return named.pop() if named else PNPSR.name


def _solving(name: str, solvers: Sequence[nn.Module], options: tuple[str, ...], boundary: str) -> Method:
    """Solvers as a method with these options."""
    if "kernel_first" in options:
        if len(solvers) > 1 or set(options) - {"kernel_first", "direct"}:
            raise ValueError(f"{name}: +kernel_first goes with one solver and no option but +direct")
        return kernel_first(name, from_solver("blind_hqs", load("blind_hqs"), boundary=boundary), solvers[0], boundary=boundary)
    for view in (option for option in options if option in VIEWS):
        solvers = [VIEWS[view](solver) for solver in solvers]
    assumed = [option for option in options if option in ASSUMED]
    conventions = [option for option in options if option in NAMED]
    if len(assumed) > 1 or len(conventions) > 1:
        raise ValueError(f"{name}: one kernel can be assumed and one convention named, got {', '.join((*assumed, *conventions))}")
    return from_solver(
        name,
        *solvers,
        boundary=boundary,
        sigma="sigma" in options,
        kernel=assumed[0] if assumed else None,
        convention=NAMED[conventions[0]] if conventions else PNPSR,
    )


def _own(found: Any, name: str, label: str, options: tuple[str, ...]) -> Method:
    """A function or a Method of one's own under the name of its word."""
    if set(options) - set(NAMED):
        raise ValueError(f"{label} is no solver: of the options it can have a convention only, got {', '.join(options)}")
    if not isinstance(found, Method):
        found = Method(name, found, tuple(need for need in TRUTHS if need in keywords(found)))
    return replace(found, name=name, convention=NAMED[options[0]] if options else found.convention)


def _read(word: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The name of a word, its files (or its ``module:name``; none where the name says all), and its options."""
    said = read_word(word, tuple(dict.fromkeys((*OPTIONS, *NAMED))), "option of a method")
    if said.label is not None:
        return said.label, said.names, said.options
    (name,) = said.names
    if name in METHODS or name in WEIGHTLESS or name in presets():
        return name, (), said.options
    if not Path(name).is_file() and ":" not in name:
        known = ", ".join((*METHODS, *WEIGHTLESS, *presets()))
        raise FileNotFoundError(
            f"there is no checkpoint at {name}, and no method of that name; without a file there are {known}; "
            "a function of your own is module:function"
        )
    return label_of(name), (name,), said.options
