"""Rows once, in order, whatever happened before; nothing of the truth but what was declared; nothing mixed."""

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import GUESS, InMemory, calls, counted, dying, guess, protocol, some

import pnpsr
from pnpsr import blind_hqs
from pnpsr.evaluate import Method, Result, bicubic, evaluate, from_solver, read_rows
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
    assert lines[0] == "method,solver,version,protocol,image,pixels,kernel,scale,sigma,psnr,ssim,kernel_mse,data_psnr"
    one = read_rows(tmp_path / "guess.csv")[0]
    start = f"guess,{one.solver},{one.version},small@{protocol().digest},a.png,{one.pixels},1,2,0.0,"
    assert len(lines) == 17 and lines[1].startswith(start) and len(one.solver) == len(one.pixels) == 8
    assert list(done.rows) == read_rows(tmp_path / "guess.csv")


def test_the_same_again_is_the_same_file_and_solves_nothing(tmp_path: Path) -> None:
    method, before = Method("guess", counted), calls()
    pictures = some()
    first = evaluate(method, protocol(), pictures, tmp_path)
    content, count = (tmp_path / "guess.csv").read_bytes(), calls() - before
    assert evaluate(method, protocol(), pictures, tmp_path) == first and not first.notes
    assert (tmp_path / "guess.csv").read_bytes() == content and calls() - before == count == 16
    evaluate(method, protocol(), some(), tmp_path / "other")
    assert (tmp_path / "other" / "guess.csv").read_bytes() == content


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("whole")
    evaluate(GUESS, protocol(), some(), folder)
    return (folder / "guess.csv").read_bytes()


@settings(max_examples=12)
@given(cut=st.integers(0, 1500))
def test_cut_anywhere_it_goes_on_and_ends_the_same(cut: int, whole: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "guess.csv").write_bytes(whole[: min(cut, len(whole))])
    evaluate(GUESS, protocol(), some(), folder)
    assert (folder / "guess.csv").read_bytes() == whole


def start(folder: Path, more: int, share: tuple[int, int] = (0, 1)) -> int:
    """The number of a process like this one that evaluates, and dies after so many calls more."""
    if (child := os.fork()) == 0:
        status = 1
        try:
            os.environ["CALLS"] = str(calls() + more)
            evaluate(Method("guess", dying), protocol(), some(), folder, share=share)
            status = 0
        finally:
            os._exit(status)
    return child


def ended(child: int) -> int:
    """Its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def parts(folder: Path) -> list[Path]:
    return list((folder / ".parts").rglob("*.csv"))


def test_killed_ten_times_it_goes_on_and_ends_the_same(whole: bytes, tmp_path: Path) -> None:
    rows = 0
    for kill in range(10):
        assert ended(start(tmp_path, 2)) == -signal.SIGKILL
        found = {row for part in parts(tmp_path) for row in part.read_bytes().splitlines(keepends=True)[1:] if row.endswith(b"\n")}
        assert rows <= len(found) <= rows + 2 and not (tmp_path / "guess.csv").exists()
        last = max(parts(tmp_path), key=lambda part: part.stat().st_mtime_ns)
        last.write_bytes(last.read_bytes()[: -1 - kill])  # and what a kill leaves of a line
        rows = sum(max(part.read_bytes().count(b"\n") - 1, 0) for part in parts(tmp_path))
    evaluate(Method("guess", dying), protocol(), some(), tmp_path)
    again = (tmp_path / "guess.csv").read_bytes()
    evaluate(Method("guess", dying), protocol(), some(), tmp_path / "other")
    assert again == (tmp_path / "other" / "guess.csv").read_bytes() and not parts(tmp_path)
    assert values(again) == values(whole)


def values(csv: bytes) -> list[list[str]]:
    """Without the digest of the method."""
    return [line.split(",")[:1] + line.split(",")[2:] for line in csv.decode().splitlines()]


def test_processes_share_a_folder(tmp_path: Path) -> None:
    """Two that share the rows, and two that do not know of each other: one file, as one process writes it."""
    evaluate(Method("guess", dying), protocol(), some(), tmp_path / "one")
    for name, shares in (("shared", ((0, 2), (1, 2))), ("alone", ((0, 1), (0, 1)))):
        assert [ended(child) for child in [start(tmp_path / name, 1000, share) for share in shares]] == [0, 0]
        assert (tmp_path / name / "guess.csv").read_bytes() == (tmp_path / "one" / "guess.csv").read_bytes()
        assert not parts(tmp_path / name)


def test_a_lost_share_is_done_on_rerun(whole: bytes, tmp_path: Path) -> None:
    assert len(evaluate(GUESS, protocol(), some(), tmp_path, share=(1, 2)).rows) == 8
    assert len(evaluate(GUESS, protocol(), some(), tmp_path).rows) == 16
    assert (tmp_path / "guess.csv").read_bytes() == whole
    for bad in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="share"):
            evaluate(GUESS, protocol(), some(), tmp_path, share=bad)


def test_a_second_call_in_the_same_process_takes_the_rows_of_the_first(tmp_path: Path) -> None:
    """Running a method makes copies of its solver; what the method is made of stays the same."""
    method = from_solver("blind", blind_hqs(7, T=1, finish=1))
    before = method.digest
    first = evaluate(method, protocol(conditions=((2, 0.0),)), some(), tmp_path)
    again = evaluate(method, protocol(conditions=((2, 0.0),)), some(), tmp_path)
    assert method.digest == before and first.rows == again.rows and not again.notes


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(threads: int, whole: bytes, tmp_path: Path) -> None:
    evaluate(GUESS, protocol(), some(), tmp_path, threads=threads)
    assert (tmp_path / "guess.csv").read_bytes() == whole


def test_what_was_finished_before_an_interruption_is_merged(tmp_path: Path) -> None:
    class Interrupted(InMemory):
        def read(self, index: int) -> torch.Tensor:
            if index == 1:
                raise KeyboardInterrupt
            return super().read(index)

    with pytest.raises(KeyboardInterrupt):
        evaluate(GUESS, protocol(), Interrupted(some().images), tmp_path)
    assert 6 <= len(read_rows(tmp_path / "guess.csv")) <= 8 and not parts(tmp_path)


def test_threads_change_nothing_for_a_solver_whatever_torch_may_use(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    contents = []
    try:
        for own, threads in ((1, 1), (2, 1), (1, 2)):
            torch.set_num_threads(own)
            method = from_solver("blind", blind_hqs(7, T=3, finish=2))
            evaluate(method, protocol(conditions=((2, 0.0),)), some(), tmp_path / f"{own} {threads}", threads=threads)
            assert torch.get_num_threads() == own
            contents.append((tmp_path / f"{own} {threads}" / "blind.csv").read_text())
    finally:
        torch.set_num_threads(before)
    assert contents[0] == contents[1] == contents[2]


def test_rows_that_come_late_are_put_in_order(whole: bytes, tmp_path: Path) -> None:
    broken = InMemory({**some().images, "a.png": None})
    done = evaluate(GUESS, protocol(), broken, tmp_path)
    assert len(done.rows) == 8 and len(done.failures) == 8
    assert not evaluate(GUESS, protocol(), some(), tmp_path).failures  # the file was repaired
    assert (tmp_path / "guess.csv").read_bytes() == whole


OTHERS = {"protocol": ({"seed": 1}, "seed was 0, is 1"), "kernels": ({"kernels": "gaussian8"}, "kernels was")}


@pytest.mark.parametrize("case", OTHERS)
def test_protocols_are_not_mixed(case: str, tmp_path: Path) -> None:
    changes, reason = OTHERS[case]
    evaluate(GUESS, protocol(), some(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ValueError, match=reason) as refusal:
        evaluate(GUESS, protocol(**changes), some(), tmp_path)
    assert str(tmp_path) in str(refusal.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_another_method_may_join(tmp_path: Path) -> None:
    evaluate(GUESS, protocol(), some(), tmp_path)
    evaluate(bicubic(), protocol(), some(), tmp_path)
    names = {"protocol.json", "guess.json", "guess.csv", "bicubic.json", "bicubic.csv", ".parts"}
    assert {path.name for path in tmp_path.iterdir()} == names and not parts(tmp_path)
    assert json.loads((tmp_path / "protocol.json").read_text())["name"] == "small"
    assert {(row.solver, row.version) for row in read_rows(tmp_path / "guess.csv")} == {(GUESS.digest[0], pnpsr.__version__)}


def test_foreign_and_damaged_files_are_refused(tmp_path: Path) -> None:
    evaluate(GUESS, protocol(), some(), tmp_path)
    csv, good = tmp_path / "guess.csv", (tmp_path / "guess.csv").read_text()
    for content, reason in (
        ("x,y\n1,2\n", "no table of an evaluation"),
        (re.sub("a.png,([0-9a-f]*),1,2,0.0,", r"a.png,\\1,one,2,0.0,", good), "line 2 is damaged"),
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


@pytest.mark.parametrize("error", [ArithmeticError("the simplex step did not end"), ZeroDivisionError(), OSError("gone")])
def test_the_trouble_of_a_row_ends_no_evaluation(error: Exception, tmp_path: Path) -> None:
    def moody(y: torch.Tensor, scale: int) -> torch.Tensor:
        if scale == 3:
            raise error
        return upsample(y, scale)

    done = evaluate(Method("moody", moody), protocol(), some(("a.png",)), tmp_path)
    assert len(done.rows) == len(done.failures) == 4 and done.failures[0].reason in (f"moody: {error}", "moody: ZeroDivisionError")


def test_a_decoder_may_raise_anything(tmp_path: Path) -> None:
    class Damaged(InMemory):
        def read(self, index: int) -> torch.Tensor:
            if index == 0:
                raise SyntaxError("broken PNG file")
            return super().read(index)

    done = evaluate(GUESS, protocol(), Damaged(some().images), tmp_path)
    assert len(done.rows) == len(done.failures) == 8 and done.failures[0].reason == "broken PNG file"


def test_programming_errors_are_not_swallowed(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"run is called as run\(y, scale\), but .* takes \(y\)"):
        Method("wrong", lambda y: y)
    with pytest.raises(TypeError, match=r"run is called as run\(y, scale, k=k\), but .*unexpected keyword argument 'k'"):
        Method("wrong", lambda y, scale: y, needs=("k",))
    for run, message in ((lambda y, scale: "x", "got str"), (lambda y, scale: y.numpy(), "got ndarray; torch.from_numpy")):
        with pytest.raises(TypeError, match=message):
            evaluate(Method("wrong", run), protocol(), some(), tmp_path)
    with pytest.raises(TypeError, match="names and read"):
        evaluate(GUESS, protocol(), "folder", tmp_path)
    with pytest.raises(TypeError, match="a Method and a Protocol"):
        evaluate(guess, protocol(), some(), tmp_path)  # type: ignore[arg-type]
    small = evaluate(Method("wrong", lambda y, scale: y), protocol(), some(), tmp_path / "small")
    assert not small.rows and "returned x of" in small.failures[0].reason


def test_a_method_has_rows_at_its_scales_and_without_any_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="×4, the protocol asks for ×2, ×3"):
        evaluate(replace(GUESS, scales=(4,)), protocol(), some(), tmp_path)
    assert not list(tmp_path.iterdir())
    done = evaluate(replace(GUESS, scales=(2,)), protocol(), some(), tmp_path)
    assert {row.key.scale for row in done.rows} == {2} and done.notes == ("guess has no rows at ×3, which it cannot do",)


@pytest.mark.parametrize("name", ["", "a b", "../up", ".hidden", "a/b", "dot."])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a method"):
        Method(name, guess)


def test_names_with_commas_and_quotes_survive(tmp_path: Path) -> None:
    names = ('a, "b".png', "ü×.png")
    done = evaluate(GUESS, protocol(), some(names), tmp_path)
    assert {row.key.image for row in done.rows} == set(names)
    assert evaluate(GUESS, protocol(), some(names), tmp_path) == done
