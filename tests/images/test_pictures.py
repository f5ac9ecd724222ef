"""Files in, files out: every depth and kind comes back as it was; nothing is half-written, truncated or guessed."""

import io
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageOps

from pnpsr.files import replace_file
from pnpsr.images import (
    FORMATS,
    PEAK,
    SAMPLES,
    check_destination,
    crop_to_multiple,
    read_image,
    sample_picture,
    write_image,
)

COMBINATIONS = [
    (suffix, bits, channels, alpha)
    for suffix, options in FORMATS.items()
    for alpha in (False, True)
    for bits in options[alpha]
    for channels in (1, 3)
]


def levels(shape: tuple[int, ...], bits: int, seed: int = 0) -> torch.Tensor:
    """Random values that a file of so many bits holds exactly."""
    peak = PEAK[bits] if bits < 32 else 2.0**20
    return torch.randint(0, int(peak) + 1, shape, generator=torch.Generator().manual_seed(seed)).float() / peak


@pytest.mark.parametrize(("suffix", "bits", "channels", "alpha"), COMBINATIONS)
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str, bits: int, channels: int, alpha: bool) -> None:
    image, mask = levels((1, channels, 7, 10), bits), levels((1, 1, 7, 10), bits, 1) if alpha else None
    kept = image.clone()
    path = tmp_path / f"Ünïcødé 画像{suffix.upper()}"
    write_image(str(path), image, alpha=mask, bits=bits)
    back = read_image(path)
    lossy = suffix in (".jpg", ".jpeg", ".webp")
    assert back.bits == bits and back.image.dtype == torch.float32 and back.image.shape == image.shape
    assert torch.equal(image, kept)
    assert lossy or torch.equal(back.image, image)
    assert (back.alpha is None) if mask is None else torch.equal(back.alpha, mask)
    assert os.listdir(tmp_path) == [path.name]


def test_red_is_red_for_other_programs_too(tmp_path: Path) -> None:
    red = torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 4, 6)
    for name in ("a.png", "a.jpg", "a.tif", "a.bmp"):
        write_image(tmp_path / name, red)
        assert np.abs(np.asarray(Image.open(tmp_path / name)).astype(int) - [255, 128, 0]).max() <= 3, name


@pytest.mark.parametrize("bits", [8, 16])
def test_values_are_rounded_never_truncated_and_clamped(tmp_path: Path, bits: int) -> None:
    peak = PEAK[bits]
    image = (
        torch.tensor([0.0, 0.49, 0.51, 99.6, 100.4, peak - 0.4, 1.5 * peak, -3.0], dtype=torch.float64).reshape(1, 1, 2, 4) / peak
    )
    write_image(tmp_path / "a.png", image, bits=bits)
    assert np.asarray(Image.open(tmp_path / "a.png")).ravel().tolist() == [0, 0, 1, 100, 100, peak, peak, 0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "PA"])
def test_png_of_every_kind_agrees_with_pillow(tmp_path: Path, mode: str) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (6, 9, 4), dtype=np.uint8)
    picture = {
        "1": lambda: Image.fromarray(rgba[..., 0] > 100),
        "L": lambda: Image.fromarray(rgba[..., 0].copy()),
        "P": lambda: Image.fromarray(rgba[..., :3].copy()).quantize(16),
        "RGB": lambda: Image.fromarray(rgba[..., :3].copy()),
        "LA": lambda: Image.merge("LA", [Image.fromarray(rgba[..., i].copy()) for i in (0, 3)]),
        "RGBA": lambda: Image.fromarray(rgba),
        "PA": lambda: Image.fromarray(rgba[..., :3].copy()).quantize(16),
    }[mode]()
    picture.save(tmp_path / "a.png", **({"transparency": 0} if mode == "PA" else {}))
    truth = torch.from_numpy(np.array(Image.open(tmp_path / "a.png").convert("RGBA"))).float().permute(2, 0, 1)[None] / 255
    back = read_image(tmp_path / "a.png")
    assert back.image.shape[1] == (1 if mode in ("1", "L", "LA") else 3)
    assert torch.equal(back.image.expand(-1, 3, -1, -1), truth[:, :3])
    assert (back.alpha is None) if mode in ("1", "L", "P", "RGB") else torch.equal(back.alpha, truth[:, 3:])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("fmt", "mode"), [("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("TIFF", "RGB")])
def test_pictures_come_upright(tmp_path: Path, fmt: str, mode: str, orientation: int) -> None:
    values = np.random.default_rng(1).integers(0, 256, (5, 8, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    tagged = Image.fromarray({"L": values[..., 0], "RGB": values[..., :3], "RGBA": values}[mode].copy())
    tagged.save(tmp_path / "a", fmt, exif=exif)
    truth = np.atleast_3d(np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a"))))
    back = read_image(tmp_path / "a")
    pixels = back.image if back.alpha is None else torch.cat([back.image, back.alpha], 1)
    assert np.abs((pixels[0].permute(1, 2, 0) * 255).numpy() - truth).max() <= (2 if fmt == "JPEG" else 0)


def test_channels_on_request(tmp_path: Path) -> None:
    image = levels((1, 3, 5, 6), 8)
    write_image(tmp_path / "c.png", image)
    write_image(tmp_path / "g.png", image[:, :1])
    luma = 0.299 * image[:, :1] + 0.587 * image[:, 1:2] + 0.114 * image[:, 2:]
    torch.testing.assert_close(read_image(tmp_path / "c.png", channels=1).image, luma)
    assert torch.equal(read_image(tmp_path / "g.png", channels=3).image, image[:, :1].expand(1, 3, 5, 6))
    with pytest.raises(ValueError, match="channels must be one of"):
        read_image(tmp_path / "c.png", channels=4)


def encoded(suffix: str, dtype: type, peak: float, *, size: tuple[int, ...] = (40, 50, 3)) -> bytes:
    import cv2

    if np.issubdtype(dtype, np.floating):  # OpenCV 4 writes floats as LogLuv
        kind = "rgb" if len(size) > 2 else "minisblack"
        tifffile.imwrite(data := io.BytesIO(), (np.random.default_rng(0).random(size) * peak).astype(dtype), photometric=kind)
        return data.getvalue()
    return cv2.imencode(suffix, (np.random.default_rng(0).random(size) * peak).astype(dtype))[1].tobytes()


BAD = {
    "empty.png": (lambda: b"", "not a whole picture"),
    "text.png": (lambda: b"hello, this is no picture", "not a whole picture"),
    "half.png": (lambda: encoded(".png", np.uint8, 255)[:-800], "not a whole picture"),
    "half.jpg": (lambda: encoded(".jpg", np.uint8, 255)[:-800], "not a whole picture"),
    "half.tif": (lambda: encoded(".tif", np.uint8, 255)[:-800], "not a whole picture"),
    "hdr.tif": (lambda: encoded(".tif", np.float32, 3), "rescale them"),
    "nan.tif": (lambda: encoded(".tif", np.float32, np.nan), "rescale them"),
    "signed.tif": (lambda: encoded(".tif", np.int16, 9), "int16"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    make, reason = BAD[name]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(ValueError, match=reason) as refusal:
        read_image(tmp_path / name)
    assert name in str(refusal.value)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.png"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match="is a folder"):
        read_image(tmp_path)


GRAY = torch.full((1, 1, 4, 5), 0.5)


@pytest.mark.parametrize(
    ("name", "image", "alpha", "bits", "reason"),
    [
        ("a.png", GRAY.expand(2, -1, -1, -1), None, 8, "one by one"),
        ("a.png", GRAY.expand(-1, 4, -1, -1), None, 8, "image must be one picture"),
        ("a.png", GRAY * torch.nan, None, 8, "NaN"),
        ("a.png", GRAY, GRAY[..., 1:], 8, "does not fit"),
        ("a.png", GRAY, GRAY * torch.nan, 8, "alpha holds NaN"),
        ("a.png", GRAY, None, 12, "bits must be one of"),
        ("a.png", GRAY, None, 32, "use .tif"),
        ("a.jpg", GRAY, None, 16, "use .png"),
        ("a.jpg", GRAY, GRAY, 8, "use .png"),
        ("a.xyz", GRAY, None, 8, "the suffix of"),
        ("a", GRAY, None, 8, "the suffix of"),
        ("missing/a.png", GRAY, None, 8, "make it first"),
        ("folder.png", GRAY, None, 8, "is a folder"),
    ],
)
def test_nothing_is_written_from_bad_input(
    tmp_path: Path, name: str, image: torch.Tensor, alpha: object, bits: int, reason: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises((ValueError, FileNotFoundError), match=reason):
        write_image(tmp_path / name, image, alpha=alpha, bits=bits)
    assert os.listdir(tmp_path) == ["folder.png"]


def test_integers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="uint8"):
        write_image(tmp_path / "a.png", GRAY.byte())


def test_a_failed_replacement_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = check_destination(tmp_path / "a.png")
    replace_file(path, b"old")

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_image(path, GRAY)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_need_no_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    picture = sample_picture(name)
    assert picture.shape[0] == 1 and picture.shape[1] in (1, 3) and min(picture.shape[-2:]) > 128
    assert picture.dtype == torch.float32 and 0 <= picture.min() < 0.3 and 0.6 < picture.max() <= 1


def test_unknown_samples_are_listed() -> None:
    with pytest.raises(ValueError, match="astronaut.*coffee.*'lena'"):
        sample_picture("lena")


@pytest.mark.parametrize(("scale", "shape"), [(1, (7, 10)), (2, (6, 10)), (4, (4, 8)), ((3, 4), (6, 8)), (7, (7, 7))])
def test_crop_keeps_the_upper_left(scale: int | tuple[int, int], shape: tuple[int, int]) -> None:
    x = levels((2, 3, 7, 10), 8)
    assert torch.equal(crop_to_multiple(x, scale), x[:, :, : shape[0], : shape[1]])


def test_crop_refuses_tiny_images() -> None:
    with pytest.raises(ValueError, match="smaller than the scale"):
        crop_to_multiple(GRAY, 5)
