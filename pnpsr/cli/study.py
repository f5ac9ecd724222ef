"""``pnpsr study``: a table or figure of the papers, measured with your pictures and weights beside the published numbers."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pnpsr import checks
from pnpsr.conventions import NAMED
from pnpsr.kernels import load_kernels
from pnpsr.studies import STUDIES, Bench, candidates, run_study
from pnpsr.values import used


@dataclass(frozen=True)
class Given:
    """What a study measures with.

    Args:
        images: folders of sharp pictures, such as Set5 and Urban100; for dan-table2 the folder of DIV2KRK.
        preset: solvers by preset or file, LABEL=FILE to name them, +CONVENTION if they read kernels otherwise; by default those
            that come with the package and fit. Weights for one scale should be called so: NAME-x4.
        kernels: file with the twelve kernels of IKR-Net's test (.npz, .npy, .mat, .pth).
        limit: only the first pictures of each folder.
    """

    images: tuple[Path, ...] = ()
    preset: tuple[str, ...] = ()
    kernels: Path | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Otherwise:
    """What is measured otherwise than the study says.

    Args:
        scales: in place of all that the study and the solvers have in common.
        convention: how y is made, in place of the study's own: PNPSR, DAN, DAN_PAPER, IKRNET, ...
        colour: what PSNR and SSIM compare, in place of the study's own: rgb, y, y_full.
        denoiser: of ikrnet-table7: tv, tgv, median, wavelet, bm3d, one of your own (--use), or deepinv:CLASS.
        input_size: rows and columns of the y for which dan-table5 counts operations.
        seed: of noise, of drawn kernels, of training.
    """

    scales: tuple[int, ...] | None = None
    convention: str | None = None
    colour: str | None = None
    denoiser: str = "tv"
    input_size: tuple[int, int] = (180, 270)
    seed: int = 0


@dataclass(frozen=True)
class Variants:
    """The variants of dan-table4, which are trained here.

    Args:
        train_images: pictures to train them on.
        train_steps: of each.
        train_batch: samples per step.
        train_patch: side of the sharp crops in pixels.
    """

    train_images: Path | None = None
    train_steps: int = 0
    train_batch: int = 8
    train_patch: int = 96


@dataclass(frozen=True)
class Machine:
    """Where a study runs, and where its files go.

    Args:
        out: folder for the results; made if it does not exist.
        work: folder for finished rows and trained variants.
        device: cpu, cuda, cuda:1, mps.
        threads: rows solved at a time, on the CPU.
    """

    out: Path = Path("docs/results")
    work: Path = Path("runs/studies")
    device: str = "cpu"
    threads: int = 1


GIVEN, OTHERWISE, VARIANTS, MACHINE = Given(), Otherwise(), Variants(), Machine()


def study(
    name: Annotated[str, tyro.conf.Positional],
    *,
    given: Given = GIVEN,
    otherwise: Otherwise = OTHERWISE,
    variants: Variants = VARIANTS,
    machine: Machine = MACHINE,
) -> None:
    """Measure what a table or figure of a paper shows: writes NAME.md, NAME.csv and, where the paper has a figure, NAME.webp.

    A study that was cut short goes on where it stopped when it is repeated. Exit status 1 says that something was left out.

    Args:
        name: of the study, one of your own too (--use); "list" prints all of them.
        given: what it measures with.
        otherwise: what is measured otherwise than the study says.
        variants: the variants of dan-table4.
        machine: where it runs.
    """
    if name == "list":
        print("\n".join(f"{one.name:<14} {one}" for one in STUDIES.values()))
        return
    chosen = STUDIES.find(name)
    checks.whole(variants.train_steps, "train_steps", 0)
    for value, what in ((given.limit, "limit"), *((scale, "scales") for scale in otherwise.scales or ())):
        if value is not None:
            checks.whole(value, what)
    if otherwise.convention is not None:
        NAMED.find(otherwise.convention)
    solvers, missing = candidates(given.preset, chosen.presets, device=machine.device)
    bench = Bench(
        images=given.images,
        solvers=tuple(solvers),
        kernels=None if given.kernels is None else load_kernels(given.kernels),
        limit=given.limit,
        **vars(otherwise),
        **vars(variants),
        work=machine.work,
        device=machine.device,
        threads=machine.threads,
        progress=True,
    )
    command = _command(name, (given, otherwise, variants, machine))
    findings = run_study(chosen, bench, machine.out, command=command, missing=missing)
    print((machine.out / f"{name}.md").read_text(encoding="utf-8"))
    for reason in findings.left_out:
        print("pnpsr: left out", reason, file=sys.stderr)
    if findings.left_out:
        sys.exit(1)


def _command(name: str, options: Sequence[object]) -> str:
    """The command line that gives these options; defaults are left out."""
    words = ["pnpsr", "study", name]
    for part in options:
        for word, value in vars(part).items():
            if value != getattr(type(part)(), word):
                words += [f"--{word.replace('_', '-')}", *(str(v) for v in (value if isinstance(value, tuple) else (value,)))]
    return shlex.join([*words, *(word for module in used() for word in ("--use", module))])
