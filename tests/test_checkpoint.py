"""Saving and loading: the same solver comes back, nothing half-written stays, and bad files are named as what they are."""

import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from synthetic import kernels, observed, pictures
from torch import nn

from pnpsr import UnrolledSolver, blind_hqs, dan, expression, load, save, two_step, usrnet
from pnpsr.nets import KernelEncoder
from pnpsr.packed import rounded, widened
from pnpsr.prox import l0_gradient, tv
from pnpsr.recipes import RECIPES, recipe, tv_hqs
from pnpsr.starts import Upsample
from pnpsr.steps import HQSRestorer, Until
from pnpsr.weights import presets

TINY = (4, 6, 8, 8)


def small() -> UnrolledSolver:
    return usrnet(T=2, widths=TINY, hidden=4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A good checkpoint."""
    save(small(), tmp_path / "good.safetensors")
    return tmp_path / "good.safetensors"


def noted(path: Path, note: object, **tensors: torch.Tensor) -> Path:
    """A safetensors file which says ``note`` of itself."""
    save_file(tensors or {"a": torch.zeros(1)}, path, metadata={"pnpsr": note if isinstance(note, str) else json.dumps(note)})
    return path


# --- good files ---


def test_a_basis_of_ones_own_travels_with_the_weights(tmp_path: Path) -> None:
    net = dan(2, size=5, code=4, width=8, groups=1, blocks=1)
    with torch.no_grad():
        net.restorer.basis.matrix.copy_(torch.linalg.qr(torch.randn(25, 4, generator=torch.Generator().manual_seed(0))).Q)
    save(net, tmp_path / "a")
    assert torch.equal(load(tmp_path / "a").restorer.basis.matrix, net.restorer.basis.matrix)


def test_a_solver_of_solvers_is_rebuilt_from_the_inside(tmp_path: Path) -> None:
    inner = small()
    net = two_step(nonblind=inner, size=5)
    save(net, str(tmp_path / "a"))
    again = load(str(tmp_path / "a"))
    assert again.record == net.record and net.record.arguments["nonblind"] == inner.record
    y = pictures(1, 3, 8, 8, seed=0, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(again(y, 2, sigma=0.01).x, net(y, 2, sigma=0.01).x)


def test_files_with_the_names_of_earlier_versions_load(tmp_path: Path) -> None:
    """``detached`` for ``detach``, and the later image step below a wrapper of its own."""
    net = blind_hqs(5, T=1, finish=small())
    net.detach = ("k",)
    note = json.dumps(expression(net).written()).replace('"detach"', '"detached"')
    tensors = {name.replace(".then.prior", ".then.step.prior"): value.clone() for name, value in net.state_dict().items()}
    assert '"detached"' in note and any(".then.step." in name for name in tensors)
    again = load(noted(tmp_path / "a", note, **tensors))
    assert expression(again) == expression(net) and again.detach == ("k",)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in again.state_dict().items())


@pytest.mark.parametrize(("bits", "share"), [(8, 0.28), (12, 0.41)])
def test_integers_are_within_half_a_step_of_every_row_and_as_small_as_they_say(bits: int, share: float, tmp_path: Path) -> None:
    net = usrnet(T=2, widths=(16, 32, 64, 64))
    save(net, tmp_path / "whole")
    save(net, tmp_path / "small", half=True, bits={"restorer": bits})
    assert (tmp_path / "small").stat().st_size < share * (tmp_path / "whole").stat().st_size
    again = load(tmp_path / "small")
    for name, value in net.state_dict().items():
        found = again.state_dict()[name]
        assert found.dtype == torch.float32
        if name.startswith("restorer"):
            step = value.abs().flatten(1).amax(1) / (2 ** (bits - 1) - 1)
            assert ((found - value).abs().flatten(1).amax(1) <= 0.501 * step).all() and not torch.equal(found, value)
        else:
            assert torch.equal(found, value.half().float())


FORMS = ("a@form", "a@planes")


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (4, 2, 3, 3)])
def test_integers_come_back_from_files_of_this_and_earlier_versions(shape: tuple[int, ...], bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    n = torch.randint(-top, top + 1, shape, generator=torch.Generator().manual_seed(0))
    n[:, 0] = top  # the largest of every row, so that one is worth one
    made = rounded("a", n.float(), bits)
    assert torch.equal(widened(made, Path("file"))["a"], n.float())
    if bits == 8:
        earlier = {"a": n.to(torch.int8)}
        data = n.to(torch.int8).numpy().tobytes()
    else:
        flat = torch.cat([n.flatten() + 2048, torch.zeros(n.numel() % 2, dtype=torch.int64)])
        words = (flat[::2] + 4096 * flat[1::2]).tolist()  # two integers in three bytes, the lowest first
        data = b"".join(word.to_bytes(3, "little") for word in words)
        earlier = {"a": torch.tensor(list(data), dtype=torch.uint8), "a@shape": torch.tensor(shape)}
    deflated = torch.tensor(list(zlib.compress(data)), dtype=torch.uint8)
    for pieces in (earlier, {"a": deflated, "a@form": torch.tensor((bits, *shape))}):
        assert torch.equal(widened({**pieces, "a@worth": made["a@worth"]}, Path("file"))["a"], n.float())


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (4, 2, 3, 3), (64, 40)])
def test_deflated_halves_are_the_halves(shape: tuple[int, ...]) -> None:
    sizes = 2.0 ** (torch.arange(shape[-1]) % 18 - 9)
    value = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * sizes
    made = rounded("a", value, 16)
    assert set(made) == {"a", "a@planes"} and torch.equal(widened(made, Path("file"))["a"], value.half().float())
    if value.numel() > 1000:
        assert made["a"].numel() < 2 * value.numel()
    for wrong in ({**made, "a@worth": torch.ones(shape[0])}, {**made, "a@planes": torch.tensor((16, *shape, 2))}):
        with pytest.raises(ValueError, match="file is damaged"):
            widened(wrong, Path("file"))


def test_integers_are_refused_where_they_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bits names 'prior', which has no parameters; some are "):
        save(small(), tmp_path / "a", bits={"prior": 8})
    with pytest.raises(ValueError, match="bits must be one of 8, 12, 16"):
        save(small(), tmp_path / "a", bits={"restorer": 4})
    with pytest.raises(TypeError, match="bits must say how many for which part"):
        save(small(), tmp_path / "a", bits=("restorer",))  # type: ignore[arg-type]
    note, one, four = {"recipe": "usrnet", "arguments": {}}, torch.ones(1), torch.ones(4, dtype=torch.uint8)
    whole = rounded("a", torch.tensor([[1.0, -0.5, 0.25, 0.1]]), 8)
    good = {name: whole[name] for name in ("a", "a@worth")}
    wrong = (
        [8, 1, 5],
        [8, 1, 3],
        [8, 10**9, 10**9],
        [8, 2**63 - 1],
        [12, 3, 2**62],
        [8, -1, -4],
        [12, 1, 4],
        [4, 1, 4],
        [8.0, 1, 4],
        [],
    )
    for tensors in (
        {"a@worth": one},
        {"a": torch.ones(1, 2), "a@worth": one},
        {"a": torch.ones(1, 2, dtype=torch.int8), "a@worth": torch.ones(2)},
        {"a": four, "a@worth": one, "a@shape": torch.tensor([1, 2])},
        {"a": four[:3], "a@worth": one, "a@shape": torch.tensor([-1, -2])},
        {"a": four[:3], "a@shape": torch.tensor([1, 2])},
        {"a": four[:0], "a@worth": one[:0], "a@shape": torch.tensor([0, 2**62, 16])},
        *(
            {**good, "a": bytes_, what: torch.tensor([8, 1, 4])}
            for what in FORMS
            for bytes_ in (good["a"][:-1], torch.cat([good["a"]] * 2))
        ),
        {"a": four[:3], "a@worth": one, "a@shape": torch.tensor([1.0, 2.0])},
        *({"a": four, "a@worth": one, what: torch.tensor([8, 1, 4])} for what in FORMS),  # no deflated bytes
        *({**good, what: torch.tensor(form)} for what in FORMS for form in wrong),
        *({"a": good["a"].float(), "a@worth": one, what: torch.tensor([8, 1, 4])} for what in FORMS),
        *({"a": good["a"], what: torch.tensor([8, 1, 4])} for what in FORMS),
    ):
        with pytest.raises(ValueError, match="damaged: a@worth belongs to no tensor"):
            load(noted(tmp_path / "b", note, **tensors))


@pytest.mark.parametrize("wrapped", [False, True])
def test_changes_below_a_wrapper_of_earlier_versions_load(wrapped: bool, tmp_path: Path) -> None:
    """They are found where they are now: below ``then`` itself, the first image beside it."""
    net = blind_hqs(5, T=1, finish=small())
    net.restorer.then.around, net.restorer.x0 = "first", Upsample("bilinear")
    if wrapped:
        net.restorer = Until(2, HQSRestorer(tv), HQSRestorer(l0_gradient, around="first"), x0=Upsample("bilinear"))
    note = expression(net).written()
    changes = note["changes"]
    assert any(path.startswith("restorer.then.") for path in changes) and "restorer.x0" in changes
    old = {
        path.replace("restorer.then", "restorer.then.step").replace("restorer.x0", "restorer.then.x0"): entry
        for path, entry in changes.items()
    }
    if wrapped:
        old["restorer.then"] = {"class": "pnpsr.steps.phases:Afresh"}
    again = load(noted(tmp_path / "a", json.dumps({**note, "changes": old}), **net.state_dict()))
    assert expression(again) == expression(net) and again.restorer.then.around == "first" and again.restorer.x0 == net.restorer.x0


def test_a_recipe_of_ones_own_is_saved_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RECIPES, "_things", dict(RECIPES))

    @recipe
    def mine(widths: tuple[int, ...] = TINY, *, kernel_size: int = 5) -> UnrolledSolver:
        return two_step(KernelEncoder(kernel_size), usrnet(T=2, widths=widths))

    net = mine([4, 4, 4, 4])
    del RECIPES["mine"]
    with pytest.raises(ValueError, match="'mine' has left RECIPES"):
        save(net, tmp_path / "a")
    assert not list(tmp_path.iterdir())
    RECIPES["mine"] = mine
    save(net, tmp_path / "a")
    again = load(tmp_path / "a")
    assert again.record == net.record and again.record.arguments == {"widths": (4, 4, 4, 4), "kernel_size": 5}
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())


def test_the_untrained_preset_has_a_name() -> None:
    net = load("blind_hqs")
    assert net.record == blind_hqs().record and not net.training


def test_what_is_overwritten_is_new_and_whole(file: Path) -> None:
    before = file.read_bytes()
    other = small()
    save(other, file)
    assert file.read_bytes() != before
    assert all(torch.equal(value, load(file).state_dict()[name]) for name, value in other.state_dict().items())
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_when_the_disk_says_no_the_old_file_is_still_there(broken: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no space left on device")

    before = file.read_bytes()
    monkeypatch.setattr(os, broken, refuse)
    with pytest.raises(OSError, match="no space left"):
        save(small(), file)
    with pytest.raises(OSError, match="no space left"):
        save(small(), file.with_name("new"))
    monkeypatch.undo()
    assert file.read_bytes() == before and list(file.parent.iterdir()) == [file]


# --- what cannot be saved ---


def without_recipe() -> nn.Module:
    return UnrolledSolver(None, HQSRestorer(lambda v, strength: v), k0=None)


UNSAVABLE = {
    "no recipe": (without_recipe, "was not built by a recipe"),
    "a bare network": (lambda: nn.Linear(1, 1), "was not built by a recipe"),
    "a lambda in a solver without recipe inside": (
        lambda: two_step(nonblind=without_recipe(), size=5),
        "argument nonblind.module.restorer.prior cannot be written down: a lambda",
    ),
}


@pytest.mark.parametrize(("build", "message"), UNSAVABLE.values(), ids=UNSAVABLE.keys())
def test_what_cannot_be_built_again_is_not_saved(build: Callable[[], nn.Module], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save(build(), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_file_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save(small(), tmp_path / "missing" / "a")
    with pytest.raises(ValueError, match="is a folder"):
        save(small(), tmp_path)


# --- what cannot be loaded ---


@pytest.mark.parametrize("share", [0, 1, 7, 8, 30, 50, 90, 99])
def test_a_truncated_file_is_refused(share: int, file: Path) -> None:
    file.write_bytes(file.read_bytes()[: share * file.stat().st_size // 100])
    with pytest.raises(ValueError, match="good.safetensors is truncated or no safetensors file"):
        load(file)


def test_other_files_are_refused_and_named(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for content in (b"hello, this is a text and no checkpoint\n" * 9, b"\x89PNG\r\n\x1a\n" + bytes(99), b"\xff" * 64):
        other.write_bytes(content)
        with pytest.raises(ValueError, match="other is truncated or no safetensors file"):
            load(other)
    torch.save({"a": torch.zeros(1)}, other)
    with pytest.raises(ValueError, match="no safetensors file"):
        load(other)
    save_file({"weight": torch.zeros(2), "bias": torch.zeros(2)}, other)
    with pytest.raises(ValueError, match=r"was not written by pnpsr.save: it holds 2 tensors \((bias, weight|weight, bias), ...\)"):
        load(other)


def test_a_folder_and_a_missing_file_are_not_found(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", "missing", "two_step"):
        with pytest.raises(FileNotFoundError, match="no checkpoint at .*; presets: .*blind_hqs"):
            load(path)


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    with pytest.raises(FileNotFoundError) as refusal:
        load("ikrnet-x3-no-such")
    listed = str(refusal.value).rpartition("presets: ")[2].split(", ")
    assert listed == [*presets(), "blind_hqs"]
    for name in listed:
        assert not load(name).training


NOTES = {
    "no JSON": ("{", "names its recipe in a form"),
    "a number": ("7", "names its recipe in a form"),
    "a list": ([], "asks for recipe None"),
    "nothing": ({}, "asks for recipe None"),
    "no such recipe": ({"recipe": "stargan", "arguments": {}}, "recipe must be one of bisrnet, blind_hqs, dan.*got 'stargan'"),
    "a recipe that is no name": ({"recipe": ["dan"], "arguments": {}}, "asks for recipe"),
    "arguments that are none": ({"recipe": "tv_hqs", "arguments": [1]}, "asks for recipe 'tv_hqs'"),
    "an unknown argument": ({"recipe": "tv_hqs", "arguments": {"steps": 3}}, "'tv_hqs' refuses the arguments .*steps"),
    "a bad argument": ({"recipe": "dan", "arguments": {"scale": 9}}, "'dan' refuses the arguments .*scale must be one of"),
    "an inner recipe": (
        {"recipe": "two_step", "arguments": {"nonblind": {"recipe": "x", "arguments": {}}}},
        "recipe must be one of .*'x'",
    ),
    "weights that do not fit": ({"recipe": "tv_hqs", "arguments": {}}, "does not fit recipe 'tv_hqs' .*Unexpected key"),
}


@pytest.mark.parametrize(("note", "message"), NOTES.values(), ids=NOTES.keys())
def test_a_file_that_names_no_solver_is_refused(note: object, message: str, tmp_path: Path) -> None:
    path = noted(tmp_path / "a.safetensors", note)
    with pytest.raises(ValueError, match=f"(?s)a.safetensors.*{message}"):
        load(path)


def test_weights_of_another_shape_or_number_are_refused(tmp_path: Path) -> None:
    net = small()
    note = {"recipe": "usrnet", "arguments": {**net.record.arguments, "widths": (4, 6, 8, 10)}}
    with pytest.raises(ValueError, match="(?s)does not fit recipe 'usrnet'.*size mismatch"):
        load(noted(tmp_path / "a", note, **net.state_dict()))
    fewer = dict(list(net.state_dict().items())[1:])
    with pytest.raises(ValueError, match="(?s)does not fit recipe 'usrnet'.*Missing key"):
        load(noted(tmp_path / "a", {"recipe": "usrnet", "arguments": net.record.arguments}, **fewer))


def test_a_solver_without_weights_is_saved_too(tmp_path: Path) -> None:
    save(tv_hqs(T=3), tmp_path / "a")
    x, k = pictures(1, 1, 8, 8, seed=0), kernels(1, 3, seed=0)
    assert torch.equal(load(tmp_path / "a")(observed(x, k, 1), 1, k=k).x, tv_hqs(T=3)(observed(x, k, 1), 1, k=k).x)
