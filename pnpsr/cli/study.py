"""``pnpsr study``: a table or figure of the papers, measured with your pictures and weights beside the published numbers."""

import inspect
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import tyro

from pnpsr import checks
from pnpsr.conventions import NAMED
from pnpsr.kernels import load_kernels
from pnpsr.studies import STUDIES, Bench, candidates, run_study
from pnpsr.values import used


def study(
    name: Annotated[str, tyro.conf.Positional],
    *,
    images: tuple[Path, ...] = (),
    preset: tuple[str, ...] = (),
    kernels: Path | None = None,
    limit: int | None = None,
    scales: tuple[int, ...] | None = None,
    convention: str | None = None,
    colour: str | None = None,
    denoiser: str = "tv",
    train_images: Path | None = None,
    train_steps: int = 0,
    train_batch: int = 8,
    train_patch: int = 96,
    input_size: tuple[int, int] = (180, 270),
    seed: int = 0,
    out: Path = Path("docs/results"),
    work: Path = Path("runs/studies"),
    device: str = "cpu",
    threads: int = 1,
) -> None:
    """Measure what a table or figure of a paper shows: writes NAME.md, NAME.csv and, where the paper has a figure, NAME.png.

    A study that was cut short goes on where it stopped when it is repeated. Exit status 1 says that something was left out.

    Args:
        name: of the study, one of your own too (--use); "list" prints all of them.
        images: folders of sharp pictures, such as Set5 and Urban100; for dan-table2 the folder of DIV2KRK.
        preset: solvers by preset or file, LABEL=FILE to name them, +CONVENTION if they read kernels otherwise; by default those
            that come with the package and fit. Weights for one scale should be called so: NAME-x4.
        kernels: file with the twelve kernels of IKR-Net's test (.npz, .npy, .mat, .pth).
        limit: only the first pictures of each folder.
        scales: in place of all that the study and the solvers have in common.
        convention: how y is made, in place of the study's own: PNPSR, DAN, DAN_PAPER, IKRNET, ...
        colour: what PSNR and SSIM compare, in place of the study's own: rgb, y, y_full.
        denoiser: of ikrnet-table7: tv, tgv, median, wavelet, bm3d, one of your own (--use), or deepinv:CLASS.
        train_images: pictures to train the variants of dan-table4 on.
        train_steps: of each of these variants.
        train_batch: samples per step.
        train_patch: side of the sharp crops in pixels.
        input_size: rows and columns of the y for which dan-table5 counts operations.
        seed: of noise, of drawn kernels, of training.
        out: folder for the results; made if it does not exist.
        work: folder for finished rows and trained variants.
        device: cpu, cuda, cuda:1, mps.
        threads: rows solved at a time, on the CPU.
    """
    given = dict(locals())
    if name == "list":
        print("\n".join(f"{one.name:<14} {one}" for one in STUDIES.values()))
        return
    chosen = STUDIES.find(name)
    for value, what in ((limit, "limit"), *((scale, "scales") for scale in scales or ())):
        if value is not None:
            checks.whole(value, what)
    if convention is not None:
        NAMED.find(convention)
    solvers, missing = candidates(preset, chosen.presets, device=device)
    bench = Bench(
        images=images,
        solvers=tuple(solvers),
        kernels=None if kernels is None else load_kernels(kernels),
        scales=scales,
        convention=convention,
        colour=colour,
        limit=limit,
        denoiser=denoiser,
        train_images=train_images,
        train_steps=checks.whole(train_steps, "train_steps", 0),
        train_batch=train_batch,
        train_patch=train_patch,
        input_size=input_size,
        work=work,
        device=device,
        threads=threads,
        seed=seed,
        progress=True,
    )
    findings = run_study(chosen, bench, out, command=_command(given), missing=missing)
    print((out / f"{name}.md").read_text(encoding="utf-8"))
    for reason in findings.left_out:
        print("pnpsr: left out", reason, file=sys.stderr)
    if findings.left_out:
        sys.exit(1)


def _command(given: Mapping[str, object]) -> str:
    """The command line that gives these arguments; defaults are left out."""
    words = ["pnpsr", "study", str(given["name"])]
    for name, parameter in inspect.signature(study).parameters.items():
        value = given[name]
        if name != "name" and value != parameter.default:
            words += [f"--{name.replace('_', '-')}", *(str(v) for v in (value if isinstance(value, tuple) else (value,)))]
    return shlex.join([*words, *(word for module in used() for word in ("--use", module))])
