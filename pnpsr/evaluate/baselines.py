"""Methods to compare with: interpolation, one kernel estimate and one restoration, deepinv with the true kernel."""

from torch import Tensor
from torch.nn.functional import interpolate

from pnpsr.evaluate.method import Method
from pnpsr.evaluate.solvers import solver_identity
from pnpsr.physics import Degradation, estimate_noise
from pnpsr.restore import restore
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import upsample
from pnpsr.state import State


def bicubic() -> Method:
    """x = y↑s on the grid of ↓s, by :func:`pnpsr.starts.upsample`: aligned where ↓s keeps the upper left pixel."""
    return Method("bicubic", aligned_bicubic)


def bicubic_centre() -> Method:
    """x = y↑s as MATLAB's imresize: aligned where ↓s is centred on the patch, off by (s - 1) / 2 pixels elsewhere."""
    return Method("bicubic_centre", centred_bicubic)


def aligned_bicubic(y: Tensor, scale: int) -> Tensor:
    """Low-resolution pixel n sits at s n."""
    return upsample(y, scale)


def centred_bicubic(y: Tensor, scale: int) -> Tensor:
    """Low-resolution pixel n sits at s n + (s - 1) / 2; Keys' cubic with a = -1/2, which ``antialias`` selects."""
    return interpolate(y, scale_factor=scale, mode="bicubic", antialias=True) if scale > 1 else y


def two_step(name: str, first: Method, second: UnrolledSolver, *, boundary: str = "circular") -> Method:
    """k by ``first``, then x by the non-blind ``second``, once each: the baseline that DAN and IKR-Net argue against.

    Raises:
        ValueError: a first method that needs the truth, a second solver that finds kernels itself.
    """
    if first.needs:
        raise ValueError(f"{first.name} needs {', '.join(first.needs)}: the first step of {name} must be blind")
    if second.k0 is not None:
        raise ValueError(f"the second step of {name} must be given a kernel, but this solver finds its own")

    def run(y: Tensor, scale: int) -> State:
        k = first(y, scale, {}).k
        if k is None:
            raise ValueError(f"{first.name} finds no kernel")
        return restore(second, y, scale, k=k, sigma=estimate_noise(y), boundary=boundary)

    return Method(name, run, (), first.convention, first.scales, f"{first.record()} {solver_identity(second)} {boundary}")


def deepinv_hqs(*, boundary: str = "circular", T: int = 12, floor: float = 1e-4, gain: float = 1.0) -> Method:
    """argmin_x |y - (x ⊗ k)↓s|² / 2 + λ TV(x), λ = floor + gain σ², by deepinv's HQS from the bicubic image, with the true k and σ.

    deepinv's own optimiser, data step and total variation: no weights to fetch. λ was chosen on a sample picture of scikit-image.

    Args:
        boundary: of the physics; the data step is exact where it is ``circular``, by conjugate gradients elsewhere.
        T: iterations, over which the step size falls from 1000 to 1.
        floor: λ without noise.
        gain: λ per noise variance.
    """

    def run(y: Tensor, scale: int, *, k: Tensor, sigma: float) -> Tensor:
        from deepinv.optim import HQS, L2, TVPrior

        from pnpsr.interop.deepinv import to_deepinv

        model = HQS(
            data_fidelity=L2(),
            prior=TVPrior(n_it_max=20),
            lambda_reg=floor + gain * sigma**2,
            stepsize=[1e3 ** (1 - t / max(T - 1, 1)) for t in range(T)],
            max_iter=T,
            early_stop=False,
            custom_init=lambda observed, _: (upsample(observed, scale),) * 2,
        )
        x: Tensor = model(y, to_deepinv(Degradation(scale, boundary=boundary), k))
        return x

    return Method("deepinv_hqs", run, ("k", "sigma"), identity=f"{boundary} {T} {floor} {gain}")
