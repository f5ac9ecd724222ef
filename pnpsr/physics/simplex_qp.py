"""argmin ½ kᵀH k - bᵀk over the simplex k >= 0, Σk = 1: a primal active-set method, and the exact derivative of its answer."""

import torch
from torch import Tensor

from pnpsr.physics.solve import solve


def sum_constrained(direction: Tensor, k: Tensor, ones: Tensor) -> Tensor:
    """k + H⁻¹1 (1 - 1ᵀk) / (1ᵀH⁻¹1): the minimiser with Σk = 1, from the unconstrained k and the direction H⁻¹1, all (b n 1)."""
    return k + direction * (1 - k.sum(1, keepdim=True)) / (ones * direction).sum(1, keepdim=True)


def simplex_minimiser(H: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """The minimiser (b n 1) over the simplex of ½ kᵀH k - bᵀk, for H (b n n) positive definite and b (b n 1).

    The active set is found without gradients; the answer is then the minimiser with Σk = 1 on the free coordinates, whose
    derivative is the derivative of the constrained minimiser (implicit function theorem, where no coordinate is degenerate).

    Args:
        start: any k to begin near; it is projected onto the simplex.
    """
    with torch.no_grad():
        free = torch.stack([_free_set(*case) for case in zip(H.detach(), b.detach(), start.detach(), strict=True)])
    mask = free.to(H.dtype)
    reduced = H * mask * mask.mT + torch.diag_embed(1 - mask.squeeze(-1))
    factor = torch.linalg.cholesky(reduced.detach())
    return sum_constrained(solve(reduced, factor, mask), solve(reduced, factor, b * mask), mask) * mask


def project_simplex(v: Tensor, total: float = 1.0) -> Tensor:
    """argmin |k - v|² over k >= 0, Σk = total, along the last axis (Held, Wolfe, Crowder 1974, by sorting)."""
    v = v - v.amax(-1, keepdim=True)  # changes nothing but the digits that a large common value would cost
    ordered = v.sort(dim=-1, descending=True).values
    excess = ordered.cumsum(-1) - total
    count = torch.arange(1, v.shape[-1] + 1, device=v.device, dtype=v.dtype)
    support = (ordered * count > excess).sum(-1, keepdim=True)
    return (v - excess.gather(-1, support - 1) / support).clamp_min(0)


def _free_set(H: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """Which coordinates (n 1) of the minimiser are positive.

    Every accepted move lowers the objective and ends at the minimiser over a face, of which there are finitely many: it terminates.
    Whole blocks are freed or fixed at a time as long as that lowers the objective; single exchanges, which always do, are the
    way out.
    """
    n, scale = H.shape[0], H.diagonal().mean()
    H, b = H / scale, b / scale
    k = project_simplex(start.T).T
    free, single, tolerance = k[:, 0] > 0, False, 1e-13 * float(b.abs().max() + 1)
    for _ in range(20 * n):
        target, multiplier = _face_minimiser(H, b, free)
        moved, complete = _advance(H, b, k, target, free)
        gain = float(_value(H, b, k) - _value(H, b, moved))
        k, free = moved, moved[:, 0] > 0
        if not complete:
            continue
        slack = (H @ k - b)[:, 0] - multiplier
        wrong = (slack < -tolerance) & ~free
        if not bool(wrong.any()):
            break
        single = single or gain <= 0  # a block that did not help: from here on one at a time
        free = free | (_worst(slack, free) if single else wrong)
    else:
        raise ArithmeticError(f"the active set of a simplex problem in {n} variables did not settle; raise gamma")
    return free.unsqueeze(1)


def _worst(slack: Tensor, free: Tensor) -> Tensor:
    """The fixed coordinate with the most negative slack, as a mask."""
    index = slack.where(~free, slack.new_tensor(torch.inf)).argmin()
    return torch.arange(len(slack), device=slack.device) == index


def _face_minimiser(H: Tensor, b: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """The minimiser with Σk = 1 over the free coordinates (zero elsewhere), and the multiplier of the sum."""
    inside = free.nonzero().flatten()
    factor = torch.linalg.cholesky(H[inside][:, inside])
    solved = torch.cholesky_solve(torch.cat([b[inside], torch.ones_like(b[inside])], 1), factor)
    multiplier = (1 - solved[:, 0].sum()) / solved[:, 1].sum()
    k = torch.zeros_like(b)
    k[inside, 0] = solved[:, 0] + multiplier * solved[:, 1]
    return k, multiplier


def _advance(H: Tensor, b: Tensor, k: Tensor, target: Tensor, free: Tensor) -> tuple[Tensor, bool]:
    """From k towards the minimiser of its face: all the way if that stays non-negative, else a clipped or a cut step."""
    if bool((target >= 0).all()):
        return target, True
    clipped = target.clamp_min(0)
    clipped = clipped / clipped.sum()
    if _value(H, b, clipped) < _value(H, b, k):
        return clipped, False
    falling = free & (target[:, 0] < 0)
    ratio = torch.where(falling, k[:, 0] / (k[:, 0] - target[:, 0]), torch.inf)
    cut = k + ratio.min() * (target - k)
    cut[ratio.argmin()] = 0
    return cut.clamp_min(0), False


def _value(H: Tensor, b: Tensor, k: Tensor) -> Tensor:
    return (0.5 * (k * (H @ k)) - b * k).sum()
