"""argmin ½ kᵀH k - bᵀk over the simplex k >= 0, Σk = 1: a primal active-set method, and the exact derivative of its answer."""

from typing import Any

import torch
from torch import Tensor

from pnpsr.physics.solve import solve


def sum_constrained(direction: Tensor, k: Tensor, ones: Tensor) -> Tensor:
    """k + H⁻¹1 (1 - 1ᵀk) / (1ᵀH⁻¹1): the minimiser with Σk = 1, from the unconstrained k and the direction H⁻¹1, all (b n 1)."""
    return k + direction * (1 - k.sum(1, keepdim=True)) / (ones * direction).sum(1, keepdim=True)


def simplex_minimiser(H: Tensor, b: Tensor, start: Tensor) -> Tensor:
    """The minimiser (b n 1) over the simplex of ½ kᵀH k - bᵀk, for H (b n n) positive definite and b (b n 1).

    The active set is found without gradients, for all samples at once; the answer is then the minimiser with Σk = 1 on the free
    coordinates, whose derivative is that of the constrained minimiser (implicit function theorem, where no coordinate is
    degenerate).

    Args:
        start: any k to begin near; it is projected onto the simplex.
    """
    with torch.no_grad():
        mask = torch.ops.pnpsr.free_set(H.detach(), b.detach(), start.detach()).to(H.dtype)
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
    """Which coordinates (b n 1) of the minimisers are positive.

    Every accepted move lowers the objective and ends at the minimiser over a face, of which there are finitely many: it terminates.
    Whole blocks are freed or fixed at a time as long as that lowers the objective; single exchanges, which always do, are the
    way out. Where not even they lower it in this arithmetic, no better digits are to be had. Samples leave as they are done.
    """
    scale = H.diagonal(dim1=1, dim2=2).mean(1)[:, None]
    H, b, k = H / scale[:, None], b[..., 0] / scale, project_simplex(start[..., 0])
    free, single, value = k > 0, torch.zeros_like(k[:, 0], dtype=torch.bool), _value(H, b, k)
    found, least = k, torch.full_like(value, torch.inf)  # the best complete answer so far
    answer, left = torch.empty_like(free), torch.arange(len(k), device=k.device)
    while len(left):
        target, multiplier = _face_minimisers(H, b, free)
        k, value, complete = _advance(H, b, k, value, target, free)
        free, better = k > 0, complete & (value < least)
        found, least = torch.where(better[:, None], k, found), torch.where(better, value, least)
        slack = _times(H, k) - b - multiplier
        wrong = (slack < -1e-13 * (b.abs().amax(1, keepdim=True) + 1)) & ~free
        done = complete & (~wrong.any(1) | (single & ~better))
        single = single | (complete & ~better)  # a block that did not help: from here on one at a time
        free = free | (torch.where(single[:, None], _worst(slack, free), wrong) & complete[:, None])
        if bool(done.any()):
            answer[left[done]] = found[done] > 0
            H, b, k, value, free, single, found, least, left = (
                t[~done] for t in (H, b, k, value, free, single, found, least, left)
            )
    return answer.unsqueeze(-1)


# an operator of its own, because its loop reads values, which neither a trace nor a vmap can follow
torch.library.define("pnpsr::free_set", "(Tensor H, Tensor b, Tensor start) -> Tensor")
torch.library.impl("pnpsr::free_set", "default", _free_set)
torch.library.register_fake("pnpsr::free_set", lambda _H, b, _start: torch.empty_like(b, dtype=torch.bool))


def _mapped(info: Any, in_dims: tuple[int | None, ...], *given: Tensor) -> tuple[Tensor, int]:
    """The free sets of all samples that a vmap maps over, as one batch."""
    moved = (t.expand(info.batch_size, *t.shape) if d is None else t.movedim(d, 0) for t, d in zip(given, in_dims, strict=True))
    free: Tensor = torch.ops.pnpsr.free_set(*(t.flatten(0, 1) for t in moved))
    return free.reshape(info.batch_size, -1, *free.shape[1:]), 0


torch.library.register_vmap("pnpsr::free_set", _mapped)


def _worst(slack: Tensor, free: Tensor) -> Tensor:
    """The fixed coordinate with the most negative slack, as a mask."""
    lowest = slack.where(~free, slack.new_tensor(torch.inf)).argmin(1, keepdim=True)
    return torch.zeros_like(free).scatter(1, lowest, True)


def _face_minimisers(H: Tensor, b: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """The minimisers (b n) with Σk = 1 over the free coordinates, zero elsewhere, and the multipliers (b 1) of the sums.

    The free coordinates of each sample are gathered, as many as the fullest has; the places left over are unit equations.
    """
    order = free.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, : int(free.sum(1).max())]
    valid = free.gather(1, order).to(H.dtype)
    inside = H[torch.arange(len(H), device=H.device)[:, None, None], order[:, :, None], order[:, None]]
    factor = torch.linalg.cholesky(inside * valid[..., None] * valid[:, None] + torch.diag_embed(1 - valid))
    solved = torch.cholesky_solve(torch.stack([b.gather(1, order) * valid, valid], 2), factor)
    multiplier = (1 - solved[..., 0].sum(1, keepdim=True)) / solved[..., 1].sum(1, keepdim=True)
    return torch.zeros_like(b).scatter(1, order, solved[..., 0] + multiplier * solved[..., 1]), multiplier


def _advance(H: Tensor, b: Tensor, k: Tensor, value: Tensor, target: Tensor, free: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """From k towards the minimisers of their faces: all the way where that stays non-negative, else a clipped or a cut step.

    Returns the new k, its value, and whether it went all the way.
    """
    complete = (target >= 0).all(1)
    clipped = target.clamp_min(0)
    clipped = torch.where(complete[:, None], target, clipped / clipped.sum(1, keepdim=True))
    reached = _value(H, b, clipped)
    taken = complete | (reached < value)
    if bool(taken.all()):
        return clipped, reached, complete
    falling = free & (target < 0)
    share, first = torch.where(falling, k / (k - target).where(falling, 1), torch.inf).min(1, keepdim=True)
    cut = (k + share.where(~taken[:, None], 0) * (target - k)).scatter(1, first, 0).clamp_min(0)
    k = torch.where(taken[:, None], clipped, cut)
    return k, torch.where(taken, reached, _value(H, b, cut)), complete


def _value(H: Tensor, b: Tensor, k: Tensor) -> Tensor:
    return (0.5 * k * _times(H, k) - b * k).sum(1)


def _times(H: Tensor, k: Tensor) -> Tensor:
    return (H @ k.unsqueeze(2)).squeeze(2)
