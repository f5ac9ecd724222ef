"""The camera: JPEG as encoders do it, noise that depends on what it should, photographs per sample and reproducible."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from synthetic import pictures
from torch import Tensor

from pnpsr.data import Bank, BatchedStream, Camera, FromDataset, Stream, jpeg, setting
from pnpsr.data.camera import demosaiced
from pnpsr.data.stream import realise
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture

PHOTOGRAPH = setting("photograph", scales=(2,), size=5)
SOURCE = FromDataset(pictures(3, 3, 48, 48, seed=0, dtype=torch.float32))


def encoded(x: Tensor, quality: int) -> Tensor:
    """Through a real encoder and decoder."""
    pixels = (255 * x[0].permute(1, 2, 0).numpy()).round().astype(np.uint8)[..., ::-1]
    ok, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok
    read = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return torch.from_numpy(np.atleast_3d(read)[..., ::-1].copy()).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("quality", [40, 75, 95])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_an_encoder_leaves(quality: int, channels: int) -> None:
    x = sample_picture("astronaut")[..., 100:290, 60:260]
    x = x if channels == 3 else (255 * x.mean(1, keepdim=True)).round() / 255
    mine, real = jpeg(x, quality), encoded(x, quality)
    assert mine.shape == x.shape
    assert float(psnr(mine, real)) > float(psnr(x, real)) + 6.5  # rounding of colours and their interpolation are the decoder's own
    assert abs(float(psnr(mine, x) - psnr(real, x))) < 0.3


def test_jpeg_is_per_sample_and_refuses_what_is_no_quality() -> None:
    x = pictures(3, 3, 20, 28, 0, torch.float32)
    q = torch.tensor([40.0, 60.0, 90.0])
    together = jpeg(x, q)
    assert torch.equal(together, torch.cat([jpeg(x[i : i + 1], float(q[i])) for i in range(3)]))
    for bad in (0.5, 101.0):
        with pytest.raises(ValueError, match="between 1 and 100"):
            jpeg(x, bad)


def test_noise_of_a_mosaic_is_correlated_and_weaker() -> None:
    noise = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    out = demosaiced(noise)
    assert (out.var((0, 2, 3)) < 0.8).all() and (out.var((0, 2, 3)) > 0.2).all()
    beside = (out[..., 1:] * out[..., :-1]).mean((0, 2, 3)) / out.square().mean((0, 2, 3))
    assert (beside > 0.3).all()
    assert torch.equal(out[:, 1][..., 1::2, 0::2], noise[:, 1][..., 1::2, 0::2])  # what was measured stays


def test_shot_noise_grows_with_the_light() -> None:
    camera = Camera(exposure=(1, 1), read=(0, 0), shot=(0.002, 0.002), later=(0, 0), mosaic=0.0, plain=1.0)
    y = torch.tensor([0.2, 0.5, 0.8]).reshape(3, 1, 1, 1).expand(3, 3, 64, 64)
    g = torch.Generator().manual_seed(0)
    noise = camera.develop(y, camera.draw(3, g), g) - y
    light = y[:, 0, 0, 0] ** 2.2
    expected = (camera.draw(1, g)["shot"].flatten() * light).sqrt() * light ** (1 / 2.2 - 1) / 2.2
    torch.testing.assert_close(noise.std((1, 2, 3)), expected, rtol=0.1, atol=2e-3)


def test_what_saturates_is_cut_and_the_truth_ends_at_white() -> None:
    bright = replace(PHOTOGRAPH, camera=Camera(exposure=(1.5, 1.5)))
    sample = realise(BatchedStream(Bank(SOURCE, 48), bright, batch=4, patch=32, margin=8)[0], bright)
    assert sample.y.shape == (4, 3, 16, 16) and sample.x.shape == (4, 3, 32, 32)
    assert float(sample.x.max()) == 1 and float(sample.y.max()) <= 1 and float(sample.y.min()) >= 0


@pytest.mark.parametrize("kind", ["batched", "one by one"])
def test_photographs_are_reproducible_and_have_a_noise_level(kind: str) -> None:
    def stream() -> BatchedStream | Stream:
        if kind == "batched":
            return BatchedStream(Bank(SOURCE, 48), PHOTOGRAPH, batch=4, patch=32, wide=48)
        return Stream(SOURCE, PHOTOGRAPH, batch=4, patch=32)

    first, again, other = (realise(stream()[n], PHOTOGRAPH) for n in (3, 3, 4))
    assert torch.equal(first.y, again.y) and not torch.equal(first.y, other.y)
    assert first.sigma is not None and first.sigma.shape == (4, 1, 1, 1) and (first.sigma > 0).all()
    if kind == "batched":
        assert first.wide is not None and torch.equal(first.wide, again.wide)  # type: ignore[arg-type]
