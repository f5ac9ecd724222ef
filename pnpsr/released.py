"""Released networks of other projects, mapped onto ours by the names of their tensors."""

import re
from pathlib import Path

import torch
from torch import Tensor

from pnpsr.recipes import usrnet
from pnpsr.solver import UnrolledSolver


def load_released(path: str | Path) -> UnrolledSolver:
    """The solver of an official USRNet checkpoint (``p.*`` image prior, ``h.*`` hyper-network), of any widths and iterations.

    Widths, iterations and channels are read off the shapes. Only tensors are unpickled.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no checkpoint of tensors, or none of a network that is known; the message says what was expected and found.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f"{path} is truncated or no checkpoint of tensors ({type(error).__name__})") from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise ValueError(f"{path} must hold a dictionary of tensors, got {type(weights).__name__}")
    needed = {"p.m_head.weight", "p.m_down1.2.weight", "p.m_down2.2.weight", "p.m_down3.2.weight", "h.mlp.0.weight", "h.mlp.4.bias"}
    if not needed <= weights.keys():
        raise ValueError(
            f"{path} is no USRNet checkpoint: expected {', '.join(sorted(needed))}; found {', '.join(sorted(weights)[:6])}, ..."
        )
    head = weights["p.m_head.weight"]
    solver = usrnet(
        T=len(weights["h.mlp.4.bias"]) // 2,
        widths=(len(head), *(len(weights[f"p.m_down{level}.2.weight"]) for level in (1, 2, 3))),
        hidden=len(weights["h.mlp.0.weight"]),
        channels=head.shape[1] - 1,
    )
    try:
        solver.load_state_dict({_ours(name): value for name, value in weights.items()})
    except RuntimeError as error:
        raise ValueError(f"{path} is a variant of USRNet that is not known: {error}") from error
    return solver.eval()


def _ours(name: str) -> str:
    """Our name of a tensor of the released USRNet."""
    name = re.sub(r"^h\.", "tuner.mlp.", name)
    name = re.sub(r"^p\.m_(head|tail|body)\.", r"restorer.prior.\1.", name)
    name = re.sub(r"^p\.m_down(\d)\.", lambda m: f"restorer.prior.down.{int(m[1]) - 1}.", name)
    name = re.sub(r"^p\.m_up(\d)\.", lambda m: f"restorer.prior.up.{3 - int(m[1])}.", name)
    return name.replace(".res.", ".body.")
