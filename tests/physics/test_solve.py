"""Normal equations solved: beside dense inverses, and gradients beside finite differences."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pnpsr.physics.solve import anchored, solve


def problem(seed: int, n: int = 5) -> tuple[Tensor, ...]:
    """G of rank n - 1, r, a root of which one entry is 0, and γ, for a batch of two."""
    generator = torch.Generator().manual_seed(seed)
    few = torch.randn(2, n, n - 1, generator=generator, dtype=torch.float64)
    r, root = torch.randn(2, n, 1, generator=generator, dtype=torch.float64), torch.rand(2, n, 1, generator=generator).double()
    root[:, 0] = 0
    return few @ few.mT, r, root, 0.1 + torch.rand(2, 1, 1, generator=generator).double()


@given(st.integers(0, 10**6))
def test_an_anchored_step_is_the_dense_minimiser(seed: int) -> None:
    G, r, root, gamma = problem(seed)
    v = anchored(G, r, root, gamma)
    free = slice(1, None)  # what may not move stays, and what may is where the gradient vanishes
    weight = gamma / root[:, free].square()
    dense = torch.linalg.inv(G[:, free, free] + weight * torch.eye(4)) @ r[:, free]
    assert (v[:, 0] == 0).all() and torch.allclose(v[:, free], dense, rtol=1e-8, atol=1e-10)


def test_gradients_go_through_an_anchored_step_and_a_solve() -> None:
    G, r, root, gamma = (t.requires_grad_() for t in problem(0))
    assert torch.autograd.gradcheck(lambda a, *rest: anchored(a + a.mT, *rest), (G, r, root, gamma))

    def solved(a: Tensor, r: Tensor) -> Tensor:
        H = a + a.mT + torch.eye(5)
        return solve(H, torch.linalg.cholesky(H), r)

    assert torch.autograd.gradcheck(solved, (G, r))
