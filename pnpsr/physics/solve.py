"""H v = r for a symmetric positive definite H whose Cholesky factor is known, with a derivative that costs one more solve."""

import torch
from torch import Tensor


def solve(H: Tensor, factor: Tensor, r: Tensor) -> Tensor:
    """H⁻¹ r (b n m), from H (b n n), its Cholesky ``factor`` (any graph of it is ignored) and r (b n m).

    dv = H⁻¹ (dr - dH v): so one step of refinement, v + H⁻¹ (r - H v) with v and H⁻¹ held fixed, has the value and the first
    derivative of the solution. Differentiating the factorisation itself gives the same at several times the cost. The second
    derivative is not that of the solution.
    """
    factor = factor.detach()
    v = torch.cholesky_solve(r.detach(), factor)
    return v + torch.cholesky_solve(r - H @ v, factor)
