"""Kernel priors without training: (v, strength) -> v on kernels (b 1 p q).

Sets and rules without an objective: a strength weighs nothing here.
"""

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.kernels import centre_kernel
from pnpsr.physics.simplex_qp import project_simplex
from pnpsr.state import Prior

Strength = Tensor | float | None


def simplex(v: Tensor, strength: Strength = None) -> Tensor:
    """argmin_u |u - v|² over u >= 0, Σu = 1, for every (h w) map of v (b c h w): real kernels. The strength is not used.

    Example:
        >>> import torch
        >>> from pnpsr.prox import simplex
        >>> simplex(torch.tensor([[[[0.9, 0.4], [-0.2, 0.1]]]])).flatten().tolist()
        [0.75, 0.2500000298023224, 0.0, 0.0]
    """
    del strength
    return project_simplex(checks.tensor(v, "v").flatten(-2)).reshape(v.shape)


def sparse_simplex(v: Tensor, strength: Strength = None) -> Tensor:
    """v with entries below a share of its largest set to zero, scaled to sum 1; the usual cleaning of motion kernels.

    The strength is that share, 0.05 where None is given. Not a projection: thresholding is not convex. A v without positive
    entries becomes uniform.

    Example:
        >>> from pnpsr.kernels import gaussian
        >>> from pnpsr.prox import sparse_simplex
        >>> k = sparse_simplex(gaussian(11, 1.0) + 1e-4)
        >>> round(float(k.sum()), 4), int((k > 0).sum()) < 121
        (1.0, True)
    """
    v = checks.kernel(v, "v").clamp_min(0)
    level = 0.05 if strength is None else checks.per_sample(strength, v, "strength")
    kept = torch.where(v >= level * v.amax((-2, -1), keepdim=True), v, 0)
    return simplex(kept / kept.sum((-2, -1), keepdim=True).clamp_min(torch.finfo(v.dtype).tiny))


class Centred:
    """A kernel prior, then a shift that puts the centre of mass at p // 2.

    y does not tell a shifted kernel from a shifted image; without training nothing else stops the two from drifting apart.

    Args:
        prior: ``(v, strength) -> v`` whose results are non-negative with a positive sum, as :func:`simplex`.

    Example:
        >>> from pnpsr.kernels import centroid, gaussian, shift_kernel
        >>> from pnpsr.prox import Centred, simplex
        >>> k = Centred(simplex)(shift_kernel(gaussian(11, 1.0), (1, 0)))
        >>> [abs(round(v, 2)) for v in centroid(k)[0].tolist()]
        [0.0, 0.0]
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def __call__(self, v: Tensor, strength: Strength = None) -> Tensor:
        """The regularised and centred kernel (b 1 p q); mass that leaves the support is dropped and the sum restored."""
        return centre_kernel(self.prior(v, strength), tolerance=1.0)
