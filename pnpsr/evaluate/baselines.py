"""Methods to compare with: interpolation, pnpsr's own solvers, deepinv's reconstruction with the true kernel."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import interpolate

from pnpsr import checks
from pnpsr.conventions import PNPSR, Convention
from pnpsr.evaluate.method import Method, Result
from pnpsr.evaluate.protocol import fingerprint
from pnpsr.kernels import dirac, gaussian
from pnpsr.physics import Degradation, estimate_noise
from pnpsr.restore import BOUNDARIES, restore
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import upsample
from pnpsr.state import State

ASSUMED: dict[str, Callable[[Tensor, int], Tensor]] = {
    "gaussian": lambda like, scale: gaussian(21, 0.6 * scale, dtype=like.dtype, device=like.device),
    "dirac": lambda like, _: dirac(21, dtype=like.dtype, device=like.device),
}


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


def from_solver(
    name: str,
    *solvers: nn.Module,
    boundary: str = "circular",
    sigma: bool = False,
    kernel: str | None = None,
    convention: Convention = PNPSR,
) -> Method:
    """A pnpsr solver as a method; several that were built for one scale each serve as one.

    A solver without a start for k is not blind: it needs the true kernel and the noise level. ``kernel`` says what it assumes in
    place of the kernel.

    Args:
        name: for tables.
        solvers: :class:`UnrolledSolver` or any module called as ``solver(y, scale, sigma=...)``, on the device of the evaluation.
        boundary: ``circular`` for y that are periodic, ``extend`` for all others (see :func:`pnpsr.restore.restore`).
        sigma: tell it the true noise level.
        kernel: what a non-blind solver assumes in place of the truth: ``gaussian`` (width 0.6 s) or ``dirac``, both 21 x 21.
        convention: of the solver's kernels; DAN's networks were trained under ``DAN``.

    Raises:
        ValueError: solvers for no scale or one scale twice, an assumed kernel for a blind solver, unknown words.
    """
    checks.choice(boundary, BOUNDARIES, "boundary")
    scales = [getattr(solver, "scale", None) for solver in solvers]
    if not solvers or (len(solvers) > 1 and (None in scales or len(set(scales)) < len(scales))):
        raise ValueError(f"{name}: pass one solver, or several built for different scales; got scales {scales}")
    nonblind = [isinstance(solver, UnrolledSolver) and solver.k0 is None for solver in solvers]
    if kernel is not None:
        checks.choice(kernel, ASSUMED, "kernel")
        if not all(nonblind):
            raise ValueError(f"{name} finds the kernel itself: kernel={kernel!r} is for solvers that must be given one")
    by_scale = dict(zip(scales, solvers, strict=True))

    def run(y: Tensor, scale: int, *, k: Tensor | None = None, sigma: float | None = None) -> State | Result:
        k = ASSUMED[kernel](y, scale) if kernel is not None else k
        out = restore(by_scale.get(scale, solvers[0]), y, scale, k=k, sigma=sigma, boundary=boundary)
        return out if kernel is None else Result(out.known("x"))  # what is assumed is not found

    needs = ("k",) * (any(nonblind) and kernel is None) + ("sigma",) * (sigma or any(nonblind))
    able = None if None in scales else tuple(scales)
    identity = f"{boundary} {kernel} " + " ".join(solver_identity(solver) for solver in solvers)
    return Method(name, run, needs, convention, able, identity)  # type: ignore[arg-type]


def solver_identity(solver: nn.Module) -> str:
    """The recipe with its arguments (or the printed module), and the digest of all weights."""
    what = str(getattr(solver, "record", None) or repr(solver))
    return f"{what} {fingerprint(solver.state_dict())[:16]}"


def two_step(name: str, first: Method, second: UnrolledSolver, *, boundary: str = "circular") -> Method:
    """k by ``first``, then x by the non-blind ``second``, once each: the baseline that DAN and IKR-Net argue against.

    Raises:
        ValueError: a first method that needs the truth.
    """
    if first.needs:
        raise ValueError(f"{first.name} needs {', '.join(first.needs)}: the first step of {name} must be blind")

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
