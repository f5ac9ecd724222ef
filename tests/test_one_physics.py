"""One physics everywhere: what makes y in training, protocols and ``pnpsr degrade`` is what solvers invert there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from synthetic import kernels, pictures, psnr
from torch import Tensor

from pnpsr import Degradation, UnrolledSolver, blind_hqs
from pnpsr.cli import main
from pnpsr.conventions import DAN, PHYSICS, named_physics, register_physics
from pnpsr.data import FromDataset, Setting, Stream
from pnpsr.data.bank import Bank
from pnpsr.data.batched import BatchedStream
from pnpsr.data.stream import realise
from pnpsr.evaluate import Case, Key, Method, Protocol, evaluate, from_solver, grid
from pnpsr.evaluate.baselines import bicubic
from pnpsr.evaluate.cases import generator
from pnpsr.images import read_image, write_image
from pnpsr.kernels import gaussian
from pnpsr.physics import Mosaic, Physics
from pnpsr.recipes import tv_hqs
from pnpsr.train import Options, Stage, train
from pnpsr.train.losses import image_l1
from pnpsr.train.validation import Validation

BOTH = ("mosaic", "holes", "DAN")


def mosaic(scale: int) -> Physics:
    return Mosaic(Degradation(scale))


def lost(h: int, w: int) -> Tensor:
    return (torch.rand(1, 1, h, w, generator=torch.Generator().manual_seed(h * w)) > 0.3).float()


def holes(scale: int, size: tuple[int, int]) -> Physics:
    return Degradation(scale).masked(lost(*size))


def seen(physics: Physics, y: Tensor) -> Tensor:
    return physics.observed(torch.ones_like(y))


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(PHYSICS, "_things", dict(PHYSICS))
    register_physics("mosaic")(mosaic)
    register_physics("holes")(holes)
    yield


def blurs(scale: int, size: int, generator: torch.Generator) -> Tensor:
    return gaussian(size, 0.8 + float(torch.rand(1, generator=generator)))


def setting(physics: object, **more: object) -> Setting:
    return Setting("own", (2,), (blurs,), size=5, sigma=(0.01, 0.02), physics=physics, **more)  # type: ignore[arg-type]


class Few:
    """Pictures in memory."""

    names = ("a", "b")

    def __init__(self, h: int = 42, w: int = 48) -> None:
        self.x = pictures(2, 3, h, w, seed=3, dtype=torch.float32)

    def read(self, index: int) -> Tensor:
        return self.x[index : index + 1]


@pytest.mark.parametrize("name", BOTH)
def test_a_stream_degrades_by_the_named_physics_and_hands_it_on(name: str) -> None:
    stream = Stream(FromDataset(pictures(3, 3, 40, 40, seed=5, dtype=torch.float32)), setting(name), batch=2, patch=24)
    draft = stream[0]
    sample, model = realise(draft, stream.setting), named_physics(name, 2, (12, 12))
    clean = model(draft.x, draft.k)
    assert sample.told.scale == (2, 2) and type(sample.told) is type(model) and repr(sample.told) == repr(model)
    assert torch.allclose(sample.y, seen(model, clean) * (clean + draft.sigma * draft.noise[:, : clean.shape[1]]), atol=1e-6)
    assert torch.equal(sample.y * (1 - seen(model, clean)), torch.zeros_like(clean))  # noise does not show where nothing is seen


@pytest.mark.parametrize("name", BOTH)
def test_training_inverts_what_made_the_data(name: str) -> None:
    """The closed-form image step of a stage, told the truth, sees the physics: its loss is that of the solver told it by hand."""
    data = FromDataset(pictures(3, 3, 40, 40, seed=5, dtype=torch.float32))
    stream, net = Stream(data, setting(name), batch=2, patch=24), learning()
    sample = next(stream.samples())
    stage = Stage("x", train=("restorer",), run=("tuner", "restorer"), losses={"x": (1.0, image_l1)}, given=("k", "sigma"))
    by_hand = (net(sample.y, named_physics(name, 2, (12, 12)), k=sample.k, sigma=sample.sigma).x - sample.x).abs().mean()
    validation = Validation(data, setting(name), count=1, patch=24, given=("k", "sigma"))
    options = Options(steps=2, warmup=0, workers=0, log_every=1, save_every=100, validate_every=1, rate=1e-3)
    first, *_, last = train(net, stream, [stage], options, validation=validation)
    assert first.losses["x"] == pytest.approx(by_hand.item(), rel=1e-5)
    assert last.scores is not None and last.scores.psnr > 15


def learning() -> UnrolledSolver:
    net = tv_hqs(T=2)
    torch.manual_seed(0)
    net.restorer.prior = Scaled()  # type: ignore[union-attr, assignment]
    return net


class Scaled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(()))

    def forward(self, v: Tensor, strength: Tensor | float | None = None) -> Tensor:
        return self.gain * v


def test_a_solver_learns_colours_from_mosaics(tmp_path: Path) -> None:
    """The gain of its prior must come back: the loss falls, and the run knows its physics by what it does."""
    stream = Stream(FromDataset(pictures(3, 3, 40, 40, seed=5, dtype=torch.float32)), setting(mosaic), batch=2, patch=24)
    net = learning()
    net.T = 1
    with torch.no_grad():
        net.restorer.prior.gain.fill_(0.5)  # type: ignore[union-attr]
    stage = Stage("x", train=("restorer",), run=("tuner", "restorer"), losses={"x": (1.0, image_l1)}, given=("k", "sigma"))
    options = Options(steps=12, warmup=0, workers=0, log_every=1, save_every=100, rate=0.05, validate_every=0, decay="constant")
    losses = [record.losses["x"] for record in train(net, stream, [stage], options, folder=tmp_path / "run")]
    assert sum(losses[-3:]) < 0.6 * sum(losses[:3])
    other = Stream(stream.pictures, setting(holes), batch=2, patch=24)
    with pytest.raises(ValueError, match="physics: 'mosaic #.*' then, 'holes #"):
        list(train(net, other, [stage], options, folder=tmp_path / "run", resume=True))


def protocol(physics: object, **more: object) -> Protocol:
    settings = {"metrics": ("psnr", "kernel_psnr", "data_psnr"), "physics": physics}
    return Protocol("own", grid((2,), (0.01,)), kernels(1, 5, seed=2, dtype=torch.float32), **(settings | more))  # type: ignore[arg-type]


def knowing(y: Tensor, physics: int | Physics, *, k: Tensor, sigma: float) -> Tensor:
    return tv_hqs(T=4)(y, physics, k=k, sigma=sigma).x


@pytest.mark.parametrize("name", BOTH)
def test_a_protocol_degrades_by_the_physics_and_tells_who_can_invert_it(name: str, tmp_path: Path) -> None:
    few, own = Few(), protocol(name)
    model = from_solver("tv", tv_hqs(T=4))
    told = evaluate(model, own, few, tmp_path)
    assert not told.failures and not told.notes and model.physics
    x = few.read(0)[..., : 40 if name == "mosaic" else 42, :]  # of y a mosaic needs even sides
    h = named_physics(name, 2, (x.shape[-2] // 2, 24))
    y = h(x, own.kernels_at(2), 0.01, generator=generator(0, told.rows[0].key))
    again = tv_hqs(T=4)(y, h, k=own.kernels_at(2), sigma=0.01).x.clamp(0, 1)
    value = told.rows[0].values["psnr"]
    assert value is not None and value == pytest.approx(psnr(again[..., 2:-2, 2:-2], x[..., 2:-2, 2:-2]), abs=1e-3)
    assert told.rows[0].values["data_psnr"] > 30  # type: ignore[operator]  # at 1 % of noise
    plain = evaluate(Method("plain", knowing, ("k", "sigma")), own, few, tmp_path)
    assert "saw y as an image without gaps" in " ".join(plain.notes)
    assert value > plain.rows[0].values["psnr"] - 0.1 and value != plain.rows[0].values["psnr"]  # type: ignore[operator]
    assert evaluate(bicubic(), own, few, tmp_path).rows[0].values["data_psnr"] is None


def test_a_blind_solver_under_a_mosaic(tmp_path: Path) -> None:
    done = evaluate(from_solver("blind", blind_hqs(5, T=3, finish=3)), protocol(mosaic), Few(), tmp_path)
    assert not done.failures and all(row.values["kernel_psnr"] is not None for row in done.rows)


def test_protocols_with_a_physics_are_told_apart_by_what_it_does() -> None:
    one, other = protocol("mosaic"), protocol(lambda s: Mosaic(Degradation(s), "BGGR"))
    assert one.digest == protocol(mosaic).digest != other.digest and "physics mosaic;" in str(one)
    assert "physics" not in Protocol("p", grid((2,)), "gaussian8").record()  # what was measured before keeps its digest


class Masked:
    """Rows of one's own, of which some pixels are dead."""

    def __init__(self) -> None:
        x, k = pictures(1, 3, 40, 48, seed=1, dtype=torch.float32), kernels(1, 5, seed=2, dtype=torch.float32)
        mask = lost(20, 24)
        self.case = Case(Key("a", 1, 2, 0.0), x, k, Degradation(2)(x, k) * mask, mask)

    def keys(self) -> list[Key]:
        return [self.case.key]

    def cases(self, wanted: object) -> Iterator[Case]:
        yield self.case

    def pixels(self, key: Key) -> str:
        return "1"


def test_pixels_that_do_not_count_reach_the_method(tmp_path: Path) -> None:
    own = Protocol("own", grid((2,)), kernels(1, 5, seed=2, dtype=torch.float32), metrics=("psnr", "data_psnr"))
    told = evaluate(from_solver("tv", tv_hqs(T=4)), own, Masked(), tmp_path)
    one = Masked().case
    again = tv_hqs(T=4)(one.y, 2, k=one.k, sigma=0.0, mask=one.mask).x.clamp(0, 1)
    assert told.rows[0].values["psnr"] == pytest.approx(psnr(again[..., 2:-2, 2:-2], one.x[..., 2:-2, 2:-2]), abs=1e-3)


BAD = {
    "no function": (lambda: setting(Degradation(2)), TypeError, "must be a function"),
    "an unknown name": (lambda: setting("magic"), ValueError, "physics must be one of"),
    "with a convention": (lambda: setting(mosaic, convention=DAN), ValueError, "makes y alone"),
    "another scale": (lambda: stream_of(lambda s: Mosaic(Degradation(1))), ValueError, "has scale"),
    "no physics": (lambda: stream_of(lambda s: 3), TypeError, "must be built as a Physics"),
    "odd sides": (lambda: stream_of(mosaic, patch=22), ValueError, "even"),
    "a margin": (lambda: batched(margin=4), ValueError, "leave out margin"),
    "protocol, no function": (lambda: protocol(3), TypeError, "must be a function"),
    "protocol, truncated": (lambda: protocol(mosaic, convention=DAN.stored("round")), ValueError, "makes y alone"),
    "no size": (lambda: named_physics("holes", 2), ValueError, r"pass size=\(h, w\)"),
}


def stream_of(physics: object, patch: int = 24) -> Stream:
    return Stream(FromDataset(pictures(1, 3, 40, 40, seed=5, dtype=torch.float32)), setting(physics), batch=1, patch=patch)


def batched(margin: int) -> BatchedStream:
    bank = Bank(FromDataset(pictures(1, 3, 40, 40, seed=5, dtype=torch.float32)))
    return BatchedStream(bank, setting(mosaic), batch=1, patch=24, margin=margin)


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_meant_is_said_at_once(case: str) -> None:
    act, error, message = BAD[case]
    with pytest.raises(error, match=message):
        act()


def test_the_same_name_goes_with_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """degrade, then restore what it wrote; evaluate and train under it."""
    lab = tmp_path / "lab.py"
    lab.write_text(
        "from pnpsr import Degradation\nfrom pnpsr.conventions import register_physics\nfrom pnpsr.physics import Mosaic\n"
        "from pnpsr.evaluate import Protocol, grid, register_protocol\nfrom pnpsr.kernels import gaussian\n"
        "@register_physics('bayer')\ndef bayer(scale):\n    return Mosaic(Degradation(scale))\n"
        "@register_protocol('one')\ndef one():\n    return Protocol('one', grid((2,)), gaussian(7, 1.2), metrics=('psnr',))\n"
    )
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, x in enumerate(pictures(3, 3, 47, 40, seed=7, dtype=torch.float32)):
        write_image(photos / f"{i}.png", x[None])

    def run(*given: object) -> int:
        try:
            return main([*map(str, given), "--use", str(lab)])
        except SystemExit as stop:
            return int(stop.code or 0)

    made, back = tmp_path / "made", tmp_path / "back"
    kernel = ("--family", "isotropic", "--width", 1.2, "--size", 7)
    assert run("degrade", photos / "0.png", "--scale", 1, "--physics", "bayer", *kernel, "--out", made) == 0
    y, x = read_image(made / "0_x1.png").image, read_image(made / "0_truth.png").image
    assert y.shape == (1, 1, 46, 40) and x.shape == (1, 3, 46, 40)  # as many rows as the mosaic has pairs of
    assert run("restore", made / "0_x1.png", "--scale", 1, "--physics", "bayer", "--kernel", made / "0_kernel.npz",
               "--truth", made / "0_truth.png", "--boundary", "circular", "--iterations", 6, "--out", back) == 0  # fmt: skip
    restored = read_image(back / "0_x1_restored.png").image
    assert restored.shape == x.shape and psnr(restored, x) > psnr(Mosaic(Degradation(1)).complete(y), x) + 2
    write_image(tmp_path / "mask.png", lost(46, 40))
    hidden = Degradation(1)(x, gaussian(7, 1.2)) * lost(46, 40)
    write_image(tmp_path / "hidden.png", hidden)
    assert run("restore", tmp_path / "hidden.png", "--scale", 1, "--mask", tmp_path / "mask.png", "--kernel",
               made / "0_kernel.npz", "--boundary", "circular", "--iterations", 6, "--out", back, "--json") == 0  # fmt: skip
    assert psnr(read_image(back / "hidden_restored.png").image, x) > 25
    assert run("evaluate", "--images", photos, "--protocol", "one", "--physics", "bayer", "--limit", 1,
               "--methods", "tv_hqs", "--out", tmp_path / "out") == 0  # fmt: skip
    assert "physics bayer" in capsys.readouterr().out
    assert run("train", "ikrnet", photos, "--physics", "bayer", "--arguments", '{"size": 5, "T": 1, "widths": [4, 4, 4, 4]}',
               "--scales", 2, "--steps", 1, "--batch", 1, "--patch", 24, "--hold-out", 1, "--validate-on", 1, "--validation-patch",
               32, "--warmup", 0, "--workers", 0, "--accelerator", "cpu", "--out", tmp_path / "run") == 0  # fmt: skip
    for wrong, message in (
        (("restore", photos / "0.png", "--physics", "magic"), "physics must be one of"),
        (("restore", photos / "0.png", "--mask", tmp_path / "mask.png"), "white where a pixel counts"),
        (("restore", photos / "0.png", "--physics", "bayer", "--tile", 64), "leave out --tile"),
        (("restore", photos / "0.png", "--physics", "bayer"), "a mosaic has one channel"),
    ):
        assert run(*wrong, "--out", tmp_path / "w") == 2
        assert message in capsys.readouterr().err
