"""A row on disk is taken only for what it was made of: the picture, the solver and all that is in it, the code, the version."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import outside
import pytest
import torch
from small import GUESS, InMemory, calls, counted, guess, protocol, some

from pnpsr import blind_hqs, ikrnet
from pnpsr.evaluate import Case, Key, Method, Row, bicubic, evaluate, from_solver, read_rows, store, table
from pnpsr.evaluate.cases import Failure, Synthetic
from pnpsr.prox import tv
from pnpsr.recipes import entry_of
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Dirac

ONE = protocol(conditions=((2, 0.0),), metrics=("psnr",))


def shortened(solver: UnrolledSolver) -> UnrolledSolver:
    return solver.only("tuner", "restorer")


def changed(change: Callable[[UnrolledSolver], object]) -> Callable[[UnrolledSolver], UnrolledSolver]:
    def apply(solver: UnrolledSolver) -> UnrolledSolver:
        change(solver)
        return solver

    return apply


CHANGES: dict[str, Callable[[UnrolledSolver], UnrolledSolver]] = {
    "prior": changed(lambda s: setattr(s.restorer.first, "prior", tv)),
    "alpha": changed(lambda s: s.tuner.first.alpha.mul_(2)),
    "k0": changed(lambda s: setattr(s, "k0", Dirac(5))),
    "edges": changed(lambda s: setattr(s.estimator.first, "edges", True)),
    "T": changed(lambda s: setattr(s, "T", 2)),
    "order": changed(lambda s: setattr(s, "order", ("tuner", "estimator", "restorer"))),
    "a view": shortened,
    "weights": changed(lambda s: s.estimator.first.log_gamma.add_(1.0)),
}


@pytest.mark.parametrize("case", CHANGES)
def test_rows_of_another_solver_are_computed_anew_and_the_old_ones_kept(case: str, tmp_path: Path) -> None:
    plain = evaluate(from_solver("mine", blind_hqs(5, T=2, finish=1)), ONE, some(), tmp_path)
    old = (tmp_path / "mine.csv").read_bytes()
    other = CHANGES[case](blind_hqs(5, T=2, finish=1))
    done = evaluate(from_solver("mine", other), ONE, some(), tmp_path)
    assert len(done.notes) == 1 and done.notes[0].startswith(
        "4 row(s) of mine on disk were computed anew: the method is another one"
    )
    assert [row.values for row in done.rows] != [row.values for row in plain.rows]
    assert [path.read_bytes() for path in tmp_path.glob("*.old")] == [old]
    fresh = evaluate(from_solver("mine", CHANGES[case](blind_hqs(5, T=2, finish=1))), ONE, some(), tmp_path / "fresh")
    assert fresh.rows == done.rows and not fresh.notes


def test_rows_of_another_body_of_a_function_are_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(Method("shift", outside.Shift(0.1)), ONE, some(), tmp_path)
    assert not evaluate(Method("shift", outside.Shift(0.1)), ONE, some(), tmp_path).notes
    constant = evaluate(Method("shift", outside.Shift(0.2)), ONE, some(), tmp_path)
    assert constant.notes
    namespace = {"__name__": "outside", "upsample": outside.upsample, "Result": outside.Result, "torch": torch}
    exec("def call(self, y, scale):\n    return upsample(y, scale) * self.by\n", namespace)
    monkeypatch.setattr(outside.Shift, "__call__", namespace["call"])
    body = evaluate(Method("shift", outside.Shift(0.2)), ONE, some(), tmp_path)
    assert body.notes and body.rows[0].values != constant.rows[0].values


def test_other_pixels_under_an_old_name_are_computed_anew_and_the_others_kept(tmp_path: Path) -> None:
    pictures = some()
    first = evaluate(GUESS, ONE, pictures, tmp_path)
    altered = InMemory({**pictures.images, "b.png": pictures.images["b.png"] * 0.5})
    done = evaluate(GUESS, ONE, altered, tmp_path)
    assert done.notes == ("2 row(s) of guess on disk were computed anew: of other pictures, or made otherwise",)
    assert done.rows[:2] == first.rows[:2] and done.rows[2].values != first.rows[2].values


def test_added_pictures_are_computed_and_old_rows_kept(tmp_path: Path) -> None:
    pictures = some(("a.png", "b.png", "c.png"))
    few = InMemory({name: pictures.images[name] for name in ("a.png", "c.png")})
    method, before = Method("guess", counted), calls()
    assert len(evaluate(method, ONE, few, tmp_path).rows) == 4
    done = evaluate(method, ONE, pictures, tmp_path)
    assert [row.key.image for row in done.rows] == ["a.png"] * 2 + ["b.png"] * 2 + ["c.png"] * 2
    assert calls() - before == 6 and not done.notes
    content = (tmp_path / "guess.csv").read_bytes()
    assert len(evaluate(method, ONE, few, tmp_path).rows) == 4 and calls() - before == 6
    assert len(read_rows(tmp_path / "guess.csv")) == 6  # nothing is lost
    assert evaluate(method, ONE, pictures, tmp_path) == done and (tmp_path / "guess.csv").read_bytes() == content


def test_rows_of_another_version_are_computed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate(GUESS, ONE, some(), tmp_path)
    monkeypatch.setattr(store, "VERSION", "9.9")
    done = evaluate(GUESS, ONE, some(), tmp_path)
    assert done.notes and {row.version for row in done.rows} == {"9.9"}


def test_a_method_without_description_never_shares_rows_and_says_so(tmp_path: Path) -> None:
    def inner(y: torch.Tensor, scale: int) -> Any:
        return counted(y, scale)

    before = calls()

    for count in (4, 8):
        done = evaluate(Method("inner", inner), ONE, some(), tmp_path)
        assert (
            calls() - before == count and len(done.rows) == 4 and "computed anew in every call: put it at the top" in done.notes[0]
        )
    evaluate(Method("inner", inner, identity="counts"), ONE, some(), tmp_path)
    done = evaluate(Method("inner", inner, identity="counts"), ONE, some(), tmp_path)
    assert calls() - before == 12 and not done.notes  # its author said what it depends on
    evaluate(Method("inner", lambda y, scale: guess(y, scale), identity="counts"), ONE, some(), tmp_path)
    assert evaluate(Method("inner", inner, identity="counts"), ONE, some(), tmp_path).notes  # its code is another one


@pytest.mark.parametrize("name", ["identity", "needs"])
def test_what_a_method_declares_belongs_to_its_rows(name: str, tmp_path: Path) -> None:
    def told(y: torch.Tensor, scale: int, sigma: float = 0.0) -> Any:
        return guess(y, scale)

    method = Method("told", told, identity="x")
    evaluate(method, ONE, some(), tmp_path)
    assert evaluate(replace(method, **{name: {"identity": "y", "needs": ("sigma",)}[name]}), ONE, some(), tmp_path).notes


def test_a_table_of_an_older_format_is_set_aside(tmp_path: Path) -> None:
    label = f"{ONE.name}@{ONE.digest}"
    old = f"method,protocol,image,kernel,scale,sigma,psnr\nguess,{label},a.png,1,2,0.0,12.5\n"
    (tmp_path / "guess.csv").write_text(old)
    assert read_rows(tmp_path / "guess.csv")[0].values == {"psnr": 12.5}
    done = evaluate(GUESS, ONE, some(), tmp_path)
    assert done.notes and len(done.rows) == 4 and [path.read_text() for path in tmp_path.glob("*.old")] == [old]


class Own:
    """A source of rows of one's own: two of a picture that is nowhere on disk."""

    def __init__(self) -> None:
        self.inner = Synthetic(ONE, some(("a.png",)))

    def keys(self) -> Sequence[Key]:
        return self.inner.keys()

    def cases(self, wanted: Any) -> Iterator[Case | Failure]:
        return self.inner.cases(wanted)

    def pixels(self, key: Key) -> str:
        return "made up"


def test_a_source_of_ones_own_is_evaluated(tmp_path: Path) -> None:
    done = evaluate(GUESS, ONE, Own(), tmp_path)
    assert len(done.rows) == 2 and {row.pixels for row in done.rows} == {"made up"}


def test_means_are_over_the_rows_that_all_methods_have(tmp_path: Path) -> None:
    def row(method: str, image: str, value: float | None, scale: int = 2) -> Row:
        return Row(method, "p@0", Key(image, 1, scale, 0.0), {"psnr": value})

    rows = [row("a", "1", 20.0), row("a", "2", 30.0), row("a", "3", 50.0), row("b", "1", 21.0), row("b", "2", float("inf"))]
    rows += [row("a", "1", 7.0, 3)]
    text = table(rows)
    assert "| a | ×2 | 0 | 2 | 25.00 |" in text and "| b | ×2 | 0 | 2 | 21.00 |" in text and "| a | ×3 | 0 | 1 | 7.00 |" in text
    assert "* ×2, σ 0: over the 2 row(s) that all methods have; left out: 1 of a." in text
    assert "* psnr of b is infinite in 1 row(s), which its mean leaves out." in text
    assert "left out" not in table(rows[:2]) and "inf" not in text.replace("infinite", "")


def test_identities_of_our_methods_are_whole() -> None:
    for method in (bicubic(), from_solver("a", blind_hqs()), from_solver("b", ikrnet(**entry_of("ikrnet").tiny), sigma=True)):
        assert method.digest[0] and not method.digest[1]
    kinds = [from_solver("a", blind_hqs(), **o) for o in ({}, {"boundary": "extend"}, {"sigma": True})]
    assert len({method.digest[0] for method in kinds}) == 3
