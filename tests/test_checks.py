"""Every refusal says which argument, what came and what to do; everything else passes unchanged."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from strategies import uniform
from torch import nn

from pnpsr import checks

X = uniform(2, 3, 4, 6, seed=0)
K = uniform(2, 1, 3, 3, seed=1)
W = nn.Parameter(torch.zeros(1))

REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "factors 2.5": (lambda: checks.factors(2.5), TypeError, "scale must be an integer .* got 2.5; resample"),  # type: ignore[arg-type]
    "factors 2.0": (lambda: checks.factors(2.0), TypeError, "got 2.0"),  # type: ignore[arg-type]
    "factors True": (lambda: checks.factors(True), TypeError, "got True"),
    "factors three": (lambda: checks.factors((1, 2, 3)), TypeError, r"got \(1, 2, 3\)"),  # type: ignore[arg-type]
    "factors word": (lambda: checks.factors("2"), TypeError, "got '2'"),  # type: ignore[arg-type]
    "factors zero on one axis": (lambda: checks.factors((2, 0)), ValueError, r"at least 1, got \(2, 0\)"),
    "size names itself": (lambda: checks.size(0, "size"), ValueError, "size must be at least 1"),
    "offset 0.5": (lambda: checks.offsets(0.5, 2), TypeError, "offset must be an integer"),  # type: ignore[arg-type]
    "offset -1": (lambda: checks.offsets(-1, 2), ValueError, "0 .. scale - 1, got -1 for scale 2"),
    "offset of the other axis": (lambda: checks.offsets((0, 2), (3, 2)), ValueError, "0 .. scale - 1"),
    "tensor array": (
        lambda: checks.tensor(X.numpy(), "x"),
        TypeError,
        r"x must be a torch tensor of shape \(b c h w\), got ndarray",
    ),
    "tensor 8-bit": (lambda: checks.tensor(X.byte(), "x"), TypeError, r"got torch.uint8; convert with x.float\(\) / 255"),
    "tensor axes": (lambda: checks.tensor(X[0], "x"), ValueError, r"got \(3, 4, 6\); add or drop axes"),
    "tensor empty": (lambda: checks.tensor(X[:, :, :0], "x"), ValueError, r"empty axis: \(2, 3, 0, 6\)"),
    "tensor half": (
        lambda: checks.tensor(X.bfloat16(), "x"),
        TypeError,
        "float32 or float64, got torch.bfloat16; keep states in float32",
    ),
    "tensor NaN": (
        lambda: checks.tensor(X.index_fill(3, torch.tensor([2]), math.nan), "x"),
        ValueError,
        "x holds NaN or infinity; clean",
    ),
    "tensor infinity": (lambda: checks.tensor(X.float() * 1e39, "x"), ValueError, "x holds NaN or infinity"),
    "tensor both infinities": (lambda: checks.tensor((X - 0.5) / 0, "x"), ValueError, "x holds NaN or infinity"),
    "image channels": (lambda: checks.image(X, "x", 1), ValueError, r"1 channel\(s\), got 3 in shape"),
    "kernel channels": (lambda: checks.kernel(X, "k"), ValueError, "one kernel for all colours"),
    "kernel rows": (
        lambda: checks.kernel(K, "k", within=(2, 9)),
        ValueError,
        "k of 3 x 3 is larger than the image of 2 x 9; crop it",
    ),
    "kernel columns": (lambda: checks.kernel(K, "k", within=(9, 2)), ValueError, "larger than the image of 9 x 2"),
    "matching dtype": (lambda: checks.matching(X, K.float(), "x and k"), TypeError, "x and k have different dtypes"),
    "matching batch": (
        lambda: checks.matching(X, X[:1].repeat(3, 1, 1, 1), "a and b"),
        ValueError,
        "a and b have different batch sizes: 2 and 3",
    ),
    "matching device": (
        lambda: checks.matching(X, X.to("meta"), "a and b"),
        ValueError,
        r"different devices: cpu and meta; move one",
    ),
    "divisible": (
        lambda: checks.divisible(X, (3, 4), "x"),
        ValueError,
        r"x of 4 x 6 is not divisible by the scale \(3, 4\); crop it to 3 x 4",
    ),
    "per sample word": (lambda: checks.per_sample("a", X, "v"), TypeError, "v must be a number or a tensor"),  # type: ignore[arg-type]
    "per sample None": (lambda: checks.per_sample(None, X, "v"), TypeError, "got None"),  # type: ignore[arg-type]
    "per sample bool": (lambda: checks.per_sample(True, X, "v"), TypeError, "got True"),
    "per sample count": (lambda: checks.per_sample(torch.ones(3), X, "v"), ValueError, "v has 3 values for a batch of 2"),
    "per sample row": (
        lambda: checks.per_sample(torch.ones(1, 2), X, "v"),
        ValueError,
        r"\(b,\) or \(b 1 1 1\), got shape \(1, 2\)",
    ),
    "per sample column": (lambda: checks.per_sample(torch.ones(2, 1), X, "v"), ValueError, r"got shape \(2, 1\)"),
    "per sample map": (lambda: checks.per_sample(torch.ones(2, 1, 4, 6), X, "v"), ValueError, r"got shape \(2, 1, 4, 6\)"),
    "per sample empty": (lambda: checks.per_sample(torch.ones(0), X, "v"), ValueError, r"got shape \(0,\)"),
    "per sample device": (
        lambda: checks.per_sample(torch.ones(2, device="meta"), X, "v"),
        ValueError,
        "v is on meta, the image on cpu",
    ),
    "per sample negative": (lambda: checks.per_sample(torch.tensor([1.0, -0.5]), X, "v"), ValueError, "zero or positive, got -0.5"),
    "per sample zero": (lambda: checks.per_sample(0, X, "v", positive=True), ValueError, "v must be positive, got 0"),
    "per sample NaN": (lambda: checks.per_sample(torch.tensor([1.0, math.nan]), X, "v"), ValueError, "v must be finite"),
    "per sample infinite": (lambda: checks.per_sample(-math.inf, X, "v", signed=True), ValueError, "v must be finite"),
    "choice": (lambda: checks.choice("c", ("a", "b"), "mode"), ValueError, "mode must be one of 'a', 'b', got 'c'"),
    "whole 2.0": (lambda: checks.whole(2.0, "T"), TypeError, "T must be an integer, got 2.0"),
    "whole True": (lambda: checks.whole(True, "T"), TypeError, "got True"),
    "whole small": (lambda: checks.whole(1, "T", 2), ValueError, "T must be at least 2, got 1"),
    "feed channels": (lambda: checks.feed(X.float(), "y", 1, W), ValueError, r"the net has 1 channel\(s\), got 3"),
    "feed device": (lambda: checks.feed(X.float().to("meta"), "y", 3, W), ValueError, "y is on meta, the net on cpu"),
    "feed dtype": (lambda: checks.feed(X, "y", 3, W), TypeError, "y is torch.float64, the net torch.float32"),
    "feed integers": (lambda: checks.feed(X.byte(), "y", 3, W), TypeError, "255"),
    "span number": (lambda: checks.span(1, "widths"), TypeError, r"pair \(low, high\) of numbers, got 1"),
    "span order": (lambda: checks.span((2, 1), "widths"), ValueError, "0 <= low <= high"),
    "span negative": (lambda: checks.span((-1, 1), "widths"), ValueError, "0 <= low <= high"),
    "span infinite": (lambda: checks.span((0, math.inf), "widths"), ValueError, "0 <= low <= high"),
    "span NaN": (lambda: checks.span((0, math.nan), "widths"), ValueError, "0 <= low <= high"),
    "precision half": (lambda: checks.precision(torch.float16), TypeError, "torch.float32 or torch.float64, got torch.float16"),
    "precision word": (lambda: checks.precision("float32"), TypeError, "got 'float32'"),
    "inside all": (lambda: checks.inside(X, 2, "x"), ValueError, "border 2 leaves nothing of x of 4 x 6"),
    "inside negative": (lambda: checks.inside(X, -1, "x"), ValueError, "border must be at least 0"),
    "inside 0.5": (lambda: checks.inside(X, 0.5, "x"), TypeError, "border must be an integer"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_is_refused_in_one_sentence(call: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_what_is_right_passes_unchanged() -> None:
    assert (
        checks.factors(3) == (3, 3) and checks.factors((2, 3)) == (2, 3) and checks.factors(torch.tensor([2]).numpy()[0]) == (2, 2)
    )
    assert checks.offsets(1, (2, 3)) == (1, 1) and checks.offsets((0, 2), (1, 3)) == (0, 2)
    assert checks.tensor(X, "x") is X and checks.image(X, "x", 3) is X and checks.kernel(K, "k", within=(3, 3)) is K
    half = X.half()
    assert checks.layout(half, "x") is half
    checks.matching(X, X[:1], "x and one")
    assert checks.divisible(X, (2, 3), "x") == (2, 2)
    assert checks.whole(0, "T", 0) == 0 and checks.span((0, 2), "r") == (0.0, 2.0) and checks.span([1, 1], "r") == (1.0, 1.0)
    assert checks.precision(torch.float64) is torch.float64
    assert torch.equal(checks.inside(X, 1, "x"), X[:, :, 1:-1, 1:-1]) and torch.equal(checks.inside(X, (0, 2), "x"), X[..., 2:-2])


def test_a_value_per_sample_keeps_its_graph_and_takes_the_dtype_of_the_image() -> None:
    leaf = torch.tensor([1.0, 2.0], requires_grad=True)
    value = checks.per_sample(leaf, X, "alpha")
    assert value.shape == (2, 1, 1, 1) and value.dtype == X.dtype
    value.sum().backward()
    assert leaf.grad.tolist() == [1, 1]
    for one in (0.5, torch.tensor(0.5), torch.tensor([0.5]), torch.full((1, 1, 1, 1), 0.5)):
        assert torch.equal(checks.per_sample(one, X, "alpha"), X.new_full((1, 1, 1, 1), 0.5))
    assert checks.per_sample(torch.ones(3), X[:1], "alpha").shape == (3, 1, 1, 1)  # one image, several values
    assert float(checks.per_sample(-3, X, "angle", signed=True)) == -3
    assert checks.per_sample(1, X.float(), "alpha").dtype == torch.float32


def test_under_autocast_a_net_takes_any_floating_dtype() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert checks.feed(X.bfloat16(), "y", 3, W).dtype == torch.bfloat16


def test_a_large_sum_of_finite_numbers_is_no_infinity() -> None:
    assert checks.tensor(torch.full((1, 1, 64, 64), 3e38), "x").dtype == torch.float32


def test_paths_that_can_be_written(tmp_path: Path) -> None:
    assert checks.writable(str(tmp_path / "a.png")) == tmp_path / "a.png"
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing to write a.png into; make it first"):
        checks.writable(tmp_path / "missing" / "a.png")
    with pytest.raises(ValueError, match="is a folder; name a file in it"):
        checks.writable(tmp_path)


def test_values_are_not_read_while_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them would break the graph; shapes and types are still checked."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert checks.tensor(X / 0, "x").isinf().any()
    assert float(checks.per_sample(-1.0, X, "v")) == -1
    with pytest.raises(ValueError, match=r"\(b c h w\)"):
        checks.tensor(X[0], "x")
