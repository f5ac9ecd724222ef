"""What a linear operator must satisfy, as functions: is the adjoint right, how large is the norm, what is the matrix."""

import torch
from torch import Tensor

from pnpsr.physics.operator import LinearOperator

Shape = tuple[int, int, int, int]
Device = torch.device | str


def adjoint_error(
    A: LinearOperator,
    shape: Shape,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: Device = "cpu",
) -> float:
    """|⟨A v, u⟩ - ⟨v, A* u⟩| / (‖A v‖ ‖u‖) for random v and u: below 1e-12 in float64 for a right adjoint.

    ``shape`` is that of the unknown; its batch must suit the operator's kernels. ``dtype`` and ``device`` are those of
    the operator's kernels; the generator must live on that device.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import adjoint_error
        >>> A = Degradation(2).freeze(k=gaussian(5, 1.0, dtype=torch.float64))
        >>> adjoint_error(A, (1, 1, 8, 8)) < 1e-12
        True
    """
    v = torch.randn(shape, generator=generator, dtype=dtype, device=device)
    image = A(v)
    u = torch.randn(image.shape, generator=generator, dtype=dtype, device=device)
    gap = torch.vdot(image.flatten(), u.flatten()) - torch.vdot(v.flatten(), A.adjoint(u).flatten())
    return float(gap.abs() / (image.norm() * u.norm()).clamp_min(torch.finfo(dtype).tiny))


def operator_norm(
    A: LinearOperator,
    shape: Shape,
    *,
    tolerance: float = 1e-6,
    iterations: int = 1000,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float64,
    device: Device = "cpu",
) -> Tensor:
    """‖A‖ = max ‖A v‖ / ‖v‖ per sample, (b,): Lanczos on A*A until ‖A*A v - ‖A‖² v‖ is below tolerance ‖A‖².

    Blurs of large images have clustered leading values, where power iteration needs thousands of rounds; Lanczos needs their
    square root. It approaches from below; the residual bounds the distance to an eigenvalue, so the result is not silently too
    small by more than the tolerance unless the start is orthogonal to the leading direction.

    Raises:
        ValueError: no convergence within ``iterations``.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import operator_norm
        >>> A = Degradation(1).freeze(k=gaussian(5, 1.0, dtype=torch.float64))
        >>> norm = operator_norm(A, (1, 1, 16, 16))
        >>> round(float(norm), 3)
        1.0
    """
    v = torch.randn(shape, generator=generator, dtype=dtype, device=device)
    v, before, off = v / _norm(v), torch.zeros_like(v), v.new_zeros(v.shape[0], 1, 1, 1)
    diagonal: list[Tensor] = []
    offs: list[Tensor] = []
    for n in range(1, iterations + 1):
        w = A.adjoint(A(v)) - off * before
        diagonal.append((w * v).sum((1, 2, 3)))
        w = w - diagonal[-1].reshape(-1, 1, 1, 1) * v
        off = _norm(w)
        done = off <= 1e-3 * tolerance * diagonal[0].abs().reshape(off.shape)  # the sample's invariant subspace is exhausted
        off = off.masked_fill(done, 0)
        if n <= 16 or n % 8 == 0 or n == iterations:
            T = torch.diag_embed(torch.stack(diagonal, 1))
            if offs:
                T = T + torch.diag_embed(torch.stack(offs, 1), 1) + torch.diag_embed(torch.stack(offs, 1), -1)
            values, vectors = torch.linalg.eigh(T)
            if bool(((off.flatten() * vectors[:, -1, -1]).abs() <= tolerance * values[:, -1]).all()):
                return values[:, -1].clamp_min(0).sqrt()
        before, v = v, torch.where(off > 0, w / off, 0)
        offs.append(off.flatten())
    raise ValueError(f"no convergence in {iterations} iterations to a tolerance of {tolerance:g}; raise one of them")


def as_matrix(
    A: LinearOperator, shape: tuple[int, int, int], *, dtype: torch.dtype = torch.float64, device: Device = "cpu"
) -> Tensor:
    """The dense matrix (outputs, inputs) of A on one image of (c h w): brute force, for tests and small problems.

    Example:
        >>> import torch
        >>> from pnpsr import Degradation
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.physics import as_matrix
        >>> as_matrix(Degradation(2).freeze(k=gaussian(3, 0.8, dtype=torch.float64)), (1, 6, 6)).shape
        torch.Size([9, 36])
    """
    basis = torch.eye(shape[0] * shape[1] * shape[2], dtype=dtype, device=device)
    return torch.stack([A(e.reshape(1, *shape)).flatten() for e in basis], dim=1)


def _norm(v: Tensor) -> Tensor:
    return (v * v).sum((1, 2, 3), keepdim=True).sqrt()
