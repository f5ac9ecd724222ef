"""Intervals over pictures against every way of drawing them, against their promise, and against the plain loop."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pnpsr.evaluate import Row, Spread, bootstrap, difference, spread
from pnpsr.evaluate.cases import Key
from pnpsr.evaluate.intervals import _quantiles

P = "small@12345678"


def rows(method: str, values: dict[str, list[float | None]], protocol: str = P) -> list[Row]:
    return [
        Row(method, protocol, Key(image, kernel, 2, 0.0), {"psnr": value, "ssim": 0.5})
        for image, some in values.items()
        for kernel, value in enumerate(some, start=1)
    ]


def drawn(pictures: int, kernels: int, seed: int, shift: float = 0.0) -> dict[str, list[float | None]]:
    """Pictures differ by much, kernels by little."""
    g = np.random.default_rng(seed)
    return {f"{i}.png": list(g.normal(25 + shift, 3) + g.normal(0, 0.2, kernels)) for i in range(pictures)}


def test_quantiles_are_those_of_all_ways_to_draw() -> None:
    values, names = [1.0, 2.0, 4.5, 4.7, 9.0, 3.0], ["a", "a", "b", "c", "d", "d"]
    groups = [[v for v, n in zip(values, names, strict=True) if n == name] for name in "abcd"]
    means = [np.mean(list(itertools.chain(*choice))) for choice in itertools.product(groups, repeat=4)]
    found = bootstrap(values, names, level=0.5, draws=60_000)
    assert found.value == pytest.approx(np.mean(values)) and found.pictures == 4
    low, high = np.quantile(means, _quantiles(4, 0.5))
    assert (found.low, found.high) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))


def test_quantiles_expand_where_pictures_are_few_and_are_plain_where_they_are_many() -> None:
    assert _quantiles(100_000, 0.95) == (pytest.approx(0.025, abs=1e-5), pytest.approx(0.975, abs=1e-5))
    tails = [_quantiles(n, 0.95)[0] for n in (2, 3, 5, 10, 68)]
    assert tails == sorted(tails) and tails[1] < 1e-6 and 0.02 < tails[-1] < 0.025
    few = bootstrap([1.0, 2.0, 6.0], "abc")
    assert (few.low, few.high) == (1.0, 6.0)


@pytest.mark.parametrize("pictures", [8, 30])
def test_intervals_keep_their_promise(pictures: int) -> None:
    """Of 300 experiments with a skewed spread, 95 % within the error of that count."""
    g, hits = np.random.default_rng(0), 0
    for i in range(300):
        values = g.gamma(4.0, 1.0, pictures)
        one = bootstrap(values.tolist(), range(pictures), draws=500, seed=i)
        hits += one.low <= 4.0 <= one.high
    assert 0.90 <= hits / 300 <= 0.985


def test_rows_of_one_picture_are_no_independent_samples() -> None:
    few = bootstrap([1.0, 5.0, 3.0, 2.0, 4.0, 6.0], "abcdef")
    copied = bootstrap(6 * [1.0, 5.0, 3.0, 2.0, 4.0, 6.0], 6 * "abcdef")
    assert (few.low, few.high) == pytest.approx((copied.low, copied.high))


def test_what_is_hard_for_both_cancels() -> None:
    values = drawn(12, 3, seed=1)
    g = np.random.default_rng(2)
    better = {name: [v + 0.3 + g.normal(0, 0.1) for v in some if v is not None] for name, some in values.items()}
    a, b = rows("a", better), rows("b", values)
    found = difference(a, b)
    by_hand = np.mean([x.values["psnr"] - y.values["psnr"] for x, y in zip(a, b, strict=True)])  # type: ignore[operator]
    assert found.value == pytest.approx(by_hand) and found.apart and found.high - found.low < 0.2
    assert not spread(a).apart or spread(a).high - spread(a).low > 2  # alone, pictures differ by decibels
    assert difference(b, a).value == -found.value and not difference(a, a).apart
    mixed = difference(a, rows("b", {name: better[name] if i % 2 else values[name] for i, name in enumerate(values)}))
    assert mixed.value == pytest.approx(0.15, abs=0.05)


def test_a_difference_is_over_the_rows_that_both_have() -> None:
    values = drawn(5, 2, seed=3)
    a, b = rows("a", values), rows("b", {**values, "0.png": [None, float("inf")]})
    assert difference(a, b) == Spread(0.0, 0.0, 0.0, 4)
    assert difference(a[2:], b) == difference(a, b[2:])
    assert spread(b).pictures == 4
    assert spread(a) == spread(a[::-1]) or spread(a).value == pytest.approx(spread(a[::-1]).value)


@given(st.lists(st.floats(-50, 50), min_size=3, max_size=9), st.floats(-10, 10), st.floats(0.1, 5))
def test_it_moves_and_scales_with_the_values(values: list[float], by: float, times: float) -> None:
    plain = bootstrap(values, range(len(values)), draws=200)
    other = bootstrap([times * v + by for v in values], range(len(values)), draws=200)
    for name in ("value", "low", "high"):
        assert getattr(other, name) == pytest.approx(times * getattr(plain, name) + by, abs=1e-9)
    assert plain.low <= plain.value <= plain.high or plain.low == pytest.approx(plain.high)


def test_the_same_call_gives_the_same_interval_whatever_was_drawn_before(monkeypatch: pytest.MonkeyPatch) -> None:
    a = rows("a", drawn(7, 2, seed=4))
    first = spread(a)
    np.random.default_rng().normal()
    assert spread(a) == first != spread(a, seed=1)
    monkeypatch.setattr("pnpsr.evaluate.intervals.HELD", 100)  # drawn in pieces
    assert spread(a) == first
    assert str(Spread(1.234, -0.5, 2.0, 7)) == "1.23 [-0.50, 2.00] over 7 pictures"


A, B = rows("a", drawn(3, 2, seed=0)), rows("b", drawn(3, 2, seed=0))
BAD = {
    "two methods": (lambda: spread([*A, *B]), "rows must be those of one method under one protocol, each once, got a under"),
    "twice": (lambda: spread([*A, A[0]]), "each once"),
    "nothing": (lambda: difference(A, []), "others must be those of one method .* got none"),
    "another protocol": (lambda: difference(A, rows("b", drawn(3, 2, 0), "small@0")), "rows of one protocol can be compared"),
    "no such metric": (lambda: spread(A, "beauty"), "metric must be one of psnr, ssim, got 'beauty'"),
    "one picture": (lambda: spread(A[:2]), "needs two of them, got 1"),
    "nothing in common": (lambda: difference(A[:2], B[2:]), "a and b have no row of psnr in common"),
    "no values": (lambda: spread(rows("a", {"x": [None], "y": [float("inf")]})), "psnr of a has no finite value"),
    "other pictures": (
        lambda: difference([replace(r, pixels="1") for r in A], [replace(r, pixels="2") for r in B]),
        "0.png is another picture in the rows of b",
    ),
    "level": (lambda: spread(A, level=95), "level must be between 0 and 1, got 95"),
    "draws": (lambda: spread(A, draws=0), "draws must be at least 1"),
    "NaN": (lambda: bootstrap([1.0, float("nan")], "ab"), "values must be finite numbers"),
    "lengths": (lambda: bootstrap([1.0, 2.0], "abc"), "one for each of the 3"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_compared_is_refused(case: str) -> None:
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
