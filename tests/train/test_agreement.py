"""A run is resumed by its like: each difference is named, more steps go on where they can, and code is known by what it does."""

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic import pictures
from torch import Tensor
from training import DATA, collection, losses, only, quick, run, same, solver, stream, weights

from pnpsr.data import Bank, BatchedStream, Folder, FromDataset, Setting, Stream
from pnpsr.images import write_image
from pnpsr.train import Outcome, Stage, train
from pnpsr.train.agreement import called, digest
from pnpsr.train.losses import every, image_l1, kernel_l1, kernel_l2

STAGE = only("joint")[0]


def other_kernels(scale: int, size: int, generator: torch.Generator) -> Tensor:
    return torch.full((1, 1, size, size), 1 / size**2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: replace(s, losses={"image": (1.0, powered)}), r"schedule 'joint'\.losses\.image: .*image_l1.*powered"),
        (lambda s: replace(s, losses={"image": (2.0, image_l1)}), r"schedule 'joint'\.losses\.image: '1 x .*'2 x "),
        (lambda s: replace(s, losses={"image": (1.0, every(image_l1))}, deep=True), "losses.image: .*deep: False then, True"),
        (lambda s: replace(s, detach=("k",)), r"schedule 'joint'\.detach: None then, \['k'\] now"),
        (lambda s: replace(s, given=("sigma",)), r"schedule 'joint'\.given"),
        (lambda s: replace(s, T=1), r"schedule 'joint'\.T: None then, 1 now"),
        (lambda s: replace(s, rates={"tuner": 0.5}), r"schedule 'joint'\.rates\.tuner: None then, 0.5 now"),
        (lambda s: replace(s, train=("tuner",)), r"schedule 'joint'\.train"),
    ],
    ids=["loss", "weight", "every", "detach", "given", "T", "rates", "parts"],
)
def test_another_stage_is_refused(change: Callable[[Stage], Stage], message: str, tmp_path: Path) -> None:
    train(solver(), stream(), [STAGE], quick(steps=2), folder=tmp_path)  # its record is written before the first step
    with pytest.raises(ValueError, match=f"holds another run; .*{message}"):
        train(solver(), stream(), [change(STAGE)], quick(steps=2), folder=tmp_path, resume=True)
    train(solver(seed=3), stream(), [replace(STAGE)], quick(steps=2), folder=tmp_path, resume=True)


def data(**values: object) -> Stream:
    given = {"pictures": collection(), "setting": DATA, "batch": 2, "patch": 24, "seed": 0, **values}
    return Stream(given.pop("pictures"), given.pop("setting"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": 4}, "batch: 2 then, 4 now"),
        ({"patch": 28}, "patch: 24 then, 28 now"),
        ({"seed": 1}, "seed: 0 then, 1 now"),
        ({"setting": replace(DATA, sigma=(0.0, 0.1))}, r"degradation\.sigma: \[0.0, 0.03\] then, \[0.0, 0.1\] now"),
        ({"setting": replace(DATA, sources=(other_kernels,))}, r"degradation\.sources: .*_gaussian.*other_kernels"),
        ({"pictures": collection(3)}, r"pictures: 1 gone \(Tensor-00003\)"),
        ({"pictures": FromDataset(pictures(4, 3, 40, 40, seed=6, dtype=torch.float32))}, r"pictures: 4 changed \(Tensor-00000, "),
    ],
    ids=["batch", "patch", "seed", "noise", "kernels", "fewer pictures", "other pixels"],
)
def test_other_data_are_refused(values: dict[str, object], message: str, tmp_path: Path) -> None:
    train(solver(), data(), [STAGE], quick(steps=2), folder=tmp_path)
    with pytest.raises(ValueError, match=message):
        train(solver(), data(**values), [STAGE], quick(steps=2), folder=tmp_path, resume=True)


def test_pictures_of_a_folder_are_known_by_their_content(tmp_path: Path) -> None:
    images, out = tmp_path / "images", tmp_path / "run"
    images.mkdir()
    for i, x in enumerate(pictures(4, 3, 32, 32, seed=0)):
        write_image(images / f"{i}.png", x[None])
    train(solver(), data(pictures=Folder(images)), [STAGE], quick(steps=2), folder=out)
    (images / "3.png").write_bytes((images / "2.png").read_bytes())
    (images / "1.png").rename(images / "9.png")
    with pytest.raises(ValueError, match=r"pictures: 1 new \(9.png\), 1 gone \(1.png\), 1 changed \(3.png\)"):
        train(solver(), data(pictures=Folder(images)), [STAGE], quick(steps=2), folder=out, resume=True)


def test_another_solver_is_refused(tmp_path: Path) -> None:
    train(solver(), stream(), [STAGE], quick(steps=2), folder=tmp_path)
    other = solver(T=3)
    with pytest.raises(ValueError, match=r"solver\.arguments\.T: 2 then, 3 now; solver\.T: 2 then, 3 now"):
        train(other, stream(), [STAGE], quick(steps=2), folder=tmp_path, resume=True)
    changed = solver()
    changed.order = ("tuner", "restorer", "estimator")
    with pytest.raises(ValueError, match=r"solver\.order"):
        train(changed, stream(), [STAGE], quick(steps=2), folder=tmp_path, resume=True)


def test_the_version_is_noted_and_not_compared(tmp_path: Path) -> None:
    import pnpsr

    stages = only("kernel code")
    run(solver(), stages, quick(steps=1), folder=tmp_path)
    file = tmp_path / "run.json"
    note = json.loads(file.read_text())
    assert note["version"] == pnpsr.__version__
    assert torch.load(tmp_path / "state-00000001.pt")["version"] == pnpsr.__version__
    file.write_text(json.dumps({**note, "version": "0.0.1"}))
    assert run(solver(), stages, quick(steps=1), folder=tmp_path, resume=True) == []


@pytest.mark.parametrize("stopped", [2, 4], ids=["in between", "at the end"])
def test_with_a_constant_rate_more_steps_go_on_as_if_they_had_always_been_asked_for(stopped: int, tmp_path: Path) -> None:
    long, short, options = solver(), solver(), {"average": 0.9, "save_every": 1}
    stages = only("kernel code")
    run(long, stages, quick(steps=7, **options), folder=tmp_path / "long")
    records = train(short, stream(), stages, quick(steps=4, **options), folder=tmp_path / "short")
    for _ in range(stopped):
        next(records)
    records.close()
    again = solver(seed=4)
    steps = [r.step for r in run(again, stages, quick(steps=7, **options), folder=tmp_path / "short", resume=True)]
    assert steps == list(range(stopped + 1, 8))
    assert same(weights(again), weights(long)) and losses(tmp_path / "short") == losses(tmp_path / "long")
    assert run(solver(), stages, quick(steps=7, **options), folder=tmp_path / "short", resume=True) == []


def test_more_steps_are_the_last_stages(tmp_path: Path) -> None:
    stages = [*only("kernel code"), replace(STAGE, share=0.5)]
    run(solver(), stages, quick(steps=4), folder=tmp_path)
    records = run(solver(), stages, quick(steps=6), folder=tmp_path, resume=True)
    assert [(r.step, r.stage) for r in records] == [(5, "joint"), (6, "joint")]
    assert [row[1] for row in losses(tmp_path)[1:]] == ["kernel code"] * 2 + ["joint"] * 4


def scaled(by: float) -> Callable[[Outcome], Tensor]:
    def loss(o: Outcome) -> Tensor:
        return by * image_l1(o)

    return loss


class Callee:
    def __init__(self, by: float) -> None:
        self.by = by

    def __call__(self, o: Outcome) -> Tensor:
        return self.by * image_l1(o)

    def method(self, o: Outcome) -> Tensor:
        return self.by * image_l1(o)


def powered(o: Outcome, *, p: int = 2) -> Tensor:
    return ((o.last.known("x") - o.truth.x).abs() ** p).mean()


LOSSES: dict[str, Callable[[], object]] = {
    "a function": lambda: image_l1,
    "another": lambda: powered,
    "on kernels": lambda: kernel_l1,
    "on kernels, squared": lambda: kernel_l2,
    "of every iterate": lambda: every(image_l1),
    "of every kernel": lambda: every(kernel_l1),
    "a closure": lambda: scaled(1.0),
    "another value": lambda: scaled(2.0),
    "an object": lambda: Callee(1.0),
    "another object": lambda: Callee(2.0),
    "a method": lambda: Callee(1.0).method,
    "partial": lambda: functools.partial(powered, p=3),
    "partial, otherwise": lambda: functools.partial(powered, p=4),
    "a lambda": lambda: lambda o: 2 * image_l1(o),
    "another lambda": lambda: lambda o: 3 * image_l1(o),
    "a module": lambda: torch.nn.Identity(),
    "a setting": lambda: DATA,
}


def test_code_is_known_by_what_it_does() -> None:
    """The same twice is the same; no two are."""
    first, second = ({name: digest(make()) for name, make in LOSSES.items()} for _ in range(2))
    assert first == second and len(set(first.values())) == len(first)
    assert called(image_l1).startswith("image_l1 #")


FACTOR = 1.0


def with_a_constant(o: Outcome) -> Tensor:
    return FACTOR * _inner(o)


def _inner(o: Outcome) -> Tensor:
    return image_l1(o)


def test_constants_and_functions_of_the_same_file_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(with_a_constant)
    with monkeypatch.context() as patch:
        patch.setattr(f"{__name__}.FACTOR", 2.0)
        assert digest(with_a_constant) != before
    with monkeypatch.context() as patch:
        patch.setattr(f"{__name__}._inner", powered)
        assert digest(with_a_constant) != before
    assert digest(with_a_constant) == before


def test_typed_in_code_has_no_source_and_is_known_too() -> None:
    texts = ("def f(o):\n    return 1", "def f(o):\n    return 2", "def f(o):\n    return g(o)")
    made = []
    for text in texts:
        space: dict[str, object] = {}
        exec(text, space)
        made.append(digest(space["f"]))
    assert len(set(made)) == 3


def test_settings_differ_by_their_sources() -> None:
    one, two = (Setting("s", (2,), (source,), size=5) for source in (other_kernels, DATA.sources[0]))
    assert digest(one) != digest(two) and digest(one) == digest(replace(one))


def test_data_drawn_in_batch_are_known_and_go_on_too(tmp_path: Path) -> None:
    def batched(seed: int = 5, margin: int = 0) -> BatchedStream:
        bank = Bank(FromDataset(pictures(4, 3, 40, 40, seed=seed, dtype=torch.float32)), 40)
        return BatchedStream(bank, DATA, batch=2, patch=24, margin=margin)

    stages, options = only("kernel code"), quick(steps=5, save_every=1)
    run(whole := solver(), stages, options, batched())
    records = train(solver(), batched(), stages, options, folder=tmp_path)
    for _ in range(2):
        next(records)
    records.close()
    for other, message in ((batched(6), "pictures: 4 changed"), (batched(margin=4), "margin: 0 then, 4 now")):
        with pytest.raises(ValueError, match=message):
            train(solver(), other, stages, options, folder=tmp_path, resume=True)
    again = solver(seed=1)
    assert [r.step for r in run(again, stages, options, batched(), folder=tmp_path, resume=True)] == [3, 4, 5]
    assert same(weights(again), weights(whole))
