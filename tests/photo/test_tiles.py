"""In tiles and in one piece: the same picture; finished tiles survive a kill; nothing stale is ever used."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds
from torch import Tensor

from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, random_motion
from pnpsr.photo import restore
from pnpsr.photo.kept import Kept, digest
from pnpsr.photo.tiles import Canvas, enlarged, tiles
from pnpsr.physics import Degradation, quantise
from pnpsr.starts import upsample


def seed(n: int) -> torch.Generator:
    return torch.Generator().manual_seed(n)


@settings(max_examples=25)
@given(
    h=st.integers(1, 400),
    w=st.integers(1, 400),
    side=st.integers(32, 200),
    context=st.sampled_from([8, 16]),
    scale=st.integers(1, 3),
    s=seeds,
)
def test_tiles_add_up_to_the_picture(h: int, w: int, side: int, context: int, scale: int, s: int) -> None:
    x = torch.rand(1, 3, h * scale, w * scale, generator=seed(s))
    canvas = Canvas(3, h, w, scale)
    cut = tiles(h, w, side, context)
    for tile in cut:
        rows, columns = (slice(scale * part.start, scale * part.stop) for part in tile.inside)
        canvas.add(tile, x[..., rows, columns])
        assert tile.rows.start % 8 == tile.columns.start % 8 == 0
        assert tile.rows.stop - tile.rows.start <= side + 8 + 2 * context
    torch.testing.assert_close(canvas.x, x, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "context", "message"), [(31, 16, "at least 32"), (100, 12, "multiple of 8"), (100, 0, "multiple of 8")]
)
def test_tiles_without_room_are_refused(side: int, context: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiles(100, 100, side, context)


def observed(name: str, k: Tensor, scale: int, h: int, w: int) -> Tensor:
    x = sample_picture(name)[..., : h * scale, : w * scale]
    return quantise(Degradation(scale, boundary="reflect")(x, k, 0.01, generator=seed(0)))


CASES = {
    "gaussian x1": (gaussian(21, 1.5), 1, "coffee"),
    "gaussian x2": (gaussian(21, 2.0), 2, "coffee"),
    "motion x1": (random_motion(1, 11, generator=seed(2)), 1, "chelsea"),
}


@pytest.mark.parametrize("case", CASES)
def test_tiled_equals_untiled_within_a_level_away_from_the_border(case: str) -> None:
    k, scale, name = CASES[case]
    y = observed(name, k, scale, 104 if scale == 2 else 144, 144 if scale == 2 else 288)
    options = {"k": k, "sigma": 0.01, "precision": "float32"}
    whole, tiled = restore(y, scale, **options), restore(y, scale, tile=128 // scale, **options)
    assert len(whole.plan.tiles) == 1 and len(tiled.plan.tiles) >= 2
    difference = (whole.x - tiled.x).abs()
    border = 24 * scale
    assert difference[..., border:-border, border:-border].max() < 1 / 255
    assert difference.square().mean().sqrt() < 0.5 / 255


class Killed(BaseException):
    """What Ctrl-C and a kill have in common: nobody catches it."""


def test_finished_tiles_survive_a_kill_and_running_again_goes_on(tmp_path: Path) -> None:
    y, k, keep = observed("coffee", gaussian(9, 1.5), 1, 136, 264), gaussian(9, 1.5), tmp_path / ".tiles"
    options = {"k": k, "sigma": 0.01, "tile": 128, "keep": keep, "T": 1}
    done: list[str] = []

    def stop_in_the_third(what: str, at: int, total: int) -> None:
        if what == "restoring tile 4 of 6":
            raise Killed
        done.append(what)

    with pytest.raises(Killed):
        restore(y, 1, progress=stop_in_the_third, **options)
    assert sorted(path.name for path in keep.glob("tile*.npy")) == ["tile0.npy", "tile1.npy", "tile2.npy"]
    again: list[str] = []
    out = restore(y, 1, progress=lambda what, at, total: again.append(what), **options)
    assert not any(f"tile {i} " in what for i in (1, 2, 3) for what in again) and any("tile 4" in what for what in again)
    assert not keep.exists()
    assert torch.equal(out.x, restore(y, 1, **{**options, "keep": None}).x)


def test_tiles_of_another_picture_or_another_way_are_never_used(tmp_path: Path) -> None:
    y = torch.rand(1, 3, 8, 8, generator=seed(0))
    first = Kept(tmp_path / "t", {"y": digest(y), "scale": 2})
    first.put("tile0", y)
    assert torch.equal(Kept(tmp_path / "t", {"y": digest(y), "scale": 2}).get("tile0"), y)
    assert Kept(tmp_path / "t", {"y": digest(y + 0.1), "scale": 2}).get("tile0") is None
    first.put("tile0", y)
    (tmp_path / "t" / "tile0.npy").write_bytes(b"half of it")
    assert first.get("tile0") is None
    first.forget()
    assert not (tmp_path / "t").exists()
    nowhere = Kept(None, {})
    nowhere.put("tile0", y)
    assert nowhere.get("tile0") is None


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("h", [1, 3, 20, 41])
def test_enlarging_row_by_row_is_enlarging(scale: int, h: int) -> None:
    y = torch.rand(1, 3, h, 9, generator=seed(0))
    assert torch.equal(enlarged(y, scale, rows=7), upsample(y, scale).clamp(0, 1))
