"""What a study is given: pictures, solvers, kernels, budgets; and the folder where finished rows are kept."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from pnpsr.checks import Scale
from pnpsr.conventions import NAMED
from pnpsr.data import Folder, Pictures
from pnpsr.data.pictures import Subset
from pnpsr.evaluate import Protocol, Triples
from pnpsr.studies.solvers import Candidate

KNOWN = {"bsd100": "BSD100", "b100": "BSD100"} | {
    name.lower(): name for name in ("Set5", "Set14", "Urban100", "Manga109", "CBSD68", "DIV2KRK")
}


@dataclass(frozen=True, eq=False)
class Data:
    """A set of pictures, under the name that the papers have for it."""

    name: str
    pictures: Pictures | Triples
    stamp: str  # changes with the files


@dataclass(frozen=True, eq=False)
class Bench:
    """Everything that a study may use.

    Args:
        images: folders of pictures.
        solvers: to study.
        kernels: (n 1 p q), for protocols whose kernels are a file.
        scales: in place of all that the study and the solvers have in common.
        convention: how y is made, by name, in place of the protocol's.
        colour: what PSNR and SSIM compare, in place of the protocol's: ``rgb``, ``y``, ``y_full``.
        limit: only the first so many pictures of each folder.
        denoiser: in place of the image prior, by name.
        train_images: pictures to train variants on.
        train_steps: of each variant.
        train_batch: samples per step.
        train_patch: side of the sharp crops.
        input_size: rows and columns of the y whose operations are counted.
        work: folder of finished rows and trained variants; a repeated study takes them from there.
        device: where solvers compute.
        threads: rows solved at a time, on the CPU.
        seed: of noise, of kernels that are drawn, and of training.
        progress: show bars with the time that is left.

    Example:
        >>> from pnpsr.studies import Bench
        >>> Bench(limit=1).limit
        1
    """

    images: tuple[Path, ...] = ()
    solvers: tuple[Candidate, ...] = ()
    kernels: Tensor | None = None
    scales: tuple[int, ...] | None = None
    convention: str | None = None
    colour: str | None = None
    limit: int | None = None
    denoiser: str = "tv"
    train_images: Path | None = None
    train_steps: int = 0
    train_batch: int = 8
    train_patch: int = 96
    input_size: Scale = (180, 270)
    work: Path = Path("runs/studies")
    device: str = "cpu"
    threads: int = 1
    seed: int = 0
    progress: bool = False

    def data(self, *, triples: bool = False) -> list[Data]:
        """The sets of pictures.

        Raises:
            ValueError: none were given.
            FileNotFoundError: no such folder.
        """
        if not self.images:
            raise ValueError("pictures are missing: --images FOLDER")
        return [_data(path, self.limit, triples=triples) for path in self.images]

    def at(self, scale: int, *, like: Callable[[Candidate], bool] = lambda _: True) -> list[Candidate]:
        """The solvers for this scale that are as wanted."""
        return [one for one in self.solvers if one.does(scale) and like(one)]

    def able(self, scales: Sequence[int], like: Callable[[Candidate], bool], what: str) -> tuple[list[int], list[str]]:
        """The scales to study; and sentences on solvers that are not ``like`` what the study needs, and on scales without any.

        Raises:
            ValueError: nothing is left; the message says ``what`` was needed.
        """
        wanted = [scale for scale in scales if scale in (self.scales or scales)]
        found = [scale for scale in wanted if self.at(scale, like=like)]
        if not found:
            factors = ", ".join(f"×{scale}" for scale in wanted) or f"the study's scales, {scales}, not {self.scales}"
            names = ", ".join(one.label for one in self.solvers) or "no solvers"
            raise ValueError(f"needs a {what} for {factors}: --preset FILE; got {names}")
        notes = [f"Not studied: {one.label} is no {what}." for one in self.solvers if not like(one)]
        return found, notes + [f"Not studied: ×{scale}, for which there was no {what}." for scale in wanted if scale not in found]

    def twelve(self) -> Tensor:
        """The twelve kernels of IKR-Net's test (12 1 p q).

        Raises:
            ValueError: none were given, or another number.
        """
        if self.kernels is None or len(self.kernels) != 12:
            got = "none" if self.kernels is None else str(len(self.kernels))
            raise ValueError(f"needs the twelve kernels of IKR-Net, a file of its authors: --kernels FILE; got {got}")
        return self.kernels

    def under(self, protocol: Protocol) -> Protocol:
        """The protocol with this bench's convention, colour and seed."""
        way = protocol.convention if self.convention is None else NAMED.find(self.convention)
        return replace(protocol, convention=way, colour=self.colour or protocol.colour, seed=self.seed)


def _data(path: Path, limit: int | None, *, triples: bool) -> Data:
    name = KNOWN.get("".join(c for c in path.resolve().name.lower() if c.isalnum()), path.resolve().name)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    stamp = "|".join(f"{file.relative_to(path).as_posix()} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files)
    stamp = hashlib.sha256(f"{path.resolve()} {limit} {stamp}".encode()).hexdigest()
    if triples:
        return Data(name, Triples(path, limit), stamp)
    pictures: Pictures = Folder(path)
    if limit is not None:
        pictures = Subset(pictures, range(min(limit, len(pictures.names))))
    return Data(name, pictures, stamp)
