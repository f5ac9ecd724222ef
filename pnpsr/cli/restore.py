"""``pnpsr restore``: a photograph, blindly."""

from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro
from torch import Tensor
from tqdm import tqdm

from pnpsr import checks
from pnpsr.cli.choose import choose_solver, usual_preset
from pnpsr.cli.report import Curves, Truth, scores, write_figure, write_result
from pnpsr.images import Picture, read_image
from pnpsr.kernels import load_kernels
from pnpsr.restore import in_colour, iterates
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Dirac
from pnpsr.state import State, as_physics


def restore(
    image: Annotated[Path, tyro.conf.Positional],
    *,
    scale: int = 2,
    preset: str | None = None,
    size: int | None = None,
    sigma: float | None = None,
    iterations: int | None = None,
    kernel: Path | None = None,
    boundary: Literal["extend", "circular"] = "extend",
    truth: Path | None = None,
    true_kernel: Path | None = None,
    out: Path = Path("restored"),
    device: str = "cpu",
) -> None:
    """Restore a photograph whose blur is not known: writes the picture, the kernel, and a figure.

    Args:
        image: picture file (PNG, TIFF, JPEG; gray, colour, 16 bits, transparency).
        scale: enlargement; 1 removes blur only.
        preset: name of a solver that ships with pnpsr, or a checkpoint, pnpsr's or official (.pth); by default the trained one for
            the scale.
        size: side of the square kernel to estimate; for the untrained preset only.
        sigma: noise standard deviation as a fraction of white (0.02 for 2 %); estimated if left out, where the solver can.
        iterations: number of iterations, if not the solver's own.
        kernel: file of a kernel to begin from, or to use as it is if the solver estimates none.
        boundary: extend for photographs, circular for periodic test images.
        truth: the true picture, where it is known, for scores.
        true_kernel: the true kernel, where it is known, for scores.
        out: folder for the results; made if it does not exist.
        device: cpu, cuda, cuda:1, mps.
    """
    checks.factors(scale)
    picture = read_image(image)
    known = Truth(
        None if truth is None else read_image(truth, channels=picture.image.shape[1]).image,
        None if true_kernel is None else load_kernels(true_kernel)[:1],
    )
    start = None if kernel is None else load_kernels(kernel)[:1]
    run(
        picture, image.stem, scale, known, out, preset=preset or usual_preset(scale, size), size=size, sigma=sigma,
        iterations=iterations, kernel=start, boundary=boundary, device=device,
    )  # fmt: skip


def run(
    picture: Picture,
    stem: str,
    scale: int,
    truth: Truth,
    out: Path,
    *,
    preset: str,
    size: int | None = None,
    sigma: float | None = None,
    iterations: int | None = None,
    kernel: Tensor | None = None,
    boundary: str = "extend",
    device: str = "cpu",
) -> State:
    """Restore one picture with progress, print its scores, write everything below ``out``; the last state.

    Raises:
        ValueError: a truth of another size than the result; and what :func:`pnpsr.restore.iterates` raises.
    """
    h, w = picture.image.shape[-2:]
    if truth.x is not None and truth.x.shape[-2:] != (h * scale, w * scale):
        raise ValueError(f"truth of {tuple(truth.x.shape[-2:])} is not {scale} times the image of {(h, w)}")
    solver = choose_solver(preset, size, device)
    y = picture.image.to(device)
    k = None if kernel is None else kernel.to(device)
    curves, s = Curves(truth, border=scale), None
    total = (solver.T if iterations is None else iterations) if isinstance(solver, UnrolledSolver) else 1
    with tqdm(total=total, desc=f"{Path(preset).name} ×{scale}", unit="it") as bar:
        for s in iterates(solver, y, scale, sigma=sigma, k=k, T=iterations, boundary=boundary):
            s = _on_cpu(s)
            bar.set_postfix({name: f"{value:.4g}" for name, value in curves.add(s).items()})
            bar.update()
    if s is None:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    begin = (
        kernel
        if kernel is not None or truth.k is None
        else _first_kernel(solver, State(in_colour(solver, y), as_physics(scale)), s)
    )
    lines = scores(s, truth, begin, border=scale)
    for name, line in lines.items():
        print(f"{name:9} {line}")
    out.mkdir(parents=True, exist_ok=True)
    written = write_result(out, stem, picture, s)
    written.append(write_figure(out / f"{stem}_figure.png", s, truth, curves, {n: v for n, v in lines.items() if n != "kernel"}))
    print("wrote    ", *written, sep=" ")
    return s


def _first_kernel(solver: torch.nn.Module, given: State, last: State) -> Tensor:
    """The kernel that the solver starts from, given what it reads; a Dirac of the last kernel's size where it has no start."""
    k0 = getattr(solver, "k0", None)
    p, q = last.known("k").shape[-2:]
    with torch.no_grad():
        return (k0(given) if k0 is not None else Dirac((p, q))(given)).cpu()


def _on_cpu(s: State) -> State:
    return State(s.y.cpu(), s.physics, None, s.known("x").cpu(), s.known("k").cpu(), t=s.t)
