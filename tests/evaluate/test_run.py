"""Rows once, in order, whatever happened before; nothing of the truth but what was declared; nothing mixed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import GUESS, InMemory, guess, protocol, some

from pnpsr.evaluate import Method, Result, bicubic, evaluate, read_rows
from pnpsr.starts import upsample


def test_one_row_per_picture_kernel_and_condition(tmp_path: Path) -> None:
    done = evaluate(GUESS, protocol(), some(), tmp_path)
    assert not done.failures
    assert [tuple(row.key) for row in done.rows] == [
        (image, kernel, scale, sigma)
        for image in ("a.png", "b.png")
        for kernel in (1, 2)
        for scale in (2, 3)
        for sigma in (0.0, 0.02)
    ]
    lines = (tmp_path / "guess.csv").read_text().splitlines()
    assert lines[0] == "method,protocol,image,kernel,scale,sigma,psnr,ssim,kernel_mse,data_psnr"
    assert len(lines) == 17 and lines[1].startswith(f"guess,small@{protocol().digest},a.png,1,2,0.0,")
    assert list(done.rows) == read_rows(tmp_path / "guess.csv")


def test_the_same_again_is_the_same_file_and_solves_nothing(tmp_path: Path) -> None:
    calls = []
    method = Method("guess", lambda y, scale: calls.append(1) or guess(y, scale))
    first = evaluate(method, protocol(), some(), tmp_path)
    content, count = (tmp_path / "guess.csv").read_bytes(), len(calls)
    assert evaluate(method, protocol(), some(), tmp_path) == first
    assert (tmp_path / "guess.csv").read_bytes() == content and len(calls) == count == 16
    evaluate(method, protocol(), some(), tmp_path / "other")
    assert (tmp_path / "other" / "guess.csv").read_bytes() == content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    evaluate(GUESS, protocol(), some(), folder)
    return (folder / "guess.csv").read_bytes()


@given(cut=st.integers(0, 1500))
def test_cut_anywhere_it_goes_on_and_ends_the_same(cut: int, whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    evaluate(GUESS, protocol(), some(), folder)
    (folder / "guess.csv").write_bytes(whole[: min(cut, len(whole))])
    evaluate(GUESS, protocol(), some(), folder)
    assert (folder / "guess.csv").read_bytes() == whole


def test_killed_without_warning_it_goes_on_and_ends_the_same(whole: bytes, tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parent.parent)!r}]
import torch
torch.set_num_threads(1)
from small import guess, protocol, some
from pnpsr.evaluate import Method, evaluate
import pnpsr.evaluate.store as store
written = []
def dying(y, scale):
    written.append(1)
    return guess(y, scale) if len(written) < 8 else os.kill(os.getpid(), signal.SIGKILL)
dying.__module__, dying.__qualname__ = "small", "guess"
evaluate(Method("guess", dying), protocol(), some(), {str(tmp_path)!r})
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert (tmp_path / "guess.csv").read_bytes() == b"".join(whole.splitlines(keepends=True)[:8])
    evaluate(GUESS, protocol(), some(), tmp_path)
    assert (tmp_path / "guess.csv").read_bytes() == whole


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads: int, whole: bytes, tmp_path: Path) -> None:
    evaluate(GUESS, protocol(), some(), tmp_path, threads=threads)
    assert (tmp_path / "guess.csv").read_bytes() == whole


def test_rows_that_come_late_are_put_in_order(whole: bytes, tmp_path: Path) -> None:
    broken = InMemory({**some().images, "a.png": None})
    done = evaluate(GUESS, protocol(), broken, tmp_path)
    assert len(done.rows) == 8 and len(done.failures) == 8
    assert not evaluate(GUESS, protocol(), some(), tmp_path).failures  # the file was repaired
    assert (tmp_path / "guess.csv").read_bytes() == whole


OTHERS = {
    "protocol": ({}, {"seed": 1}, some(), "seed was 0, is 1"),
    "kernels": ({}, {"kernels": "gaussian8"}, some(), "kernels was"),
    "pictures": ({}, {}, some(("a.png",)), "images was"),
    "identity": ({"identity": "other weights"}, {}, some(), "another method"),
    "needs": ({"needs": ("sigma",)}, {}, some(), "another method"),
    "function": ({"run": lambda y, scale: guess(y, scale)}, {}, some(), "another method"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_differs_is_not_mixed(case: str, tmp_path: Path) -> None:
    method, changes, pictures, reason = OTHERS[case]
    evaluate(GUESS, protocol(), some(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=reason) as refusal:
        evaluate(replace(GUESS, **method), protocol(**changes), pictures, tmp_path)
    assert str(tmp_path) in str(refusal.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_method_may_join(tmp_path: Path) -> None:
    evaluate(GUESS, protocol(), some(), tmp_path)
    evaluate(bicubic(), protocol(), some(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"protocol.json", "guess.json", "guess.csv", "bicubic.json", "bicubic.csv"}
    assert json.loads((tmp_path / "protocol.json").read_text())["images"] == ["a.png", "b.png"]


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    evaluate(GUESS, protocol(), some(), tmp_path)
    csv, good = tmp_path / "guess.csv", (tmp_path / "guess.csv").read_text()
    for content, reason in (
        ("x,y\n1,2\n", "other columns"),
        (good.replace(protocol().digest, "00000000"), "another evaluation"),
        (good + good.splitlines()[1] + "\n", "rows twice"),
        (good.replace("a.png,1,2,0.0,", "a.png,one,2,0.0,"), "line 2 is damaged"),
    ):
        csv.write_text(content)
        with pytest.raises(ValueError, match=reason):
            evaluate(GUESS, protocol(), some(), tmp_path)
        assert csv.read_text() == content
    (tmp_path / "protocol.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        evaluate(GUESS, protocol(), some(), tmp_path)


def test_a_blind_method_gets_y_and_the_scale_and_nothing_else(tmp_path: Path) -> None:
    calls: list[tuple[tuple, dict]] = []

    def spy(*args: object, **named: object) -> Result:
        calls.append((args, named))
        return Result(upsample(args[0], args[1]))  # type: ignore[arg-type]

    for needs in ((), ("sigma",), ("k",), ("k", "sigma")):
        calls.clear()
        method = Method("spy", spy, needs)
        evaluate(method, protocol(conditions=((2, 0.02),)), some(("a.png",)), tmp_path / "-".join(needs or "b"))
        assert len(calls) == 2 and all(set(named) == set(needs) for _, named in calls)
        assert all(len(args) == 2 and type(args[0]) is torch.Tensor and args[1] == 2 for args, _ in calls)
        assert all(named.get("sigma", 0.02) == 0.02 for _, named in calls)
        for i, (_, named) in enumerate(calls):
            assert "k" not in named or torch.equal(named["k"], protocol().kernels_at(2)[i : i + 1])


def test_a_method_cannot_spoil_the_truth(tmp_path: Path) -> None:
    def spoil(y: torch.Tensor, scale: int) -> Result:
        out = guess(y, scale)
        y.zero_()
        return out

    rows = evaluate(Method("guess", spoil), protocol(), some(), tmp_path / "spoil").rows
    assert [row.values for row in rows] == [row.values for row in evaluate(GUESS, protocol(), some(), tmp_path / "guess").rows]


def test_rows_that_a_method_fails_are_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    def moody(y: torch.Tensor, scale: int) -> torch.Tensor:
        if scale == 3:
            raise RuntimeError("out of memory")
        return upsample(y, scale) * (float("nan") if y.shape[-1] == 18 else 1)

    pictures = InMemory({**some(("a.png",)).images, **some(("b.png",), w=36).images})
    done = evaluate(Method("moody", moody), protocol(), pictures, tmp_path)
    assert [row.key for row in done.rows] == [
        key for key in (row.key for row in done.rows) if key.image == "a.png" and key.scale == 2
    ]
    assert len(done.rows) == 4 and len(done.failures) == 12
    assert {f.reason for f in done.failures} == {"moody: out of memory", "moody: x holds NaN"}


def test_programming_errors_are_not_swallowed(tmp_path: Path) -> None:
    for run in (lambda y: y, lambda y, scale: "x"):
        with pytest.raises(TypeError):
            evaluate(Method("wrong", run), protocol(), some(), tmp_path)
    with pytest.raises(TypeError, match="a Method and a Protocol"):
        evaluate(guess, protocol(), some(), tmp_path)  # type: ignore[arg-type]
    small = evaluate(Method("wrong", lambda y, scale: y), protocol(), some(), tmp_path / "small")
    assert not small.rows and "returned x of" in small.failures[0].reason


def test_a_scale_that_the_method_cannot_do_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="×2, the protocol asks for ×2, ×3"):
        evaluate(replace(GUESS, scales=(2,)), protocol(), some(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "a b", "../up", ".hidden", "a/b", "dot."])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a method"):
        Method(name, guess)


def test_names_with_commas_and_quotes_survive(tmp_path: Path) -> None:
    names = ('a, "b".png', "ü×.png")
    done = evaluate(GUESS, protocol(), some(names), tmp_path)
    assert {row.key.image for row in done.rows} == set(names)
    assert evaluate(GUESS, protocol(), some(names), tmp_path) == done
