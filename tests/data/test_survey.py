"""Every picture is looked at before the first step, decoded once, and crops out of the cache are the crops."""

import errno
import os
import pickle
from pathlib import Path

import pytest
import torch
from synthetic import pictures
from torch import Tensor

from pnpsr.data import Folder, FromDataset, Stream, cached, setting, surveyed
from pnpsr.data.cache import Cached
from pnpsr.data.pictures import digest
from pnpsr.data.survey import content, refuse
from pnpsr.images import write_image

SMALL = setting("ikrnet", size=5, scales=(2,))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Colour of 8 and of 16 bits, gray, and a small one in a subfolder."""
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    x = pictures(4, 3, 33, 41, seed=0, dtype=torch.float32)
    write_image(folder / "a.png", x[:1])
    write_image(folder / "b.png", x[1:2], bits=16)
    write_image(folder / "c.png", x[2:3, :1])
    write_image(folder / "below" / "d.png", x[3:, :, :20, :20])
    return folder


def damage(images: Path) -> None:
    (images / "c.png").write_bytes(b"no picture")
    data = (images / "a.png").read_bytes()
    (images / "e.png").write_bytes(data[: len(data) // 3])


@pytest.mark.parametrize("threads", [1, 3])
def test_all_broken_pictures_are_found_at_once_and_named(images: Path, threads: int) -> None:
    damage(images)
    told = list[tuple[int, int]]()
    found = surveyed(Folder(images), lambda *now: told.append(now), threads=threads)
    assert list(found.broken) == ["c.png", "e.png"] and found.whole.names == ("a.png", "b.png", "below/d.png")
    assert told == [(n, 5) for n in range(1, 6)]
    with pytest.raises(ValueError, match=r"^2 picture\(s\) cannot be used; .*c\.png: .*not a whole picture.*; e\.png: "):
        refuse(found.broken)
    refuse({})


def test_none_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1 picture\(s\) cannot be used.*a\.png"):
        surveyed(Folder(tmp_path))
    with pytest.raises(ValueError, match=r"1 picture\(s\) cannot be used.*a\.png"):
        cached(Folder(tmp_path), tmp_path / "cache")


def equal(a: Stream, b: Stream, steps: int = 6) -> bool:
    fields = ("x", "k", "sigma", "noise", "names")
    pairs = [(getattr(a[n], f), getattr(b[n], f)) for n in range(steps) for f in fields]
    return all(torch.equal(p, q) if isinstance(p, Tensor) else p == q for p, q in pairs)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_cache_changes_nothing(images: Path, tmp_path: Path, channels: int) -> None:
    plain = Folder(images, channels)
    found = cached(plain, tmp_path / "cache")
    assert found.whole.names == plain.names and not found.broken
    for i in range(4):
        assert torch.equal(found.whole.read(i), plain.read(i)) and digest(found.whole, i) == digest(plain, i)
    assert found.whole.raw(3).dtype == torch.uint8  # a gray one of 8 bits; luma is no level
    assert found.whole.raw(0).dtype == (torch.uint8 if channels == 3 else torch.float32)
    assert found.whole.raw(1).dtype == torch.float32
    assert equal(*(Stream(p, SMALL, batch=4, patch=24, seed=3) for p in (plain, found.whole)))
    assert content(found.whole) == content(plain)


def test_every_picture_is_decoded_once(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = Folder.read, list[int]()

    def counted(self: Folder, index: int) -> Tensor:
        reads.append(index)
        return read(self, index)

    monkeypatch.setattr(Folder, "read", counted)
    told = list[tuple[int, int]]()
    for _ in range(2):
        s = Stream(cached(Folder(images), tmp_path / "cache", lambda *now: told.append(now)).whole, SMALL, batch=4, patch=24)
        for n in range(5):
            _ = s[n]
    assert sorted(reads) == [0, 1, 2, 3] and len(told) == 4
    assert not s._decoded.kept  # the map is memory enough


def test_the_cache_leaves_broken_pictures_out_and_remembers_which(images: Path, tmp_path: Path) -> None:
    damage(images)
    for _ in range(2):
        found = cached(Folder(images), tmp_path / "cache")
        assert list(found.broken) == ["c.png", "e.png"] and found.whole.names == ("a.png", "b.png", "below/d.png")


def test_changed_pictures_get_a_cache_of_their_own(images: Path, tmp_path: Path) -> None:
    before = cached(Folder(images), tmp_path / "cache").whole
    old = before.read(0)
    write_image(images / "a.png", 1 - old)
    after = cached(Folder(images), tmp_path / "cache").whole
    assert (
        torch.equal(before.read(0), old)
        and torch.equal(after.read(0), Folder(images).read(0))
        and not torch.equal(after.read(0), old)
    )
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 2


def test_datasets_are_cached_too_and_maps_travel(tmp_path: Path) -> None:
    x = pictures(3, 3, 30, 30, seed=1, dtype=torch.float32)
    whole = cached(FromDataset(x), tmp_path).whole
    _ = whole.read(0)
    again = pickle.loads(pickle.dumps(whole))
    assert torch.equal(again.read(2), x[2:]) and len(pickle.dumps(whole)) < 3000


def test_a_full_disk_leaves_no_half_cache(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"the cache .*\.bin could not be written \(No space left on device\); is there room"):
            cached(Folder(images), tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())
    assert cached(Folder(images), tmp_path / "cache").whole.names


@pytest.mark.parametrize("part", [".json", ".bin"])
def test_a_damaged_cache_is_refused(images: Path, tmp_path: Path, part: str) -> None:
    cached(Folder(images), tmp_path / "cache")
    [file] = (tmp_path / "cache").glob(f"*{part}")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="remove both"):
        cached(Folder(images), tmp_path / "cache")
    with pytest.raises(ValueError, match="remove both"):
        Cached(file.with_suffix(".bin"))
