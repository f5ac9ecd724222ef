"""USRNet's released weights: recognised by their tensors, and computing what their formulas say."""

from pathlib import Path

import pytest
import torch
from by_formula import invented
from synthetic import kernels, observed, pictures
from torch import Tensor
from usrnet_by_formula import image_steps, usrnet_shapes

from pnpsr import Degradation, load, load_released, save
from pnpsr.bordered import solve
from pnpsr.evaluate import psnr
from pnpsr.images import crop_to_multiple, read_image
from pnpsr.kernels import load_kernels
from pnpsr.starts import upsample

T, WIDTHS = 3, (4, 6, 8, 10)


def small(channels: int = 3) -> dict[str, Tensor]:
    return invented(usrnet_shapes(WIDTHS, T, 5, channels))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_any_usrnet_is_recognised_and_computes_its_formulas(scale: int, tmp_path: Path) -> None:
    torch.save(small(), tmp_path / "a.pth")
    net = load_released(tmp_path / "a.pth")
    assert net.record.arguments == {"T": T, "widths": WIDTHS, "hidden": 5, "channels": 3, "start": "nearest"} and not net.training
    assert sum(p.numel() for p in net.parameters()) == sum(v.numel() for v in small().values())
    x, k = pictures(1, 3, 7 * scale, 10 * scale, seed=0), kernels(1, 6, seed=0)
    y = observed(x, k, scale, 0.02)
    with torch.no_grad():
        out = net(y, scale, k=k, sigma=0.02).x
        assert (out - image_steps(small(), "", y, k, 0.02, scale)).abs().max() < 1e-9


def test_gray_weights_make_a_gray_network(tmp_path: Path) -> None:
    torch.save(small(1), tmp_path / "a.pth")
    net, y, k = load_released(tmp_path / "a.pth"), pictures(1, 1, 5, 6, seed=0), torch.ones(1, 1, 1, 1).double()
    assert net.record.arguments["channels"] == 1
    with torch.no_grad():
        assert (net(y, 2, k=k, sigma=0.01).x - image_steps(small(1), "", y, k, 0.01, 2)).abs().max() < 1e-9


def test_what_was_recognised_can_be_saved_and_loaded(tmp_path: Path) -> None:
    torch.save(small(), tmp_path / "a.pth")
    net, y, k = load_released(tmp_path / "a.pth"), pictures(1, 3, 8, 8, seed=0), kernels(1, 5, seed=0)
    save(net, tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors")
    assert again.record == net.record
    with torch.no_grad():
        assert torch.equal(again(y, 2, k=k, sigma=0.01).x, net(y, 2, k=k, sigma=0.01).x)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_released_weights_restore_a_photograph(scale: int, data: Path) -> None:
    net = load_released(data / "weights" / "usrnet_tiny.pth")
    assert net.record.arguments == {"T": 6, "widths": (16, 32, 64, 64), "hidden": 32, "channels": 3, "start": "nearest"}
    x = crop_to_multiple(read_image(data / "test" / "set5" / "butterfly.png").image[..., 60:160, 60:176], scale)
    k = load_kernels(data / "kernels" / "usrnet12.npz")[:1]
    y = Degradation(scale)(x, k, 0.01, generator=torch.Generator().manual_seed(0))
    out = solve(net, y, scale, k=k, sigma=0.01, boundary="circular").x
    assert psnr(out, x) > psnr(upsample(y, scale).clamp(0, 1), x) + (3 if scale == 2 else 1)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_released_weights_score_as_their_formulas_do(scale: int, data: Path) -> None:
    """Single precision here, double precision there; crops of four photographs, four kernels, 1 % noise."""
    path = data / "weights" / "usrnet_tiny.pth"
    net = load_released(path)
    w = {name: value.double() for name, value in torch.load(path, weights_only=True).items()}
    kernels12 = load_kernels(data / "kernels" / "usrnet12.npz")
    for i, photograph in enumerate(sorted((data / "test" / "cbsd68").glob("*.jpg"))[::20]):
        x = read_image(photograph).image[..., 100:196, 100:220]
        k = kernels12[3 * i : 3 * i + 1]
        y = Degradation(scale)(x, k, 0.01, generator=torch.Generator().manual_seed(i))
        with torch.no_grad():
            out = net(y, scale, k=k, sigma=0.01).x
            reference = image_steps(w, "", y.double(), k.double(), 0.01, scale)
        assert (out - reference).abs().max() < 1e-4
        assert abs(psnr(out, x) - psnr(reference, x.double())) < 1e-3
