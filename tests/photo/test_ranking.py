"""The laws of the weighing: what speaks against a guess never helps it, and who came first does not matter."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.photo.facts import NONE, SHARP, Fact, Facts
from pnpsr.photo.ranking import ALONE, FINER, WEIGHTS, Weights

AGAINST = ("excess", "alone", "against", "short")
sizes = st.floats(0.0, 3.0)
guesses = st.lists(st.builds(Fact, st.just(""), sizes, st.floats(-2.0, 2.0), *[sizes] * 4), min_size=1, max_size=6)
weights = st.sampled_from([*WEIGHTS.values(), FINER, ALONE])


def told(found: list[Fact], detail: float = -1.0, soft: float = 0.5) -> Facts:
    """These guesses beside the window as it is, and a sharp picture of it."""
    named = tuple(replace(f, name=f"trained {i}") for i, f in enumerate(found))
    return Facts((Fact(NONE, 0.1), Fact(SHARP, 0.1, gain=0.1), *named), detail, soft)


@given(guesses, weights)
def test_leaving_the_picture_alone_scores_one(found: list[Fact], w: Weights) -> None:
    assert w.logs(told(found))[0] == 0


@given(guesses, weights, st.sampled_from(AGAINST), st.floats(0.1, 1.0))
def test_no_guess_is_chosen_for_what_speaks_against_it(found: list[Fact], w: Weights, what: str, more: float) -> None:
    worse = [replace(found[0], **{what: getattr(found[0], what) + more}), *found[1:]]
    before, after = w.logs(told(found)), w.logs(told(worse))
    assert before[2] <= min(before) + 1e-9 or after[2] > min(after)


@given(guesses, weights, st.floats(0.0, 0.5))
def test_what_speaks_against_every_blur_leaves_their_order(found: list[Fact], w: Weights, more: float) -> None:
    before, after = w.logs(told(found)), w.logs(told(found, detail=-1.0 + more, soft=0.5 + more))
    assert after[:2] == before[:2]
    moved = [b - a for a, b in zip(before[2:], after[2:], strict=True)]
    assert all(m == pytest.approx(moved[0], abs=1e-9) and m >= 0 for m in moved)


@given(guesses, weights, st.randoms())
def test_who_came_first_does_not_matter(found: list[Fact], w: Weights, random: object) -> None:
    seen = told(found)
    logs = {f.name: log for f, log in zip(seen.each, w.logs(seen), strict=True)}
    order = list(seen.each)
    random.shuffle(order)  # type: ignore[attr-defined]
    again = {f.name: log for f, log in zip(order, w.logs(replace(seen, each=tuple(order))), strict=True)}
    best = min(log for name, log in logs.items() if name not in (NONE, SHARP))
    if sum(log < best + 1e-9 for name, log in logs.items() if name not in (NONE, SHARP)) == 1:  # two best ones may differ in length
        assert again == pytest.approx(logs)
