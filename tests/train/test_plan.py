"""The plan of the presets' trainings: every part can be built, starts from what it says, runs, and goes on."""

import hashlib
import importlib.util
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from synthetic import pictures

from pnpsr import load, save
from pnpsr.data import setting
from pnpsr.images import write_image
from pnpsr.recipes import usrnet
from pnpsr.weights import presets

ROOT = Path(__file__).parents[2]


def script(name: str) -> ModuleType:
    """A file of ``benchmarks/``, which find one another there."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "benchmarks" / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look themselves up
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.pop(0)


@pytest.fixture(scope="module")
def plan() -> ModuleType:
    return script("presets")


@pytest.fixture(scope="module")
def parts(plan: ModuleType) -> ModuleType:
    return sys.modules["parts"]


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
    old = plan.RECIPES["ikrnet"](**{**made, "turn": False, "percent": False, "sharp": None, "settle": False})
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
    torch.testing.assert_close(new.k0.start.start(new.start(y, 2)), k)
    again = plan.taken(new, new)  # what is in percent already stays as it is
    assert all(torch.equal(again[key], value) for key, value in new.state_dict().items())


def test_a_wider_solver_begins_with_what_the_narrow_one_does(plan: ModuleType, parts: ModuleType, tmp_path: Path) -> None:
    made = {"size": 7, "T": 2, "widths": (2, 3, 4, 4), "hidden": 4, "per_iteration": True, "first_width": 8, "first": "statistics"}
    made |= {"kernel_step": False, "percent": True, "proportional": True}
    torch.manual_seed(1)
    narrow = plan.RECIPES["ikrnet"](**made)
    with torch.no_grad():
        for parameter in narrow.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    (tmp_path / "before").mkdir()
    save(narrow, tmp_path / "before" / "last.safetensors")
    wide = {**made, "widths": (3, 5, 6, 9), "hidden": 7}
    part = parts.Part("ikrnet", wide, "ikrnet", (2,), init=("before",), grow=True)
    y = torch.rand(1, 3, 24, 24)
    a, b = (solver(y, 2) for solver in (narrow, plan.built(part, tmp_path)))
    assert torch.allclose(a.x, b.x, atol=1e-5) and torch.allclose(a.k, b.k, atol=1e-6)
    c = plan.built(replace(part, grow=False), tmp_path)(y, 2)
    assert not torch.allclose(a.x, c.x, atol=1e-3)


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
    assert plan.part_from((tmp_path / "turn" / "part.json").read_text()).init == ("first",)


def test_a_part_is_the_same_from_its_file(plan: ModuleType, parts: ModuleType) -> None:
    for name, part in plan.PLAN.items():
        fixed = parts.pinned(part)
        again = parts.part_from(parts.written(fixed))
        plain = replace(fixed, weight=1.0, gpu={}, arguments=json.loads(json.dumps(fixed.arguments)))
        assert json.loads(parts.written(again)) == json.loads(parts.written(fixed)), name
        assert (again.drawn, again.scales, again.init, again.options) == (plain.drawn, plain.scales, plain.init, plain.options), (
            name
        )
        assert all(not word.startswith("preset:") or len(word.partition("@")[2]) == 12 for word in fixed.init), name
        assert parts.pinned(fixed) == fixed and [parts.bare(word) for word in fixed.init] == list(part.init)


def test_a_part_begins_with_the_version_that_it_names_or_not_at_all(plan: ModuleType, parts: ModuleType, tmp_path: Path) -> None:
    shipped = presets()["usrnet"].sha256
    assert parts.begun(f"preset:usrnet@{shipped[:12]}", tmp_path).record.recipe == "usrnet"
    file = tmp_path / "earlier" / f"usrnet@{'0' * 12}.safetensors"
    for content in (None, b"other weights"):
        if content is not None:
            file.parent.mkdir()
            file.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"an earlier version of usrnet: python benchmarks/earlier.py usrnet@0{12} --out .*earlier"
        ):
            parts.begun(f"preset:usrnet@{'0' * 12}", tmp_path)
    other = usrnet(T=1, widths=(2, 2, 2, 2), hidden=2)
    save(other, tmp_path / "a.safetensors")
    digest = hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest()[:12]
    (tmp_path / "a.safetensors").rename(file.with_name(f"usrnet@{digest}.safetensors"))
    found = parts.begun(f"preset:usrnet@{digest}", tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(found.parameters(), other.parameters(), strict=True))


def test_a_run_s_own_file_says_what_it_began_with(plan: ModuleType, parts: ModuleType, tmp_path: Path) -> None:
    part = plan.PLAN["usrnet"]
    begun = plan.kept(tmp_path / "run", part)
    assert begun == parts.pinned(part) and parts.part_from((tmp_path / "run" / "part.json").read_text()).init == begun.init
    older = replace(begun, init=("preset:usrnet@123456789abc",))
    (tmp_path / "run" / "part.json").write_text(parts.written(older))
    assert plan.kept(tmp_path / "run", part).init == older.init  # the preset has changed since
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text("{}")
    assert plan.kept(tmp_path / "old", part) == part and not (tmp_path / "old" / "part.json").exists()


@pytest.mark.parametrize("name", presets())
def test_the_commands_of_a_preset_find_what_they_begin_with(name: str, parts: ModuleType) -> None:
    """Every file that a command reads was written by one before it; the parts are in the repository, with all their digests."""
    written = set[str]()
    for command in map(shlex.split, presets()[name].commands):
        if command[1] == "benchmarks/earlier.py":
            folder = command[command.index("--out") + 1]
            written |= {f"{folder}/{version}.safetensors" for version in command[2 : command.index("--out")]}
        elif command[1] == "benchmarks/changed.py":
            assert command[2] == name  # as it is by then
        elif "--part" in command:
            file = Path(command[command.index("--part") + 1])
            part = parts.part_from((ROOT / file).read_text(encoding="utf-8"))
            for word in part.init:
                where = f"earlier/{word.removeprefix('preset:')}" if "@" in word else f"{word}/last"
                assert f"runs/{where}.safetensors" in written, word
            written.add(f"runs/{file.stem}/last.safetensors")
        else:
            begins = command[command.index("--init") + 1 :] if "--init" in command else []
            begins = begins[: next((i for i, word in enumerate(begins) if word.startswith("--")), len(begins))]
            assert {*begins} <= written, begins
            written.add(f"{command[command.index('--out') + 1]}/last.safetensors")


@pytest.mark.parametrize("name", presets())
def test_earlier_versions_that_commands_name_are_in_the_history(name: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no history: this is no clone of the repository")
    earlier = script("earlier")
    for command in map(shlex.split, presets()[name].commands):
        for version in command[2 : command.index("--out")] if command[1] == "benchmarks/earlier.py" else ():
            try:
                _, content = earlier.found(version)
            except RuntimeError:
                pytest.skip("no history: Git is not here")
            assert hashlib.sha256(content).hexdigest().startswith(version.partition("@")[2])


def test_versions_are_found_in_a_history(tmp_path: Path) -> None:
    earlier, file = script("earlier"), tmp_path / "pnpsr" / "weights" / "a.safetensors"
    with pytest.raises(RuntimeError, match="clone it"):
        earlier.found("a@12", tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    file.parent.mkdir(parents=True)
    for content in (b"first", b"second"):
        file.write_bytes(content)
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    for content in (b"first", b"second"):
        digest = hashlib.sha256(content).hexdigest()
        assert earlier.found(f"a@{digest[:12]}", tmp_path)[1] == content
    with pytest.raises(ValueError, match=f"a@0+: no such version; those of a are {digest[:12]}, "):
        earlier.found("a@000000000000", tmp_path)


def test_what_is_published_names_its_part_and_its_beginnings(plan: ModuleType, tmp_path: Path, monkeypatch) -> None:
    publish, shipped = script("publish"), presets()["usrnet"].sha256[:12]
    monkeypatch.setattr(publish, "HERE", tmp_path)
    run = tmp_path / "runs" / "usrnet"
    plan.kept(run, plan.PLAN["usrnet"])
    plan.note(run, 7, "cpu")
    part = "docs/training/parts/usrnet/usrnet.json"
    expected = [
        f"python benchmarks/earlier.py usrnet@{shipped} --out runs/earlier",
        f"python benchmarks/presets.py --data DATA --out runs --part {part} --steps 7",
    ]
    assert publish.commands(run, "usrnet") == expected and f"preset:usrnet@{shipped}" in (tmp_path / part).read_text()
    (run / "part.json").unlink()  # as runs were kept before
    (run / "commands.txt").write_text("python benchmarks/presets.py --data DATA --out runs --only usrnet --steps 7\n")
    same = plan.PLAN["usrnet"]
    told = {n: getattr(same, n) for n in ("recipe", "arguments", "setting", "scales", "batch", "patch", "margin", "init")}
    (run / "run.json").write_text(json.dumps({**told, "rate": same.options["rate"]}))
    assert publish.commands(run, "usrnet") == expected
    (run / "run.json").write_text(json.dumps({**told, "rate": 1.0}))
    with pytest.raises(ValueError, match=r"is not what the plan has under that name now \(rate\)"):
        publish.commands(run, "usrnet")
    (run / "commands.txt").write_text("pnpsr train usrnet /data --init usrnet --out runs/usrnet\n")
    (run / "run.json").write_text(json.dumps({"began": {"usrnet": shipped, "runs/x/last.safetensors": "0"}}))
    assert publish.commands(run, "usrnet") == [
        expected[0],
        f"pnpsr train usrnet PICTURES --init runs/earlier/usrnet@{shipped}.safetensors --out runs/usrnet",
    ]
