"""Weights into the networks they are for, once it is known that they fit."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class Unfit(ValueError):
    """Weights that are not those of the network they are given to."""


class _NothingDrawn(TorchFunctionMode):
    """First values are not drawn where there is no memory: for normal ones torch would load its compiler, which takes seconds."""

    def __torch_function__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        return arguments[0] if function is Tensor.normal_ else function(*arguments, **(keywords or {}))


def filled(build: Callable[[], nn.Module], weights: Mapping[str, Tensor]) -> nn.Module:
    """What ``build`` makes, with ``weights`` in it: in float64 if all of them are, else in float32, which half precision becomes.

    The networks are first planned without memory, so that a file that lies about their sizes costs none.

    Raises:
        Unfit: missing or unknown names, or other shapes.
        ValueError: what ``build`` raises.
    """
    try:
        with torch.device("meta"), _NothingDrawn():
            plan = build()
    except (NotImplementedError, RuntimeError):  # a recipe that computes while it builds cannot be planned
        plan = None
    try:
        if plan is not None:
            plan.load_state_dict({name: value.to("meta") for name, value in weights.items()})
        solver = build()
        types = {value.dtype for value in weights.values() if value.is_floating_point()}
        solver.to(torch.float64 if types == {torch.float64} else torch.float32)
        solver.load_state_dict(weights)
    except RuntimeError as error:
        raise Unfit(str(error)) from error
    return solver
