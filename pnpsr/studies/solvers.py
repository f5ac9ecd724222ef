"""Solvers to study, as words: presets or files, which scale they are for, how they read kernels, what they must be told."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pnpsr.conventions import NAMED, PNPSR, Convention
from pnpsr.needs import needs_of, needs_of_step
from pnpsr.released import label_of, open_solver, read_word
from pnpsr.weights import presets

SUFFIX = re.compile(r"[-_.]?x([1-4])$")  # of the names of presets: ikrnet-x2


@dataclass(frozen=True, eq=False)
class Candidate:
    """A solver under a name.

    Args:
        label: for tables; weights of one method for several scales have the same.
        solver: any module that :func:`pnpsr.bordered.iterates` can call.
        scale: the factor it was trained for; None: any.
        convention: how it reads kernels.

    Example:
        >>> from pnpsr import usrnet
        >>> from pnpsr.studies import Candidate
        >>> Candidate("mine", usrnet(T=1, widths=(2, 2, 2, 2)), scale=2).does(4)
        False
    """

    label: str
    solver: nn.Module
    scale: int | None = None
    convention: Convention = PNPSR

    def does(self, scale: int) -> bool:
        """It can restore at this scale."""
        return self.scale in (None, scale) and scale in (needs_of(self.solver).scales or (scale,))

    @property
    def needs(self) -> tuple[str, ...]:
        """What of the truth the solver cannot do without, among ``k`` and ``sigma``; where it needs k, it is told both."""
        said = needs_of(self.solver)
        return ("k",) * said.kernel + ("sigma",) * (said.kernel or said.sigma)

    @property
    def periodic(self) -> bool:
        """It has closed forms that take y as periodic, or may have; networks alone do not."""
        return needs_of_step(self.solver).periodic

    @property
    def longest(self) -> int | None:
        """Iterations that it has weights for; None: any number."""
        return needs_of(self.solver).longest


def candidate(word: str, *, device: str = "cpu") -> Candidate:
    """The solver that a word names: ``PRESET``, ``FILE``, ``LABEL=FILE``, each with ``+CONVENTION`` if it reads kernels otherwise.

    A file is one of :func:`pnpsr.save`, or a released ``.pth``. A name that ends in ``x2``, ``x3`` or ``x4`` says for which scale
    the weights are, where the solver does not say so itself.

    Raises:
        FileNotFoundError: no such preset or file.
        ValueError: an unknown convention, several, or what :func:`pnpsr.load` refuses.

    Example:
        >>> from pnpsr.studies import candidate
        >>> candidate("dan-x2").scale
        2
    """
    said = read_word(word, tuple(NAMED), "convention")
    if len(said.names) > 1 or len(said.options) > 1:
        raise ValueError(f"{word!r} has several files or conventions; a word is one solver, LABEL may be that of another scale")
    (file,) = said.names
    solver = open_solver(file)
    stem = label_of(file)
    label, scale = said.label or stem, getattr(solver, "scale", None)
    suffix = SUFFIX.search(label) or SUFFIX.search(stem)
    if scale is None and suffix is not None:
        scale = int(suffix[1])
    preset = None if Path(file).is_file() else presets().get(file)
    usual = PNPSR.name if preset is None else preset.convention  # a preset reads kernels as it was trained to
    convention = said.options[0] if said.options else usual
    return Candidate(SUFFIX.sub("", label) or label, solver.to(device).eval(), scale, NAMED.find(convention))


def candidates(words: Sequence[str], usual: Sequence[str], *, device: str = "cpu") -> tuple[list[Candidate], list[str]]:
    """The solvers of the words; without words the ``usual`` presets as far as they are installed, and the names of the others.

    Raises:
        FileNotFoundError, ValueError: as :func:`candidate`; two solvers of one name for the same scale.

    Example:
        >>> from pnpsr.studies import candidates
        >>> found, missing = candidates([], ("dan-x2", "not-there"))
        >>> [one.label for one in found], missing
        (['dan'], ['not-there'])
    """
    missing = [] if words else [name for name in usual if name not in presets()]
    found = [candidate(word, device=device) for word in words or [name for name in usual if name not in missing]]
    for i, one in enumerate(found):
        for other in found[:i]:
            if one.label == other.label and (one.scale == other.scale or None in (one.scale, other.scale)):
                raise ValueError(f"two solvers are called {one.label}; give one of them another name, LABEL=FILE")
    return found, missing
