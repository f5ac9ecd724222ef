"""Kernels from and to files: MATLAB, NumPy, PyTorch and pictures."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.files import replace_file
from pnpsr.kernels.matlab import LARGEST, matlab_arrays
from pnpsr.kernels.shift import resize_support

READS = (".mat", ".npz", ".npy", ".png", ".pth", ".pt")
WORDS = 300  # characters of a reader's message, which may hold a damaged file's bytes
WRITES = (".npz", ".npy", ".png")


def arrays_in(path: Path) -> dict[str, object]:
    """The arrays of a file by name; a file of one nameless array calls it "" (empty)."""
    suffix = path.suffix.lower()
    if suffix == ".mat":
        return matlab_arrays(path.read_bytes())
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as stored:
            if sum(member.file_size for member in stored.zip.infolist()) > LARGEST:
                raise ValueError(f"it unpacks to more than {LARGEST >> 20} MiB, which no kernels are")
            return {name: stored[name] for name in stored.files}
    if suffix == ".npy":
        return {"": np.load(path, allow_pickle=False)}
    if suffix == ".png":
        import imagecodecs

        picture = imagecodecs.png_decode(_small(path.read_bytes()))
        if picture.ndim != 2:
            raise ValueError(f"a colour picture of shape {picture.shape}; a kernel is grey")
        return {"": picture}
    stored = torch.load(path, map_location="cpu", weights_only=True)
    named = stored if isinstance(stored, dict) else {"": stored}
    return {str(name): value.detach().numpy() if isinstance(value, Tensor) else value for name, value in named.items()}


def _small(png: bytes) -> bytes:
    """The PNG, if its header promises no more than a kernel could hold; what is no PNG at all is left to the decoder."""
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    if 2 * width * height > LARGEST:
        raise ValueError(f"it says it has {height} x {width} pixels, which no kernel has")
    return png


def flat(value: object, label: str, *, matlab: bool) -> Iterator[np.ndarray]:
    """The 2-D kernels in an array: (p q), a cell array of them, or (n p q), (n 1 p q) outside MATLAB files.

    Raises:
        ValueError: anything else; with three axes a last axis of 3 or 4 on kernels that are not square is taken for colour.
    """
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{label} is no array but {type(value).__name__}")
    if value.dtype == object:
        for index, cell in enumerate(value.ravel(order="F")):
            yield from flat(cell, f"cell {index} of {label}", matlab=matlab)
        return
    if value.dtype.kind not in "fiub":
        raise ValueError(f"{label} holds {value.dtype}, not real numbers")
    if value.size == 0:
        raise ValueError(f"{label} is empty: {value.shape}")
    if value.ndim == 2:
        yield value.astype(np.float64)
        return
    colour = value.ndim == 3 and value.shape[2] in (3, 4) and value.shape[1] != value.shape[2]
    stack = value.ndim == 3 or (value.ndim == 4 and value.shape[1] == 1)
    if matlab or colour or not stack:
        forms = "(p q) or a cell array of such" if matlab else "(p q), (n p q) or (n 1 p q), without colour"
        raise ValueError(f"{label} has shape {value.shape}; kernels must be {forms}")
    yield from value.reshape(-1, *value.shape[-2:]).astype(np.float64)


def load_kernels(
    path: str | Path,
    *,
    key: str | None = None,
    normalise: bool = True,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """All kernels of a file, (n 1 p q), in stored order, divided by their sums (unless ``normalise=False``).

    Reads .mat (2-D arrays, or cell arrays of them), .npz, .npy, .pth and .pt (arrays (p q), (n p q) or (n 1 p q)) and .png
    (grey, 8 or 16 bits, one kernel). ``key`` names the array to read; without it all of them are. Kernels of different
    sizes are padded with zeros around their centres p // 2 to the largest size, which changes no convolution. Negative
    entries (as of bicubic kernels) are kept.

    Raises:
        FileNotFoundError: no such file.
        ValueError: naming the file and what was found: an unknown type, a damaged file, no such key, no kernel (colour, a
            scalar among arrays, text), NaN, or a sum that is not positive.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian, load_kernels, save_kernels
        >>> save_kernels("two.npz", gaussian(5, torch.tensor([1.0, 1.5])))
        >>> load_kernels("two.npz").shape
        torch.Size([2, 1, 5, 5])
    """
    path = Path(path)
    checks.precision(dtype)
    if path.suffix.lower() not in READS:
        raise ValueError(f"{path}: cannot read kernels from {path.suffix or 'a file without suffix'}; known are {', '.join(READS)}")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        arrays = arrays_in(path)
    except Exception as error:  # each reader has its own kinds for a damaged or pickled file
        raise ValueError(f"{path}: cannot be read as {path.suffix}: {' '.join(str(error).split())[:WORDS]}") from error
    if key is not None and key not in arrays:
        raise ValueError(f"{path}: no array {key!r}; it holds {', '.join(map(repr, arrays)) or 'nothing'}")
    chosen = arrays if key is None else {key: arrays[key]}
    kernels: list[Tensor] = []
    for name, value in chosen.items():
        label = f"{path}: array {name!r}" if name else f"{path}: the array"
        if len(chosen) > 1 and isinstance(value, np.ndarray) and value.size == 1 and value.dtype != object:
            raise ValueError(f"{label} is a single number among arrays; name the kernels with key=...")
        kernels += [finished(k, label, normalise) for k in flat(value, label, matlab=path.suffix.lower() == ".mat")]
    if not kernels:
        raise ValueError(f"{path}: holds no kernels")
    size = max(k.shape[-2] for k in kernels), max(k.shape[-1] for k in kernels)
    return torch.cat([resize_support(k, size) for k in kernels]).to(dtype=dtype, device=device)


def finished(k: np.ndarray, label: str, normalise: bool) -> Tensor:
    """A 2-D array as (1 1 p q) in float64, checked and divided by its sum."""
    if not np.isfinite(k).all():
        raise ValueError(f"{label} holds NaN or infinity")
    if k.sum() <= 0:
        raise ValueError(f"{label} has a kernel of sum {k.sum():g}; it must be positive")
    return torch.from_numpy(k / k.sum() if normalise else k)[None, None]


def save_kernels(path: str | Path, k: Tensor) -> None:
    """Write k (b 1 p q) to .npz (array "kernels"), .npy, or, one kernel with its maximum at 65535, to a 16-bit grey .png.

    :func:`load_kernels` gives back the same from .npz and .npy, and from .png to within 1 / 65535 of the maximum. The file
    appears complete or not at all; one of that name is replaced.

    Raises:
        ValueError: no kernel batch, an unknown type of file, several or negative kernels for .png.
        FileNotFoundError: no such folder.

    Example:
        >>> import torch
        >>> from pnpsr.kernels import gaussian, load_kernels, save_kernels
        >>> save_kernels("one.npz", gaussian(5, 1.0))
        >>> torch.allclose(load_kernels("one.npz"), gaussian(5, 1.0))
        True
    """
    path, suffix = Path(path), Path(path).suffix.lower()
    checks.choice(suffix, WRITES, "the suffix of path")
    array = checks.kernel(k, "k").detach().cpu().numpy()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: no such folder")
    buffer = io.BytesIO()
    if suffix == ".npz":
        np.savez_compressed(buffer, kernels=array)
    elif suffix == ".npy":
        np.save(buffer, array)
    else:
        import cv2

        if len(array) > 1 or array.min() < 0 or array.max() == 0:
            raise ValueError(f"{path}: a .png holds one non-negative kernel, got {array.shape} from {array.min():g}; use .npz")
        grey = np.round(array[0, 0].astype(np.float64) * (65535 / array.max())).astype(np.uint16)
        buffer.write(cv2.imencode(".png", grey)[1].tobytes())
    replace_file(path, buffer.getvalue())
