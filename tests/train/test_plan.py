"""The plan of the presets' trainings: every part can be built, starts from what it says, runs, and goes on."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from synthetic import pictures

from pnpsr import load
from pnpsr.data import setting
from pnpsr.images import write_image

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "presets.py"


@pytest.fixture(scope="module")
def plan() -> ModuleType:
    spec = importlib.util.spec_from_file_location("presets_plan", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "train").mkdir(parents=True)
    for i, x in enumerate(pictures(5, 3, 80, 64, seed=1, dtype=torch.float32)):
        write_image(tmp_path / "data" / "train" / f"{i}.png", x[None])
    return tmp_path / "data"


@pytest.mark.parametrize("gpu", [False, True])
def test_every_part_names_things_that_exist(plan: ModuleType, gpu: bool) -> None:
    for name, part in plan.PLAN.items():
        part = replace(part, **part.gpu) if gpu else part
        named = setting(part.setting, scales=part.scales, **part.drawn)
        assert all(part.patch % scale == 0 and part.margin % scale == 0 and part.wide % scale == 0 for scale in part.scales), name
        assert named.kernel_size(part.scales[0]) == part.arguments.get("size", 21)
        assert all(one.startswith("preset:") or one in plan.PLAN for one in part.init), name
        if not gpu:  # seventeen million weights each
            solver = plan.RECIPES[part.recipe](**part.arguments)
            assert plan.stages(part, solver), name


def test_a_preset_s_weights_mean_the_same_under_their_new_names(plan: ModuleType) -> None:
    made = {**plan.PLAN["restorer-x2"].arguments, "widths": (4, 4, 4, 4), "first_width": 8, "T": 2}
    torch.manual_seed(0)
    old = plan.RECIPES["ikrnet"](**{**made, "turn": False, "percent": False})
    new = plan.RECIPES["ikrnet"](**made)
    mine = new.state_dict()
    mine |= {key: value for key, value in plan.taken(old, new).items() if key in mine}
    new.load_state_dict(mine)
    y = pictures(1, 3, 24, 24, 0, torch.float32)
    k = old.start(y, 2).k
    with torch.no_grad():
        a, b = (solver.only("tuner", "restorer")(y, 2, k=k) for solver in (old, new))
    torch.testing.assert_close(b.hyper.alpha, a.hyper.alpha, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(b.x, a.x, rtol=0, atol=1e-5)
    torch.testing.assert_close(new.k0.start(new.start(y, 2)), k)
    again = plan.taken(new, new)  # what is in percent already stays as it is
    assert all(torch.equal(again[key], value) for key, value in new.state_dict().items())


def test_parts_run_build_on_each_other_and_go_on(plan: ModuleType, data: Path, tmp_path: Path, monkeypatch) -> None:
    small = {"size": 5, "width": 8}
    quick = {"warmup": 0, "log_every": 5, "validate_every": 0, "save_every": 5}
    other = {"batch": 2, "drawn": {"size": 5}, "options": quick, "margin": 4}
    first = replace(plan.first(2, 40, **other), arguments=small)
    made = {**small, "turn": True}
    turn = replace(first, arguments=made, init=("first",))
    monkeypatch.setattr(plan, "PLAN", {"first": first, "turn": turn})
    monkeypatch.setattr(plan, "HELD_OUT", 1)
    monkeypatch.setattr(plan, "VALIDATE", {"count": 1, "patch": 40})
    for name in ("first", "turn"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.json").write_text(json.dumps({"steps": 10, "device": "cpu"}))
        plan.run(name, plan.PLAN[name], data / "train", tmp_path, "cpu", 1.0)
        plan.run(name, plan.PLAN[name], data / "train", tmp_path, "cpu", 1.0)  # nothing is left to do
    before, after = (load(tmp_path / name / "last.safetensors") for name in ("first", "turn"))
    for a, b in zip(before.k0.parameters(), after.k0.start.parameters(), strict=True):
        assert a.shape == b.shape
    assert len((tmp_path / "turn" / "records.csv").read_text().splitlines()) == 3
