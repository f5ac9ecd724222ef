"""What is evaluated: something that gets y and the scale, and of the truth only what it declares."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from pnpsr import checks
from pnpsr.conventions import PNPSR, Convention
from pnpsr.state import State

TRUTHS = ("k", "sigma")


@dataclass(frozen=True, eq=False)
class Result:
    """What a method found: x (1 c sh sw), and k (1 1 p q) if it looks for one."""

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
        identity: what else decides its results, such as a digest of weights; results with another one are not mixed.

    Raises:
        ValueError: a name that is no file name, unknown needs.
        TypeError: a ``run`` that cannot be called.
    """

    name: str
    run: Callable[..., State | Result | Tensor]
    needs: tuple[str, ...] = ()
    convention: Convention = PNPSR
    scales: tuple[int, ...] | None = None
    identity: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._+-]*[A-Za-z0-9_+-]", self.name) or self.name.startswith("."):
            raise ValueError(f"the name of a method may have letters, digits and . _ + -, got {self.name!r}")
        if not callable(self.run):
            raise TypeError(f"run must be callable, (y, scale) -> x; got {self.run!r}")
        for need in self.needs:
            checks.choice(need, TRUTHS, "needs")

    def __call__(self, y: Tensor, scale: int, truth: Mapping[str, Any]) -> Result:
        """What ``run`` makes of y, the scale, and that part of the truth which the method needs.

        Raises:
            TypeError: ``run`` returned something else.
            ValueError: x is not ``scale`` times as large as y.
        """
        told = {name: truth[name] for name in self.needs}
        out = self.run(y.clone(), scale, **told)
        if isinstance(out, State):
            out = Result(out.known("x"), out.k)
        elif isinstance(out, Tensor):
            out = Result(out)
        if not isinstance(out, Result):
            raise TypeError(f"{self.name} must return a State, a Result or x, got {type(out).__name__}")
        b, c, h, w = y.shape
        if out.x.shape != (b, c, h * scale, w * scale):
            raise ValueError(f"{self.name} returned x of {tuple(out.x.shape)} for y of {tuple(y.shape)} at scale {scale}")
        return out

    def record(self) -> dict[str, Any]:
        """What the results depend on, as JSON can hold it."""
        run = f"{getattr(self.run, '__module__', '')}.{getattr(self.run, '__qualname__', type(self.run).__qualname__)}"
        return {
            "name": self.name,
            "run": run,
            "needs": list(self.needs),
            "convention": asdict(self.convention),
            "scales": None if self.scales is None else list(self.scales),
            "identity": self.identity,
        }
