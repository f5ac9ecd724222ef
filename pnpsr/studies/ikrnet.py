"""The studies of IKR-Net's paper (Ates, Yildirim, Gunturk 2023): what is compared in each, and where its numbers stand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pnpsr.conventions import IKRNET
from pnpsr.evaluate import Protocol, bicubic, grid
from pnpsr.evaluate.named import ikrnet
from pnpsr.kernels import dan_setting2, gaussian8
from pnpsr.studies.bench import Bench
from pnpsr.studies.course import course
from pnpsr.studies.figures import Curve, curves
from pnpsr.studies.ikrnet_variants import denoising, iterations, kernel_step, noise_levels
from pnpsr.studies.plan import BLIND, ITERATING, PREDICTING, Plan
from pnpsr.studies.study import Study
from pnpsr.studies.sweep import Cells, Found
from pnpsr.studies.table import Line, printed
from pnpsr.studies.variants import Variant

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER = "IKR-Net (Ates et al. 2023)"
X2, X4 = ("ikrnet-x2", "usrnet"), ("ikrnet-x4", "usrnet")
BOTH = ("ikrnet-x2", "ikrnet-x4")
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")  # the twelve kernels of Fig. 6
GROUPS = ("iso.",) * 4 + ("aniso.",) * 4 + ("motion",) * 4
BICUBIC = (Variant("bicubic", bicubic()),)
DRAWN = 8  # kernels of setting 2; the paper does not publish its own


def _twelve(sigma: float = 0.0) -> Callable[[Bench], Sequence[Protocol]]:
    """One protocol for all tables of a noise level, so that they share the rows that they have in common."""
    return lambda bench: [replace(ikrnet(bench.twelve()), conditions=grid((4, 2), (sigma,)), metrics=("psnr", "kernel_mse"))]


def _settings(bench: Bench) -> list[Protocol]:
    """DAN's settings, in IKR-Net's convention and scores."""
    drawn = dan_setting2(DRAWN, 31, generator=torch.Generator().manual_seed(bench.seed))
    return [
        Protocol(name, grid((4,)), kernels, IKRNET, border="scale²", multiple=4, metrics=("psnr", "psnr_y"))
        for name, kernels in (("setting-1", gaussian8(4)), ("setting-2", drawn))
    ]


def _columns(*columns: Sequence[str], metric: str = "psnr") -> Cells:
    """A row counts in one column of each kind: that of its kernel."""

    def cells(one: Found) -> list[tuple[str, str, str]]:
        block = f"{one.data} ×{one.row.key.scale}"
        return [(block, names[one.row.key.kernel - 1], metric) for names in columns]

    return cells


def _by_setting(one: Found) -> list[tuple[str, str, str]]:
    setting, block = one.row.protocol.partition("@")[0], f"{one.data} ×{one.row.key.scale}"
    return [(block, f"{setting} {column}", metric) for column, metric in (("PSNR", "psnr"), ("PSNR-Y", "psnr_y"))]


def _over_steps(lines: Sequence[Line]) -> "Figure":
    """The averages against T, one curve per solver."""
    panels: dict[tuple[str, str], dict[str, Curve]] = {}
    for line in lines:
        solver, _, T = line.method.rpartition(", T = ")
        if (value := line.values["Av."]) is not None:
            panel = panels.setdefault((line.block, "PSNR, dB"), {})
            panel[solver] = (*panel.get(solver, ()), (float(T), value))
    return curves(panels, "iterations T at test")


AVERAGE = ("Av.",) * 12
KERNELS, CLASSES = _columns(ROMAN, AVERAGE), _columns(GROUPS, AVERAGE)
TABLE1 = Plan(_twelve(), (4,), KERNELS, baselines=BICUBIC)
TABLE2 = Plan(_twelve(), (2,), KERNELS, baselines=BICUBIC)
TABLE3 = Plan(_twelve(0.02), (4, 2), KERNELS, baselines=BICUBIC)
TABLE4 = Plan(
    _settings,
    (4,),
    _by_setting,
    baselines=BICUBIC,
    notes=(f"The paper's kernels of setting 2 are not published; these are {DRAWN} of 31 x 31, drawn from its distribution.",),
)
TABLE5 = Plan(_twelve(), (4, 2), _columns(ROMAN, AVERAGE, metric="kernel_mse"), kind=BLIND, factor=1e5)
TABLE6 = Plan(_twelve(0.02), (4, 2), CLASSES, each=noise_levels, kind=PREDICTING)
TABLE7 = Plan(
    _twelve(0.03),
    (4,),
    CLASSES,
    each=denoising,
    kind=PREDICTING,
    notes=(
        "The paper's denoiser is SCU-Net, fine-tuned for each line; the denoiser here is told a noise level: before and after the "
        "solver the one estimated from what it is given, inside the one that the solver predicts.",
    ),
)
TABLE8 = Plan(
    _twelve(),
    (4,),
    CLASSES,
    each=iterations,
    kind=ITERATING,
    draw=_over_steps,
    notes=(
        "The paper fine-tunes a network for 8 iterations; here T is changed at test. Weights tuned for 8 can be a second solver.",
    ),
)
TABLE9 = Plan(_twelve(), (4, 2), CLASSES, each=kernel_step, kind=ITERATING)

STUDIES = (
    Study("ikrnet-table1", "twelve kernels at ×4 without noise", f"{PAPER}, Table 1", TABLE1, printed("ikrnet-table1"), X4),
    Study("ikrnet-table2", "twelve kernels at ×2 without noise", f"{PAPER}, Table 2", TABLE2, printed("ikrnet-table2"), X2),
    Study(
        "ikrnet-table3", "twelve kernels with 2 % noise", f"{PAPER}, Table 3", TABLE3, printed("ikrnet-table3"), (*BOTH, "usrnet")
    ),
    Study("ikrnet-table4", "DAN's two settings", f"{PAPER}, Table 4", TABLE4, printed("ikrnet-table4"), X4),
    Study("ikrnet-table5", "mean squared error of the kernel × 1e5", f"{PAPER}, Table 5", TABLE5, printed("ikrnet-table5"), BOTH),
    Study(
        "ikrnet-table6", "noise level predicted, known, zero, maximal", f"{PAPER}, Table 6", TABLE6, printed("ikrnet-table6"), BOTH
    ),
    Study(
        "ikrnet-table7", "denoising before, after, inside; 3 % noise", f"{PAPER}, Table 7", TABLE7, printed("ikrnet-table7"), X4[:1]
    ),
    Study("ikrnet-table8", "number of iterations", f"{PAPER}, Table 8", TABLE8, printed("ikrnet-table8"), X4[:1]),
    Study("ikrnet-table9", "with and without kernel step", f"{PAPER}, Table 9", TABLE9, printed("ikrnet-table9"), BOTH),
    Study("ikrnet-fig13", "image and kernel at every iteration", f"{PAPER}, Fig. 13", course, (), BOTH, form=".4g"),
)
