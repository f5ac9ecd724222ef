"""Every kind of file: its format, depth, profile and EXIF come back, and what cannot is said."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageCms

from pnpsr.images import PEAK, READS, Picture, pages_in, read_image, write_image

VALUES = np.random.default_rng(0).integers(0, 256, (6, 9, 4), dtype=np.uint8)
RGB = torch.from_numpy(VALUES[..., :3].copy()).permute(2, 0, 1)[None].float() / 255
ALPHA = torch.from_numpy(VALUES[..., 3:].copy()).permute(2, 0, 1)[None].float() / 255
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def camera(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8298] = "Box", orientation, "nobody"
    exif.get_ifd(0x8769)[0xA002] = 9  # width of the picture as it was
    exif.get_ifd(0x8769)[0x829A] = 0.01  # exposure time
    return exif


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_profile_and_exif_go_through(tmp_path: Path, suffix: str) -> None:
    path, again = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    kind = {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())
    Image.fromarray(VALUES[..., :3].copy()).save(path, kind, icc_profile=PROFILE, exif=camera(orientation=6))
    picture = read_image(path)
    assert picture.icc == PROFILE and picture.suffix == suffix and picture.image.shape[-2:] == (9, 6)
    notes = write_image(again, picture.image, bits=picture.bits, icc=picture.icc, exif=picture.exif)
    with Image.open(again) as written:
        assert written.info["icc_profile"] == PROFILE and written.size == (6, 9)
        exif = written.getexif()
    assert exif[0x010F] == "Box" and exif[0x8298] == "nobody" and exif.get(0x0112, 1) == 1
    stays = exif.get_ifd(0x8769)
    assert 0xA002 not in stays and (suffix == ".tif" or float(stays[0x829A]) == 0.01)  # Pillow itself writes none to TIFF
    assert notes == ()
    lost = write_image(tmp_path / "c.tif", picture.image, exif=picture.exif)
    assert bool(lost) == (suffix != ".tif") and all("TIFF keeps make" in note for note in lost)  # the exposure
    upright = read_image(again)
    assert upright.image.shape == picture.image.shape
    assert suffix in (".jpg", ".webp") or torch.equal(upright.image, picture.image)


def test_sixteen_bits_keep_their_profile(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        write_image(tmp_path / f"a{suffix}", RGB, bits=16, icc=PROFILE)
        back = read_image(tmp_path / f"a{suffix}")
        assert back.icc == PROFILE and back.bits == 16 and torch.equal(back.image, (RGB * 65535).round() / 65535)


def test_a_profile_of_another_kind_is_left_out_with_a_word(tmp_path: Path) -> None:
    assert "colour profile" in write_image(tmp_path / "a.png", RGB[:, :1], icc=PROFILE)[0]
    assert read_image(tmp_path / "a.png").icc is None
    assert "no colour profile" in write_image(tmp_path / "a.bmp", RGB, icc=PROFILE)[0]


def test_of_an_animation_the_first_frame_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((4, 5), v, np.uint8)) for v in (40, 90, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    picture = read_image(tmp_path / "a.gif")
    assert picture.image.shape == (1, 1, 4, 5) and torch.allclose(picture.image, torch.tensor(40 / 255))
    assert picture.suffix == ".png" and "the first of 3 frames" in picture.notes


def test_of_a_tiff_with_pages_the_first_is_read_and_the_others_are_told(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([VALUES[..., 0], VALUES[..., 1]]), photometric="minisblack")
    picture = read_image(tmp_path / "a.tif")
    assert torch.equal(picture.image[0, 0] * 255, torch.from_numpy(VALUES[..., 0]).float())
    assert picture.notes == ("the first of 2 pages",)


def test_every_page_is_read_by_its_number_and_thumbnails_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(VALUES[..., 0], photometric="minisblack")
        writer.write(VALUES[::2, ::2, 0], photometric="minisblack", subfiletype=1)
        writer.write(VALUES[..., :3], photometric="rgb")
    assert pages_in(tmp_path / "a.tif") == 2
    second = read_image(tmp_path / "a.tif", page=1)
    assert torch.equal(second.image, RGB) and second.notes == ()
    with pytest.raises(ValueError, match="a.tif has no page 3, it has 2"):
        read_image(tmp_path / "a.tif", page=2)
    Image.fromarray(VALUES[..., 0].copy()).save(tmp_path / "a.png")
    assert pages_in(tmp_path / "a.png") == 1 and read_image(tmp_path / "a.png", page=0).bits == 8
    with pytest.raises(ValueError, match="only TIFF holds several"):
        read_image(tmp_path / "a.png", page=1)
    (tmp_path / "broken.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:40])
    assert pages_in(tmp_path / "broken.tif") == 1


@pytest.mark.parametrize("compression", [None, "lzw", "adobe_deflate", "packbits", "zstd"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiffs_of_other_programs(tmp_path: Path, compression: str | None, planar: str) -> None:
    pixels = VALUES if planar == "contig" else VALUES.transpose(2, 0, 1).copy()
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", planarconfig=planar, compression=compression, extrasamples=["unassalpha"]
    )
    picture = read_image(tmp_path / "a.tif")
    assert torch.equal(picture.image, RGB) and torch.equal(picture.alpha, ALPHA) and picture.bits == 8


def test_colours_multiplied_by_alpha_are_divided(tmp_path: Path) -> None:
    alpha = np.full((6, 9, 1), 128, np.uint8)
    colours = (VALUES[..., :3] * (128 / 255)).round().astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", np.concatenate([colours, alpha], -1), photometric="rgb", extrasamples=["assocalpha"])
    picture = read_image(tmp_path / "a.tif")
    assert (picture.image - RGB).abs().max() < 1.6 / 255 and torch.allclose(picture.alpha, torch.tensor(128 / 255))


def test_white_is_zero_palette_and_ink(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "w.tif", VALUES[..., 0], photometric="miniswhite")
    torch.testing.assert_close(read_image(tmp_path / "w.tif").image, 1 - RGB[:, :1])
    Image.fromarray(VALUES[..., :3].copy()).quantize(16).save(tmp_path / "p.tif")
    palette = np.asarray(Image.open(tmp_path / "p.tif").convert("RGB"))
    assert np.array_equal((read_image(tmp_path / "p.tif").image[0].permute(1, 2, 0) * 255).numpy().astype(np.uint8), palette)
    ink = np.stack([np.full((4, 5), v, np.uint8) for v in (255, 0, 0, 0)], -1)
    tifffile.imwrite(tmp_path / "k.tif", ink, photometric="separated")
    picture = read_image(tmp_path / "k.tif")
    assert torch.allclose(picture.image[0, :, 0, 0], torch.tensor([0.0, 1.0, 1.0])) and "CMYK" in picture.notes[0]


def test_floats_stay_floats_with_alpha_too(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", RGB / 3, alpha=ALPHA, bits=32)
    back = read_image(tmp_path / "a.tif")
    assert back.bits == 32 and torch.equal(back.image, RGB / 3) and torch.equal(back.alpha, ALPHA)


def test_the_content_counts_and_not_the_name(tmp_path: Path) -> None:
    Image.fromarray(VALUES[..., :3].copy()).save(tmp_path / "a.jpg", "PNG")
    assert read_image(tmp_path / "a.jpg").suffix == ".png" and torch.equal(read_image(tmp_path / "a.jpg").image, RGB)


def test_memory_of_writing_is_that_of_the_samples(tmp_path: Path) -> None:
    """A strip of doubles at a time: what is written of 16-bit samples holds for pictures of many strips."""
    image = torch.rand(1, 3, 700, 11, generator=torch.Generator().manual_seed(0))
    write_image(tmp_path / "a.png", image, bits=16)
    assert torch.equal(read_image(tmp_path / "a.png").image, (image.double() * PEAK[16]).round().float() / PEAK[16])


def test_defaults_of_a_picture_are_plain() -> None:
    picture = Picture(RGB)
    assert picture.icc is None and picture.exif is None and picture.suffix == ".png" and picture.notes == () and ".gif" in READS


def bomb(side: int) -> bytes:
    """A PNG whose header promises side x side pixels."""
    import struct
    import zlib

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [15_000, 60_000, 2**31 - 1])
def test_more_pixels_than_can_be_meant_are_refused_by_the_header(tmp_path: Path, side: int) -> None:
    (tmp_path / "a.png").write_bytes(bomb(side))
    with pytest.raises(ValueError, match="a.png says it has .* pixels|a.png is not a whole picture"):
        read_image(tmp_path / "a.png")


def test_a_tiff_bomb_is_refused_by_the_header(tmp_path: Path) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, VALUES[..., 0], photometric="minisblack", metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        for name in ("ImageWidth", "ImageLength"):
            tag = opened.pages.first.tags[name]
            data[tag.valueoffset : tag.valueoffset + 2] = (60_000).to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(ValueError, match="says it has 60000 x 60000 pixels"):
        read_image(tmp_path / "a.tif")
