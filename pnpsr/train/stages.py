"""Stages as data: what is trained, what runs, what is given, what is minimised. The papers' schedules are lists of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from numbers import Real

from pnpsr import checks
from pnpsr.recipes import RECIPES, entry_of, trainable
from pnpsr.solver import UnrolledSolver
from pnpsr.train.losses import (
    Loss,
    every,
    first_kernel_entropy,
    first_kernel_l1,
    first_kernel_l2,
    image_l1,
    kernel_autoencoder_l2,
    kernel_code_l2,
    kernel_coder,
    kernel_l1,
    kernel_l2,
    sigma_l2,
)

GIVEN = ("sigma", "k", "k0")
SLOTS = ("estimator", "tuner", "restorer", "k0")


@dataclass(frozen=True)
class Stage:
    """One part of a training.

    Args:
        name: for records and messages.
        train: parts of the solver that learn (``"restorer"``, ``"tuner.noise"``), the rest is frozen; ``()``: all learn.
        run: slots that take their turns; ``()``: only the start is computed, for losses on the first kernel; a loss on what a slot
            writes has no gradient there, and is refused in the first step.
        losses: by name, (weight, loss); what is minimised is their weighted sum.
        given: what the call is handed: the truths ``sigma`` and ``k``; or ``k0``, the kernel that the solver's own start
            finds on the sample's wider window (``Sample.wide``), without gradients, as it will find it on whole pictures.
        true: share of each batch that is handed the true kernel in place of ``k0``, so that what is learned on wrong
            kernels does not become blunt for right ones.
        share: part of the run's steps, in proportion to the other stages' shares.
        deep: keep all iterates for the losses (see ``pnpsr.train.losses.every``), not only the last.
        detach: fields cut at every read, in place of the solver's own; None keeps those.
        T: iterations, if not the solver's own.
        rates: factors of the learning rate, by part; parts that are not named have 1.

    Raises:
        TypeError: losses that are no mapping from names to (weight, loss).
        ValueError: nothing to minimise, an unknown truth, a share that is not positive, ``every`` without ``deep``.

    Example:
        >>> from pnpsr.train import Stage
        >>> from pnpsr.train.losses import image_l1
        >>> Stage("prior", train=("restorer",), run=("tuner", "restorer"), losses={"x": (1.0, image_l1)}, given=("k",)).share
        1.0
    """

    name: str
    train: tuple[str, ...]
    run: tuple[str, ...]
    losses: Mapping[str, tuple[float, Loss]]
    given: tuple[str, ...] = ()
    true: float = 0.0
    share: float = 1.0
    deep: bool = False
    detach: tuple[str, ...] | None = None
    T: int | None = None
    rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.losses, Mapping):
            raise TypeError(
                f"losses of stage {self.name!r} must be a mapping such as {{'image': (1.0, image_l1)}}, "
                f"got {type(self.losses).__name__}"
            )
        if not self.losses:
            raise ValueError(f"stage {self.name!r} needs losses to minimise")
        for name, pair in self.losses.items():
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], Real) or not callable(pair[1]):
                raise TypeError(
                    f"loss {name!r} of stage {self.name!r} must be a pair (weight, function), as (1.0, image_l1); got {pair!r}"
                )
            if getattr(pair[1], "deep", False) and not self.deep:
                raise ValueError(
                    f"loss {name!r} of stage {self.name!r} reads every iterate, and only the last is kept: set deep=True"
                )
        for name in ("train", "run", "given"):
            if isinstance(getattr(self, name), str):
                raise TypeError(f"{name} of stage {self.name!r} must be a tuple of names, ({getattr(self, name)!r},)")
        for name in self.given:
            checks.choice(name, GIVEN, "given")
        if not 0 <= self.true <= 1:
            raise ValueError(f"true must be a share between 0 and 1, got {self.true!r}")
        if not self.share > 0:
            raise ValueError(f"share of stage {self.name!r} must be positive, got {self.share!r}")


# DAN: end to end, on the last iterate; the hand-overs are cut, so each network learns from its own loss. The estimator goes slower:
# a softmax that has collapsed does not come back.
DAN_STAGES = (
    Stage(
        "both networks",
        train=("restorer", "estimator"),
        run=("restorer", "estimator"),
        losses={"image": (1.0, image_l1), "kernel": (1.0, kernel_l1)},
        rates={"estimator": 0.5},
    ),
)

# IKR-Net, section 4.1, in its order. Its first stage has two parts of its own, after the auto-encoder that defines the code.
IKRNET_STAGES = (
    Stage("kernel code", train=("k0.net.autoencoder",), run=(), losses={"code": (1.0, kernel_autoencoder_l2)}, share=0.5),
    Stage(
        "kernel start",
        train=("k0.net.features", "k0.net.last", "k0.net.autoencoder.decoder"),
        run=(),
        losses={"code": (1.0, kernel_code_l2), "kernel": (1.0, first_kernel_l2)},
        share=1.5,
    ),
    Stage(
        "image prior",
        train=("restorer", "tuner.mlp"),
        run=("tuner", "restorer"),
        losses={"image": (1.0, image_l1)},
        given=("sigma",),
        share=4.0,
    ),
    Stage(
        "kernel prior",
        train=("estimator",),
        run=("estimator", "tuner", "restorer"),
        losses={"kernel": (1.0, every(kernel_l2))},
        given=("sigma",),
        deep=True,
        detach=("x", "k", "hyper"),
        share=1.0,
    ),
    Stage(
        "noise",
        train=("tuner.noise",),
        run=("estimator", "tuner", "restorer"),
        losses={"sigma": (1.0, every(sigma_l2))},
        deep=True,
        detach=("x", "k", "hyper"),
        share=0.5,
    ),
    Stage(
        "joint",
        train=("restorer", "tuner"),
        run=("estimator", "tuner", "restorer"),
        losses={"image": (1.0, image_l1)},
        share=2.0,
    ),
)

# Not the paper's, whose last stage leaves the kernel prior as it is and the noise level free: every step learns on, the kernel
# prior from all its iterates, and sigma stays a noise level.
ALL_STEPS = Stage(
    "all steps",
    train=("estimator", "restorer", "tuner"),
    run=("estimator", "tuner", "restorer"),
    losses={"image": (1.0, image_l1), "kernel": (0.1, every(kernel_l1)), "sigma": (0.003, sigma_l2)},
    deep=True,
)

FIRST_KERNEL = Stage(
    "kernel start",
    train=("k0",),
    run=(),
    losses={"kernel": (1.0, first_kernel_l2), "kernel, L1": (0.1, first_kernel_l1)},
    share=2.0,
)

# By probability instead of squares, with the turn by 180 degrees left open: in minutes where squares take hours.
TURNLESS_KERNEL = Stage("kernel", train=("k0",), run=(), losses={"kernel": (1.0, first_kernel_entropy)})

# The image steps learn with the kernels that they will get; sigma stays a noise level, and its share in alpha and beta may move.
RESTORER = Stage(
    "restorer",
    train=("restorer", "tuner"),
    run=("tuner", "restorer"),
    losses={"image": (1.0, image_l1), "sigma": (0.003, sigma_l2)},
    given=("k0",),
    true=0.25,
)

USRNET_STAGES = (
    Stage(
        "image prior",
        train=("restorer", "tuner"),
        run=("tuner", "restorer"),
        losses={"image": (1.0, image_l1)},
        given=("k", "sigma"),
    ),
)

# All parts at once, each from its own loss where the hand-overs are cut, from all of them where not; the first kernel from its own.
MIXED_STAGES = (
    Stage(
        "all parts",
        train=(),
        run=("estimator", "tuner", "restorer"),
        losses={"image": (1.0, image_l1), "kernel": (0.1, kernel_l1), "first kernel": (0.1, first_kernel_l2)},
    ),
)

# Stages that a run has only if it names them, after those of the recipe.
IKRNET_OPTIONAL = (ALL_STEPS, RESTORER)
FIRST_KERNEL_STAGES = (TURNLESS_KERNEL,)


def ikrnet_stages(solver: UnrolledSolver) -> Sequence[Stage]:
    """The paper's; a first kernel without an auto-encoder (:class:`pnpsr.nets.KernelStatistics`) has no code to learn first."""
    return IKRNET_STAGES if kernel_coder(solver) is not None else (FIRST_KERNEL, *IKRNET_STAGES[2:])


def two_step_stages(solver: UnrolledSolver) -> Sequence[Stage]:
    """The first kernel, then the image prior; never again the kernel."""
    return [stage for stage in ikrnet_stages(solver) if stage.name in ("kernel code", "kernel start", "image prior")]


def stages_for(solver: UnrolledSolver) -> Sequence[Stage]:
    """The stages that belong to the recipe which built ``solver``: those of its paper, or its author's.

    Those that train a part which this solver was built without, such as the kernel step, are left out.

    Raises:
        ValueError: there are none; the message lists the recipes that have some.

    Example:
        >>> from pnpsr import ikrnet
        >>> from pnpsr.train import stages_for
        >>> solver = ikrnet(5, T=1, widths=(2, 2, 2, 2), kernel_widths=(2, 2, 2, 2), code=4)
        >>> "joint" in [stage.name for stage in stages_for(solver)]
        True
    """
    recipe = _recipe(solver)
    stages: list[Stage] = entry_of(recipe).stages_of(solver) if recipe in RECIPES else []
    if not stages:
        raise ValueError(
            f"recipe {recipe!r} has no stages of its own; {', '.join(trainable())} have; name yours: stages=[Stage(...)], "
            "or @recipe(stages=...)"
        )
    return _fitting(stages, solver)


def optional_stages(solver: UnrolledSolver) -> Sequence[Stage]:
    """Stages for ``solver`` beyond its recipe's usual ones, to be asked for by name.

    Example:
        >>> from pnpsr import ikrnet
        >>> from pnpsr.train import optional_stages
        >>> solver = ikrnet(5, T=1, widths=(2, 2, 2, 2), kernel_widths=(2, 2, 2, 2), code=4)
        >>> "all steps" in [stage.name for stage in optional_stages(solver)]
        True
    """
    recipe = _recipe(solver)
    return _fitting(entry_of(recipe).optional_of(solver), solver) if recipe in RECIPES else ()


def _fitting(stages: Sequence[Stage], solver: UnrolledSolver) -> list[Stage]:
    """Those whose parts the solver has, without the slots that it leaves empty."""
    empty = {slot for slot in SLOTS if getattr(solver, slot, None) is None}
    whole = [stage for stage in stages if not {part.partition(".")[0] for part in stage.train} & empty]
    return (
        [replace(stage, run=tuple(slot for slot in stage.run if slot not in empty)) for stage in whole] if empty else list(stages)
    )


def _recipe(solver: UnrolledSolver) -> str:
    """Name of the recipe that built the solver; "None" where none did."""
    return str(getattr(getattr(solver, "record", None), "recipe", None))


def ends(stages: Sequence[Stage], steps: int) -> list[tuple[int, int]]:
    """First and last step of each stage, in proportion to the shares."""
    edges = [0.0, *accumulate(stage.share for stage in stages)]
    return [(round(a / edges[-1] * steps), round(b / edges[-1] * steps)) for a, b in pairwise(edges)]


def ready(stages: Sequence[Stage], stage: Stage) -> set[str]:
    """Slots that have been run by this stage or an earlier one: what can be validated."""
    return {slot for one in stages[: list(stages).index(stage) + 1] for slot in one.run}


def deepened(stage: Stage) -> Stage:
    """The same stage with deep supervision: every loss is the mean over all iterates (if there are any).

    Example:
        >>> from pnpsr import dan
        >>> from pnpsr.train import deepened, stages_for
        >>> stage = stages_for(dan(2, size=5, code=4, T=1, width=4, groups=1, blocks=1))[0]
        >>> deepened(stage).deep
        True
    """
    if not stage.run:
        return stage
    return replace(stage, deep=True, losses={name: (weight, every(loss)) for name, (weight, loss) in stage.losses.items()})
