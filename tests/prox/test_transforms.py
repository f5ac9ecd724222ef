"""Under torch.func.vmap, torch.compile and torch.export a prox is what it is without them, number for number."""

import inspect
from collections.abc import Callable

import pytest
import torch
from strategies import uniform
from synthetic import kernels, observed, pictures
from torch import Tensor, nn

from pnpsr import prox
from pnpsr.physics.simplex_qp import simplex_minimiser
from pnpsr.prox import prox_image, prox_kernel

MAPPED, SCALE = 3, 2
X = torch.stack([pictures(2, 3, 12, 10, seed) for seed in range(MAPPED)])
K = torch.stack([kernels(2, 5, seed) for seed in range(MAPPED)])
Y = torch.stack([observed(x, k, SCALE, 0.01) for x, k in zip(X, K, strict=True)])
WEIGHT = torch.tensor([1e-6, 1e-2, 1.0], dtype=torch.float64)


def by_options(**options: str | None) -> Callable[..., Tensor]:
    return lambda y, k, x, weight: prox_kernel(y, x, k.flip(-1), 10 * weight, SCALE, **options)  # type: ignore[arg-type]


CALLS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "prox_image": lambda y, k, x, weight: prox_image(y, k, x.flip(-1), weight, SCALE),
    "prox_image and its gradient": lambda y, k, x, weight: torch.func.grad(
        lambda w: prox_image(y, k, x.flip(-1), w, SCALE).square().sum()
    )(weight),
    **{
        f"prox_kernel on {domain}, {boundary}, {constraint}": by_options(domain=domain, boundary=boundary, constraint=constraint)
        for domain, boundary in (("grid", "circular"), ("support", "circular"), ("support", "valid"))
        for constraint in (None, "sum", "simplex")
    },
    "gram_scale": lambda y, k, x, weight: prox.gram_scale(x, SCALE),
    "differences": lambda y, k, x, weight: prox.differences(x, SCALE),
    "edge_scale": lambda y, k, x, weight: prox.edge_scale(y, SCALE),
    "sparsity": lambda y, k, x, weight: prox.sparsity(x),
    "box": lambda y, k, x, weight: prox.box(3 * x - 1, weight),
    "identity": lambda y, k, x, weight: prox.identity(x, weight),
    "tv": lambda y, k, x, weight: prox.tv(x, 0.1 * weight),
    "l0_gradient": lambda y, k, x, weight: prox.l0_gradient(x, 0.1 * weight),
    "simplex": lambda y, k, x, weight: prox.simplex(k - 0.01, weight),
    "sparse_simplex": lambda y, k, x, weight: prox.sparse_simplex(k, 0.1 * weight),
    "Centred": lambda y, k, x, weight: prox.Centred(prox.simplex)(k.roll(1, -1), weight),
}


def test_everything_public_is_here() -> None:
    public = {name for name, thing in vars(prox).items() if inspect.isclass(thing) or inspect.isfunction(thing)}
    assert public == {name.split()[0] for name in CALLS}


@pytest.mark.parametrize("name", CALLS)
def test_vmap_is_a_loop(name: str) -> None:
    call = CALLS[name]
    mapped = torch.func.vmap(call)(Y, K, X, WEIGHT)
    assert torch.allclose(mapped, torch.stack([call(*one) for one in zip(Y, K, X, WEIGHT, strict=True)]), rtol=0, atol=1e-9)
    shared = torch.func.vmap(call, in_dims=(None, None, None, 0))(Y[0], K[0], X[0], WEIGHT)
    assert torch.allclose(shared, torch.stack([call(Y[0], K[0], X[0], w) for w in WEIGHT]), rtol=0, atol=1e-9)


def test_under_vmap_values_are_still_checked() -> None:
    broken = X.clone()
    broken[1, 0, 0, 3, 4] = torch.nan
    with pytest.raises(ValueError, match="x0 holds NaN"):
        torch.func.vmap(lambda y, k, x: prox_image(y, k, x, 1.0, SCALE))(Y, K, broken)
    with pytest.raises(ValueError, match="alpha must be positive, got -1"):
        torch.func.vmap(lambda y, k, x, a: prox_image(y, k, x, a, SCALE))(Y, K, X, WEIGHT - 1 - 1e-6)


class Step(nn.Module):
    """prox_image with a weight that no trace can read."""

    def forward(self, y: Tensor, k: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        return prox_image(y, k, x, weight, SCALE)


@pytest.mark.filterwarnings("default")  # what the compiler itself warns of is not ours
@pytest.mark.parametrize("how", ["export", "compile"])
def test_traced_steps_have_the_precision_of_eager_ones(how: str) -> None:
    """float64 where a small weight needs it, though a trace cannot see how small it is."""
    given = [t[0].float() for t in (Y, K, X.flip(-1))]
    step = Step()
    if how == "export":
        traced = torch.export.export(step, (*given, torch.ones(2))).module()
    else:
        traced = torch.compile(step, fullgraph=True, backend="eager")
    for weight in (1.0, 1e-3, 1e-5, 1e-6, 1e-8):
        last = (*given, torch.full((2,), weight))
        exact = step(*(t.double() for t in last))
        error = float((traced(*last) - exact).abs().max())
        assert traced(*last).dtype == torch.float32 and error < 1e-5 * float(exact.abs().max().clamp_min(1))


def test_the_simplex_step_of_a_batch_is_a_loop_over_it() -> None:
    """Also where its samples settle after different numbers of moves."""
    n = 12
    U = torch.stack([uniform(n // d, n, seed=d).repeat(d, 1) / d for d in (1, 2, 3, 4)])
    H = U.mT @ U + torch.tensor([1e-9, 1e-6, 1e-3, 1.0]).double()[:, None, None] * torch.eye(n, dtype=torch.float64)
    b, start = uniform(4, n, 1, seed=5) - 0.5, uniform(4, n, 1, seed=6)
    together = simplex_minimiser(H, b, start)
    alone = torch.cat([simplex_minimiser(*one) for one in zip(H.split(1), b.split(1), start.split(1), strict=True)])
    assert torch.allclose(together, alone, rtol=0, atol=1e-12)
