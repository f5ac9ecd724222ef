"""What has a name: one table per kind, open for one's own, read by the commands."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from pnpsr.cli import main, split_use
from pnpsr.conventions import PHYSICS
from pnpsr.data import SETTINGS, Setting
from pnpsr.evaluate import (
    METHODS,
    METRICS,
    PROTOCOLS,
    Method,
    Protocol,
    Seen,
    grid,
    named_protocol,
    register_metric,
    register_protocol,
)
from pnpsr.images import read_image, write_image
from pnpsr.kernels import FAMILIES, family, gaussian, random_gaussian
from pnpsr.kernels.families import checked_draw
from pnpsr.recipes import RECIPES, entry_of, recipe, trainable
from pnpsr.studies import STUDIES, Study
from pnpsr.studies.denoisers import PRIORS
from pnpsr.train import optional_stages, stages_for
from pnpsr.values import Registry, imports, registry, use

TABLES = {
    "recipe": RECIPES, "setting": SETTINGS, "family": FAMILIES, "metric": METRICS, "protocol": PROTOCOLS, "method": METHODS,
    "study": STUDIES, "denoiser": PRIORS, "physics": PHYSICS,
}  # fmt: skip


@pytest.fixture(autouse=True)
def as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers is forgotten after it."""
    for table in TABLES.values():
        monkeypatch.setattr(table, "_things", dict(table))
    monkeypatch.setattr(imports, "_used", {})
    yield


@pytest.mark.parametrize("kind", TABLES)
def test_an_unknown_name_lists_the_known_ones_and_the_way_in(kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind} must be one of .*{min(TABLES[kind])}.*got 'magic'; .*--use MODULE"):
        TABLES[kind].find("magic")
    with pytest.raises((TypeError, ValueError)):
        TABLES[kind][""] = TABLES[kind][min(TABLES[kind])]
    assert TABLES[kind].kind == kind


def test_names_are_looked_for_in_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    table: Registry[int] = Registry("number")
    monkeypatch.setattr(registry, "plugins", lambda: table.__setitem__("three", 3))
    assert table.find("three") == 3


def test_entry_points_are_imported_and_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    import outside

    monkeypatch.setattr(imports, "entry_points", lambda group: [SimpleNamespace(load=lambda: outside)] if group == "pnpsr" else [])
    monkeypatch.setattr(imports, "_plugged", set())
    imports.plugins.cache_clear()
    try:
        assert imports.fetch("outside:median") is outside.median
    finally:
        imports.plugins.cache_clear()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_all_that_belongs_to_a_recipe_fits_it(name: str) -> None:
    entry, solver = entry_of(name), RECIPES[name](**entry_of(name).tiny)
    assert entry.tiny and (name in trainable()) == bool(entry.stages) == (entry.data is not None)
    if entry.stages:
        assert entry.data in SETTINGS and stages_for(solver)
        assert {s.name for s in optional_stages(solver)}.isdisjoint(s.name for s in stages_for(solver))


def test_a_name_belongs_to_one_recipe() -> None:
    def ikrnet() -> None: ...

    with pytest.raises(ValueError, match="there is a recipe 'ikrnet' already, of pnpsr.recipes.ikrnet; .*name="):
        recipe(ikrnet)  # type: ignore[type-var]
    assert recipe(name="ikrnet-of-mine")(ikrnet) is RECIPES["ikrnet-of-mine"]  # type: ignore[type-var]


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_has_the_one_signature(name: str) -> None:
    scale, size = 2, 13
    draws = [checked_draw(name, FAMILIES[name], scale, size, torch.Generator().manual_seed(seed)) for seed in (0, 0)]
    assert torch.equal(*draws)


BAD = {
    "another signature": (lambda count, size: gaussian(size, 1.0), TypeError, r"called as \(scale, size, generator\)"),
    "no tensor": (lambda s, p, g: 1, TypeError, "tensor of floats"),
    "a batch": (lambda s, p, g: random_gaussian(2, p, widths=(1, 2), generator=g), ValueError, "one kernel"),
    "another size": (lambda s, p, g: gaussian(21, 1.0), ValueError, "one kernel"),
    "another sum": (lambda s, p, g: gaussian(p, 1.0) * 81, ValueError, "sum to 81"),
    "negative": (lambda s, p, g: -gaussian(p, 1.0) + 2 / p**2, ValueError, "values from -"),
    "chance of its own": (lambda s, p, g: random_gaussian(1, p, widths=(1, 2)), ValueError, "take all chance from it"),
    "no function": (3, TypeError, "must be a function"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_with_a_family_shows_when_it_is_registered(case: str) -> None:
    draw, error, message = BAD[case]
    with pytest.raises(error, match=message):
        family("mine")(draw)
    assert "mine" not in FAMILIES


def test_settings_and_studies_stand_under_their_own_names() -> None:
    with pytest.raises(ValueError, match="a Setting of that name"):
        SETTINGS["a"] = Setting("b", (2,), (FAMILIES["motion"],))
    with pytest.raises(ValueError, match="a Study of that name"):
        STUDIES["a"] = Study("b", "t", "s", lambda bench: None)  # type: ignore[arg-type, return-value]


def mean_error(x: Tensor, truth: Tensor) -> Tensor:
    return (x - truth).abs().mean()


def test_a_plain_callable_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half:
        def __call__(self, s: Seen) -> float | None:
            return None if s.k is None else 0.5

    one = Protocol("p", grid((2,)), "gaussian8", metrics=("psnr", mean_error, Half()))
    assert one.columns == ("psnr", "mean_error", "Half") and METRICS["mean_error"].images and not METRICS["Half"].images
    assert one.digest == Protocol("p", grid((2,)), "gaussian8", metrics=("psnr", "mean_error", "Half")).digest
    assert one.record()["metrics"][0] == "psnr" and one.record()["metrics"][1].startswith("mean_error@")
    for wrong in (lambda x, y: 0, lambda: 0, max):
        with pytest.raises(ValueError):
            register_metric(wrong)
    with pytest.raises(ValueError, match="already"):
        register_metric(name="psnr")(mean_error)


def test_a_protocol_must_build_one() -> None:
    register_protocol("mine")(lambda: 3)
    with pytest.raises(TypeError, match="built as a Protocol"):
        named_protocol("mine")


def test_words_of_use() -> None:
    assert split_use(["train", "--use", "a", "x", "--use=b.py", "--out", "c"]) == (["train", "x", "--out", "c"], ["a", "b.py"])
    for bad in (["--use"], ["--use", "--out"]):
        with pytest.raises(ValueError, match="--use needs"):
            split_use(bad)


def test_what_cannot_be_used_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "json.py").write_text("x = 1\n")
    (tmp_path / "broken_lab.py").write_text("import torch\nraise ValueError('not today')\n")
    for word, message in (
        ("no_such_module", "there is no module 'no_such_module' to use"),
        (tmp_path / "none.py", "there is no file"),
        (tmp_path / "json.py", "another module's; rename the file"),
        (tmp_path / "broken_lab.py", "not today"),
    ):
        assert main(["kernels", "--use", str(word)]) == 2
        assert message in capsys.readouterr().err


UNKNOWN = {
    "recipe": ("train", "magic", "."),
    "setting": ("train", "usrnet", ".", "--data", "magic", "--accelerator", "cpu"),
    "convention": ("train", "usrnet", ".", "--convention", "magic", "--accelerator", "cpu"),
    "physics": ("train", "usrnet", ".", "--physics", "magic", "--accelerator", "cpu"),
    "protocol": ("evaluate", "--images", ".", "--protocol", "magic"),
    "metric": ("evaluate", "--images", ".", "--metrics", "magic"),
    "family": ("kernels", "--family", "magic"),
    "study": ("study", "magic"),
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_a_command_answers_an_unknown_name_with_one_sentence(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(UNKNOWN[kind]) == 2
    said = capsys.readouterr().err
    assert f"{kind} must be one of" in said and "got 'magic'" in said and "--use MODULE" in said and len(said.splitlines()) == 1


LAB = Path(__file__).parents[2] / "examples" / "my_lab.py"


def test_the_commands_know_what_a_module_brings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Family, physics, setting, recipe with stages and protocol of examples/my_lab.py: drawn, trained, restored with, evaluated."""
    assert len(LAB.read_text().splitlines()) < 45
    pictures, words = tmp_path / "photos", ["--use", str(LAB)]
    pictures.mkdir()
    for i in range(3):
        write_image(pictures / f"{i}.png", torch.rand(1, 3, 48, 56, generator=torch.Generator().manual_seed(i)))

    def run(*given: object) -> int:
        try:
            return main([*map(str, given), *words])
        except SystemExit as stop:
            return int(stop.code or 0)

    assert run("kernels", "--family", "shaken", "--count", 2, "--size", 11, "--out", tmp_path / "k") == 0
    assert (
        run("degrade", pictures / "0.png", "--physics", "camera", "--family", "shaken", "--size", 11, "--out", tmp_path / "d") == 0
    )
    assert read_image(tmp_path / "d" / "0_x2.png").image.shape == (1, 1, 24, 28)  # one colour per pixel
    train = ("train", "gradient", pictures, "--steps", 2, "--batch", 2, "--patch", 32, "--hold-out", 0, "--accelerator", "cpu")
    assert run(*train, "--arguments", '{"T": 1}', "--warmup", 0, "--workers", 0, "--out", tmp_path / "run") == 0
    weights = tmp_path / "run" / "last.safetensors"
    assert run("restore", pictures / "0.png", "--preset", weights, "--out", tmp_path / "restored") == 0
    (tmp_path / "twofold.py").write_text("from pnpsr.starts import upsample\ndef twice(y, scale):\n    return upsample(y, scale)\n")
    methods = ("bicubic", weights, f"{tmp_path / 'twofold.py'}:twice")
    evaluation = ("evaluate", "--images", pictures, "--protocol", "shaken", "--out", tmp_path / "out", "--methods", *methods)
    assert run(*evaluation) == 0
    capsys.readouterr()
    assert run(*evaluation) == 0
    printed = capsys.readouterr()
    assert "| last | ×2 | 0.01 | 6 |" in printed.out and "computed anew" not in printed.err
    assert {path.stem for path in (tmp_path / "out").glob("*.csv")} == {"bicubic", "last", "twice"}
    assert isinstance(Method("twice", use(tmp_path / "twofold.py").twice), Method)
