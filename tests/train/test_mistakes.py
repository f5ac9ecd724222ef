"""What a custom training gets wrong, and what goes wrong in a long one: a sentence that says so, or a word and on it goes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic import pictures
from torch import Tensor, nn
from training import DATA, collection, only, quick, run, same, solver, stream, weights

from pnpsr.checks import NotFinite
from pnpsr.data import Folder, Sample, Stream, setting
from pnpsr.images import write_image
from pnpsr.physics import Degradation
from pnpsr.solver import UnrolledSolver
from pnpsr.state import State, as_physics
from pnpsr.steps.phases import Until
from pnpsr.train import Diverged, Outcome, Stage, optional_stages, train
from pnpsr.train.gauge import Gauge
from pnpsr.train.losses import every, image_l1, image_log_l2, kernel_l1
from pnpsr.train.run import Run
from pnpsr.train.validation import Validation

STAGE = only("joint")[0]


def confused(o: Outcome) -> Tensor:
    """The result against itself."""
    return (o.last.known("x") - o.last.known("x")).abs().mean()


def with_loss(loss: object) -> list[Stage]:
    return [replace(STAGE, losses={"image": (1.0, image_l1), "c": (1.0, loss)})]  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (confused, ValueError, r"loss 'c' was 0 in each of the first 3 steps: .*o\.truth\.x the truth"),
        (lambda o: image_l1(o).detach(), ValueError, r"loss 'c' of stage 'joint' has no gradient: it was detached"),
        (lambda o: (o.truth.x - o.truth.y.mean()).abs().mean(), ValueError, "loss 'c' of stage 'joint' has no gradient"),
        (
            lambda o: (o.last.known("x") - o.truth.x).abs(),
            ValueError,
            r"loss 'c' .* must be one number, got shape \(2, 3, 24, 24\)",
        ),
        (lambda o: 1.0, TypeError, "loss 'c' .* must return a tensor with one number, got float"),
    ],
    ids=["constant", "detached", "of the data alone", "no number", "no tensor"],
)
def test_losses_that_cannot_teach_are_refused(loss: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(solver(), with_loss(loss), quick(steps=5))


def test_a_weight_of_zero_watches() -> None:
    stage = replace(STAGE, losses={"image": (1.0, image_l1), "c": (0.0, lambda o: image_l1(o).detach())})
    assert run(solver(), [stage], quick(steps=5))[-1].losses["c"] == 0


def test_a_zero_gradient_stops_too() -> None:
    stage = replace(STAGE, losses={"c": (1.0, lambda o: image_l1(o).detach() + 0 * o.last.known("x").mean())})
    with pytest.raises(ValueError, match="the gradient was zero in the first 3 steps"):
        run(solver(), [stage], quick(steps=5))


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([image_l1], "losses of stage 'joint' must be a mapping such as"),
        ({"c": image_l1}, r"loss 'c' of stage 'joint' must be a pair \(weight, function\)"),
        ({"c": ("1", image_l1)}, "must be a pair"),
        ({"c": (1.0, 2.0)}, "must be a pair"),
    ],
    ids=["a list", "no weight", "a word", "no function"],
)
def test_losses_in_another_form_are_refused(losses: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        replace(STAGE, losses=losses)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"run of stage 'joint' must be a tuple of names, \('restorer',\)"):
        replace(STAGE, run="restorer")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        "photos",
        torch.utils.data.TensorDataset(torch.zeros(2, 3, 8, 8)),
        torch.utils.data.DataLoader(torch.zeros(2, 3)),
        collection(),
    ],
    ids=["a folder", "a dataset", "a loader", "pictures"],
)
def test_data_that_are_no_stream_are_refused(data: object) -> None:
    with pytest.raises(TypeError, match=r"stream must be a pnpsr.data.Stream, got \w+; make one of sharp pictures: Stream\(Folder"):
        train(solver(), data, [STAGE])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="stages must be a list of Stage"):
        train(solver(), stream(), STAGE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="stages must be a list of Stage"):
        train(solver(), stream(), ["joint"])  # type: ignore[list-item]


def test_kernels_of_another_size_than_the_solvers_are_refused_with_both() -> None:
    other = Stream(collection(), setting("ikrnet", scales=(2,), size=7), batch=2, patch=24)
    stage = replace(STAGE, losses={"k": (1.0, kernel_l1)})
    with pytest.raises(ValueError, match=r"the solver estimates kernels of 5 x 5, the data are made with 7 x 7; .*size=5\)"):
        run(solver(), [stage], quick(steps=1), other)


def test_a_loss_on_every_iterate_needs_them_all() -> None:
    with pytest.raises(ValueError, match="loss 'k' of stage 's' reads every iterate, and only the last is kept: set deep=True"):
        Stage("s", (), ("estimator",), {"k": (1.0, every(kernel_l1))})


@pytest.mark.parametrize("name", ["usrnet", "ikrnet", "dan"])
def test_a_stage_that_names_nothing_trains_all_and_runs_nothing(name: str) -> None:
    """An image loss is refused where no slot runs: it would be that of the interpolated picture."""
    stage = Stage("s", train=(), run=(), losses={"x": (1.0, image_l1)}, given=("k",))
    with pytest.raises(ValueError, match="loss 'x' of stage 's' has no gradient"):
        run(solver(name), [stage], quick(steps=1))


def test_pixels_that_do_not_count_have_no_part_in_the_image_loss() -> None:
    """By hand: the mean over the others; what lies under the mask may be anything."""
    truth, g = next(stream().samples()), torch.Generator().manual_seed(0)
    mask = (torch.rand(2, 1, 12, 12, generator=g) > 0.3).float()
    found = torch.rand(truth.x.shape, generator=g)
    net, state = solver("usrnet"), State(truth.y, as_physics(2), None, found, truth.k)
    on = mask.bool().expand(2, 3, 12, 12).repeat_interleave(2, 2).repeat_interleave(2, 3)
    by_hand = (found - truth.x)[on].abs().mean()
    masked = replace(truth, mask=mask)
    assert float(image_l1(Outcome(net, [state], masked))) == pytest.approx(float(by_hand), rel=1e-5)
    other = replace(state, x=torch.where(on, found, torch.full_like(found, 9.0)))
    assert float(image_l1(Outcome(net, [other], masked))) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(image_l1(Outcome(net, [state], replace(truth, mask=torch.zeros_like(mask))))) == 0
    each = [(found - truth.x).square()[i][on[i]].mean() for i in range(2)]
    logarithms = sum((one + 1e-5).log() for one in each) / 2
    assert float(image_log_l2(Outcome(net, [state], masked))) == pytest.approx(float(logarithms), rel=1e-5)
    assert float(image_log_l2(Outcome(net, [other], masked))) == pytest.approx(float(logarithms), rel=1e-5)
    assert torch.equal(masked.part(1).mask, mask[1:]) and masked.to("cpu").mask is not None  # type: ignore[arg-type]


def test_masks_reach_the_solver() -> None:
    """Whatever the pixels hold that do not count, the steps of a training are the same."""
    mask = (torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(1)) > 0.1).float()

    class Spotted(Stream):
        def samples(self, *a: object, **n: object) -> Iterator[Sample]:  # type: ignore[override]
            for sample in super().samples(*a, **n):  # type: ignore[arg-type]
                yield replace(sample, mask=mask, y=torch.where(mask > 0, sample.y, self.hole))

    steps = list[dict[str, float]]()
    for hole in (0.0, 1.0):
        spotted = Spotted(collection(), DATA, batch=2, patch=24)
        spotted.hole = hole  # type: ignore[attr-defined]
        steps.append(run(solver(), [STAGE], quick(steps=2), spotted)[-1].losses)
    assert steps[0] == pytest.approx(steps[1], rel=1e-4)


class Moody(nn.Module):
    """A restorer that fails on dark samples, as an exact step may."""

    def __init__(self, dark: Callable[[State], bool]) -> None:
        super().__init__()
        self.dark, self.by, self.drop = dark, nn.Parameter(torch.tensor(0.5)), nn.Dropout(0.5)
        self.modes = list[bool]()

    def forward(self, state: State) -> Tensor:
        self.modes.append(self.drop.training)
        if self.dark(state):
            raise ArithmeticError("no solution\nfor this sample")
        return state.known("x") + self.by


def moody(dark: Callable[[State], bool] = lambda s: False) -> tuple[UnrolledSolver, Stage]:
    net = UnrolledSolver(None, Moody(dark), 1, k0=None)
    return net, Stage("shift", ("restorer",), ("restorer",), {"image": (1.0, image_l1)}, given=("k",))


class Dark(Stream):
    """Sample 1 of step 1 is black."""

    def samples(self, *args: object, **kwargs: object) -> Iterator[Sample]:  # type: ignore[override]
        for i, sample in enumerate(super().samples(*args, **kwargs)):  # type: ignore[arg-type]
            y = sample.y.clone()
            y[1:] *= i != 1
            yield replace(sample, y=y)


def test_a_sample_that_cannot_be_computed_is_left_out_named_and_counted(tmp_path: Path) -> None:
    net, stage = moody(lambda s: bool((s.y.amax((1, 2, 3)) == 0).any()))
    data = Dark(collection(), DATA, batch=2, patch=24)
    name = next(data.samples(1)).names[1]
    with pytest.warns(UserWarning, match=f"step 2: {name} is left out: no solution for this sample"):
        records = run(net, [stage], quick(steps=4, average=0.0), data, folder=tmp_path)
    assert [r.left_out for r in records] == [0, 1, 1, 1]
    assert (tmp_path / "left_out.csv").read_text() == f"step,picture,reason\n2,{name},no solution for this sample\n"
    # what is left is a batch of one
    other, _ = moody()
    half = [r.losses["total"] for r in run(other, [stage], quick(steps=4, average=0.0), data)]
    assert records[0].losses["total"] == half[0] and records[1].losses["total"] != half[1]


def test_batches_that_cannot_be_computed_are_left_out_up_to_a_number() -> None:
    calls = list[int]()

    def every_second(s: State) -> bool:
        calls.append(1)
        return len(calls) <= 3  # the first batch, and both its samples

    net, stage = moody(every_second)
    with pytest.warns(UserWarning, match="step 1: .* is left out"):
        assert [r.step for r in run(net, [stage], quick(steps=3))] == [2, 3]
    net, stage = moody(lambda s: True)
    with pytest.raises(ArithmeticError, match="no solution"), pytest.warns(UserWarning):
        run(net, [stage], quick(steps=100))


def test_pictures_that_are_damaged_in_between_are_named_once(tmp_path: Path) -> None:
    for i, x in enumerate(pictures(3, 3, 32, 32, seed=0)):
        write_image(tmp_path / f"{i}.png", x[None])
    net, stage = moody()
    data = Stream(Folder(tmp_path), DATA, batch=2, patch=24)
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning) as told:
        records = run(net, [stage], quick(steps=6), data)
    assert len(told) == 1
    assert "1.png is left out" in str(told[0].message) and records[-1].left_out == 1


def test_a_validation_goes_on_without_a_sample_that_cannot_be_computed() -> None:
    calls = list[int]()
    net, _ = moody(lambda s: bool(calls.append(1) or len(calls) == 2))
    check = Validation(collection(2), DATA, count=3, patch=24, given=("k",))
    with pytest.warns(UserWarning, match=f"validation: {check.samples[1].names[0]} is left out: no solution"):
        scores, (shown, _) = check.run(net)
    plain, _ = moody()
    apart = [Validation.of([check.samples[i]], given=("k",)).run(plain)[0].psnr for i in (0, 2)]
    assert scores.psnr == pytest.approx(sum(apart) / 2) and shown is check.samples[0]
    with pytest.raises(ArithmeticError, match="no solution"), pytest.warns(UserWarning):
        check.run(moody(lambda s: True)[0])


def test_a_stage_that_starts_from_the_solvers_own_kernel_is_validated() -> None:
    stage = optional_stages(net := solver())[1]
    assert stage.given == ("k0",)
    check = Validation(collection(2), DATA, count=1, patch=24)
    [record] = run(net, [stage], quick(steps=1), validation=check)
    assert record.scores is not None and record.scores.psnr > 0


def test_what_learns_is_in_training_mode_and_what_is_frozen_is_not() -> None:
    net, stage = moody()
    net.restorer.drop = nn.Dropout(0.5)
    net.eval()
    run(net, [stage], quick(steps=2, average=0.0))
    assert net.restorer.modes == [True, True] and not any(m.training for m in net.modules())  # as it was
    frozen = UnrolledSolver(None, net.restorer, 1, k0=None, tuner=None, x0=Shifting())
    net.restorer.modes.clear()
    run(frozen, [replace(stage, train=("x0",))], quick(steps=2, average=0.0))
    assert net.restorer.modes == [False, False]


class Shifting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.tensor(0.5))

    def forward(self, state: State) -> Tensor:
        return Degradation(state.scale)(state.y.new_ones(len(state.y), 3, 24, 24), state.known("k")).mean() * self.by + (
            torch.zeros(len(state.y), 3, 24, 24)
        )


def test_a_solver_that_checkpoints_goes_on_doing_so(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[bool]()
    iterate = UnrolledSolver.iterate
    monkeypatch.setattr(UnrolledSolver, "iterate", lambda self, *a: (seen.append(self.checkpoint), iterate(self, *a))[1])
    net = solver()
    net.checkpoint = True
    run(net, [STAGE], quick(steps=1))
    run(solver(), [STAGE], quick(steps=1, checkpointing=True))
    run(solver(), [STAGE], quick(steps=1))
    assert seen == [True, True, False]


class Poisoned(Stream):
    """The truth of step 3 is lost."""

    def samples(self, *args: object, **kwargs: object) -> Iterator[Sample]:  # type: ignore[override]
        for i, sample in enumerate(super().samples(*args, **kwargs)):  # type: ignore[arg-type]
            yield replace(sample, x=sample.x * torch.nan) if i == 2 else sample


@pytest.mark.parametrize("save_every", [100, 4, 1])
def test_divergence_between_two_readings_is_found_and_never_saved(
    save_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, where a step is not waited for: the step that went wrong is named, and no state behind it is written."""
    init = Run.__init__
    monkeypatch.setattr(Run, "__init__", lambda self, *a: (init(self, *a), setattr(self, "reads_all", False))[0])
    net, stage = moody()
    data = Poisoned(collection(), DATA, batch=2, patch=24)
    records = train(net, data, [stage], quick(steps=9, log_every=5, save_every=save_every), folder=tmp_path)
    with pytest.raises(Diverged, match=r"step 3: the loss is image nan, total nan; "):
        list(records)
    states = sorted(path.name for path in tmp_path.glob("state-*.pt"))
    assert states == {100: [], 4: [], 1: ["state-00000001.pt", "state-00000002.pt"]}[save_every]


def test_a_step_that_refuses_nan_names_the_step_that_made_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    init = Run.__init__
    monkeypatch.setattr(Run, "__init__", lambda self, *a: (init(self, *a), setattr(self, "reads_all", False))[0])

    class Strict(Moody):
        def forward(self, state: State) -> Tensor:
            if not torch.isfinite(self.by):
                raise NotFinite("by holds NaN; clean it first")
            return super().forward(state)

    net, stage = moody()
    net.restorer = Strict(lambda s: False)
    data = Poisoned(collection(), DATA, batch=2, patch=24)
    with pytest.raises(Diverged, match=r"step 3: the loss is image nan"):
        run(net, [stage], quick(steps=9, log_every=9), data)


def test_divergence_behind_a_change_of_phase_is_divergence() -> None:
    class Lost(nn.Module):
        def forward(self, state: State) -> Tensor:
            raise NotFinite("x holds NaN; clean it first")

    net, stage = moody()
    net.restorer, net.T = Until(1, net.restorer, Lost()), 2
    with pytest.raises(Diverged, match=r"step 1: x holds NaN; no checkpoint was written before"):
        run(net, [stage], quick(steps=2))


def test_readings_late_and_at_once_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, nets = run(first := solver(), [STAGE], quick(steps=6, log_every=3)), [first]
    init = Run.__init__
    monkeypatch.setattr(Run, "__init__", lambda self, *a: (init(self, *a), setattr(self, "reads_all", False))[0])
    read, reads = Gauge.read, list[int]()
    monkeypatch.setattr(Gauge, "read", lambda self: (reads.append(1), read(self))[1])
    late = run(last := solver(), [STAGE], quick(steps=6, log_every=3))
    assert [(r.step, r.losses, r.norm) for r in late] == [(r.step, r.losses, r.norm) for r in at_once]
    assert same(weights(nets[0]), weights(last)) and len(reads) == 2


def test_being_asked_to_stop_saves_and_ends(tmp_path: Path) -> None:
    whole, asked = solver(), list[int]()
    run(whole, [STAGE], quick(steps=6), folder=tmp_path / "whole")
    net = solver()
    stop = lambda: (asked.append(1), len(asked) == 3)[1]  # noqa: E731
    assert [r.step for r in run(net, [STAGE], quick(steps=6, log_every=2), folder=tmp_path / "run", stop=stop)] == [2]
    assert [p.name for p in (tmp_path / "run").glob("state-*")] == ["state-00000003.pt"]
    assert not (tmp_path / "run" / "last.safetensors").exists()
    again = solver(seed=2)
    run(again, [STAGE], quick(steps=6), folder=tmp_path / "run", resume=True)
    assert same(weights(again), weights(whole))
