"""What an evaluation fixes, stated once and printed with every number: degradations, conventions, rounding, colours, border."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from torch import Tensor

from pnpsr import checks
from pnpsr.conventions import PNPSR, Convention
from pnpsr.conventions.named import Build, build_of, model_of, name_of
from pnpsr.evaluate.digests import fingerprint
from pnpsr.evaluate.metrics import COLOURS
from pnpsr.evaluate.registry import metric_name, record_of
from pnpsr.kernels import gaussian8
from pnpsr.physics import Physics
from pnpsr.values import content_digest

GIVEN = "given"  # the kernels come with the pictures, as in DIV2KRK
COMPUTED = {"gaussian8": gaussian8}  # kernels that depend on the scale only
BORDERS = {"scale": lambda s: s, "scale²": lambda s: s * s}


@dataclass(frozen=True, eq=False)
class Protocol:
    """Images × kernels × (scale, sigma) pairs → y, and how x and k are compared with the truth. Values are in [0, 1].

    Args:
        name: for tables.
        conditions: pairs (scale, sigma) of the factor and the noise standard deviation; see :func:`grid`.
        kernels: (n 1 p q), or ``"gaussian8"`` (which depend on the scale), or ``"given"`` (with the pictures).
        convention: how y is made of x and k, rounding before the noise included.
        physics: what makes y in place of the convention, such as a mosaic or a mask: a function (scale) -> physics, or (scale,
            size) with the size (h, w) of y, or the name of one (:func:`pnpsr.conventions.register_physics`). Methods that can
            invert it are told it; the others get y without gaps. The convention then only says how these read kernels.
        round_y: y, after the noise, is rounded to 8 bits, as a stored picture is.
        round_x: the restored x is rounded to 8 bits before it is scored; it is clamped to [0, 1] in any case.
        colour: what ``psnr`` and ``ssim`` compare, ``rgb``, ``y`` (BT.601, studio range) or ``y_full``.
        border: pixels of x left out on each side: a number, ``"scale"`` or ``"scale²"``.
        multiple: pictures are cropped (lower right) to multiples of this and of the scale.
        seed: of the noise, which every row draws from a generator of its own.
        metrics: what is measured, by names in ``METRICS``, or plain callables ``(x, truth) -> number`` (see
            :func:`pnpsr.evaluate.register_metric`), which then have their own name there.

    Raises:
        TypeError, ValueError: values that mean nothing; the message names the argument.

    Example:
        >>> from pnpsr.evaluate import grid, Protocol
        >>> from pnpsr.kernels import gaussian
        >>> Protocol("mine", grid((2,), (0.0, 0.01)), gaussian(5, 1.0)).conditions
        ((2, 0.0), (2, 0.01))
    """

    name: str
    conditions: Sequence[tuple[int, float]]
    kernels: Tensor | str
    convention: Convention = PNPSR
    round_y: bool = False
    round_x: bool = False
    colour: str = "rgb"
    border: int | str = "scale"
    multiple: int = 1
    seed: int = 0
    metrics: Sequence[str | Callable[..., Any]] = ("psnr", "ssim", "kernel_psnr", "kernel_psnr_aligned")
    physics: Build | str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "conditions", tuple((_scale(s), _sigma(sigma)) for s, sigma in self.conditions))
        object.__setattr__(self, "metrics", tuple(metric_name(one) for one in self.metrics))
        if not self.conditions or len(set(self.conditions)) != len(self.conditions):
            raise ValueError(f"conditions must be different pairs (scale, sigma), at least one; got {self.conditions}")
        if isinstance(self.kernels, str):
            checks.choice(self.kernels, (*COMPUTED, GIVEN), "kernels")
        else:
            checks.blur(self.kernels, "kernels")
        if not isinstance(self.convention, Convention):
            raise TypeError(f"convention must be a Convention, such as pnpsr.conventions.PNPSR, got {self.convention!r}")
        if self.convention.boundary == "valid":
            raise ValueError("a convention that is 'valid' gives y of another size; evaluate with one that has a boundary")
        if self.physics is not None:
            object.__setattr__(self, "physics", build_of(self.physics))
            if self.convention.quantised is not None:
                raise ValueError("a physics makes y alone: take a convention that is not quantised, or leave the physics out")
        checks.choice(self.colour, COLOURS, "colour")
        if isinstance(self.border, str):
            checks.choice(self.border, BORDERS, "border")
        else:
            checks.whole(self.border, "border", 0)
        checks.whole(self.multiple, "multiple")
        checks.whole(self.seed, "seed", 0)
        if not self.metrics or len(set(self.metrics)) != len(self.metrics):
            raise ValueError(f"metrics must be different names, at least one; got {self.metrics}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(str(one) for one in self.metrics)

    @property
    def periodic(self) -> bool:
        """Solvers take y as it is: its border is circular, or they are told a physics that knows its own."""
        return self.physics is not None or self.convention.boundary == "circular"

    @property
    def scales(self) -> tuple[int, ...]:
        """The factors, each once."""
        return tuple(dict.fromkeys(s for s, _ in self.conditions))

    def kernels_at(self, scale: int) -> Tensor:
        """The kernels (n 1 p q) in float32, as the convention reads them.

        Raises:
            ValueError: they come with the pictures.
        """
        if isinstance(self.kernels, Tensor):
            return self.kernels.float()
        if self.kernels == GIVEN:
            raise ValueError(f"the kernels of protocol {self.name} come with its pictures: pass Triples(folder), not pictures")
        return COMPUTED[self.kernels](scale)

    def model(self, scale: int, size: tuple[int, int]) -> Physics | None:
        """The physics that makes y of ``size`` (h, w); None: the convention does.

        Raises:
            ValueError: it has another scale.
        """
        return model_of(self.physics, scale, size, f"protocol {self.name}", "its condition")

    def border_at(self, scale: int) -> int:
        """Pixels of x left out on each side."""
        return BORDERS[self.border](scale) if isinstance(self.border, str) else self.border

    def record(self) -> dict[str, Any]:
        """All of it as JSON can hold it; kernels by number, size and SHA-256 of their values."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["conditions"] = [list(pair) for pair in self.conditions]
        plain["metrics"] = record_of(self.columns)
        plain["convention"] = asdict(self.convention)
        if isinstance(self.kernels, Tensor):
            plain["kernels"] = {"shape": list(self.kernels.shape), "sha256": fingerprint({"": self.kernels.float()})}
        if plain.pop("physics") is not None:
            build = build_of(self.physics)
            plain["physics"] = f"{name_of(build)}@{content_digest(build)[:8]}"
        return dict(json.loads(json.dumps(plain)))

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that stand for :meth:`record`; they are in every row."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()[:8]

    def __str__(self) -> str:
        """One line: everything but the pictures."""
        kernels = self.kernels if isinstance(self.kernels, str) else f"{len(self.kernels)} kernels"
        pairs = ", ".join(f"×{s} σ {sigma:g}" for s, sigma in self.conditions)
        rounded = {(True, True): "y and x", (True, False): "y", (False, True): "x"}.get((self.round_y, self.round_x), "nothing")
        made = f"convention {self.convention}" if self.physics is None else f"physics {name_of(build_of(self.physics))}"
        return (
            f"{self.name}@{self.digest}: {pairs}; {kernels}; {made}; {rounded} rounded to 8 bits; "
            f"compared on {self.colour} with border {self.border}; sides multiples of {self.multiple}; seed {self.seed}"
        )


def grid(scales: Sequence[int], sigmas: Sequence[float] = (0.0,)) -> tuple[tuple[int, float], ...]:
    """Every scale with every noise level: the ``conditions`` of most protocols.

    Example:
        >>> from pnpsr.evaluate import grid
        >>> grid((2, 4), (0.0, 0.01))
        ((2, 0.0), (2, 0.01), (4, 0.0), (4, 0.01))
    """
    return tuple((s, sigma) for s in scales for sigma in sigmas)


def _scale(scale: object) -> int:
    return checks.whole(scale, "the scale of a condition")


def _sigma(sigma: object) -> float:
    return checks.noise_span((sigma, sigma), "the sigma of a condition")[0]
