"""Files cut short, with flipped bytes, of pure chance: a picture or one ValueError that names the file, and nothing else."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pnpsr.images import read_image
from pnpsr.images.formats import PIXELS

VALUES = np.random.default_rng(3).integers(0, 256, (24, 17, 4), dtype=np.uint8)


def stored(kind: str, pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


RGB = VALUES[..., :3].copy()
SEEDS = {
    "png": stored("PNG", RGB),
    "alpha.png": stored("PNG", VALUES),
    "gray.jpg": stored("JPEG", VALUES[..., 0].copy()),
    "exif.jpg": stored("JPEG", RGB, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    "webp": stored("WEBP", RGB),
    "gif": stored("GIF", VALUES[..., 0].copy()),
    "bmp": stored("BMP", RGB),
    "lzw.tif": tiff(RGB, photometric="rgb", compression="lzw"),
    "float.tif": tiff(VALUES[..., 0].astype(np.float32) / 255, photometric="minisblack"),
    "tiled.tif": tiff(np.tile(RGB, (2, 2, 1)), photometric="rgb", tile=(16, 16), compression="adobe_deflate"),
}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, or some bytes changed, often near the beginning, where the header is."""
    out = bytearray(data)
    if chance.random() < 0.3:
        out = out[: chance.randrange(len(out) + 1)]
    for _ in range(chance.choice([0, 1, 1, 2, 4, 16, 64])):
        if out:
            reach = len(out) if chance.random() < 0.5 else min(len(out), 64)
            out[chance.randrange(reach)] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
    if chance.random() < 0.1:
        at = chance.randrange(len(out) + 1)
        out[at:at] = chance.randbytes(chance.randrange(40))
    return bytes(out)


def survives(path: Path, data: bytes) -> bool:
    """Whether it was read; anything but a picture or a ValueError of one line with the name raises."""
    path.write_bytes(data)
    try:
        picture = read_image(path)
    except ValueError as error:
        assert path.name in str(error) and "\n" not in str(error)
        return False
    assert picture.image.ndim == 4 and picture.image.shape[1] in (1, 3) and bool(torch.isfinite(picture.image).all())
    assert picture.image.min() >= 0 and picture.image.max() <= 1
    return True


def rounds(folder: Path, count: int, seed: int) -> int:
    chance = random.Random(seed)
    return sum(
        survives(folder / f"x.{kind.split('.')[-1]}", mutated(SEEDS[kind], chance)) for kind in list(SEEDS) * (count // len(SEEDS))
    )


def test_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    assert all(survives(tmp_path / kind, data) for kind, data in SEEDS.items())
    read = rounds(tmp_path, 400, seed=0)
    assert 20 < read < 380  # some are harmless, some are not: both ways are walked


@pytest.mark.slow
def test_twenty_thousand_damaged_files(tmp_path: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds(tmp_path, 20_000, seed=1)
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < 28 * PIXELS  # samples and floats of the largest picture that is opened, transparent, whatever a header says


@settings(max_examples=60)
@given(
    data=st.binary(max_size=80),
    head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"GIF89a", b"RIFF", b"BM"]),
)
def test_chance_is_no_picture(tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes) -> None:
    survives(tmp_path_factory.getbasetemp() / "chance.png", head + data)
