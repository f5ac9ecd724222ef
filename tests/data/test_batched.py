"""Batches drawn together: a function of (seed, step) alone, cut where they say, degraded as the conventions have it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic import Marked, pictures
from torch import Tensor

from pnpsr.conventions import DAN, degrade
from pnpsr.data import Bank, BatchedStream, FromDataset, setting
from pnpsr.data.stream import Draft, realise

SMALL = setting("ikrnet", scales=(2,), size=5)
FIELDS = ("x", "k", "sigma", "noise", "wide", "wide_noise")


MARKED = Marked((40, 50), (33, 32), (64, 40))
BANK = Bank(MARKED, 32)


def stream(seed: int = 0, *, batch: int = 6, rank: int = 0, world: int = 1, **other: int) -> BatchedStream:
    return BatchedStream(BANK, SMALL, batch=batch, **{"patch": 20, "wide": 32, **other}, seed=seed, rank=rank, world=world)


@given(st.integers(0, 999), st.integers(1, 32))
def test_a_crop_is_a_square_of_one_picture_in_one_of_eight_orientations(seed: int, size: int) -> None:
    place = torch.rand(5, 4, generator=torch.Generator().manual_seed(seed))
    crops = (255 * BANK.crops(place, size)).round().long()
    for crop, (which, *_) in zip(crops, (place[:, :1] * 3).long().tolist(), strict=True):
        assert (crop[0] == which).all()
        truth = (255 * MARKED.read(which)).round().long()[0]
        rows, columns = crop[1].flatten(), crop[2].flatten()
        assert torch.equal(truth[:, rows, columns].reshape(crop.shape), crop)
        assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == size**2
        assert rows.max() - rows.min() == size - 1 == columns.max() - columns.min()
        by_row = crop[1].diff(dim=0).abs().max() if size > 1 else 0  # neighbours stay neighbours
        assert int(by_row) <= 1


def test_all_orientations_and_all_corners_occur() -> None:
    place = torch.rand(4000, 4, generator=torch.Generator().manual_seed(0))
    crops = (255 * BANK.crops(place, 31)).round().long()
    second = crops[crops[:, 0, 0, 0] == 1]  # 33 x 32
    low = second.flatten(2).amin(2)
    assert set(map(tuple, low[:, 1:].tolist())) == {(i, j) for i in (0, 1, 2) for j in (0, 1)}
    ends = {(tuple(c[1:, 0, 0].tolist()), tuple(c[1:, 0, -1].tolist())) for c in second - low[:, :, None, None]}
    assert len(ends) == 8


def test_small_pictures_are_mirrored_and_gray_is_the_mean() -> None:
    bank = Bank(Marked((3, 4)), 8, gray=True)
    x = Marked((3, 4)).read(0).mean(1, keepdim=True)
    assert (bank.channels, bank.sizes.tolist()) == (1, [[12, 8]])
    whole = bank.bytes.reshape(12, 8).float() / 255
    mirrored = torch.cat((x, x.flip(-1)), -1)[0, 0]
    assert (whole[:3] - mirrored).abs().max() <= 0.5 / 255
    assert torch.equal(whole[3:6], whole[:3].flip(0))


@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**6), share=st.integers(1, 3), world=st.sampled_from([1, 2, 3]))
def test_shares_of_the_processes_are_the_batch_of_one(seed: int, step: int, share: int, world: int) -> None:
    whole = stream(seed, batch=share * world)[step]
    parts = [stream(seed, batch=share * world, rank=rank, world=world)[step] for rank in range(world)]
    for name in FIELDS:
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6))
def test_a_batch_is_the_same_whenever_it_is_drawn(seed: int, step: int) -> None:
    fresh, used = stream(seed), stream(seed)
    for other in (step + 3, 0):
        _ = used[other]
    torch.manual_seed(step)  # nobody's random numbers but its own
    before = torch.get_rng_state()
    a, b, c = fresh[step], used[step], fresh[step + 1]
    assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)
    assert not torch.equal(a.x, c.x) and not torch.equal(a.k, c.k) and not torch.equal(a.noise, c.noise)
    assert torch.equal(before, torch.get_rng_state())
    batches = stream(seed).batches(step)
    assert torch.equal(next(batches).x, a.x) and torch.equal(next(batches).x, c.x)


def test_kernels_and_noise_levels_are_those_of_the_setting() -> None:
    some = replace(SMALL, sigma=(0.01, 0.03), clean=0.25)
    k, sigma = some.draws(2000, 2, torch.Generator().manual_seed(0))
    assert k.shape == (2000, 1, 5, 5) and sigma.shape == (2000, 1, 1, 1)
    torch.testing.assert_close(k.sum((1, 2, 3)), torch.ones(2000))
    clean = sigma == 0
    assert 0.2 < float(clean.float().mean()) < 0.3
    assert 0.01 <= float(sigma[~clean].min()) < 0.0105 and 0.0295 < float(sigma.max()) <= 0.03
    own = replace(SMALL, sources=(lambda scale, size, g: torch.rand(1, 1, size, size, generator=g).softmax(-1) / size,))
    assert len({tuple(one.flatten().tolist()) for one in own.draws(9, 2, torch.Generator().manual_seed(0))[0]}) == 9
    dirac = setting("dan-setting1", scales=(2,), size=5).draws(500, 2, torch.Generator().manual_seed(0))[0]
    assert (dirac - dirac.mT).abs().max() < 1e-6  # isotropic, all of them
    assert (k - k.mT).abs().amax((1, 2, 3)).median() > 1e-3


@pytest.mark.parametrize("convention", [SMALL.convention, DAN])
def test_margins_only_take_part_in_the_blur(convention) -> None:
    one = replace(SMALL, sigma=(0.0, 0.0), convention=convention)
    x = torch.rand(2, 3, 20, 20)
    k = one.draws(2, 2, torch.Generator().manual_seed(0))[0]
    zero = torch.zeros(2, 1, 1, 1)
    cut = realise(Draft(x, k, zero, torch.zeros(2, 3, 6, 6), 2, margin=4), one)
    assert torch.equal(cut.x, x[..., 4:-4, 4:-4])
    torch.testing.assert_close(cut.y, degrade(x, k, 2, convention)[..., 2:-2, 2:-2])


def test_wide_windows_share_picture_kernel_and_noise_level() -> None:
    draft = stream()[3]
    sample = realise(draft, SMALL)
    assert sample.wide is not None and sample.wide.shape == (6, 1, 16, 16) and draft.wide is not None
    none = realise(replace(draft, wide=None), SMALL)
    assert none.wide is None and torch.equal(none.y, sample.y)
    flat = replace(draft, wide=torch.full_like(draft.wide, 0.5))
    gray = realise(flat, SMALL).wide
    assert gray is not None
    torch.testing.assert_close(gray, 0.5 + draft.sigma * draft.wide_noise)


def test_gray_pictures_and_noise_that_channels_share() -> None:
    some = replace(SMALL, gray=0.3, correlated=0.5)
    noise = torch.randn(400, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    mixed, rho, gray = some.mixed(noise, torch.Generator().manual_seed(0))
    assert 0.2 < float(gray.float().mean()) < 0.4
    partly = (rho > 0) & ~gray
    assert 0.25 < float(partly.float().mean()) < 0.45 and float(rho.max()) == 1
    torch.testing.assert_close(mixed.square().mean((2, 3)).mean(0), torch.ones(3), atol=0.03, rtol=0)
    found = (mixed[:, 0] * mixed[:, 1]).mean((1, 2))
    assert float((found - rho.flatten()).square().mean().sqrt()) < 0.1
    draft = BatchedStream(BANK, replace(SMALL, gray=1.0), batch=4, patch=20, wide=32)[0]
    assert torch.equal(draft.x[:, 0], draft.x[:, 2]) and torch.equal(draft.noise[:, 0], draft.noise[:, 1])
    assert draft.wide_noise is not None
    assert 0.9 < float(draft.wide_noise.std()) < 1.1  # all channels alike: a mean takes nothing away


def test_some_samples_are_stored_as_jpeg_and_their_level_is_all_that_was_changed() -> None:
    some, photo = replace(SMALL, jpeg=0.5), pictures(1, 3, 64, 64, seed=0, dtype=torch.float32)
    bank = Bank(FromDataset([photo[0]]), 48)
    draft = BatchedStream(bank, some, batch=24, patch=32, wide=48)[2]
    plain, stored = realise(draft, SMALL), realise(draft, some)
    touched = (plain.y != stored.y).flatten(1).any(1)
    assert 4 < int(touched.sum()) < 20 and torch.equal(stored.y, realise(draft, some).y)
    assert torch.equal(stored.sigma[~touched], plain.sigma[~touched])
    files = 255 * stored.y[touched]
    assert (files - files.round()).abs().max() < 1e-3
    clean = realise(replace(draft, sigma=torch.zeros_like(draft.sigma)), SMALL).y
    found = (stored.y - clean).square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(stored.sigma.flatten()[touched], found[touched])
    assert stored.wide is not None and plain.wide is not None
    assert torch.equal((plain.wide != stored.wide).flatten(1).any(1), touched)
    with pytest.raises(ValueError, match="leave out jpeg"):
        replace(setting("photograph"), jpeg=0.5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"patch": 21}, "multiples of scale 2"),
        ({"margin": 3}, "multiples of scale 2"),
        ({"wide": 31}, "multiples of scale 2"),
        ({"patch": 4}, "hold kernels of 5"),
        ({"patch": 32, "margin": 2}, "sides from 32"),
        ({"batch": 6, "world": 4}, "number of processes"),
    ],
)
def test_bad_requests_are_refused(change: dict, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        stream(**change)


def test_bad_banks_are_refused() -> None:
    with pytest.raises(ValueError, match="at most least=32"):
        BANK.crops(torch.rand(1, 4), 33)

    class Mixed(Marked):
        def read(self, index: int) -> Tensor:
            return super().read(index)[:, : 1 + 2 * index]

    with pytest.raises(ValueError, match="different channels"):
        Bank(Mixed((9, 9), (9, 9)))


@pytest.mark.gpu
def test_a_batch_lives_on_the_banks_device() -> None:
    source = FromDataset(pictures(3, 3, 40, 40, seed=0, dtype=torch.float32))
    draft = BatchedStream(Bank(source, 24, "cuda"), SMALL, batch=4, patch=20, wide=24)[0]
    assert {getattr(draft, name).device.type for name in FIELDS} == {"cuda"}
    assert realise(draft, SMALL, "cuda").y.device.type == "cuda"
