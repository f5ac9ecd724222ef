"""Every preset on inputs that users have and papers do not: gray pictures, noise that channels share, JPEG; and what is refused.

y is made of three crops in the preset's own convention. A blind preset must beat interpolation there, on average; one that is told
the kernel must beat total variation that is told it, too.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shipped import interpolation_for, kernel_for
from torch import Tensor

from pnpsr import load
from pnpsr.cli import main
from pnpsr.conventions import NAMED, degrade
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture, write_image
from pnpsr.kernels import gaussian
from pnpsr.recipes import tv_hqs
from pnpsr.weights import presets

SIGMA = 0.01
NONBLIND = ("usrnet",)


@cache
def sharp(gray: bool, side: int = 96) -> Tensor:
    x = torch.cat([sample_picture(name)[..., 40 : 40 + side, 140 : 140 + side] for name in ("astronaut", "coffee", "chelsea")])
    return x.mean(1, keepdim=True).expand_as(x).contiguous() if gray else x


def noisy(y: Tensor, shared: float) -> Tensor:
    """Noise of 1 %, of whose variance the channels have ``shared`` in common."""
    g = torch.Generator().manual_seed(0)
    own, common = torch.randn(y.shape, generator=g), torch.randn((len(y), 1, *y.shape[2:]), generator=g)
    return y + SIGMA * ((1 - shared) ** 0.5 * own + shared**0.5 * common)


def compressed(y: Tensor, quality: int) -> Tensor:
    """y as the files of a camera give it back."""
    import cv2

    def one(picture: Tensor) -> Tensor:
        pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()[..., ::-1]
        _, file = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])
        return torch.from_numpy(cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1].copy()).permute(2, 0, 1) / 255

    return torch.stack([one(picture) for picture in y])


INPUTS: dict[str, tuple[bool, Callable[[Tensor], Tensor]]] = {
    "independent": (False, lambda y: noisy(y, 0.0)),
    "half shared": (False, lambda y: noisy(y, 0.5)),
    "all shared": (False, lambda y: noisy(y, 1.0)),
    "gray": (True, lambda y: noisy(y, 1.0)),
    "JPEG": (False, lambda y: compressed(y, 90)),
}


def kernel(name: str, scale: int) -> Tensor:
    return kernel_for(name, scale, 1.5 if scale < 4 else 2.2).expand(3, -1, -1, -1)


def told(name: str, k: Tensor) -> dict[str, Any]:
    return {"k": k, "sigma": SIGMA} if name in NONBLIND else {}


def scales(name: str) -> tuple[int, ...]:
    return presets()[name].scales or (1, 2, 3, 4)


def cases() -> Iterator[Any]:
    for name in presets():
        for scale in scales(name):
            for kind in INPUTS:
                yield pytest.param(name, scale, kind)


@pytest.mark.parametrize(("name", "scale", "kind"), list(cases()))
@torch.no_grad()
def test_a_preset_is_better_than_what_needs_no_training(name: str, scale: int, kind: str) -> None:
    gray, spoilt = INPUTS[kind]
    x, k, convention = sharp(gray, 96 * min(scale, 2)), kernel(name, scale), NAMED[presets()[name].convention]
    y = spoilt(degrade(x, k, scale, convention))
    found = load(name)(y, scale, **told(name, k)).x
    plain = interpolation_for(name).run(y, scale)
    mine, interpolated = (float(psnr(out.clamp(0, 1), x, border=8).mean()) for out in (found, plain))
    assert mine > interpolated
    if name in NONBLIND:
        assert mine > float(psnr(tv_hqs()(y, scale, **told(name, k)).x.clamp(0, 1), x, border=8).mean())


each = pytest.mark.parametrize("name", presets())


@each
@pytest.mark.gpu
@torch.no_grad()
def test_a_preset_gives_on_a_gpu_what_it_gives_on_a_cpu(name: str) -> None:
    scale = scales(name)[-1]
    k = kernel(name, scale)
    y = degrade(sharp(gray=False), k, scale, NAMED[presets()[name].convention])
    needed = told(name, k)
    here, there = (
        load(name)(y, scale, **needed),
        load(name, device="cuda")(y.cuda(), scale, **{**needed, "k": k.cuda()} if needed else {}),
    )
    assert there.x.device.type == "cuda" and there.x.dtype == torch.float32
    assert float(psnr(there.x.cpu().clamp(0, 1), here.x.clamp(0, 1)).min()) > 50


@each
def test_a_preset_refuses_what_no_solver_takes(name: str) -> None:
    """Kernels that do not sum to 1, pictures and noise in other units, a missing kernel: before anything is computed."""
    solver, scale = load(name), scales(name)[-1]
    y, k = torch.full((1, 3, 24, 24), 0.5), gaussian(21, 1.5)
    needed = {"k": k, "sigma": SIGMA} if name in NONBLIND else {}
    wrong: dict[str, tuple[Tensor, dict[str, Any], str]] = {
        "k 81": (y, {**needed, "k": 81 * k}, "sums? (of|to) 81"),
        "k 0": (y, {**needed, "k": 0 * k}, "sums? (of|to) 0"),
        "k -1": (y, {**needed, "k": -k}, "sums? (of|to) -1"),
        "y 10": (10 * y, needed, r"\[0, 1\]"),
        "y 255": (255 * y, needed, r"\[0, 1\]"),
        "sigma": (y, {**needed, "sigma": 2.55}, "sigma.* 255"),
    }
    for picture, options, message in wrong.values():
        with pytest.raises(ValueError, match=message):
            solver(picture, scale, **options)
    if name in NONBLIND:
        with pytest.raises(ValueError, match="k"):
            solver(y, scale)


@each
def test_a_preset_is_refused_at_another_scale_on_the_command_line_too(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if presets()[name].scales is None:
        pytest.skip("made for any scale")
    write_image(tmp_path / "a.png", sharp(gray=False)[:1])
    other = 4 if scales(name) == (3,) else 3
    for words in (
        ("restore", tmp_path / "a.png", "--preset", name, "--scale", other),
        ("evaluate", "--images", tmp_path, "--methods", name, "--scales", other, "--metrics", "psnr"),
    ):
        assert main([*map(str, words), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"×{scales(name)[0]}" in error or f"scale {scales(name)[0]}" in error
