"""One stage as a module: batch in, weighted losses out. It is what Fabric wraps, so that DDP sees one forward pass per step."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from pnpsr.data import Sample
from pnpsr.equilibrium import equilibrium
from pnpsr.solver import UnrolledSolver, train_only
from pnpsr.train.losses import Loss, Outcome
from pnpsr.train.options import Options
from pnpsr.train.stages import Stage


class Sealed:
    """A batch as one opaque object: Fabric would round the tensors of an open one to half precision, and y must keep its own."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample


class Objective(nn.Module):
    """L = Σ weight · loss(iterates, truth) of a stage; makes only the stage's parts trainable, and puts only them in training mode.

    Args:
        solver: whose modules are shared, not copied.
        stage: what runs, and what is minimised.
        options: checkpointing and compilation.
    """

    def __init__(self, solver: UnrolledSolver, stage: Stage, options: Options) -> None:
        super().__init__()
        parts = stage.train or [name for name, part in solver.named_children() if any(True for _ in part.parameters())]
        self.stage, self.parameters_trained = stage, train_only(solver, *parts)
        self.left_out: tuple[tuple[str, str], ...] = ()  # samples of the last batch that could not be computed, and why
        solver.train(not stage.train)  # what is frozen keeps its statistics, too
        for name in stage.train:
            solver.get_submodule(name).train()
        view = solver.only(*stage.run)  # a view of its own: what is set here stays out of the solver
        view.detach = solver.detach if stage.detach is None else stage.detach
        view.checkpoint = solver.checkpoint or options.checkpointing
        self.implicit = options.implicit
        if options.implicit and stage.deep:
            raise ValueError(f"stage {stage.name!r} supervises every iterate; an implicit gradient is that of the last one alone")
        if options.compile:
            view.step = _compiled(view.step, stage.T or solver.T)  # type: ignore[method-assign]
        self.view = view

    def forward(self, sealed: Sealed) -> dict[str, Tensor]:
        """The weighted losses by name, with the sum as ``total``; of the samples that can be computed (see ``left_out``).

        Raises:
            TypeError, ValueError: a loss that is no number, or that has no gradient.
            ArithmeticError: not one sample of the batch can be computed.
        """
        self.left_out = ()
        try:
            terms = self._terms(sealed.sample)
        except ArithmeticError as error:
            terms = self._terms(self._computable(sealed.sample, error))
        total = torch.stack(list(terms.values())).sum()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            # DDP waits for a gradient of every parameter that is trained; those which this loss does not reach get zero
            total = total + sum((0 * p.sum() for p in self.parameters_trained), total.new_zeros(()))
        return {**terms, "total": total}

    @torch.no_grad()
    def _first_kernel(self, truth: Sample) -> Tensor:
        """What the solver's start finds on the wider window, and the true kernels for the stage's share of the batch."""
        start = self.view.start(truth.y, truth.told) if truth.wide is None else self.view.start(truth.wide, truth.scale)
        k = start.known("k")
        told = torch.arange(len(k), device=k.device) < self.stage.true * len(k)
        return torch.where(told[:, None, None, None], truth.known("k"), k)

    def groups(self, rate: float) -> list[dict[str, object]]:
        """Parameter groups by learning rate; each carries its factor, which the schedule multiplies.

        Raises:
            ValueError: the stage gives a rate to a part that the solver does not have.
        """
        factors = {id(p): 1.0 for p in self.parameters_trained}
        for part, factor in self.stage.rates.items():
            try:
                module = self.view.get_submodule(part)
            except AttributeError as error:
                raise ValueError(f"stage {self.stage.name!r} gives a rate to {part!r}, which is no part of the solver") from error
            factors |= {id(p): factor for p in module.parameters() if id(p) in factors}
        return [
            {"params": [p for p in self.parameters_trained if factors[id(p)] == factor], "lr": rate * factor, "factor": factor}
            for factor in sorted(set(factors.values()))
        ]

    def _terms(self, truth: Sample) -> dict[str, Tensor]:
        stage = self.stage
        given: dict[str, Any] = truth.given(*(name for name in stage.given if name != "k0"))
        if "k0" in stage.given:
            given["k"] = self._first_kernel(truth)
        states = [self.view.start(truth.y, truth.told, **given)]
        if self.implicit and stage.run and (stage.T is None or stage.T > 0):
            states = [states[0], equilibrium(self.view, states[0], stage.T)]
        else:
            for s in self.view.iterate(states[0], stage.T if stage.run else 0):
                states = [*states, s] if stage.deep else [states[0], s]
        outcome = Outcome(self.view, states, truth)
        return {name: self._term(name, weight, loss, outcome) for name, (weight, loss) in stage.losses.items()}

    def _term(self, name: str, weight: float, loss: Loss, outcome: Outcome) -> Tensor:
        value, what = loss(outcome), f"loss {name!r} of stage {self.stage.name!r}"
        if not isinstance(value, Tensor):
            raise TypeError(f"{what} must return a tensor with one number, got {type(value).__name__}")
        if value.numel() != 1:
            raise ValueError(f"{what} must be one number, got shape {tuple(value.shape)}; take its .mean()")
        if weight and torch.is_grad_enabled() and not value.requires_grad:
            raise ValueError(
                f"{what} has no gradient: it was detached, or reaches no part that the stage trains "
                f"({', '.join(self.stage.train) or 'all'}); o.last is the result, o.truth the truth; a weight of 0 only watches"
            )
        return weight * value.reshape(())

    def _computable(self, truth: Sample, error: ArithmeticError) -> Sample:
        """The samples that can be computed alone; the others are noted in ``left_out``."""
        kept = list[int]()
        for i in range(len(truth.y)):
            try:
                with torch.no_grad():
                    self._terms(truth.part(i))
                kept.append(i)
            except ArithmeticError as reason:
                name = truth.names[i] if truth.names else f"sample {i} of the batch"
                self.left_out += ((name, " ".join(str(reason).split())),)
        if not kept or not self.left_out:  # nothing remains, or it is no one sample's fault
            raise error
        return truth.part(*kept)


def _compiled(step: Any, iterations: int) -> Any:
    """The step, compiled anew for every iteration that has weights of its own: in training, and once more without gradients."""
    given: dict[str, Any] = {"recompile_limit": 2 * iterations + 8}  # torch's own limit is 8, beyond which it interprets
    if "recompile_limit" not in inspect.signature(torch.compile).parameters:  # before torch 2.14
        given = {}
    # torch 2.14 moves tensors to channels-last and then trips over its own derivative of replicate padding
    return torch.compile(step, options={"layout_optimization": False}, **given)
