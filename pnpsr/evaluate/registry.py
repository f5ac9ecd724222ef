"""What an evaluation knows by name: metrics, protocols, methods. One's own join by a decorator."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pnpsr.values import Registry, content_digest

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Metric:
    """One number per row, under its name.

    Args:
        name: its column.
        run: called as ``run(seen)`` with a :class:`pnpsr.evaluate.Seen`, or as ``run(x, truth)`` with two images (1 c h w) in
            [0, 1]; returns a number, a tensor of one value, or None where it has no meaning.
        images: it takes two images.
        code: digest of what it computes; empty for pnpsr's own, whose version stands in every row.
    """

    name: str
    run: Callable[..., Any]
    images: bool
    code: str = ""


METRICS: Registry[Metric] = Registry("metric")


def register_metric(run: Any = None, *, name: str | None = None) -> Any:
    """Make a function a metric that protocols know by its name: ``f(seen)``, or ``f(x, truth)`` for two images.

    Args:
        run: the function, or any other callable; ``@register_metric`` and ``@register_metric(name=...)`` are both fine.
        name: of its column, if not the function's own.

    Raises:
        ValueError: a name that is no column, or that another metric has; neither one nor two arguments.

    Example:
        >>> from pnpsr.evaluate import METRICS, register_metric
        >>> @register_metric
        ... def brightness(seen):
        ...     return float(seen.x.mean())
        >>> "brightness" in METRICS
        True
        >>> del METRICS["brightness"]
    """
    if run is None:
        return lambda function: _metric(function, name)
    return _metric(run, name)


def _metric(run: F, name: str | None) -> F:
    _added(run, name)
    return run


def metric_name(one: str | Callable[..., Any]) -> str:
    """The name of a metric that is given by its name or as a plain callable, which then has one.

    Raises:
        ValueError: an unknown name; as :func:`register_metric`.
    """
    return METRICS.find(one).name if isinstance(one, str) or not callable(one) else _added(one, None).name


def _added(run: Callable[..., Any], name: str | None) -> Metric:
    name = str(name or getattr(run, "__name__", type(run).__name__))
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name):
        raise ValueError(f"the name of a metric may have letters, digits and . _ -, got {name!r}: @register_metric(name=...)")
    known, count = METRICS.get(name), required(run)
    if known is not None and known.run is not run and place(known.run) != place(run):
        raise ValueError(f"there is a metric {name!r} already; call this one otherwise: @register_metric(name=...)")
    if count not in (1, 2):
        raise ValueError(
            f"metric {name!r} must take what was seen, f(seen), or two images, f(x, truth); it takes {count} arguments"
        )
    code = "" if place(run)[0].startswith("pnpsr.") else content_digest(run)
    METRICS[name] = one = Metric(name, run, count == 2, code[:8])
    return one


def required(run: Callable[..., Any]) -> int:
    """Number of arguments that a callable cannot be called without."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(run).parameters.values()
    return sum(one.kind in kinds and one.default is inspect.Parameter.empty for one in parameters)


def keywords(run: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the arguments of a callable; none where it does not tell."""
    try:
        return tuple(inspect.signature(run).parameters)
    except (TypeError, ValueError):
        return ()


def place(run: Any) -> tuple[str, str]:
    """Where a callable is written: module and name, by which a second definition of the same is known."""
    named = run if hasattr(run, "__qualname__") else type(run)
    return str(named.__module__), str(named.__qualname__)


@dataclass(frozen=True, eq=False)
class ProtocolEntry:
    """A named protocol.

    Args:
        build: ``() -> Protocol``, or ``(kernels) -> Protocol`` for one whose kernels are a file.
        pictures: makes pictures, or a source of rows, of what the command is given as ``--images``, in place of a folder.
        kernels: it takes kernels.
    """

    build: Callable[..., Any]
    pictures: Callable[[str, "int | None"], Any] | None = None
    kernels: bool = False


PROTOCOLS: Registry[ProtocolEntry] = Registry("protocol")


def register_protocol(name: str, *, pictures: Callable[[str, "int | None"], Any] | None = None) -> Callable[[F], F]:
    """Make a function that builds a :class:`pnpsr.evaluate.Protocol` known by a name.

    Args:
        name: of the protocol.
        pictures: ``(images, limit) -> pictures or source``, where a folder of sharp pictures is not what it needs.

    Example:
        >>> from pnpsr.evaluate import grid, named_protocol, Protocol, PROTOCOLS, register_protocol
        >>> from pnpsr.kernels import gaussian
        >>> @register_protocol("mine")
        ... def mine():
        ...     return Protocol("mine", grid((2,)), gaussian(5, 1.0))
        >>> named_protocol("mine").name
        'mine'
        >>> del PROTOCOLS["mine"]
    """

    def added(build: F) -> F:
        PROTOCOLS[name] = ProtocolEntry(build, pictures, required(build) == 1)
        return build

    return added


MethodBuilder = Callable[[str], Any]
METHODS: Registry[MethodBuilder] = Registry("method")


def register_method(name: str) -> Callable[[F], F]:
    """Make a function ``(boundary) -> Method`` known by a name; boundary is ``circular`` or, for other y, ``extend``.

    Example:
        >>> from pnpsr.evaluate import Method, METHODS, register_method
        >>> from pnpsr.starts import upsample
        >>> @register_method("half")
        ... def half(boundary):
        ...     return Method("half", lambda y, scale: upsample(y, scale) / 2)
        >>> METHODS["half"]("circular").name
        'half'
        >>> del METHODS["half"]
    """

    def added(build: F) -> F:
        METHODS[name] = build
        return build

    return added


def record_of(names: tuple[str, ...]) -> list[str]:
    """Names of metrics as a protocol's record holds them: with the digest of the code of one's own."""
    return [f"{name}@{METRICS[name].code}" if METRICS[name].code else name for name in names]
