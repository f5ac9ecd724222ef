"""Methods to compare with: interpolation, one kernel estimate and one restoration, deepinv with the true kernel."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import interpolate

from pnpsr.bordered import solve
from pnpsr.evaluate.method import Method
from pnpsr.evaluate.registry import METHODS
from pnpsr.evaluate.solvers import described, from_solver
from pnpsr.needs import needs_of
from pnpsr.physics import Degradation, Physics
from pnpsr.recipes import blind_hqs, tv_hqs
from pnpsr.starts import upsample
from pnpsr.state import State, as_physics


def bicubic() -> Method:
    """x = y↑s on the grid of ↓s, by :func:`pnpsr.starts.upsample`: aligned where ↓s keeps the upper left pixel.

    Example:
        >>> from pnpsr.evaluate import bicubic
        >>> method = bicubic()
        >>> method.name, method.needs
        ('bicubic', ())
    """
    return Method("bicubic", aligned_bicubic)


def bicubic_centre() -> Method:
    """x = y↑s as MATLAB's imresize: aligned where ↓s is centred on the patch, off by (s - 1) / 2 pixels elsewhere.

    Example:
        >>> from pnpsr.evaluate import bicubic_centre
        >>> bicubic_centre().name
        'bicubic_centre'
    """
    return Method("bicubic_centre", centred_bicubic)


def aligned_bicubic(y: Tensor, scale: int) -> Tensor:
    """Low-resolution pixel n sits at s n."""
    return upsample(y, scale)


def centred_bicubic(y: Tensor, scale: int) -> Tensor:
    """Low-resolution pixel n sits at s n + (s - 1) / 2; Keys' cubic with a = -1/2, which ``antialias`` selects."""
    return interpolate(y, scale_factor=scale, mode="bicubic", antialias=True) if scale > 1 else y


class KernelFirst:
    """(y, scale or physics) ↦ x by the second with the k that the first finds, see :func:`kernel_first`."""

    def __init__(self, first: Method, second: nn.Module, boundary: str) -> None:
        self.first, self.second, self.boundary = first, second, boundary

    def __call__(self, y: Tensor, scale: int | Physics) -> State:
        """The last state of the second."""
        k = self.first(y, scale, {}).k
        if k is None:
            raise ValueError(f"{self.first.name} finds no kernel")
        return solve(self.second, y, scale, k=k, sigma=as_physics(scale).noise_level(y), boundary=self.boundary)

    def __repr__(self) -> str:
        return f"{self.first.run!r}, then {described(self.second)}, {self.boundary}"


def kernel_first(name: str, first: Method, second: nn.Module, *, boundary: str = "circular") -> Method:
    """k by ``first``, then x by the non-blind ``second``, once each: the baseline that DAN and IKR-Net argue against.

    Raises:
        ValueError: a first method that needs the truth, a second solver that finds kernels itself.

    Example:
        >>> from pnpsr import blind_hqs
        >>> from pnpsr.evaluate import from_solver, kernel_first
        >>> from pnpsr.recipes import tv_hqs
        >>> kernel_first("two-steps", from_solver("blind_hqs", blind_hqs(5, T=1, finish=1)), tv_hqs(T=2)).name
        'two-steps'
    """
    if first.needs:
        raise ValueError(f"{first.name} needs {', '.join(first.needs)}: the first step of {name} must be blind")
    if not needs_of(second).kernel:
        raise ValueError(f"the second step of {name} must be given a kernel, but this solver finds its own")
    return Method(name, KernelFirst(first, second, boundary), (), first.convention, first.scales, physics=True)


@dataclass(frozen=True)
class DeepinvHQS:
    """deepinv's optimiser on y, see :func:`deepinv_hqs`."""

    boundary: str
    T: int
    floor: float
    gain: float

    def __call__(self, y: Tensor, scale: int, *, k: Tensor, sigma: float) -> Tensor:
        """The restored x."""
        from deepinv.optim import HQS, L2, TVPrior

        from pnpsr.interop.deepinv import to_deepinv

        model = HQS(
            data_fidelity=L2(),
            prior=TVPrior(n_it_max=20),
            lambda_reg=self.floor + self.gain * sigma**2,
            stepsize=[1e3 ** (1 - t / max(self.T - 1, 1)) for t in range(self.T)],
            max_iter=self.T,
            early_stop=False,
            custom_init=lambda observed, _: (upsample(observed, scale),) * 2,
        )
        x: Tensor = model(y, to_deepinv(Degradation(scale, boundary=self.boundary), k))
        return x


def deepinv_hqs(*, boundary: str = "circular", T: int = 12, floor: float = 1e-4, gain: float = 1.0) -> Method:
    """argmin_x |y - (x ⊗ k)↓s|² / 2 + λ TV(x), λ = floor + gain σ², by deepinv's HQS from the bicubic image, with the true k and σ.

    deepinv's own optimiser, data step and total variation: no weights to fetch. λ was chosen on a sample picture of scikit-image.

    Args:
        boundary: of the physics; the data step is exact where it is ``circular``, by conjugate gradients elsewhere.
        T: iterations, over which the step size falls from 1000 to 1.
        floor: λ without noise.
        gain: λ per noise variance.

    Example:
        >>> from pnpsr.evaluate import deepinv_hqs
        >>> deepinv_hqs(T=2).needs
        ('k', 'sigma')
    """
    return Method("deepinv_hqs", DeepinvHQS(boundary, T, floor, gain), ("k", "sigma"))


def _blind_then_tv(boundary: str) -> Method:
    first = from_solver("blind_hqs", blind_hqs().eval(), boundary=boundary)
    return kernel_first("kernel_first", first, tv_hqs().eval(), boundary=boundary)


METHODS["bicubic"] = lambda _: bicubic()
METHODS["bicubic_centre"] = lambda _: bicubic_centre()
METHODS["deepinv_hqs"] = lambda boundary: deepinv_hqs(boundary="reflect" if boundary == "extend" else boundary)
METHODS["kernel_first"] = _blind_then_tv
