"""Which solver restores once the kernel is known, and which finds it: by scale where the caller names none."""

from dataclasses import dataclass

from torch import Tensor, nn

from pnpsr.kernels import dirac
from pnpsr.needs import reads_image
from pnpsr.photo.candidates import FINER, SIZES
from pnpsr.photo.clipped import counting
from pnpsr.photo.explain import explained_by
from pnpsr.photo.pyramid import coarse_to_fine, on_grid_of
from pnpsr.released import open_solver
from pnpsr.solver import UnrolledSolver
from pnpsr.starts import Upsample, upsample
from pnpsr.state import State
from pnpsr.steps import Believing
from pnpsr.steps.phases import last_phase
from pnpsr.weights import presets

BLIND = ("photo-x{scale}", "ikrnet-x{scale}")  # presets whose kernels are tried, as far as they ship
RESTORING = {1: "photo-x1", 2: "ikrnet-x2", 3: "ikrnet-x3", 4: "ikrnet-x4"}  # whose image steps restore with what was found
QUIETING = "ikrnet-x{scale}"  # whose image steps take the noise of a window in which a kernel is looked for from edges
JUDGING = RESTORING | {2: "photo-x2"}  # whose image steps say what a guess at the kernel makes of a picture
LEAST = 0.1  # α of a solver that was trained with true kernels, when the kernel is an estimate


@dataclass(frozen=True)
class AsSeen(Upsample):
    """x0 = y↑s of all of y: what is clipped does not count in the data, but white it is, and no mean of its neighbours."""

    def __call__(self, state: State) -> Tensor:
        """The first image (b c sh sw)."""
        return upsample(state.y, state.scale, self.mode, state.physics.position)


def trained_for(scale: int) -> dict[str, UnrolledSolver]:
    """The blind solvers whose kernels are tried at the scale, by name, as far as they ship."""
    names = [name.format(scale=scale) for name in BLIND]
    return {name: _unrolled(open_solver(name)) for name in names if name in presets()}


def second(solver: nn.Module, y: Tensor, scale: int) -> Tensor | None:
    """A kernel of y (1 c h w) that should agree with what ``solver`` found; None where it needs no second opinion.

    A trained solver has more to do than to deblur above scale 1, and has been taught when; y may also be too small.
    """
    size = SIZES.get(scale, FINER)[1]
    taught = scale > 1 and next(solver.parameters(), None) is not None
    return None if taught or 2 * size > min(y.shape[-2:]) else on_grid_of(coarse_to_fine(y, size, counting(y)), scale)


def unblurred(solver: nn.Module, y: Tensor, scale: int, sigma: float) -> Tensor | None:
    """y (1 c h w) enlarged as a sharp picture, to be held beside what ``solver`` made; None at scale 1, where that is y itself.

    A trained solver has been taught what sharp pictures look like, and is not doubted.
    """
    if scale == 1 or next(solver.parameters(), None) is not None:
        return None
    return explained_by(finisher(scale, known=False), y, scale, dirac(3), sigma)


def finisher(scale: int, *, known: bool) -> UnrolledSolver:
    """A solver for a given kernel at ``scale``.

    With a true kernel (``known``) the one that was trained on true kernels. With an estimated one, the image steps of the blind
    solver, which has only ever seen estimates: on estimated kernels they are up to a decibel ahead, at ×1 too.
    """
    name = RESTORING.get(scale, "")
    if known or name not in presets():
        solver = _unrolled(open_solver("usrnet"))
        if not known and solver.tuner is not None:
            solver.tuner = Believing(solver.tuner, LEAST)
        return solver
    return with_kernel_given(_unrolled(open_solver(name)))


def judge(scale: int) -> UnrolledSolver:
    """A solver for a given kernel at ``scale`` by whose pictures guesses are ranked.

    One that was trained on photographs; one that was not explains a blurred picture too well without blur.
    """
    return _image_steps(JUDGING.get(scale, ""), scale)


def quieting(scale: int) -> UnrolledSolver:
    """A solver for a given kernel at ``scale`` that takes the noise of y and leaves its edges as soft as they are."""
    return _image_steps(QUIETING.format(scale=scale), scale)


def judges_quietly(scale: int) -> bool:
    """Whether :func:`judge` and :func:`quieting` are one solver at ``scale``."""
    return JUDGING.get(scale, "") == QUIETING.format(scale=scale)


def with_kernel_given(solver: UnrolledSolver) -> UnrolledSolver:
    """The image steps of a blind solver as a non-blind one, with its weights: of its last phase, and once where x is not read."""
    restorer, tuner, T = solver.restorer, solver.tuner, solver.T
    if (passed := last_phase(solver.estimator)[0]) > 0:
        T, restorer, tuner = T - passed, last_phase(restorer)[1], last_phase(tuner)[1]
    if not reads_image(restorer):
        T = 1  # the second iterate would be the first
    x0 = getattr(solver.restorer, "x0", None) or solver.x0
    x0 = AsSeen(x0.mode) if isinstance(x0, Upsample) else x0
    return UnrolledSolver(None, restorer, T, tuner=tuner, k0=None, x0=x0, order=("tuner", "restorer"), scale=solver.scale)


def _image_steps(name: str, scale: int) -> UnrolledSolver:
    """Those of a preset; of what restores at ``scale``, if it does not ship."""
    return with_kernel_given(_unrolled(open_solver(name))) if name in presets() else finisher(scale, known=False)


def _unrolled(solver: nn.Module) -> UnrolledSolver:
    if not isinstance(solver, UnrolledSolver):
        raise TypeError(f"a preset must be an UnrolledSolver, got {type(solver).__name__}")
    return solver
