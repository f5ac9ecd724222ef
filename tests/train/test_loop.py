"""A stage trains its parts and nothing else; every recipe's stages run; the numbers in the records are the run's."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from training import DATA, STAGES, Same, collection, only, quick, run, same, solver, stream, weights

from pnpsr.data import Stream
from pnpsr.data.stream import realise
from pnpsr.solver import PerIteration, UnrolledSolver
from pnpsr.starts import Dirac
from pnpsr.state import State
from pnpsr.train import Diverged, Stage, train
from pnpsr.train.losses import every, first_kernel_l2, image_l1, kernel_l1
from pnpsr.train.objective import Objective, Sealed
from pnpsr.train.options import Options
from pnpsr.train.stages import deepened
from pnpsr.train.validation import Validation

EACH = [(recipe, stage) for recipe, stages in STAGES.items() for stage in stages]
each = pytest.mark.parametrize(("recipe", "stage"), EACH, ids=[f"{recipe}: {stage.name}" for recipe, stage in EACH])


def inside(name: str, parts: tuple[str, ...]) -> bool:
    return not parts or any(name.startswith(part + ".") for part in parts)


@each
@pytest.mark.parametrize("average", [0.0, 0.5])
def test_a_stage_trains_its_parts_and_leaves_the_others_bit_by_bit(recipe: str, stage: Stage, average: float) -> None:
    net = solver(recipe)
    before = weights(net)
    run(net, [stage], quick(steps=3, average=average, rate=1e-2))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(inside(name, stage.train) for name in changed)
    for part in stage.train:
        assert any(inside(name, (part,)) for name in changed), f"{part} learned nothing"
    assert all(parameter.requires_grad for parameter in net.parameters())  # frozen for the stage only


@each
def test_every_trained_parameter_has_a_gradient(recipe: str, stage: Stage) -> None:
    """But for the encoding half of the auto-encoder, which defines a target, where all parts learn at once."""
    objective = Objective(net := solver(recipe), stage, Options())
    objective(Sealed(realise(stream()[0], DATA)))["total"].backward()
    idle = {name for name, p in net.named_parameters() if p.requires_grad and p.grad is None}
    assert all(name.startswith("k0.net.autoencoder.layers") for name in idle) and (not idle or recipe == "mixed")
    assert all(p.grad is None for p in net.parameters() if not p.requires_grad)


@pytest.mark.parametrize("recipe", STAGES)
def test_all_stages_run_and_share_the_steps(recipe: str) -> None:
    stages, check = STAGES[recipe], Validation(collection(2), DATA, count=1, patch=24)
    records = run(solver(recipe), stages, quick(steps=4 * len(stages)), validation=check)
    assert [record.step for record in records] == list(range(1, 4 * len(stages) + 1))
    assert list(dict.fromkeys(record.stage for record in records)) == [stage.name for stage in stages]
    total = sum(stage.share for stage in stages)
    for stage in stages:
        mine = [record for record in records if record.stage == stage.name]
        assert abs(len(mine) - stage.share / total * 4 * len(stages)) <= 1
        assert mine[-1].scores is not None and math.isfinite(mine[-1].scores.psnr)
        assert all(record.losses.keys() == {*stage.losses, "total"} for record in mine)
    for record in records:
        parts = sum(value for name, value in record.losses.items() if name != "total")
        assert record.losses["total"] == pytest.approx(parts, rel=1e-5) and record.images_per_second > 0 and record.norm >= 0


@each
def test_the_loss_falls_on_a_batch_that_stays_the_same(recipe: str, stage: Stage) -> None:
    data, rate = Same(collection(), DATA, batch=2, patch=24, seed=0), 2e-4 if stage.name == "kernel start" else 3e-3
    records = run(solver(recipe), [stage], quick(steps=15, rate=rate, average=0.0), data)
    first, last = (sum(r.losses["total"] for r in part) for part in (records[:3], records[-3:]))
    assert last < first


def test_records_come_when_they_are_due() -> None:
    check = Validation(collection(2), DATA, count=1, patch=24)
    net = solver()
    records = run(net, only("kernel code"), quick(steps=11, log_every=4, validate_every=5), validation=check)
    assert [(r.step, r.scores is not None) for r in records] == [(4, False), (5, True), (8, False), (10, True), (11, True)]


def test_the_caller_may_stop() -> None:
    net = solver()
    records = train(net, stream(), only("kernel code"), quick(steps=100))
    assert next(records).step == 1
    before = weights(net)
    records.close()
    assert same(before, weights(net)) and all(p.requires_grad for p in net.parameters())


def test_frozen_parts_of_the_caller_stay_frozen() -> None:
    net = solver()
    net.estimator.requires_grad_(False)
    run(net, only("kernel code"), quick(steps=1))
    assert not any(p.requires_grad for p in net.estimator.parameters())
    assert all(p.requires_grad for p in net.restorer.parameters())


def test_the_rates_of_parts_are_factors() -> None:
    stage = replace(STAGES["dan"][0], rates={"estimator": 0.5})
    net = solver("dan")
    groups = Objective(net, stage, Options()).groups(1e-3)
    assert [(g["lr"], g["factor"]) for g in groups] == [(5e-4, 0.5), (1e-3, 1.0)]
    sizes = [sum(p.numel() for p in g["params"]) for g in groups]
    assert sizes == [sum(p.numel() for p in part.parameters()) for part in (net.estimator, net.restorer)]
    # the first step of Adam moves every weight by its rate
    before = {name: p.clone() for name, p in net.named_parameters()}
    run(net, [stage], quick(steps=1, average=0.0))
    for name, p in net.named_parameters():
        moved = float((p - before[name]).detach().abs().max())
        assert moved == pytest.approx(5e-4 if name.startswith("estimator") else 1e-3, rel=0.02) or moved == 0


def test_large_gradients_are_clipped_to_the_norm_and_reported_before() -> None:
    seen: list[float] = []

    class Watched(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, state: object) -> torch.Tensor:
            return self.inner(state)

    net = solver("usrnet")
    net.restorer = Watched(net.restorer)
    original = torch.optim.Adam.step

    def step(self: torch.optim.Adam, closure: None = None) -> None:
        seen.append(float(torch.cat([p.grad.flatten() for g in self.param_groups for p in g["params"]]).norm()))
        original(self, closure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", step)
        records = run(net, only("image prior", recipe="usrnet"), quick(steps=3, clip=1e-3))
        loose = run(solver("usrnet"), only("image prior", recipe="usrnet"), quick(steps=1, clip=1e6))
    assert all(record.norm > 1e-3 for record in records) and seen[:3] == pytest.approx([1e-3] * 3, rel=1e-3)
    assert seen[3] == pytest.approx(loose[0].norm, rel=1e-5) and loose[0].norm == pytest.approx(records[0].norm, rel=1e-5)


@torch.no_grad()
def test_deep_supervision_is_the_mean_over_the_iterates() -> None:
    """And the loss of the first kernel is no iterate's."""
    net, sample = solver("mixed", T=3), realise(stream()[0], DATA)
    stage = STAGES["mixed"][0]
    terms = Objective(net, deepened(stage), Options())(Sealed(sample))
    start = net.start(sample.y, sample.scale)
    states = list(net.iterate(start))
    assert len(states) == 3
    by_hand = {
        "image": sum((s.x - sample.x).abs().mean() for s in states) / 3,
        "kernel": 0.1 * sum((s.k - sample.k).abs().sum((1, 2, 3)).mean() for s in states) / 3,
        "first kernel": 0.1 * (start.k - sample.k).square().sum((1, 2, 3)).mean(),
    }
    for name, value in by_hand.items():
        assert float(terms[name]) == pytest.approx(float(value), rel=1e-5)
    twice = Objective(net, deepened(deepened(stage)), Options())(Sealed(sample))
    assert float(twice["total"]) == pytest.approx(float(terms["total"]), rel=1e-6)


def test_stages_without_iterates_have_none_to_supervise() -> None:
    for stage in only("kernel code", "kernel start"):
        assert deepened(stage) is stage
    assert math.isfinite(run(solver(), [deepened(s) for s in STAGES["ikrnet"]], quick(steps=6))[-1].losses["total"])


@pytest.mark.parametrize("recipe", ["ikrnet", "dan"])
def test_checkpointing_changes_the_memory_and_nothing_else(recipe: str) -> None:
    nets = [solver(recipe) for _ in range(2)]
    stage = STAGES[recipe][-1]
    plain, thrifty = (run(n, [stage], quick(steps=4, checkpointing=c)) for n, c in zip(nets, (False, True), strict=True))
    assert [r.losses for r in plain] == [r.losses for r in thrifty] and same(weights(nets[0]), weights(nets[1]))


def test_an_implicit_gradient_is_an_option() -> None:
    """Where x and k are cut it is the gradient of unrolling; elsewhere it trains, too; all iterates cannot be supervised by it."""
    nets, stage = [solver("dan") for _ in range(2)], STAGES["dan"][-1]
    plain, implicit = (run(n, [stage], quick(steps=2, implicit=i)) for n, i in zip(nets, (False, True), strict=True))
    for a, b in zip(plain, implicit, strict=True):
        assert a.losses["total"] == pytest.approx(b.losses["total"], rel=1e-5)
    records = run(solver("ikrnet"), [STAGES["ikrnet"][-1]], quick(steps=2, implicit=True))
    assert all(math.isfinite(r.losses["total"]) for r in records)
    with pytest.raises(ValueError, match="supervises every iterate"):
        run(solver("dan"), [deepened(stage)], quick(steps=1, implicit=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Torchinductor does not support code generation for complex operators")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # dynamo itself reads it
@pytest.mark.parametrize("recipe", ["usrnet", "ikrnet", "dan"])
def test_compiled_iterations_give_the_same_losses(recipe: str) -> None:
    stage, nets = STAGES[recipe][-1], [solver(recipe) for _ in range(2)]
    plain, compiled = (run(n, [stage], quick(steps=3, compile=c)) for n, c in zip(nets, (False, True), strict=True))
    for a, b in zip(plain, compiled, strict=True):
        assert a.losses["total"] == pytest.approx(b.losses["total"], rel=1e-4)


@pytest.mark.filterwarnings("default")  # what the compiler itself warns of is not ours
def test_every_iteration_with_weights_of_its_own_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than torch would compile before it goes back to interpreting."""
    compile_, counter, T = torch.compile, CompileCounter(), 10
    monkeypatch.setattr(
        torch, "compile", lambda step, options, recompile_limit: compile_(step, backend=counter, recompile_limit=recompile_limit)
    )
    net = UnrolledSolver(None, PerIteration([Scaled() for _ in range(T)]), T, k0=Dirac(1))
    stage = Stage("all", train=("restorer",), run=("restorer",), losses={"x": (1.0, image_l1)})
    objective, sample = Objective(net, stage, Options(compile=True)), Sealed(realise(stream()[0], DATA))
    objective(sample)
    first = counter.frame_count
    assert T <= first <= T + 1
    assert torch.allclose(objective(sample)["total"], Objective(net, stage, Options())(sample)["total"])
    assert counter.frame_count == first


class Scaled(nn.Module):
    """x ← w x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), 0.9))

    def forward(self, state: State) -> Tensor:
        return self.weight * state.x


def test_half_precision_keeps_the_state_and_the_weights_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    convolved: list[torch.dtype] = []
    step = UnrolledSolver.step

    def watched(self: UnrolledSolver, s: object) -> object:
        out = step(self, s)
        seen.extend((out.x.dtype, out.k.dtype, out.hyper.alpha.dtype, out.y.dtype))
        return out

    monkeypatch.setattr(UnrolledSolver, "step", watched)
    net = solver()
    hook = next(m for m in net.restorer.modules() if isinstance(m, nn.Conv2d)).register_forward_hook(
        lambda module, inputs, out: convolved.append(out.dtype)
    )
    records = run(net, only("image prior", "joint"), quick(steps=4, precision="bf16-mixed"))
    hook.remove()
    assert set(convolved) == {torch.bfloat16} and set(seen) == {torch.float32}
    assert all(p.dtype == torch.float32 for p in net.parameters())
    exact = run(solver(), only("image prior", "joint"), quick(steps=4))
    assert records[0].losses["total"] == pytest.approx(exact[0].losses["total"], rel=0.05)


def test_what_is_observed_is_not_rounded_to_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[torch.dtype] = []
    forward = Objective.forward
    monkeypatch.setattr(Objective, "forward", lambda self, s: (came.append(s.sample.y.dtype), forward(self, s))[1])
    run(solver(), only("kernel code"), quick(steps=1, precision="bf16-mixed"))
    assert came == [torch.float32]


def test_divergence_names_the_step_and_the_last_good_checkpoint(tmp_path) -> None:
    net = solver("usrnet")
    stage = only("image prior", recipe="usrnet")
    with pytest.raises(Diverged, match=r"step \d+: .*no checkpoint was written before"):
        run(net, stage, quick(steps=40, rate=1e30, clip=1e30))
    records = train(solver("usrnet"), stream(), stage, quick(steps=40, rate=1e30, clip=1e30, save_every=1), folder=tmp_path)
    with pytest.raises(Diverged) as caught:
        list(records)
    states = sorted(tmp_path.glob("state-*.pt"))
    assert str(states[-1]) in str(caught.value)
    step = int(states[-1].stem.split("-")[1])
    assert f"step {step + 1}: " in str(caught.value)


@pytest.mark.parametrize("part", ["k0", "restorer"])
def test_lost_weights_are_divergence_too(part: str, tmp_path) -> None:
    net = solver()
    records = train(net, stream(), only("joint"), quick(steps=9, save_every=2), folder=tmp_path)
    for _ in range(3):
        next(records)
    with torch.no_grad():
        for p in getattr(net, part).parameters():
            p.fill_(torch.nan)
    with pytest.raises(Diverged, match=r"step 4: .*state-00000002\.pt"):
        next(records)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": ("restorer.nose",)}, "'restorer.nose' is no part with parameters"),
        ({"run": ("restaurer",)}, "slots must be one of"),
        ({"rates": {"tunr": 0.5}}, "gives a rate to 'tunr'"),
    ],
)
def test_names_of_later_stages_are_checked_before_the_first(change: dict[str, object], message: str, tmp_path) -> None:
    stages = [*only("kernel code"), replace(only("joint")[0], **change)]
    net = solver()
    with pytest.raises(ValueError, match=message):
        train(net, stream(), stages, quick(steps=2), folder=tmp_path / "run")
    assert not (tmp_path / "run").exists() and all(p.requires_grad for p in net.parameters())


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(TypeError, match="solver must be an UnrolledSolver, got Linear"):
        train(nn.Linear(1, 1), stream(), only("joint"))
    with pytest.raises(ValueError, match="stages must name at least one"):
        train(solver(), stream(), [])
    with pytest.raises(ValueError, match="resume needs the folder"):
        train(solver(), stream(), only("joint"), resume=True)


def test_own_parts_train_without_a_recipe(tmp_path) -> None:
    """No recipe, no weights file; a stage of one's own."""

    class Shift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.by = nn.Parameter(torch.tensor(0.5))

        def forward(self, state: object) -> torch.Tensor:
            return state.x + self.by

    net = UnrolledSolver(None, Shift(), 1, k0=None)
    stage = Stage("shift", ("restorer",), ("restorer",), {"image": (1.0, image_l1)}, given=("k",))
    run(net, [stage], quick(steps=30, rate=0.05, average=0.0), folder=tmp_path)
    assert abs(float(net.restorer.by.detach())) < 0.2 and not list(tmp_path.glob("*.safetensors"))


@torch.no_grad()
def test_losses_of_the_last_iterate_and_of_the_start() -> None:
    net, sample = solver("mixed"), realise(stream()[0], DATA)
    stage = Stage(
        "s", (), ("estimator", "tuner", "restorer"), {"a": (2.0, kernel_l1), "b": (1.0, every(first_kernel_l2))}, deep=True
    )
    terms = Objective(net, stage, Options())(Sealed(sample))
    out, start = net(sample.y, sample.scale), net.start(sample.y, sample.scale)
    assert float(terms["a"]) == pytest.approx(2 * float((out.k - sample.k).abs().sum((1, 2, 3)).mean()), rel=1e-5)
    assert float(terms["b"]) == pytest.approx(float((start.k - sample.k).square().sum((1, 2, 3)).mean()), rel=1e-5)


def test_the_stream_is_shared_out_by_the_fabric() -> None:
    s = Stream(collection(), DATA, batch=2, patch=24, rank=1, world=2)
    run(solver(), only("kernel code"), quick(steps=1), s)
    assert (s.rank, s.world) == (0, 1)
