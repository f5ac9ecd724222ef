"""Training throughput and peak memory against T, with and without checkpointing and bf16; and how fast the data are drawn.

    OMP_NUM_THREADS=1 python benchmarks/training.py > table.md
    python benchmarks/training.py --images folder --batch 16 --patch 192 --iterations 4 8 16 --device cuda

On a CPU the clock counts the processor's time, which on one thread other programs cannot lengthen; on a GPU it counts seconds.
Memory is the largest sum of tensors alive during a step, weights and data not counted; on a GPU the allocator's peak above what
was held before. Speeds are those of the fastest step after the first.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from time import perf_counter, process_time

import torch
import tyro
from memory import peak_megabytes

from pnpsr import UnrolledSolver, ikrnet
from pnpsr.data import SETTINGS, Folder, FromDataset, Pictures, Stream
from pnpsr.images import SAMPLES, sample_picture
from pnpsr.train import Options, train
from pnpsr.train.stages import MIXED_STAGES

PRECISIONS = ("32-true", "bf16-mixed")


@dataclass(frozen=True)
class Bench:
    """What is the same in all rows."""

    stream: Stream
    device: str
    steps: int
    widths: tuple[int, ...]

    def solver(self, T: int) -> UnrolledSolver:
        """IKR-Net; in its stage all parts learn, and gradients pass from image to image through all T iterations."""
        torch.manual_seed(0)
        return ikrnet(21, T=T, widths=self.widths, hidden=32, first="statistics", start="bicubic")

    def run(self, solver: UnrolledSolver, steps: int, precision: str, checkpointing: bool = False, workers: int = 0) -> list[float]:
        """Seconds of each step."""
        from lightning.fabric import Fabric

        fabric = Fabric(accelerator=self.device, devices=1, precision=precision)
        fabric.launch()
        options = Options(
            steps=steps,
            precision=precision,
            checkpointing=checkpointing,
            workers=workers,
            average=0.0,
            log_every=1,
        )
        clock = process_time if self.device == "cpu" and not workers else perf_counter
        times = [clock()]
        for _ in train(solver, self.stream, MIXED_STAGES, options, fabric=fabric):
            times.append(clock())  # the record's losses are numbers: a GPU has finished the step
        return [after - before for before, after in pairwise(times)]

    def speed(self, T: int, precision: str, checkpointing: bool = False, workers: int = 0) -> float:
        """Images per second of the fastest step after the first."""
        return self.stream.batch / min(self.run(self.solver(T), self.steps + 1, precision, checkpointing, workers)[1:])

    def memory(self, T: int, precision: str, checkpointing: bool) -> float:
        """MiB of the largest sum of tensors alive during two steps, above what was there before."""
        solver = self.solver(T)
        if self.device == "cuda":
            solver.to("cuda")
            held = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            self.run(solver, 2, precision, checkpointing)
            return (torch.cuda.max_memory_allocated() - held) / 2**20
        return peak_megabytes(lambda: self.run(solver, 2, precision, checkpointing))

    def drawing(self, workers: int) -> float:
        """Images per second of the data alone."""
        drafts, count = self.stream.batches(workers=workers), 10 * self.steps
        for _ in range(4 + 4 * workers):  # what is drawn ahead
            next(drafts)
        clock = perf_counter if workers else process_time
        begin = clock()
        for _ in range(count):
            next(drafts)
        return self.stream.batch * count / (clock() - begin)


def main(
    *,
    images: Path | None = None,
    iterations: tuple[int, ...] = (1, 2, 4, 8),
    batch: int = 4,
    patch: int = 64,
    steps: int = 3,
    workers: tuple[int, ...] = (0, 1, 2),
    threads: int = 1,
    widths: tuple[int, ...] = (16, 32, 64, 64),
    device: str = "cuda" if torch.cuda.is_available() else "cpu",
) -> None:
    """Print two Markdown tables: speed and memory of training, and how fast data come.

    Args:
        images: folder of sharp pictures; by default those of scikit-image.
        iterations: values of T.
        batch: samples per step.
        patch: side of the sharp crops.
        steps: timed steps of each case.
        workers: numbers of background processes.
        threads: on a CPU.
        widths: of the image prior.
        device: cpu or cuda.
    """
    torch.set_num_threads(threads)
    pictures: Pictures = Folder(images) if images else FromDataset([sample_picture(name)[0] for name in SAMPLES])
    stream = Stream(pictures, SETTINGS["ikrnet"], batch=batch, patch=patch)
    for step in range(20):
        stream[step]  # pictures are decoded before the clock starts
    bench = Bench(stream, device, steps, widths)
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {threads} thread(s)"
    print(f"torch {torch.__version__}, {name}; IKR-Net of widths {'-'.join(map(str, widths))}, kernels of 21 x 21, ", end="")
    print(f"{batch} crops of {patch} x {patch}, fastest of {steps} steps\n")
    print("| T, arithmetic | images/s | with checkpointing | ratio | memory, MiB | with checkpointing | ratio |")
    print("|---" * 7 + "|")
    for T in iterations:
        for precision in PRECISIONS:
            fast, slow = (bench.speed(T, precision, flag) for flag in (False, True))
            much, little = (bench.memory(T, precision, flag) for flag in (False, True))
            row = f"{T}, {precision} | {fast:.2f} | {slow:.2f} | {slow / fast:.2f} | {much:.0f} | {little:.0f}"
            print(f"| {row} | {little / much:.2f} |", flush=True)
    print(f"\n| workers | data alone, images/s | with the network (T = {iterations[0]}), images/s |\n|---|---|---|")
    for count in workers:
        print(
            f"| {count} | {bench.drawing(count):.1f} | {bench.speed(iterations[0], PRECISIONS[0], workers=count):.2f} |", flush=True
        )


if __name__ == "__main__":
    tyro.cli(main)
