"""Rates, averages and what a resumed run must share: by hand."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training import STAGES, only, quick, run, solver, stream, weights

from pnpsr.cli.training import pick_stages
from pnpsr.train import Options, Stage, optional_stages, stages_for, train
from pnpsr.train.average import Average
from pnpsr.train.losses import image_l1
from pnpsr.train.options import lasting, rate_factor
from pnpsr.train.stages import ends


def factors(total: int, **values: object) -> list[float]:
    return [rate_factor(Options(**{"warmup": 0, **values}), step, total) for step in range(total)]  # type: ignore[arg-type]


def test_courses_of_the_rate() -> None:
    assert factors(4, decay="constant") == [1, 1, 1, 1]
    assert factors(8, decay="halving", halve=0.5) == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    assert factors(8, decay="halving", halve=0.25) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    cosine = factors(100, decay="cosine")
    assert cosine[0] == 1 and cosine[50] == pytest.approx(0.5) and cosine[25] == pytest.approx((1 + 2**-0.5) / 2)
    assert 0 < cosine[-1] < 1e-3
    assert factors(6, decay="constant", warmup=3) == [0.25, 0.5, 0.75, 1, 1, 1]


@given(
    decay=st.sampled_from(["constant", "halving", "cosine"]),
    warmup=st.integers(0, 50),
    halve=st.floats(0.01, 1),
    total=st.integers(1, 300),
    part=st.floats(0, 1, exclude_max=True),
)
def test_the_rate_is_positive_and_never_above_its_peak(decay: str, warmup: int, halve: float, total: int, part: float) -> None:
    options = Options(decay=decay, warmup=warmup, halve=halve)  # type: ignore[arg-type]
    step = int(part * total)
    now = rate_factor(options, step, total)
    assert 0 < now <= 1
    if step >= warmup and step + 1 < total:
        assert rate_factor(options, step + 1, total) <= now


def test_the_optimiser_is_given_that_rate_and_every_stage_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (seen.append(self.param_groups[0]["lr"]), step(self))[1])
    options = quick(steps=8, decay="halving", halve=0.5, rate=1e-3)
    stage = only("kernel code")[0]
    records = run(solver(), [stage, stage], options)
    assert [r.rate for r in records] == seen == [1e-3, 1e-3, 5e-4, 5e-4] * 2


def test_the_average_is_the_one_computed_by_hand() -> None:
    net, decay = solver(), 0.8
    history = []
    for _ in train(net, stream(), only("image prior"), quick(steps=7, average=0.0, rate=1e-2)):
        history.append(weights(net))
    mean = history[0]  # the first random weights are forgotten at once
    for count, now in enumerate(history[1:], start=1):
        d = min(decay, (1 + count) / (10 + count))
        mean = {n: mean[n] + (1 - d) * (now[n] - mean[n]) if n in dict(net.named_parameters()) else now[n] for n in mean}
    other = solver()
    run(other, only("image prior"), quick(steps=7, average=decay, rate=1e-2))
    after = weights(other)
    assert all(torch.allclose(after[n], mean[n], rtol=1e-6, atol=1e-7) for n in mean)
    assert any(not torch.allclose(after[n], history[-1][n], rtol=1e-6, atol=1e-7) for n in after)


@given(decay=st.floats(0.01, 0.9999), values=st.lists(st.floats(-10, 10), min_size=2, max_size=30))
def test_averages_stay_between_what_they_average(decay: float, values: list[float]) -> None:
    layer = nn.Linear(1, 1, bias=False).double()
    mean = Average(layer, decay)
    for value in values:
        layer.weight.data.fill_(value)
        mean.update(layer)
    assert min(values) - 1e-9 <= float(mean.module.weight.detach()) <= max(values) + 1e-9


def test_the_average_reads_nothing_back_from_the_device() -> None:
    """One call for all weights, and not one number: a tensor that is read raises on the meta device."""
    with torch.device("meta"):
        net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    mean = Average(net, 0.9)
    mean.n_averaged = torch.tensor(0)
    for _ in range(3):
        mean.update(net)
    assert int(mean.n_averaged) == 3


@given(shares=st.lists(st.floats(0.05, 9), min_size=1, max_size=7), steps=st.integers(1, 5000))
def test_stages_follow_one_another_without_a_gap(shares: list[float], steps: int) -> None:
    stages = [Stage(str(i), (), (), {"a": (1.0, image_l1)}, share=share) for i, share in enumerate(shares)]
    edges = ends(stages, steps)
    assert edges[0][0] == 0 and edges[-1][1] == steps and all(a[1] == b[0] for a, b in pairwise(edges))
    assert all(abs((b - a) - share / sum(shares) * steps) <= 1 + 1e-6 for (a, b), share in zip(edges, shares, strict=True))


def test_fewer_steps_than_stages_skip_some() -> None:
    records = run(solver(), STAGES["ikrnet"], quick(steps=2))
    assert [r.step for r in records] == [1, 2]


def test_what_lasts_is_what_has_a_part_in_the_numbers() -> None:
    free = {"workers", "save_every", "keep", "validate_every", "log_every"}
    assert lasting(Options()).keys() == vars(Options()).keys() - free


@pytest.mark.parametrize(
    "values",
    [{"steps": 0}, {"rate": 0.0}, {"rate": math.nan}, {"clip": 0.0}, {"halve": 0.0}, {"average": 1.0}, {"warmup": -1}, {"keep": 0}],
    ids=str,
)
def test_options_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        Options(**values)  # type: ignore[arg-type]


def test_stages_are_those_of_the_recipe() -> None:
    assert [s.name for s in stages_for(solver("ikrnet"))] == [
        *("kernel code", "kernel start", "image prior", "kernel prior", "noise", "joint"),
    ]
    with pytest.raises(ValueError, match=r"has no stages of its own; dan, first_kernel, ikrnet"):
        from pnpsr.recipes import blind_hqs

        stages_for(blind_hqs(5))


def test_a_solver_without_a_kernel_step_has_no_stage_for_it() -> None:
    """As the presets at ×2 and ×4 that ship: all of their stages run."""
    ikr = solver("ikrnet", first="statistics", first_width=8, kernel_step=False)
    assert [s.name for s in stages_for(ikr)] == ["kernel start", "image prior", "noise", "joint"]
    assert [s.name for s in optional_stages(ikr)] == ["restorer"]
    assert all("estimator" not in s.run for s in stages_for(ikr))
    assert len(run(ikr, stages_for(ikr), quick(steps=8))) == 8


def test_optional_stages_run_when_named_and_only_then() -> None:
    ikr = solver("ikrnet")
    assert [s.name for s in optional_stages(ikr)] == ["all steps", "restorer"] and not optional_stages(solver("dan"))
    assert "all steps" not in [s.name for s in pick_stages(ikr, None)]
    assert [s.name for s in pick_stages(ikr, ("all steps", "joint"))] == ["joint", "all steps"]
    with pytest.raises(ValueError, match="stages must be one of 'both networks'"):
        pick_stages(solver("dan"), ("all steps",))


def test_all_steps_learn_from_image_kernel_and_noise() -> None:
    ikr = solver("ikrnet")
    before = {name: value.clone() for name, value in ikr.state_dict().items()}
    [record] = run(ikr, optional_stages(ikr)[:1], quick(steps=1))
    assert {"image", "kernel", "sigma"} <= record.losses.keys()
    changed = {name.split(".")[0] for name, value in ikr.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"estimator", "restorer", "tuner"}
    noise = [name for name, value in ikr.state_dict().items() if ".noise." in name and not torch.equal(value, before[name])]
    assert noise


@pytest.mark.parametrize(
    ("values", "message"),
    [({"losses": {}}, "needs losses"), ({"given": ("x",)}, "given must be one of"), ({"share": 0.0}, "share of stage 's'")],
)
def test_impossible_stages_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage(**{"name": "s", "train": (), "run": (), "losses": {"a": (1.0, image_l1)}, **values})  # type: ignore[arg-type]
