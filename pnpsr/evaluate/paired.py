"""Paired pictures as rows: y and x are given, the kernel and the noise between them nobody knows."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from pnpsr.conventions import PNPSR
from pnpsr.data.pairs import Pairs
from pnpsr.evaluate.cases import Case, Failure, Key
from pnpsr.evaluate.protocol import GIVEN, Protocol

NAME = "pairs"
UNKNOWN = replace(PNPSR, name="unknown", boundary="reflect")  # of captures nobody knows how y came about, only that it has a border
METRICS = ("psnr", "psnr_aligned", "ssim")


def paired_protocol(scale: int, *, metrics: Sequence[str] = METRICS, colour: str = "rgb", border: int | str = "scale") -> Protocol:
    """How restored x of pairs are compared with the sharp ones; see :class:`pnpsr.evaluate.Protocol`. A σ of 0: none was added.

    Args:
        scale: that of the pairs.
        metrics: names, or callables of one's own; those that need the true kernel have no value.
        colour: ``rgb``, ``y``, ``y_full``.
        border: pixels of x left out on each side.

    Example:
        >>> from pnpsr.evaluate import paired_protocol
        >>> paired_protocol(2).conditions
        ((2, 0.0),)
    """
    return Protocol(NAME, ((scale, 0.0),), GIVEN, UNKNOWN, colour=colour, border=border, metrics=metrics)


class PairedRows:
    """One row for each pair, a :class:`pnpsr.evaluate.Source`; those whose sizes or places do not fit are failures.

    Args:
        protocol: of :func:`paired_protocol`.
        pairs: what is restored, and what it is compared with.

    Raises:
        ValueError: a protocol that makes its own y, or of another scale.
    """

    unknown = ("k", "sigma")  # no method can be told these

    def __init__(self, protocol: Protocol, pairs: Pairs) -> None:
        if protocol.kernels != GIVEN or protocol.conditions != ((pairs.scale, 0.0),):
            raise ValueError(
                f"pairs at scale {pairs.scale} come with their y: evaluate them under paired_protocol({pairs.scale}), "
                f"not {protocol}"
            )
        self.pairs, self._at = pairs, {name: index for index, name in enumerate(pairs.names)}

    def keys(self) -> Sequence[Key]:
        """The pairs in their order; their kernels have no numbers."""
        return [Key(name, 1, self.pairs.scale, 0.0) for name in self.pairs.names]

    def cases(self, wanted: Collection[Key]) -> Iterator[Case | Failure]:
        """Each as it is stored."""
        for key in self.keys():
            if key in wanted:
                try:
                    y, x = self.pairs.check(self._at[key.image])
                    yield Case(key, x, None, y)
                except Exception as error:  # decoders of damaged files raise almost anything
                    yield Failure(key, str(error) or type(error).__name__)

    def pixels(self, key: Key) -> str:
        """Digest of both pictures."""
        try:
            return hashlib.sha256(self.pairs.digest(self._at[key.image]).encode()).hexdigest()[:8]
        except Exception:  # it cannot be read, which is said where its row is due
            return "unread"
