"""Whether a run that is to go on is the one that was begun: what differs, by name, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from pnpsr.data import Source
from pnpsr.solver import UnrolledSolver
from pnpsr.train.stages import Stage
from pnpsr.train.validation import Validation
from pnpsr.values import content_digest

FREE = ("version", "ends", "steps", "began")  # told, or compared in a way of their own; a state has all that a run began with


def digest(value: Any) -> str:
    """12 hex digits of what ``value`` is made of, see :func:`pnpsr.values.content_digest`."""
    return content_digest(value)[:12]


def called(function: Any) -> str:
    """A function by its name and :func:`digest`."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{name} #{digest(function)}"


def plain(value: Any) -> Any:
    """``value`` as JSON would give it back; functions by name and digest, data classes by their fields."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return called(value) if callable(value) else str(value)


def noted(
    solver: UnrolledSolver, stream: Source, stages: Sequence[Stage], validation: Validation | None, pictures: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that has a part in the numbers of a run, but for its options."""
    import pnpsr

    checked = {} if validation is None else {"validation": digest([(s.y, s.x) for s in validation.samples])}
    return {
        **checked,
        "version": pnpsr.__version__,
        "solver": built(solver),
        "stages": [stage.name for stage in stages],
        "schedule": staged(stages),
        **plain(stream.identity()),
        "pictures": f"{len(pictures)}, #{digest(pictures)}",
    }


def staged(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Everything about the stages that has a part in the numbers, losses by what their code does."""
    return [
        {
            "name": one.name,
            "train": list(one.train),
            "run": list(one.run),
            "losses": {name: f"{weight:g} x {called(loss)}" for name, (weight, loss) in one.losses.items()},
            "given": list(one.given),
            "true": one.true,
            "share": one.share,
            "deep": one.deep,
            "detach": None if one.detach is None else list(one.detach),
            "T": one.T,
            "rates": dict(one.rates),
        }
        for one in stages
    ]


def built(solver: UnrolledSolver) -> dict[str, Any]:
    """What the solver is, apart from its weights."""
    record = getattr(solver, "record", None)
    shapes = {name: tuple(value.shape) for name, value in solver.state_dict().items()}
    noted = {"T": solver.T, "order": list(solver.order), "detach": list(solver.detach), "tensors": digest(shapes)}
    return noted if record is None else {"recipe": record.recipe, "arguments": plain(record.arguments), **noted}


def agreed(before: Mapping[str, Any], asked: Mapping[str, Any], hint: str, found: Sequence[str] = ()) -> dict[str, Any]:
    """What the run is from now on: what it was, with more steps in its last stage where the rate does not depend on their number.

    Args:
        before: the run's record; what an earlier version did not note had no other value then.
        asked: what is to go on.
        hint: what to do if they differ.
        found: differences that are known already.

    Raises:
        ValueError: they differ; the message names every difference.
    """
    differ = list(found)
    differ += [
        line
        for name, value in asked.items()
        if name in before and name not in FREE
        for line in _differences(name, before[name], value)
    ]
    then, now = before.get("steps", asked.get("steps")), asked.get("steps")
    longer = then != now and now is not None and now > then and asked.get("decay") == "constant"
    if then != now and not longer:
        why = (
            "fewer" if now < then else f"a {asked.get('decay')} decay is laid over all steps; with a constant one more steps go on"
        )
        differ.append(f"steps: {then} then, {now} now ({why})")
    if differ:
        raise ValueError("; ".join([*differ, hint]))
    ends = before.get("ends", asked.get("ends"))
    if longer and ends is not None:
        ends = [*ends[:-1], [ends[-1][0], now]]
    return {**before, "ends": ends, "steps": now} if longer else {**before, "ends": ends}


def _differences(name: str, before: Any, asked: Any) -> list[str]:
    """One line per value that differs, with the path to it."""
    if before == asked:
        return []
    if isinstance(before, Mapping) and isinstance(asked, Mapping):
        names = list(dict.fromkeys((*before, *asked)))
        return [line for n in names for line in _differences(f"{name}.{n}", before.get(n), asked.get(n))]
    if _listed(before) and _listed(asked) and [one["name"] for one in before] == [one["name"] for one in asked]:
        return [d for a, b in zip(before, asked, strict=True) for d in _differences(f"{name} {a['name']!r}", a, b)]
    if _listed(before) and _listed(asked):
        before, asked = [one["name"] for one in before], [one["name"] for one in asked]
    return [f"{name}: {before!r} then, {asked!r} now"]


def _listed(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) and "name" in one for one in value)


def pictures_differ(before: Mapping[str, str], now: Mapping[str, str], shown: int = 3) -> str:
    """Which pictures came, went or changed, by name."""
    kinds = {
        "new": [n for n in now if n not in before],
        "gone": [n for n in before if n not in now],
        "changed": [n for n in now if n in before and before[n] != now[n]],
    }
    told = [f"{len(n)} {kind} ({', '.join(n[:shown])}{', ...' if len(n) > shown else ''})" for kind, n in kinds.items() if n]
    return ", ".join(told) or "in another order"
