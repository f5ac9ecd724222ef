"""What is particular to the kernel step: colour channels share one kernel, edges, the unit of gamma; and all refusals.

The laws it shares with the image step are in test_closed_forms.py.
"""

from collections.abc import Callable

import dense
import pytest
import torch
from hypothesis import given
from strategies import Problem, noise, problems, uniform

from pnpsr.physics import Degradation
from pnpsr.prox import differences, gram_scale, prox_image, prox_kernel

DOMAINS = ("grid", "support")


@pytest.mark.parametrize("domain", DOMAINS)
@given(p=problems())
def test_every_channel_counts_and_their_order_does_not(domain: str, p: Problem) -> None:
    """Not channel 0 alone."""
    k = prox_kernel(p.y, p.x, p.k, 0.5, p.scale, domain=domain, offset=p.offset)
    order = torch.arange(p.y.shape[1]).flip(0)
    turned = prox_kernel(p.y[:, order], p.x[:, order], p.k, 0.5, p.scale, domain=domain, offset=p.offset)
    assert torch.allclose(turned, k, rtol=0, atol=1e-9 * float(1 + k.abs().max()))
    y = p.y.clone()
    y[:, -1] += 1 + noise(*y[:, -1].shape, seed=p.seed).abs()
    assert not torch.allclose(prox_kernel(y, p.x, p.k, 0.5, p.scale, domain=domain, offset=p.offset), k, rtol=0, atol=1e-9)


@given(p=problems(taps=5))
def test_edges_of_the_data_are_the_data_of_the_edges(p: Problem) -> None:
    A = Degradation(p.scale, offset=p.offset)
    edges = differences(A(p.x, p.k), 1)
    assert torch.allclose(edges, A(differences(p.x, p.scale), p.k), rtol=0, atol=1e-11)
    assert edges.shape[1] == 2 * p.y.shape[1]
    assert edges.sum((-2, -1)).abs().max() < 1e-9 * (1 + edges.abs().max())  # no flat colour is left


@given(p=problems())
def test_the_unit_of_gamma_is_the_mean_diagonal_of_the_normal_matrix(p: Problem) -> None:
    for i, value in enumerate(gram_scale(p.x, p.scale)):
        U = dense.in_k(p.x[i], p.grid, p.scale, p.offset)
        assert torch.allclose(value.flatten(), U.square().sum(0).mean().reshape(1), rtol=1e-12)


def test_constrained_results_are_kernels() -> None:
    x, y, k0 = uniform(2, 3, 16, 12, seed=0), uniform(2, 3, 8, 6, seed=1), noise(2, 1, 5, 4, seed=2)
    for domain in DOMAINS:
        for constraint in ("sum", "simplex"):
            k = prox_kernel(y, x, k0, 0.1, 2, domain=domain, constraint=constraint)
            assert (k.sum((1, 2, 3)) - 1).abs().max() < 1e-12
            assert (k.min() >= 0) == (constraint == "simplex")


Y, X, K = uniform(2, 3, 4, 3, seed=0), uniform(2, 3, 8, 6, seed=1), uniform(2, 1, 3, 3, seed=2)
REFUSED = {
    "domain": (lambda: prox_kernel(Y, X, K, 1, 2, domain="fourier"), ValueError, "domain must be one of"),
    "boundary": (lambda: prox_kernel(Y, X, K, 1, 2, boundary="zero"), ValueError, "boundary must be one of"),
    "constraint": (lambda: prox_kernel(Y, X, K, 1, 2, constraint="positive"), ValueError, "constraint must be one of"),
    "valid on the grid": (lambda: prox_kernel(Y, X, K, 1, 2, boundary="valid"), ValueError, "needs domain"),
    "no window inside": (
        lambda: prox_kernel(Y, X, uniform(2, 1, 8, 3, seed=0), 1, 2, domain="support", boundary="valid"),
        ValueError,
        "no 8 x 3 window",
    ),
    "gamma too small": (lambda: prox_kernel(Y, 0 * X + 1, K, 1e-30, 2, domain="support"), ValueError, "gamma is too small"),
    "gamma zero": (lambda: prox_kernel(Y, X, K, 0, 2), ValueError, "gamma must be positive"),
    "gamma NaN": (lambda: prox_kernel(Y, X, K, float("nan"), 2), ValueError, "gamma must be finite"),
    "gamma of another batch": (lambda: prox_kernel(Y, X, K, torch.ones(3), 2), ValueError, "3 values for a batch of 2"),
    "gamma per pixel": (lambda: prox_kernel(Y, X, K, torch.ones(2, 1, 8, 6), 2), ValueError, "one per sample"),
    "alpha zero": (lambda: prox_image(Y, K, X, 0.0, 2), ValueError, "alpha must be positive"),
    "alpha negative in one sample": (
        lambda: prox_image(Y, K, X, torch.tensor([1.0, -1.0]), 2),
        ValueError,
        "alpha must be positive",
    ),
    "alpha a word": (lambda: prox_image(Y, K, X, "small", 2), TypeError, "alpha must be a number"),  # type: ignore[arg-type]
    "starts and weights of different batches": (
        lambda: prox_kernel(Y[:1], X[:1], K, torch.ones(3), 2),
        ValueError,
        "3 values for a batch of 2",
    ),
    "scale 2.5": (lambda: prox_image(Y, K, X, 1, 2.5), TypeError, "scale must be an integer"),  # type: ignore[arg-type]
    "scale 0": (lambda: prox_kernel(Y, X, K, 1, 0), ValueError, "at least 1"),
    "another scale": (lambda: prox_image(Y, K, X, 1, 1), ValueError, "does not fit y"),
    "x of another scale": (lambda: prox_kernel(Y, X, K, 1, 1), ValueError, "does not fit y"),
    "not divisible": (lambda: prox_image(Y, K, X[..., 1:], 1, 2), ValueError, "not divisible"),
    "offset outside": (lambda: prox_image(Y, K, X, 1, 2, offset=2), ValueError, "offset must lie in"),
    "kernel too large": (lambda: prox_image(Y, uniform(2, 1, 9, 3, seed=0), X, 1, 2), ValueError, "larger than the image"),
    "start too large": (lambda: prox_kernel(Y, X, uniform(2, 1, 3, 7, seed=0), 1, 2), ValueError, "larger than the image"),
    "kernel per channel": (lambda: prox_image(Y, X, X, 1, 2), ValueError, "one kernel for all colours"),
    "dtypes": (lambda: prox_image(Y, K.float(), X, 1, 2), TypeError, "different dtypes"),
    "half precision": (lambda: prox_image(Y.half(), K.half(), X.half(), 1, 2), TypeError, "float32 or float64"),
    "8-bit": (lambda: prox_kernel((Y * 255).byte(), X, K, 1, 2), TypeError, "255"),
    "infinity": (lambda: prox_kernel(Y, X / 0, K, 1, 2), ValueError, "NaN or infinity"),
    "batches": (lambda: prox_kernel(Y, X, uniform(3, 1, 3, 3, seed=0), 1, 2), ValueError, "batch sizes"),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
