"""Paired pictures: partners by name, sizes and alignment checked, crops over one another."""

from pathlib import Path

import pytest
import torch
from synthetic import pictures
from torch import Tensor

from pnpsr.data import Folder, FromDataset, Pairs, PairStream, surveyed
from pnpsr.data.pairs import shift
from pnpsr.images import sample_picture, write_image
from pnpsr.train.paired import centres

SCALE = 2


class Marked:
    """Each pixel tells picture, row and column on the grid of x: (index, row, column) / 255."""

    def __init__(self, step: int, count: int = 3) -> None:
        self.step, self.names = step, tuple(f"{i}_{'HR' if step == 1 else 'LR2'}.png" for i in range(count))

    def read(self, index: int) -> Tensor:
        rows, columns = torch.meshgrid(torch.arange(0, 40, self.step), torch.arange(0, 60, self.step), indexing="ij")
        return torch.stack((torch.full_like(rows, index), rows, columns))[None].float() / 255


def marked() -> Pairs:
    return Pairs(Marked(SCALE), Marked(1))


def photographs(moved: tuple[int, int] = (0, 0)) -> Pairs:
    x = torch.cat([sample_picture(name)[..., 60:220, 60:220] for name in ("astronaut", "chelsea", "coffee")])
    y = torch.nn.functional.avg_pool2d(torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False), SCALE)
    y = (y + 0.02 * torch.randn(y.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    x = torch.cat([x[:2], x[2:].roll(moved, (-2, -1))])
    return Pairs(FromDataset(y), FromDataset(x))


def test_partners_are_found_by_name(tmp_path: Path) -> None:
    for i, x in enumerate(pictures(3, 3, 16, 16, seed=0, dtype=torch.float32)):
        for side, name in ((16, f"x/Canon_00{i}_HR.png"), (8, f"y/Canon_00{i}_LR2.bmp")):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            write_image(tmp_path / name, x[None, :, :side, :side])
    both = Pairs(Folder(tmp_path / "y"), Folder(tmp_path / "x"))
    assert both.names == ("Canon_000", "Canon_001", "Canon_002") and both.scale == 2
    assert both.read(1)[0].shape == (1, 3, 8, 8) and both.read(1)[1].shape == (1, 3, 16, 16)
    (tmp_path / "x" / "Canon_001_HR.png").unlink()
    with pytest.raises(ValueError, match=r"1 picture\(s\) without a partner of the same name: Canon_001 \(no x\)"):
        Pairs(Folder(tmp_path / "y"), Folder(tmp_path / "x"))
    write_image(tmp_path / "y" / "Canon_001_LR4.png", torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r"y: Canon_001_LR2.bmp and Canon_001_LR4.png are both called Canon_001"):
        Pairs(Folder(tmp_path / "y"), Folder(tmp_path / "x"))


def test_sizes_are_checked() -> None:
    x = torch.zeros(2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"pair TensorDataset-00000: y of \(8, 8\) and x of \(12, 8\) have no integer factor"):
        from torch.utils.data import TensorDataset

        Pairs(FromDataset(TensorDataset(x)), FromDataset(TensorDataset(torch.zeros(2, 3, 12, 8))))
    odd = Pairs(FromDataset(list(x)), FromDataset([torch.zeros(3, 16, 16), torch.zeros(3, 16, 18)]))
    found = surveyed(odd)
    assert list(found.broken) == ["list-00001"]
    assert "y of 8 x 8 at scale 2 belongs to an x of 16 x 16, got 16 x 18" in found.broken["list-00001"]


@pytest.mark.parametrize(("moved", "fits"), [((0, 0), True), ((1, -1), True), ((6, 0), False), ((0, -8), False), ((20, 12), False)])
def test_a_shift_of_more_than_a_pixel_is_found_and_named(moved: tuple[int, int], fits: bool) -> None:
    found = surveyed(photographs(moved))
    assert list(found.broken) == ([] if fits else ["Tensor-00002"])
    (rows, columns), peak = shift(*photographs(moved).read(2), SCALE)
    assert (rows, columns) == pytest.approx([n / SCALE for n in moved], abs=0.5) and peak > 0.1
    if not fits:
        assert "pair Tensor-00002: x lies " in found.broken["Tensor-00002"] and "beside y; register" in found.broken["Tensor-00002"]


def test_flat_pictures_cannot_be_judged_and_are_not_refused() -> None:
    assert not surveyed(Pairs(FromDataset([torch.full((3, 20, 20), 0.5)]), FromDataset([torch.full((3, 40, 40), 0.5)]))).broken


def test_crops_lie_over_one_another_in_all_orientations() -> None:
    s, seen = PairStream(marked(), batch=8, patch=12, seed=1), set[tuple[bool, ...]]()
    for n in range(6):
        sample = s[n]
        assert sample.x.shape == (8, 3, 12, 12) and sample.y.shape == (8, 3, 6, 6) and sample.k is None and sample.sigma is None
        for y, x in zip(sample.y.mul(255).round(), sample.x.mul(255).round(), strict=True):
            # the corner of each block of x that lies first on the grid of x is the pixel of y
            blocks = torch.nn.functional.max_pool2d(-x[None], SCALE)[0].neg()
            assert torch.equal(blocks, y)
            seen.add((bool(x[1, 0, 0] == x[1, 0, 1]), bool(x[1, 0, 0] < x[1, -1, -1]), bool(x[2, 0, 0] < x[2, -1, -1])))
    assert len(seen) == 8


def test_batches_of_pairs_do_not_depend_on_when_where_and_by_how_many_they_are_drawn() -> None:
    whole = PairStream(marked(), batch=4, patch=12, seed=5)
    half = PairStream(marked(), batch=4, patch=12, seed=5)
    half.rank, half.world = 1, 2
    for n in (3, 0, 3):
        assert torch.equal(whole[n].x[2:], half[n].x) and torch.equal(whole[n].y[2:], half[n].y)
    loaded = whole.samples(2, workers=1)
    assert all(torch.equal(next(loaded).x, whole[n].x) for n in (2, 3))
    loaded.close()


def test_pairs_that_are_too_small_or_broken_are_left_out_of_the_batch() -> None:
    x = [torch.zeros(3, 24, 24), torch.zeros(3, 8, 8)]
    s = PairStream(Pairs(FromDataset([t[:, ::2, ::2] for t in x]), FromDataset(x)), batch=4, patch=12)
    drawn = [s[n] for n in range(4)]
    assert {name for d in drawn for name in d.names} == {"list-00000"} and {n for d in drawn for n, _ in d.left_out} == {
        "list-00001"
    }
    with pytest.raises(ValueError, match="patch must be a multiple of the pairs' scale 2, got 13"):
        PairStream(marked(), batch=4, patch=13)


def test_what_is_held_out_is_not_trained_on() -> None:
    rest, held = marked().held_out(1, seed=2)
    assert {*rest.names, *held.names} == set(marked().names) and len(held.names) == 1
    [middle] = centres(held, 5, 12)
    assert middle.y.shape == (1, 3, 6, 6) and middle.x.shape == (1, 3, 12, 12)
    assert torch.equal(middle.x[..., ::2, ::2], middle.y)
