"""prox_image beside deepinv's prox_l2 and the plain full-FFT form of the papers, with the FFT floor; fastest of interleaved runs.

    python benchmarks/prox_image.py [runs] > table.md

From scratch on our side (transfer function included), as a solver that changes k in every iteration needs it; deepinv and the
plain form get theirs for free. The floor is one rfft2 and one irfft2 of the image. Memory is the largest sum of live tensors
during one call.
"""

import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from deepinv.physics import Downsampling
from memory import peak_megabytes
from peers import full_spectrum, plain_image_step
from torch import Tensor

from pnpsr.kernels import gaussian
from pnpsr.physics import Degradation
from pnpsr.prox import prox_image

CASES = [
    (1, 512, 768, 1),
    (1, 512, 768, 2),
    (1, 510, 768, 3),
    (1, 512, 768, 4),
    (1, 1024, 1536, 2),
    (1, 1024, 1536, 4),
    (8, 256, 256, 4),
]


def floor(x0: Tensor) -> Tensor:
    """One real transform and its inverse."""
    return torch.fft.irfft2(torch.fft.rfft2(x0), s=x0.shape[-2:])


def fastest(calls: dict[str, Callable[[], Tensor]], runs: int) -> dict[str, float]:
    """Seconds of the fastest run of each call; the calls take turns, so that a busy moment hits all alike."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(runs):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - begin)
    return best


def main(runs: int) -> None:
    """Print a Markdown table, a row per case."""
    setting = f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, 3 channels, 21 x 21 kernel"
    print(f"{setting}, fastest of {runs} interleaved runs\n")
    print("| batch, image, s | pnpsr, ms | deepinv | plain form | floor | pnpsr / floor | memory, MiB: pnpsr, deepinv, plain |")
    print("|---|---|---|---|---|---|---|")
    for b, h, w, s in CASES:
        generator = torch.Generator().manual_seed(0)
        x = torch.rand(b, 3, h, w, generator=generator)
        k = gaussian(21, 2.0, width2=1.0, angle=0.5).expand(b, -1, -1, -1).contiguous()
        y, x0, alpha = Degradation(s)(x, k), torch.rand(b, 3, h, w, generator=generator), 0.01
        physics = Downsampling(img_size=(3, h, w), filter=k, factor=s, padding="circular")
        calls = {
            "pnpsr": partial(prox_image, y, k, x0, alpha, s),
            "deepinv": partial(physics.prox_l2, x0, y, 1 / alpha),
            "plain": partial(plain_image_step, y, full_spectrum(k, (h, w)), x0, alpha, s),
            "floor": partial(floor, x0),
        }
        for name in ("deepinv", "plain"):
            gap = float((calls[name]() - calls["pnpsr"]()).abs().max())
            if gap > 1e-3:
                raise RuntimeError(f"{name} solves another problem: differs by {gap:g}")
        t = fastest(calls, runs)
        memory = ", ".join(f"{peak_megabytes(calls[name]):.0f}" for name in ("pnpsr", "deepinv", "plain"))
        print(
            f"| {b}, {h} x {w}, {s} | {1e3 * t['pnpsr']:.1f} | {t['deepinv'] / t['pnpsr']:.1f} x | {t['plain'] / t['pnpsr']:.1f} x "
            f"| {t['floor'] / t['pnpsr']:.2f} x | {t['pnpsr'] / t['floor']:.2f} | {memory} |",
            flush=True,
        )


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
