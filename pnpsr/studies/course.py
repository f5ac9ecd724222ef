"""IKR-Net's Fig. 13: image and kernel of one noisy picture through the iterations."""

from collections.abc import Iterator

import torch

from pnpsr.bordered import in_colour, iterates
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.evaluate.cases import Case, Failure, Synthetic
from pnpsr.evaluate.measures import true_kernel
from pnpsr.evaluate.named import ikrnet
from pnpsr.evaluate.protocol import Protocol
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State
from pnpsr.studies.bench import Bench
from pnpsr.studies.figures import strip
from pnpsr.studies.plan import ALTERNATING
from pnpsr.studies.solvers import Candidate
from pnpsr.studies.table import Findings, Line
from pnpsr.studies.variants import border, vary

SHOWN = (0, 1, 2, 4, 8, 16)  # and the last
KERNEL, SIGMA = 9, 0.02  # the first of the motion kernels; the paper names neither kernel nor noise level


def course(bench: Bench) -> Findings:
    """The first picture with kernel IX and 2 % noise: PSNR and kernel error of the start and every iterate, and a strip of some.

    Raises:
        ValueError: no pictures, kernels or alternating solver; a picture that cannot be used.
    """
    scales, absent = bench.able((4, 2), ALTERNATING.test, ALTERNATING.name)
    scale, data = scales[0], bench.data()[0]
    one = bench.at(scale, like=ALTERNATING.test)[0]
    protocol = bench.under(_protocol(bench, scale))
    source = Synthetic(protocol, data.pictures)  # type: ignore[arg-type]
    case = next(iter(source.cases({source.keys()[0]})))
    if isinstance(case, Failure):
        raise ValueError(f"{case.key.image} cannot be used: {case.reason}")
    truth = true_kernel(case, protocol, vary(one, protocol).method)
    images, kernels = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    values: dict[str, dict[str, float | None]] = {"PSNR, dB": {}, "kernel error × 1e5": {}}
    for s in _states(bench, one, protocol, case):
        x, k = s.known("x").cpu().clamp(0, 1), s.known("k").cpu()
        values["PSNR, dB"][f"t = {s.t}"] = float(psnr(x, case.x, border=protocol.border_at(scale)))
        values["kernel error × 1e5"][f"t = {s.t}"] = None if truth is None else 1e5 * float(kernel_mse(k, truth))
        if s.t in SHOWN or s.t == one.solver.T:
            images[f"t = {s.t}"], kernels[f"t = {s.t}"] = x, k
    images["truth"], kernels["truth"] = case.x, case.kernel()
    lines = [Line(f"{one.label} ×{scale}", what, curve, rows=1) for what, curve in values.items()]
    note = f"{data.name}, {case.key.image}; kernel {KERNEL} of twelve, {SIGMA:.0%} noise. The paper prints pictures and no numbers."
    return Findings(lines, [str(protocol)], [note, *absent], figure=strip(images, kernels))


def _states(bench: Bench, one: Candidate, protocol: Protocol, case: Case) -> Iterator[State]:
    """The start, before any iteration, and what each of these makes of it."""
    y, scale, sigma = case.y.to(bench.device), case.key.scale, SIGMA if "sigma" in one.needs else None
    solver: UnrolledSolver = one.solver  # type: ignore[assignment]  # it alternates
    with torch.no_grad():
        yield solver.start(in_colour(solver, y), scale, sigma=sigma)
    yield from iterates(solver, y, scale, sigma=sigma, boundary=border(one, protocol))


def _protocol(bench: Bench, scale: int) -> Protocol:
    k = bench.twelve()[KERNEL - 1 : KERNEL]
    return Protocol("ikrnet-fig13", ((scale, SIGMA),), k, ikrnet(k).convention, border="scale²", multiple=4, metrics=("psnr",))
