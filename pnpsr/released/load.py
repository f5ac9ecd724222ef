"""From a file to a solver: open it, recognise it, fill our networks with it."""

import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pnpsr import checks
from pnpsr.checkpoint import load
from pnpsr.debiased import debiased
from pnpsr.ensemble import ensemble
from pnpsr.filled import filled
from pnpsr.released.dan import DAN_1, DAN_2
from pnpsr.released.ikrnet import IKRNET
from pnpsr.released.layout import Layout, Weights
from pnpsr.released.usrnet import USRNET

LAYOUTS = (DAN_2, DAN_1, IKRNET, USRNET)  # IKR-Net's files hold all that USRNet's do, so it is asked first
OFFICIAL = (".pth", ".pt")
VIEWS = {"debiased": debiased, "ensemble": ensemble}  # of a solver, behind its name
WRAPPERS = ("params_ema", "params", "state_dict", "model")


def open_solver(name: str | Path, *, device: str | torch.device = "cpu") -> nn.Module:
    """The solver of a file, be it :func:`pnpsr.save`'s or official (``.pth``, ``.pt``), or a preset by name.

    ``NAME+debiased`` looks at its first kernel again (:func:`pnpsr.debiased.debiased`), ``NAME+ensemble`` restores twice
    (:func:`pnpsr.ensemble.ensemble`), ``NAME+debiased+ensemble`` does both.

    Raises:
        FileNotFoundError, ValueError: as :func:`pnpsr.load` and :func:`pnpsr.load_released`; a solver without such a view.
        TypeError: one that is no :class:`pnpsr.UnrolledSolver`, of which a view was asked for.

    Example:
        >>> from pnpsr.released import open_solver
        >>> open_solver("dan-x2").extra_repr()
        'T=3, restorer → estimator, detach=(x, k), scale=2'
    """
    bare, _, view = str(name).rpartition("+")
    if view in VIEWS and not Path(name).is_file():
        return VIEWS[view](open_solver(bare, device=device))
    return load_released(name, device=device) if Path(name).suffix in OFFICIAL else load(name, device=device)


def load_released(path: str | Path, *, device: str | torch.device = "cpu") -> nn.Module:
    """The solver in an official checkpoint of DANv1, DANv2, USRNet or IKR-Net, computing what their code does; in evaluation mode.

    Recognised by the names of the tensors; scale, kernel size, widths and the like are read off the shapes. The solver has a
    ``record``, so that :func:`pnpsr.save` writes it. Only tensors are unpickled; the prefixes of ``DataParallel`` are
    removed, and ``{"state_dict": ...}``, ``{"params": ...}`` and their kind are opened. Where paper and released code differ,
    the result follows the code (docs/fidelity.md).

    Args:
        path: of the ``.pth`` file.
        device: where the weights go.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no checkpoint of tensors, or none of a network that is known; the message says what was expected and found.

    Example:
        >>> import torch
        >>> from pnpsr import load_released, usrnet
        >>> torch.save(usrnet(T=1, widths=(2, 2, 2, 2)).state_dict(), "mine.pth")
        >>> try:
        ...     load_released("mine.pth")
        ... except ValueError as error:
        ...     print(str(error)[:8])
        mine.pth
    """
    path = Path(path)
    weights = _read(path)
    layout = _recognised(weights, path)
    try:
        solver = filled(lambda: layout.build(weights), layout.translate(weights))
    except (RuntimeError, ValueError, TypeError, LookupError) as error:
        raise ValueError(f"{path} is a variant of {layout.network} that is not known: {error}") from error
    return solver.to(device).eval()


def _read(path: Path) -> Weights:
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        if zipfile.is_zipfile(path):  # torch reads such archives without a look at their checksums
            _check_records(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises almost anything
        raise ValueError(f"{path} is truncated or no checkpoint of tensors ({type(error).__name__})") from error
    while isinstance(content, dict) and (inner := [content[w] for w in WRAPPERS if isinstance(content.get(w), dict)]):
        content = inner[0]
    if not isinstance(content, dict) or not all(isinstance(n, str) and isinstance(v, Tensor) for n, v in content.items()):
        raise ValueError(
            f"{path} must hold a dictionary of tensors, bare or under {', '.join(WRAPPERS)}; got {type(content).__name__}"
        )
    for name, value in content.items():
        if value.is_floating_point() and not checks.finite(value):
            raise ValueError(f"{path} is damaged: {name} holds NaN or infinity")
    return {re.sub(r"(^|\.)module\.", r"\1", name): value for name, value in content.items()}


def _check_records(path: Path) -> None:
    """Every record of the archive has its checksum and is stored as it is, so that none unpacks to more than the file holds.

    Raises:
        BadZipFile: one has not, or is packed.
    """
    with zipfile.ZipFile(path) as archive:
        packed = any(record.compress_type != zipfile.ZIP_STORED for record in archive.infolist())
        if packed or archive.testzip() is not None:
            raise zipfile.BadZipFile("a record is packed, or its checksum is another")


def _recognised(weights: Weights, path: Path) -> Layout:
    for layout in LAYOUTS:
        if layout.fits(weights):
            return layout
    known = "; ".join(f"{layout.network} ({', '.join(layout.needs)})" for layout in LAYOUTS)
    found = ", ".join(sorted(weights)[:6])
    raise ValueError(f"{path} holds no network that is known. Expected {known}; found {len(weights)} tensors: {found}, ...")
