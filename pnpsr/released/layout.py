"""What a released network is known by, and how its names become ours."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

Weights = dict[str, Tensor]
Rules = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Layout:
    """One family of checkpoints: the names it is told by, the solver its shapes ask for, and its tensors under our names."""

    network: str
    needs: tuple[str, ...]  # together in no other family's files
    build: Callable[[Weights], nn.Module]
    translate: Callable[[Weights], Weights]

    def fits(self, weights: Weights) -> bool:
        """All names are there."""
        return weights.keys() >= set(self.needs)


def renamed(weights: Weights, rules: Rules) -> Weights:
    """The same tensors under other names: every rule (pattern, replacement) is applied in turn; unknown names stay."""
    names = {}
    for name in weights:
        ours = name
        for pattern, replacement in rules:
            ours = re.sub(pattern, replacement, ours)
        names[ours] = weights[name]
    return names


def count(weights: Weights, pattern: str) -> int:
    """How many different numbers stand in the group of ``pattern``: the length of a list of modules."""
    return len({found[1] for name in weights if (found := re.match(pattern, name))})


def resunet(theirs: str, ours: str) -> Rules:
    """USRNet's ResUNet, which IKR-Net has three times. Its levels are m_down1 to m_down3 and back from m_up3 to m_up1."""
    return [
        (rf"^{theirs}\.m_(head|body|tail)\.", rf"{ours}.\1."),
        *((rf"^{theirs}\.m_down{level}\.", f"{ours}.down.{level - 1}.") for level in (1, 2, 3)),
        *((rf"^{theirs}\.m_up{level}\.", f"{ours}.up.{3 - level}.") for level in (1, 2, 3)),
        (r"\.res\.", ".body."),
    ]


def resunet_widths(weights: Weights, theirs: str) -> tuple[int, ...]:
    """The four widths of a ResUNet, read off the layers that leave a level."""
    names = [f"{theirs}.m_head.weight", *(f"{theirs}.m_down{level}.2.weight" for level in (1, 2, 3))]
    return tuple(len(weights[name]) for name in names)
