"""What is evaluated: something that gets y and the scale, and of the truth only what it declares."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from pnpsr import checks
from pnpsr.conventions import PNPSR, Convention
from pnpsr.physics import Physics
from pnpsr.state import State, as_physics
from pnpsr.values import content_digest, identity
from pnpsr.version import VERSION

TRUTHS = ("k", "sigma")


@dataclass(frozen=True, eq=False)
class Result:
    """What a method found: x (1 c sh sw), and k (1 1 p q) if it looks for one.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import Result
        >>> Result(torch.rand(1, 3, 8, 8)).k is None
        True
    """

    x: Tensor
    k: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Method:
    """(y, scale) ↦ x, k: a blind method. One that ``needs`` more of the truth says so, and nothing else reaches it.

    Args:
        name: letters, digits and ``. _ + -``; files are called after it.
        run: called as ``run(y, scale)`` with y (1 c h w), and with ``k=`` and ``sigma=`` where needed; returns a :class:`State`,
            a :class:`Result`, or x alone.
        needs: among ``k`` (the true kernel, (1 1 p q)) and ``sigma`` (the true noise level, a number).
        convention: how the method reads and writes kernels; the truth is converted to it.
        scales: the factors it can do; None: any.
        physics: ``run`` can invert: where the protocol has a physics, or pixels of y do not count, it is called with that
            :class:`pnpsr.physics.Physics` in place of the scale, and kernels are read as the physics reads them. Other methods then
            get y as an image without gaps.
        identity: a text for what else decides its results. A ``run`` that has no description, such as a lambda or a function inside
            a function, keeps its rows only if this says what it depends on; of all others attributes, weights and code count by
            themselves.

    Raises:
        ValueError: a name that is no file name, unknown needs.
        TypeError: a ``run`` that cannot be called as said.

    Example:
        >>> from pnpsr.evaluate import Method
        >>> from pnpsr.starts import upsample
        >>> method = Method("half", lambda y, scale: upsample(y, scale) / 2)
        >>> method.name, method.needs
        ('half', ())
    """

    name: str
    run: Callable[..., State | Result | Tensor]
    needs: tuple[str, ...] = ()
    convention: Convention = PNPSR
    scales: tuple[int, ...] | None = None
    identity: str = ""
    physics: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._+-]*[A-Za-z0-9_+-]", self.name) or self.name.startswith("."):
            raise ValueError(f"the name of a method may have letters, digits and . _ + -, got {self.name!r}")
        if not callable(self.run):
            raise TypeError(f"run must be callable, (y, scale) -> x; got {self.run!r}")
        for need in self.needs:
            checks.choice(need, TRUTHS, "needs")
        _bindable(self.run, self.needs)

    def __call__(self, y: Tensor, scale: int | Physics, truth: Mapping[str, Any]) -> Result:
        """What ``run`` makes of y, the scale or the physics, and that part of the truth which the method needs.

        Raises:
            TypeError: ``run`` returned something else.
            ValueError: x is not ``scale`` times as large as y, or not what the physics makes y of.
        """
        told = {name: truth[name] for name in self.needs}
        if isinstance(scale, Physics) and not self.physics:
            y, scale = scale.complete(y), scale.scale[0]
        out = self.run(y.clone(), scale, **told)
        if isinstance(out, State):
            out = Result(out.known("x"), out.k)
        elif isinstance(out, Tensor):
            out = Result(out)
        if not isinstance(out, Result) or not isinstance(out.x, Tensor):
            got = type(out.x if isinstance(out, Result) else out).__name__
            hint = "; torch.from_numpy(x) makes a tensor of an array" if got == "ndarray" else ""
            raise TypeError(f"{self.name} must return a State, a Result or x as a tensor (1 c h w), got {got}{hint}")
        due = as_physics(scale).image_shape(y)
        if tuple(out.x.shape) != due:
            raise ValueError(f"{self.name} returned x of {tuple(out.x.shape)} for y of {tuple(y.shape)} at scale {scale}")
        return out

    @property
    def digest(self) -> tuple[str, str]:
        """(eight hexadecimal digits, "") that stand for all that results depend on; ("", why) where that has no description."""
        made, why = identity(self.run)
        if why and not self.identity:
            return "", why
        decided = [made or content_digest(self.run), self.identity, self.needs, asdict(self.convention), self.scales]
        return hashlib.sha256(json.dumps(decided).encode()).hexdigest()[:8], ""

    def record(self) -> dict[str, Any]:
        """What the results depend on, as JSON can hold it."""
        digest, why = self.digest
        return {
            "name": self.name,
            "run": shown(self.run),
            "needs": list(self.needs),
            "convention": asdict(self.convention),
            "scales": None if self.scales is None else list(self.scales),
            "identity": self.identity,
            "digest": digest or f"none: {why}",
            "version": VERSION,
        }


def shown(run: Any) -> str:
    """A callable in words: its name, and what it holds."""
    named = run if hasattr(run, "__qualname__") else type(run)
    return f"{named.__module__}.{named.__qualname__}" if named is run else re.sub(r" at 0x[0-9a-f]+", "", repr(run))


def _bindable(run: Callable[..., Any], needs: tuple[str, ...]) -> None:
    try:
        signature = inspect.signature(run)
    except (ValueError, TypeError):  # some built-in functions have none
        return
    try:
        signature.bind(None, 1, **dict.fromkeys(needs))
    except TypeError as error:
        wanted = ", ".join(("y", "scale", *(f"{need}={need}" for need in needs)))
        raise TypeError(f"run is called as run({wanted}), but {shown(run)} takes {signature}: {error}") from error
