"""A step reads no number back from the device: on a GPU each would wait for everything before it."""

import traceback
from collections import Counter
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from training import STAGES, only, quick, run, solver

from pnpsr import checks
from pnpsr.train.run import Run

ELSEWHERE = ("torch/optim/", "train/average.py", "precision.py")  # counters that lie on the CPU; alpha, which decides the precision


class Reads(TorchDispatchMode):
    """Counts tensors that become numbers, by the file of this library that asks."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.on = Counter[str](), False

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.on and function in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default):
            files = [frame.filename for frame in traceback.extract_stack()]
            if not any(name in file for file in files for name in ELSEWHERE):
                self.count[next(file for file in reversed(files) if "/pnpsr/" in file)] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("recipe", "late"), [("usrnet", True), ("dan", True), ("mixed", True), ("usrnet", False)])
def test_a_step_reads_nothing_where_that_would_wait(recipe: str, late: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And on CPUs, where it costs nothing, all checks are made."""
    init, step, reads = Run.__init__, Run._step, Reads()

    def counted(self: Run, *rest: Any) -> Any:
        reads.on = self.done >= 3  # the first steps are probed
        try:
            return step(self, *rest)
        finally:
            reads.on = False

    if late:
        monkeypatch.setattr(Run, "__init__", lambda self, *a: (init(self, *a), setattr(self, "reads_all", False))[0])
    monkeypatch.setattr(Run, "_step", counted)
    with reads:
        run(solver(recipe), STAGES[recipe], quick(steps=5, log_every=100))
    assert bool(reads.count) != late, reads.count


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_gpu_trains_as_a_cpu_does(workers: int) -> None:
    from lightning.fabric import Fabric

    rows = []
    for accelerator in ("cpu", "cuda"):
        fabric = Fabric(accelerator=accelerator, devices=1)
        fabric.launch()
        records = run(solver("usrnet"), STAGES["usrnet"], quick(steps=6, log_every=3, workers=workers), fabric=fabric)
        rows.append([r.losses["total"] for r in records])
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)


def test_what_is_trusted_is_not_read() -> None:
    lost = torch.full((1, 1, 2, 2), torch.nan)
    with checks.trusted():
        assert checks.tensor(lost, "t") is lost and checks.per_sample(lost[:, 0, 0, 0], lost, "s").shape == (1, 1, 1, 1)
        with pytest.raises(TypeError, match="must hold floats"):
            checks.tensor(lost.long(), "t")
    with pytest.raises(checks.NotFinite):
        checks.tensor(lost, "t")


def test_lost_weights_are_divergence_where_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from training import stream

    from pnpsr.train import Diverged, train

    init = Run.__init__
    monkeypatch.setattr(Run, "__init__", lambda self, *a: (init(self, *a), setattr(self, "reads_all", False))[0])
    net = solver()
    records = train(net, stream(), only("joint"), quick(steps=9, log_every=2))
    next(records)
    with torch.no_grad():
        for p in net.restorer.parameters():
            p.fill_(torch.nan)
    with pytest.raises(Diverged, match=r"step 3: the loss is image nan"):
        next(records)
