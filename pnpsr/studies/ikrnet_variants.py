"""What IKR-Net's ablations change in a solver: the noise level it is told, the denoiser, T, the kernel step."""

from collections.abc import Sequence
from typing import Any

from pnpsr.debiased import debiased, settling, unsharpened
from pnpsr.evaluate import Protocol
from pnpsr.steps import LearnedKernelStart, Sharpened
from pnpsr.steps.turn import before_turning
from pnpsr.studies.bench import Bench
from pnpsr.studies.denoisers import LAST, Denoise, denoiser, inside
from pnpsr.studies.solvers import Candidate
from pnpsr.studies.variants import Trace, Variant, trace, vary, without

LARGEST = 0.03  # noise level that the paper trains for
STEPS = (1, 2, 4, 8, 12, 16)


def noise_levels(_: Bench, one: Candidate, protocol: Protocol) -> Sequence[Variant]:
    """σ predicted, known, zero, maximal (Table 6)."""
    return [
        vary(one, protocol, label="σ predicted"),
        vary(one, protocol, "known-sigma", "σ known", needs=("sigma",)),
        vary(one, protocol, "zero-sigma", "σ zero", sigma=0.0),
        vary(one, protocol, "largest-sigma", "σ maximal", sigma=LARGEST),
    ]


def denoising(bench: Bench, one: Candidate, protocol: Protocol) -> Sequence[Variant]:
    """A denoiser before, after and inside (Table 7); with one of the first two the solver takes y as free of noise."""
    prior, name = denoiser(bench.denoiser, bench.device), bench.denoiser
    word = name.replace(":", "-")
    within = inside(one.solver, prior)  # type: ignore[arg-type]
    return [
        vary(one, protocol, f"{word}-before", f"{name} before it", sigma=0.0, before=Denoise(prior)),
        vary(one, protocol, f"{word}-after", f"{name} after it", sigma=0.0, after=Denoise(prior)),
        vary(one, protocol, f"{word}-inside", f"{name} in its last {LAST} iterations", solver=within),
        vary(one, protocol, label="as it is"),
    ]


def iterations(_: Bench, one: Candidate, protocol: Protocol) -> Sequence[Trace]:
    """T at test, the solver's own among them (Table 8)."""
    return [trace(one, protocol, sorted({*STEPS, one.solver.T}), columns=False)]  # type: ignore[arg-type]


def kernel_step(_: Bench, one: Candidate, protocol: Protocol) -> Sequence[Variant]:
    """With and without it (Table 9); of a solver that has none, with and without what is done to its first kernel."""
    if one.solver.estimator is None:
        return first_kernels(one, protocol)
    view = without(one.solver, "estimator")  # type: ignore[arg-type]
    return [vary(one, protocol, label="with kernel step"), vary(one, protocol, "first-kernel", "first kernel only", solver=view)]


def first_kernels(one: Candidate, protocol: Protocol) -> Sequence[Variant]:
    """A second look at the first kernel, and that kernel with less and less done to it, as far as it is done."""
    start, before = one.solver.k0, unsharpened(one.solver)
    shown = [vary(one, protocol, "debiased", "debiased kernel", solver=debiased(one.solver))]
    if sharp := isinstance(start, Sharpened):
        shown.append(vary(one, protocol, label="sharpened kernel"))
    said = before_turning(before.k0)
    if isinstance(said, LearnedKernelStart) and said.settle:
        own: dict[str, Any] = {"word": "settled", "solver": before} if sharp else {}
        shown.append(vary(one, protocol, label="settled kernel", **own))
        return [*shown, vary(one, protocol, "unsettled", "first kernel only", solver=settling(before, False))]
    own = {"word": "unsharpened", "solver": before} if sharp else {}
    return [*shown, vary(one, protocol, label="first kernel only", **own)]
