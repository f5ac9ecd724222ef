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


def anchored(G: Tensor, r: Tensor, root: Tensor, gamma: Tensor) -> Tensor:
    """argmin_v v' G v - 2 r' v + γ Σ v² / root² = root (root G root + γ)⁻¹ root r (b n 1), where root may be all but 0.

    Args:
        G: symmetric, positive semidefinite (b n n).
        r: right side (b n 1).
        root: of how far each entry may move (b n 1), not negative.
        gamma: what moving costs, positive (b 1 1).
    """
    H = root * G * root.mT + gamma * torch.eye(root.shape[1], dtype=root.dtype, device=root.device)
    return root * solve(H, torch.linalg.cholesky(H.detach()), root * r)
