"""A training step of every kind of recipe: against its own convolutions, and in memory against T.

    OMP_NUM_THREADS=1 python benchmarks/train_floor.py > table.md

The floor is what the step's convolutions take by themselves, each on an input of the size and layout that it has there: forward,
and backward where the step's gradient comes to them. Memory is the largest sum of tensors alive during forward and backward pass,
weights not counted. On a CPU the clock counts the processor's time.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from time import process_time

import torch
from memory import peak_megabytes
from torch import Tensor, nn

from pnpsr.data import SETTINGS, FromDataset, Stream
from pnpsr.data.stream import realise
from pnpsr.images import SAMPLES, sample_picture
from pnpsr.recipes import RECIPES
from pnpsr.solver import UnrolledSolver
from pnpsr.train import Options, stages_for
from pnpsr.train.objective import Objective, Sealed
from pnpsr.train.stages import Stage

WIDTHS = (16, 32, 64, 64)
SIZED = {
    "dan": {"scale": 2, "size": 21, "width": 32, "groups": 2, "blocks": 4},
    "ikrnet": {"size": 21, "widths": WIDTHS, "first": "statistics", "detach": ()},
    "mixed": {"scale": 2, "size": 21, "widths": WIDTHS},
}
WAYS = {"stored": Options(), "checkpointing": Options(checkpointing=True), "implicit": Options(implicit=True)}
Pass = tuple[nn.Module, Tensor, list[Tensor]]


def fastest(call: Callable[[], object], runs: int) -> float:
    """Milliseconds of the fastest call after the first."""
    call()
    times = []
    for _ in range(runs):
        begin = process_time()
        call()
        times.append(1e3 * (process_time() - begin))
    return min(times)


def built(recipe: str, T: int) -> UnrolledSolver:
    torch.manual_seed(0)
    return RECIPES[recipe](**SIZED[recipe], T=T).to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def last_stage(net: UnrolledSolver) -> Stage:
    """The stage that trains the whole, with the last iterate supervised."""
    return replace(stages_for(net)[-1], deep=False)


def step_of(net: UnrolledSolver, options: Options, sample: Sealed) -> Callable[[], object]:
    objective = Objective(net, last_stage(net), options)
    return lambda: objective(sample)["total"].backward()


def convolutions(net: nn.Module, call: Callable[[], object]) -> list[Pass]:
    """Every convolution that a call runs, what it read, and whether the backward pass came to it."""
    seen: list[Pass] = []

    def note(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        seen.append((module, given[0].detach().clone().requires_grad_(given[0].requires_grad), reached := []))
        if out.requires_grad:
            out.register_hook(reached.append)

    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    call()
    for hook in hooks:
        hook.remove()
    return seen


def floor_of(passes: list[Pass]) -> Callable[[], object]:
    def call() -> None:
        for module, given, reached in passes:
            out = module(given)
            if not reached:
                continue
            wanted = [p for p in module.parameters() if p.requires_grad] + [given] * given.requires_grad
            torch.autograd.grad(out, wanted, torch.ones_like(out))

    return call


def main() -> None:
    """Print two Markdown tables."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--batch", type=int, default=2)
    words.add_argument("--patch", type=int, default=64)
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--iterations", type=int, nargs="+", default=[1, 2, 4, 8])
    told = words.parse_args()
    pictures = FromDataset([sample_picture(name)[0] for name in SAMPLES])
    setting = replace(SETTINGS["ikrnet"], scales=(2,), size=21)
    sample = Sealed(realise(Stream(pictures, setting, batch=told.batch, patch=told.patch)[0], setting))
    print("## A training step\n")
    print(f"Beside its own convolutions, forward and backward; {told.batch} crops of {told.patch} x {told.patch}, the")
    print(f"fastest of {told.runs}.\n")
    print("| recipe | T | step, ms | its convolutions, ms | ratio |\n|---|---|---|---|---|")
    for recipe in SIZED:
        net = built(recipe, 4)
        step = step_of(net, WAYS["stored"], sample)
        passes = convolutions(net, step)
        took, least = fastest(step, told.runs), fastest(floor_of(passes), told.runs)
        print(f"| {recipe} | 4 | {took:.0f} | {least:.0f} | {took / least:.2f} |", flush=True)
    print("\nThe largest sum of tensors alive in a step, weights not counted: where the recipe detaches x and k (dan) those of")
    print("the last iteration and the one before, whatever T is; elsewhere checkpointing computes iterations again.")
    print(f"\n| recipe, gradient | {' | '.join(f'T = {T}, MiB' for T in told.iterations)} |\n|---{'|---' * len(told.iterations)}|")
    for recipe in SIZED:
        for name, options in WAYS.items():
            peaks = [peak_megabytes(step_of(built(recipe, T), options, sample)) for T in told.iterations]
            print(f"| {recipe}, {name} | {' | '.join(f'{peak:.1f}' for peak in peaks)} |", flush=True)


if __name__ == "__main__":
    main()
