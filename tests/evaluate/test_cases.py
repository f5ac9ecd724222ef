"""What is degraded is what the protocol says, and no row depends on another."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from small import InMemory, protocol, some

from pnpsr.conventions import IKRNET, USRNET, degrade
from pnpsr.evaluate.cases import Case, Failure, Key, Synthetic


def cases(p: object, pictures: InMemory, wanted: list[Key] | None = None) -> dict[Key, Case]:
    source = Synthetic(p, pictures)  # type: ignore[arg-type]
    return {case.key: case for case in source.cases(source.keys() if wanted is None else wanted)}  # type: ignore[misc]


@pytest.mark.parametrize("scale", [2, 3])
def test_y_is_that_of_scipy(scale: int) -> None:
    p, pictures = protocol(conditions=((scale, 0.0),), convention=IKRNET), some(h=36, w=30)
    for key, case in cases(p, pictures).items():
        x = pictures.images[key.image]
        assert torch.equal(case.x, x)
        k = p.kernels_at(scale)[key.kernel - 1, 0].double().numpy()
        for channel in range(3):
            wrapped = ndimage.convolve(x[0, channel].double().numpy(), k, mode="wrap")[::scale, ::scale]
            np.testing.assert_allclose(case.y[0, channel].numpy(), wrapped, atol=5e-7)


def test_truncated_y_is_that_of_scipy_on_bytes_to_the_last_level() -> None:
    p, pictures = protocol(conditions=((3, 0.0),), convention=USRNET.stored("truncate")), some(h=36, w=30)
    for key, case in cases(p, pictures).items():
        levels = (pictures.images[key.image][0] * 255).round().to(torch.uint8).numpy()
        k = p.kernels_at(3)[key.kernel - 1, 0].double().numpy()
        theirs = np.stack([ndimage.convolve(channel, k, mode="wrap")[::3, ::3] for channel in levels])
        assert np.array_equal((case.y[0] * 255).round().numpy(), theirs)


def test_noise_belongs_to_the_row_alone() -> None:
    p, pictures = protocol(), some(("a.png", "b.png", "c.png"))
    all_at_once = cases(p, pictures)
    keys = list(all_at_once)
    for key in (keys[-1], keys[3], keys[1]):  # any order, one by one, from fewer pictures
        alone = cases(p, InMemory({key.image: pictures.images[key.image]}), [key])[key]
        assert torch.equal(alone.y, all_at_once[key].y)
    noisy = {key: case.y - degrade(case.x, case.k, key.scale, p.convention) for key, case in all_at_once.items() if key.sigma}
    noises = [n.flatten()[:200] for n in noisy.values()]
    assert all(abs(float(n.std()) / 0.02 - 1) < 0.1 for n in noisy.values())
    products = torch.corrcoef(torch.stack(noises)) - torch.eye(len(noises))
    assert products.abs().max() < 0.35  # every row has its own
    other = cases(replace(p, seed=1), pictures)
    assert all(not torch.equal(other[key].y, case.y) for key, case in all_at_once.items() if key.sigma)
    assert all(torch.equal(other[key].y, case.y) for key, case in all_at_once.items() if not key.sigma)


def test_rounding_after_the_noise() -> None:
    for case in cases(protocol(round_y=True), some()).values():
        levels = case.y * 255
        assert (levels - levels.round()).abs().max() < 1e-4 and case.y.min() >= 0 and case.y.max() <= 1


def test_pictures_are_cropped_to_the_scale_and_the_multiple() -> None:
    for key, case in cases(protocol(multiple=4), some(h=33, w=38)).items():
        assert tuple(case.x.shape[-2:]) == ((32, 36) if key.scale == 2 else (24, 36))
        assert tuple(case.y.shape[-2:]) == tuple(n // key.scale for n in case.x.shape[-2:])


def test_each_picture_is_read_once_and_only_if_wanted() -> None:
    pictures = some(("a.png", "b.png", "c.png"))
    keys = [key for key in Synthetic(protocol(), pictures).keys() if key.image != "b.png"]
    assert list(cases(protocol(), pictures, keys)) == keys
    assert pictures.reads == [1, 0, 1]


def test_what_cannot_be_read_or_is_too_small_is_named() -> None:
    pictures = some(("good.png",))
    pictures = InMemory({"bad.png": None, "tiny.png": torch.rand(1, 3, 5, 5), **pictures.images})
    found = list(Synthetic(protocol(), pictures).cases(Synthetic(protocol(), pictures).keys()))
    failures = [case for case in found if isinstance(case, Failure)]
    assert len(found) == 24 and len(failures) == 16
    assert {f.key.image for f in failures} == {"bad.png", "tiny.png"}
    assert all(("not a whole picture" if f.key.image == "bad.png" else "larger than the image") in f.reason for f in failures)


def test_names_that_would_break_a_table_are_refused() -> None:
    with pytest.raises(ValueError, match="line break"):
        Synthetic(protocol(), some(("a\nb.png",)))


def test_remarks_on_gray_and_fine_pictures() -> None:
    x = some(("a.png",)).images["a.png"]
    pictures = InMemory({"plain": x, "gray": x[:, :1].expand(-1, 3, -1, -1), "fine": x * 0.999, "bad": None})
    source = Synthetic(protocol(), pictures)
    assert len(list(source.cases(set(source.keys())))) == len(source.keys())
    assert {name: told for name, told in source.remarks.items() if told} == {"gray": "gray", "fine": "finer than 8 bits"}
