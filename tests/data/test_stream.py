"""Sample i of step n is a function of (seed, n, i) alone, and y is what the conventions make of it."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic import Marked, pictures
from torch import Tensor

from pnpsr.conventions import DAN, KERNELGAN, PNPSR, Convention, degrade
from pnpsr.data import SETTINGS, Folder, FromDataset, Setting, Stream, setting
from pnpsr.data.recent import Recent
from pnpsr.data.stream import Draft, realise
from pnpsr.images import write_image
from pnpsr.kernels import random_gaussian
from pnpsr.physics import quantise

SMALL = setting("ikrnet", size=5)
FIELDS = ("x", "k", "sigma", "noise")


PICTURES = Marked((40, 50), (33, 32), (64, 40))


def stream(seed: int = 0, *, batch: int = 4, patch: int = 24, one: Setting = SMALL, rank: int = 0, world: int = 1) -> Stream:
    return Stream(PICTURES, one, batch=batch, patch=patch, seed=seed, rank=rank, world=world)


def equal(a: Draft, b: Draft) -> bool:
    return a.scale == b.scale and all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def take(s: Stream, start: int, count: int, workers: int = 0) -> list[Draft]:
    batches = s.batches(start, workers=workers)
    try:
        return [next(batches) for _ in range(count)]
    finally:
        batches.close()


@given(seed=st.integers(0, 2**40), step=st.integers(0, 10**6), share=st.integers(1, 3), world=st.sampled_from([1, 2, 3]))
def test_shares_of_the_processes_are_the_batch_of_one(seed: int, step: int, share: int, world: int) -> None:
    whole = stream(seed, batch=share * world)[step]
    parts = [stream(seed, batch=share * world, rank=rank, world=world)[step] for rank in range(world)]
    assert {part.scale for part in parts} == {whole.scale}
    for name in FIELDS:
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10**6))
def test_a_batch_is_the_same_whenever_it_is_drawn(seed: int, step: int) -> None:
    fresh, used = stream(seed), stream(seed)
    for other in (step + 3, step + 1, 0):
        _ = used[other]
    torch.manual_seed(step)  # nobody's random numbers but its own
    assert equal(fresh[step], used[step])
    assert not equal(fresh[step], fresh[step + 1]) and not equal(fresh[step], stream(seed + 1)[step])
    before = torch.get_rng_state()
    _ = fresh[step]
    assert torch.equal(before, torch.get_rng_state())


def test_batches_do_not_depend_on_the_number_of_processes_that_draw_or_on_a_restart() -> None:
    alone = take(stream(7), 0, 8)
    for start, workers in ((0, 1), (0, 2), (5, 0), (5, 2)):
        again = take(stream(7), start, 8 - start, workers)
        assert all(equal(a, b) for a, b in zip(alone[start:], again, strict=True)), (start, workers)


def test_a_sample_does_not_depend_on_the_batch_around_it() -> None:
    small, large = stream(batch=2)[3], stream(batch=6)[3]
    assert all(torch.equal(getattr(small, name), getattr(large, name)[:2]) for name in FIELDS)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    assert not any(torch.equal(large.k[i], large.k[j]) for i, j in pairs)
    assert not any(torch.equal(large.noise[i], large.noise[j]) for i, j in pairs)
    assert len(set(large.sigma.flatten().tolist())) == 6


def test_streams_travel_to_other_processes() -> None:
    assert equal(pickle.loads(pickle.dumps(stream(2)))[4], stream(2)[4])


@given(seed=st.integers(0, 10**6))
def test_crops_lie_in_one_picture_and_are_whole(seed: int) -> None:
    for x in stream(seed, patch=24)[0].x.mul(255).round().long():
        index, rows, columns = x
        assert len(index.unique()) == 1
        h, w = PICTURES.sizes[int(index[0, 0])]
        assert 0 <= int(rows.min()) and int(rows.max()) < h and int(columns.min()) == int(columns.max()) - 23 and columns.max() < w
        assert int(rows.max()) - int(rows.min()) == 23  # contiguous: 24 rows, each 24 times
        assert torch.equal(rows.flatten().bincount()[int(rows.min()) :], torch.full((24,), 24))


def test_all_pictures_places_and_orientations_occur() -> None:
    crops = torch.cat([stream(batch=32, patch=24)[n].x for n in range(10)]).mul(255).round().long()
    assert set(crops[:, 0, 0, 0].tolist()) == {0, 1, 2}
    tops = {int(x[1].min()) for x in crops if int(x[0, 0, 0]) == 0}
    assert min(tops) == 0 and max(tops) == 40 - 24
    turns = {(bool(x[1, 0, 0] == x[1, 0, 1]), bool(x[1, 0, 0] < x[1, -1, -1]), bool(x[2, 0, 0] < x[2, -1, -1])) for x in crops}
    assert len(turns) == 8


def test_small_pictures_are_mirrored() -> None:
    s = Stream(Marked((10, 13)), SMALL, batch=8, patch=24, seed=0)
    x = s[0].x.mul(255).round().long()
    assert x.shape == (8, 3, 24, 24)
    for one in x:  # neighbours differ by at most one: no seams
        step_down, step_right = (one[1:].diff(dim=d).abs().max() for d in (-2, -1))
        assert int(step_down) <= 1 and int(step_right) <= 1
        assert int(one[1].max()) < 10 and int(one[2].max()) < 13


@pytest.mark.parametrize("name", SETTINGS)
def test_every_named_setting_flows(name: str) -> None:
    one = SETTINGS[name]
    s = Stream(PICTURES, replace(one, scales=one.scales[-1:]), batch=2, patch=36, seed=0)
    sample = realise(s[0], one)
    scale = one.scales[-1]
    assert sample.scale == scale and sample.y.shape == (2, 3, 36 // scale, 36 // scale) and sample.x.shape == (2, 3, 36, 36)
    assert torch.allclose(sample.k.sum((1, 2, 3)), torch.ones(2)) and sample.y.dtype == torch.float32


@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1, 2, 3, 4]),
    convention=st.sampled_from([PNPSR, DAN, KERNELGAN]),
    bits=st.sampled_from([None, 4, 8]),
)
def test_y_is_what_the_convention_says_plus_noise_then_stored(
    seed: int, scale: int, convention: Convention, bits: int | None
) -> None:
    one = replace(SMALL, scales=(scale,), convention=convention, bits=bits)
    draft = stream(seed, one=one)[0]
    sample = realise(draft, one)
    clear = torch.cat([degrade(draft.x[i : i + 1], draft.k[i : i + 1], scale, convention) for i in range(4)])
    y = clear + draft.sigma * draft.noise
    assert torch.allclose(sample.y, y if bits is None else quantise(y, bits), atol=1e-6 if bits is None else 1.01 / (2**bits - 1))
    if bits is not None:
        levels = sample.y * (2**bits - 1)
        assert torch.allclose(levels, levels.round(), atol=1e-3) and 0 <= float(sample.y.min()) <= float(sample.y.max()) <= 1
    assert torch.equal(sample.x, draft.x) and torch.equal(sample.k, draft.k) and torch.equal(sample.sigma, draft.sigma)
    assert sample.given("k", "sigma") == {"k": sample.k, "sigma": sample.sigma}


def test_noise_is_white_and_of_unit_variance() -> None:
    noise = torch.cat([stream(batch=16, one=replace(SMALL, scales=(2,)))[n].noise for n in range(6)])
    assert noise.shape == (96, 3, 12, 12)
    assert abs(float(noise.mean())) < 0.02 and abs(float(noise.var()) - 1) < 0.03
    assert abs(float((noise[..., 1:] * noise[..., :-1]).mean())) < 0.02


def test_gray_and_sixteen_bit_pictures(tmp_path: Path) -> None:
    x = pictures(1, 3, 32, 32, seed=0, dtype=torch.float32)
    write_image(tmp_path / "deep.tiff", x, bits=16)
    s = Stream(Folder(tmp_path), SMALL, batch=2, patch=32, seed=0)
    deep = s[0].x
    assert float((deep.flatten(1).sort(1).values - x.flatten().sort().values).abs().max()) <= 0.5 / 65535 + 1e-7  # not 8 bits
    assert torch.equal(s[0].x, deep)  # from memory
    gray = Stream(Folder(tmp_path, channels=1), SMALL, batch=2, patch=24, seed=0)[0]
    assert gray.x.shape == (2, 1, 24, 24) and gray.noise.shape[1] == 1 and realise(gray, SMALL).y.shape[1] == 1


def test_memory_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    remembering = stream(1)
    before = [remembering[n] for n in (0, 1, 0)]
    assert remembering._decoded.kept and all(x.dtype == torch.uint8 for x in remembering._decoded.kept.values())
    for room in (0, 40 * 50 * 3 + 1):  # nothing, one picture
        monkeypatch.setattr("pnpsr.data.stream.CACHE", room)
        forgetting = stream(1)
        assert all(equal(a, forgetting[n]) for a, n in zip(before, (0, 1, 0), strict=True))
        assert len(forgetting._decoded.kept) == min(room, 1)


def test_what_was_used_last_stays() -> None:
    recent, made = Recent(20), list[int]()

    def make(i: int) -> Tensor:
        made.append(i)
        return torch.zeros(8 if i else 21, dtype=torch.uint8)

    for i in (1, 2, 1, 3, 1, 2, 0, 0):
        recent.get(i, make)
    assert made == [1, 2, 3, 2, 0, 0] and set(recent.kept) == {1, 2} and recent.size == 16


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_named_and_another_takes_its_place(tmp_path: Path, workers: int) -> None:
    write_image(tmp_path / "good.png", pictures(1, 3, 32, 32, seed=0))
    (tmp_path / "rotten.png").write_bytes(b"no picture")
    drafts = take(Stream(Folder(tmp_path), SMALL, batch=4, patch=24), 0, 4, workers)
    assert {draft.x.shape for draft in drafts} == {(4, 3, 24, 24)} and {n for d in drafts for n in d.names} == {"good.png"}
    left = [pair for draft in drafts for pair in draft.left_out]
    assert left and all(name == "rotten.png" and "rotten.png is not a whole picture" in why for name, why in left)
    again = take(Stream(Folder(tmp_path), SMALL, batch=4, patch=24), 0, 4, 0)
    assert all(equal(a, b) for a, b in zip(drafts, again, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_pictures_that_cannot_be_read_are_named_in_one_line(tmp_path: Path, workers: int) -> None:
    write_image(tmp_path / "good.png", pictures(1, 3, 32, 32, seed=0))
    s = Stream(Folder(tmp_path), SMALL, batch=4, patch=24)
    (tmp_path / "good.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"^[^\n]*good\.png[^\n]*$"):
        take(s, 0, 4, workers)


def test_a_dataset_of_tensors_flows() -> None:
    s = Stream(FromDataset(torch.utils.data.TensorDataset(pictures(2, 3, 30, 30, seed=0))), SMALL, batch=2, patch=24)
    assert s[0].x.dtype == torch.float32 and s[0].x.shape == (2, 3, 24, 24)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch": 26}, "patch must be a multiple of scale 4"),
        ({"patch": 4}, "hold kernels of 5 pixels, got 4"),
        ({"batch": 3, "world": 2}, "batch must be a multiple of the number of processes, 2, got 3"),
        ({"batch": 0}, "batch must be at least 1"),
    ],
)
def test_what_cannot_be_shared_out_or_cropped_is_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stream(**values)


def test_one_kernel_per_sample_whatever_the_source() -> None:
    def wide(scale: int, size: int, generator: torch.Generator) -> Tensor:
        return random_gaussian(1, size, widths=(scale, scale + 1.0), anisotropic=True, generator=generator)

    draft = stream(one=Setting("wide", (2,), (wide,), size=9))[0]
    assert draft.k.shape == (4, 1, 9, 9) and not draft.sigma.any()
