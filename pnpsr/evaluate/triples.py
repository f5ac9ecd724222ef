"""Distributed test sets of (x, y, k): ground truth, low resolution and kernels in folders, as DIV2KRK."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pnpsr.evaluate.cases import Case, Failure, Key, file_digest
from pnpsr.evaluate.protocol import GIVEN, Protocol
from pnpsr.images import FORMATS, read_image
from pnpsr.kernels import load_kernels
from pnpsr.kernels.files import READS


class Triples:
    """A folder with ``gt``, and for each scale s ``lr_xs`` and ``gt_k_xs``: pictures, and one kernel for each.

    Files belong together if the first numbers in their names are equal: ``img_12_gt.png``, ``im_12.png``, ``kernel_12.mat``.

    Args:
        path: the folder.
        limit: only so many pictures, the first ones by number.

    Raises:
        FileNotFoundError: no such folder, or none of those in it.
        ValueError: two files with one number.

    Example:
        >>> from pnpsr.evaluate import Triples
        >>> try:
        ...     Triples("nowhere")
        ... except FileNotFoundError:
        ...     print("a folder of y, x and k")
        a folder of y, x and k
    """

    def __init__(self, path: str | Path, limit: int | None = None) -> None:
        self.path = Path(path)
        truths = self._numbered("gt", tuple(FORMATS))
        self.numbers = sorted(truths)[:limit]
        self.truths = truths
        self.names: Sequence[str] = tuple(truths[n].name for n in self.numbers)

    def under(self, protocol: Protocol) -> "Distributed":
        """The rows of a protocol.

        Raises:
            ValueError: a protocol whose kernels are not given, or with noise.
            FileNotFoundError: no folders for one of its scales.
        """
        return Distributed(protocol, self)

    def observed(self, scale: int) -> tuple[dict[int, Path], dict[int, Path]]:
        """Files of y and of k at this scale, by number."""
        return self._numbered(f"lr_x{scale}", tuple(FORMATS)), self._numbered(f"gt_k_x{scale}", READS)

    def _numbered(self, name: str, suffixes: tuple[str, ...]) -> dict[int, Path]:
        folder = self.path / name
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}; expected gt, lr_x2, gt_k_x2, lr_x4, gt_k_x4 in {self.path}")
        found: dict[int, Path] = {}
        for file in sorted(folder.iterdir()):
            number = re.search(r"\d+", file.stem)
            if number is None or file.suffix.lower() not in suffixes:
                continue
            if int(number[0]) in found:
                raise ValueError(f"{found[int(number[0])]} and {file} have the same number; one of them must go")
            found[int(number[0])] = file
        if not found:
            raise ValueError(f"there are no numbered files ({', '.join(suffixes)}) in {folder}")
        return found


class Distributed:
    """The rows of :class:`Triples` under a protocol: one kernel per picture and scale, no further noise."""

    def __init__(self, protocol: Protocol, triples: Triples) -> None:
        if protocol.kernels != GIVEN or any(sigma > 0 for _, sigma in protocol.conditions):
            raise ValueError(
                f"protocol {protocol.name} makes its own y; for a set that comes with y and k take one with given kernels"
            )
        self.protocol, self.triples = protocol, triples
        self.files = {scale: triples.observed(scale) for scale in protocol.scales}

    def keys(self) -> Sequence[Key]:
        """Pictures, within them scales; the kernel's number is that of the picture."""
        return [Key(self.triples.truths[n].name, n, s, 0.0) for n in self.triples.numbers for s in self.protocol.scales]

    def cases(self, wanted: Collection[Key]) -> Iterator[Case | Failure]:
        """Each with y and k as they are stored, and the part of x that y shows."""
        for key in self.keys():
            if key in wanted:
                try:
                    yield self._case(key)
                except Exception as error:  # decoders of damaged files raise almost anything
                    yield Failure(key, str(error) or type(error).__name__)

    def pixels(self, key: Key) -> str:
        """Digest of the three files."""
        observed, kernels = (some.get(key.kernel) for some in self.files[key.scale])
        return file_digest(*(file for file in (self.triples.truths[key.kernel], observed, kernels) if file is not None))

    def _case(self, key: Key) -> Case:
        observed, kernels = self.files[key.scale]
        if key.kernel not in observed or key.kernel not in kernels:
            raise ValueError(f"{key.image} has no y or no kernel at scale {key.scale}")
        y = read_image(observed[key.kernel], channels=3).image
        x = read_image(self.triples.truths[key.kernel], channels=3).image
        h, w = (n * key.scale for n in y.shape[-2:])
        if not (0 <= x.shape[-2] - h < key.scale and 0 <= x.shape[-1] - w < key.scale):
            raise ValueError(f"{key.image} of {tuple(x.shape[-2:])} is not {key.scale} times its y of {tuple(y.shape[-2:])}")
        return Case(key, x[..., :h, :w].contiguous(), load_kernels(kernels[key.kernel])[:1], y)
