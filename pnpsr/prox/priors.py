"""Image priors without training: (v, β) -> argmin_u ½ |u - v|² + β Φ(u), each with its Φ; projections have no β.

The strength is the same β for all of them. One that needs it and is given None refuses: no strength is no prior.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from pnpsr import checks, precision
from pnpsr.checks import Scale

Strength = Tensor | float | None
FAINT = 1e-6  # so small a weight of the splitting moves no pixel of [0, 1] by more than 8e-6


def identity(v: Tensor, strength: Strength = None) -> Tensor:
    """v: no prior. The strength has no meaning here and is not used.

    Example:
        >>> import torch
        >>> from pnpsr.prox import identity
        >>> v = torch.rand(1, 1, 4, 4)
        >>> identity(v, 0.3) is v
        True
    """
    del strength
    return checks.tensor(v, "v")


def box(v: Tensor, strength: Strength = None) -> Tensor:
    """argmin_u |u - v|² over 0 <= u <= 1: clipping. The strength has no meaning for a projection and is not used.

    Example:
        >>> import torch
        >>> from pnpsr.prox import box
        >>> box(torch.tensor([[[[-0.1, 0.5, 1.3]]]])).flatten().tolist()
        [0.0, 0.5, 1.0]
    """
    del strength
    return checks.tensor(v, "v").clamp(0, 1)


def tv(v: Tensor, strength: Strength = None, *, iterations: int = 100) -> Tensor:
    """argmin_u ½ |u - v|² + β Σ_n |∇u(n)|, isotropic total variation with the gradients of all channels in one norm.

    Solved in the dual by accelerated projected gradients (Beck and Teboulle 2009, "FGP"); replicated border.

    Args:
        v: image (b c h w).
        strength: β, in the units of v; a number or one per sample. 0 gives v.
        iterations: of the dual method; the error falls as their square.

    Raises:
        ValueError: no strength.

    Example:
        >>> import torch
        >>> from pnpsr.prox import tv
        >>> v = torch.rand(1, 1, 8, 8)
        >>> bool(tv(v, 0.1).std() < v.std())
        True
    """
    v = checks.tensor(v, "v")
    weight = checks.per_sample(_beta(strength, "tv"), v, "strength")
    step = torch.where(weight > 0, 1 / (8 * torch.where(weight > 0, weight, 1)), 0)  # no division by zero to differentiate
    dual = extrapolated = v.new_zeros(2, *v.shape)
    momentum = 1.0
    for _ in range(iterations):
        ascent = extrapolated + _gradient(v - weight * _gradient_adjoint(extrapolated)) * step
        new = ascent / (ascent * ascent).sum((0, 2), keepdim=True).clamp_min(1).sqrt()
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        extrapolated = new + (momentum - 1) / following * (new - dual)
        dual, momentum = new, following
    return v - weight * _gradient_adjoint(dual)


def l0_gradient(v: Tensor, strength: Strength = None, *, growth: float = 2.0, ceiling: float = 1e5) -> Tensor:
    """argmin_u ½ |u - v|² + β · c · #{n : ∇u(n) ≠ 0}, nearly: half-quadratic splitting with a growing weight (Xu et al. 2011).

    Pixel n pays once for a gradient in any channel, in proportion to the number c of channels, so that a gray picture and its
    three-channel copy are treated alike. The border is circular, so that the quadratic half-step is a division by FFT.
    The problem is not convex: the result is a good minimum, not the minimum.

    Args:
        v: image (b c h w).
        strength: β, the price of a pixel with an edge, per channel, in the units of v squared; a number or one per sample.
        growth: factor between successive weights of the splitting; smaller is better and slower.
        ceiling: weight at which it stops.

    Raises:
        ValueError: no strength, a growth that is none.

    Example:
        >>> import torch
        >>> from pnpsr.prox import l0_gradient
        >>> v = torch.tensor([0.0, 0.02, 0.0, 1.0, 0.98, 1.0]).repeat(1, 1, 6, 1)
        >>> [round(u, 1) for u in l0_gradient(v, 0.01)[0, 0, 0].abs().tolist()]
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]
    """
    v = checks.tensor(v, "v")
    if not growth > 1:
        raise ValueError(f"growth must be larger than 1, or the weight never reaches its ceiling; got {growth!r}")
    weight, grid = 2 * checks.per_sample(_beta(strength, "l0_gradient"), v, "strength"), (v.shape[-2], v.shape[-1])
    with precision.exact(v):
        impulse = v.new_zeros(1, 1, *grid)
        impulse[..., 0, 0] = 1
        transfer = torch.fft.rfft2(torch.stack([impulse.roll(-1, -2) - impulse, impulse.roll(-1, -1) - impulse]))
        power, target, u = transfer.abs().square().sum(0), torch.fft.rfft2(v), v
        first = torch.where(weight > 0, 2 * weight, ceiling)
        for penalty in _penalties(first, growth, ceiling):
            edges = torch.stack([u.roll(-1, -2) - u, u.roll(-1, -1) - u])
            edges = edges * ((edges * edges).sum(0).mean(1, keepdim=True) > weight / penalty)
            spectrum = target + penalty * (transfer.conj() * torch.fft.rfft2(edges)).sum(0)
            smooth = torch.fft.irfft2(spectrum / (1 + penalty * power), s=grid)
            u = torch.where(penalty < ceiling, smooth, u)
    return torch.where(weight > 0, u, v)


def _penalties(penalty: Tensor, growth: float, ceiling: float) -> Iterator[Tensor]:
    """The weights of the splitting, one after the other, until all have reached the ceiling.

    Where values must not be read: as often as that takes from ``FAINT`` on, below which a weight changes nothing.
    """
    if checks.readable(penalty):
        while bool((checks.values(penalty) < ceiling).any()):
            yield penalty
            penalty = torch.where(penalty < ceiling, penalty * growth, penalty)
        return
    penalty = penalty.clamp_min(FAINT)
    for _ in range(math.ceil(math.log(ceiling / FAINT, growth))):
        yield penalty
        penalty = penalty * growth


def _beta(strength: Strength, name: str) -> Tensor | float:
    if strength is None:
        raise ValueError(f"{name} needs a strength: give the solver a tuner that writes beta, such as Schedule(0.1, beta=0.01)")
    return strength


def edge_scale(y: Tensor, scale: Scale = 1) -> Tensor:
    """The squared gradient of strong edges, (b 1 1 1): the natural unit of the strength of :func:`l0_gradient`.

    The 99.9th percentile of |∇y|², averaged over channels, per high-resolution pixel (differences divided by the scale).

    Example:
        >>> import torch
        >>> from pnpsr.prox import edge_scale
        >>> edge_scale(torch.rand(2, 1, 16, 16)).shape
        torch.Size([2, 1, 1, 1])
    """
    s1, s2 = checks.factors(scale)
    down, right = _gradient(checks.image(y, "y"))
    energy = ((down / s1).square() + (right / s2).square()).mean(1).flatten(1)
    return energy.kthvalue(max(1, 999 * energy.shape[1] // 1000), dim=1).values.reshape(-1, 1, 1, 1)


def _gradient(u: Tensor) -> Tensor:
    """Forward differences (2 b c h w), zero across the far border."""
    down = torch.cat([u[..., 1:, :] - u[..., :-1, :], torch.zeros_like(u[..., :1, :])], -2)
    right = torch.cat([u[..., 1:] - u[..., :-1], torch.zeros_like(u[..., :1])], -1)
    return torch.stack([down, right])


def _gradient_adjoint(p: Tensor) -> Tensor:
    down, right = p[0][..., :-1, :], p[1][..., :-1]
    rows = (
        torch.cat([-down[..., :1, :], down[..., :-1, :] - down[..., 1:, :], down[..., -1:, :]], -2) if p.shape[-2] > 1 else 0 * p[0]
    )
    columns = torch.cat([-right[..., :1], right[..., :-1] - right[..., 1:], right[..., -1:]], -1) if p.shape[-1] > 1 else 0 * p[1]
    return rows + columns


def sparsity(x: Tensor) -> Tensor:
    """Mean |∂₁x|^0.8 + mean |∂₂x|^0.8 of each image (b c h w) -> (b): low for few edges, high for the echoes of a wrong kernel.

    To compare restorations of one y, not to descend on: the least of all is a flat image (Levin et al. 2009).

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import Blur
        >>> from pnpsr.prox import sparsity
        >>> sharp = torch.zeros(1, 1, 16, 16)
        >>> sharp[..., 8:] = 1
        >>> blurred = Blur(gaussian(7, 1.5))(sharp)
        >>> bool(sparsity(sharp) < sparsity(blurred))
        True
    """
    down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
    return (down.abs() + 1e-8).pow(0.8).mean((1, 2, 3)) + (right.abs() + 1e-8).pow(0.8).mean((1, 2, 3))
