"""How good the weights are now: fixed crops of pictures that no step trains on."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from pnpsr.data import Pictures, Sample, Setting
from pnpsr.data.stream import Stream, realise
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State


@dataclass(frozen=True)
class Scores:
    """Means over the validation samples."""

    psnr: float  # RGB, in dB
    kernel_error: float | None  # mean squared error of k, x 1e5; None where nobody knows the true one
    sigma_error: float | None  # mean |sigma_T - sigma| in percent of white, where a tuner believes something


class Validation:
    """``count`` fixed samples per scale, drawn as the training's are, from held-out pictures.

    Args:
        pictures: the held-out ones.
        setting: as in training.
        count: samples per scale.
        patch: side of the sharp crops; larger than in training, since a blind method sees more on a larger picture.
        given: truths that the solver needs (a non-blind one its kernel and noise level).
    """

    def __init__(
        self, pictures: Pictures, setting: Setting, *, count: int = 8, patch: int = 192, given: Sequence[str] = (), seed: int = 1
    ) -> None:
        self.given, self.samples = tuple(given), list[Sample]()
        for scale in setting.scales:
            one = Stream(pictures, replace(setting, scales=(scale,)), batch=1, patch=patch - patch % scale, seed=seed)
            self.samples += [realise(one[n], setting) for n in range(count)]

    @classmethod
    def of(cls, samples: Sequence[Sample], given: Sequence[str] = ()) -> "Validation":
        """On samples of one's own, each of batch 1: paired pictures, for example."""
        one = cls.__new__(cls)
        one.given, one.samples = tuple(given), list(samples)
        return one

    @torch.no_grad()
    def run(self, solver: UnrolledSolver, given: Sequence[str] = ()) -> tuple[Scores, tuple[Sample, State]]:
        """The scores, and the first sample with its restoration for a panel; ``given`` is what a stage hands to the solver.

        A sample that an exact step finds no solution for is left out, with a warning. A stage's ``k0`` is what the solver starts
        with anyway.

        Raises:
            ValueError: there are no samples.
            ArithmeticError: not one of them can be computed.
        """
        names = tuple(dict.fromkeys(name for name in (*self.given, *given) if name != "k0"))
        modes = [(module, module.training) for module in solver.modules()]
        solver.eval()
        seen, failed = list[tuple[Sample, State, tuple[float | None, ...]]](), list[ArithmeticError]()
        try:
            for sample in self.samples:
                try:
                    seen.append((sample, *_scored(solver, sample, names)))
                except ArithmeticError as error:
                    failed.append(error)
                    warnings.warn(f"validation: {', '.join(sample.names) or 'a sample'} is left out: {error}")
        finally:
            for module, training in modes:
                module.training = training
        if not seen:
            raise failed[0] if failed else ValueError("there are no validation samples: the setting has no scales, or count is 0")
        quality, kernel, noise = (_mean(column) for column in zip(*(values for *_, values in seen), strict=True))
        return Scores(quality if quality is not None else float("nan"), kernel, noise), seen[0][:2]


def _scored(solver: UnrolledSolver, sample: Sample, names: Sequence[str]) -> tuple[State, tuple[float | None, ...]]:
    """The restoration of a sample, and its PSNR, kernel error and error of sigma."""
    device = next(solver.parameters()).device
    named = {n: None if v is None else v.to(device) for n, v in sample.given(*names).items()}
    out = solver(sample.y.to(device), sample.told, **named)
    x, k = out.known("x").cpu().clamp(0, 1), out.known("k").cpu()
    believed = out.hyper.sigma if "sigma" not in names else None
    off = None if believed is None or sample.sigma is None else 100 * float((believed.cpu() - sample.sigma).abs())
    border = sample.scale if isinstance(sample.scale, int) else max(sample.scale)
    error = None if sample.k is None else 1e5 * float(kernel_mse(k, sample.k))
    state = State(sample.y, sample.told, None, x, k)
    return state, (float(psnr(x, sample.x, border=border)), error, off)


def _mean(values: Sequence[float | None]) -> float | None:
    """Over those that are known."""
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None
