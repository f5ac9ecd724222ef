"""What docs/questions.md says without code of its own is so."""

import inspect
from pathlib import Path

import pytest
import torch
from synthetic import pictures

import pnpsr
from pnpsr import Degradation, blind_hqs
from pnpsr.bordered import in_colour
from pnpsr.conventions import PNPSR, reproduces
from pnpsr.evaluate import kernel_psnr, named_protocol
from pnpsr.images import read_image, write_image
from pnpsr.kernels import KernelBasis, dirac, gaussian, load_kernels, random_gaussian, resize_support, save_kernels, turned
from pnpsr.train.stages import Stage, stages_for
from pnpsr.weights import presets

X, K = pictures(1, 1, 24, 24, seed=0).float(), gaussian(5, 1.0)


def test_pictures_and_sizes(tmp_path: Path) -> None:
    """Five pixels are enough; a kernel larger than the picture is refused; 16 bits and alpha are kept apart."""
    assert pnpsr.restore(pictures(1, 1, 5, 5, seed=0).float(), 2, k=dirac(3)).x.shape[-2:] == (10, 10)
    with pytest.raises(ValueError, match="larger than the image"):
        Degradation(1)(X, gaussian(25, 1.0))
    alpha = torch.linspace(0, 1, 24).expand(1, 1, 24, 24)
    write_image(tmp_path / "a.png", X, bits=16, alpha=alpha)
    again = read_image(tmp_path / "a.png")
    assert (again.image - X).abs().max() < 1e-4 and again.alpha is not None and (again.alpha - alpha).abs().max() < 1e-4
    usual = inspect.signature(pnpsr.restore).parameters
    assert usual["boundary"].default == "extend" and {"size", "k", "sigma", "tile", "memory", "kernels_per"} <= set(usual)


def test_kernels_and_conventions(tmp_path: Path) -> None:
    """18 is brought to 21; correlation is convolution with the turned kernel; files of any kind; scales per axis, whole."""
    grown = resize_support(gaussian(18, 1.5), 21)
    assert grown.shape[-2:] == (21, 21) and kernel_psnr(grown, gaussian(21, 1.5), align=True) > 40
    assert torch.allclose(Degradation(2, correlation=True)(X, K.roll(1, -1)), Degradation(2)(X, turned(K.roll(1, -1))), atol=1e-6)
    assert not torch.allclose(Degradation(2, decimation="bicubic")(X, K), Degradation(2)(X, K), atol=1e-3)
    assert reproduces(Degradation(2)(X, K), X, K, 2, PNPSR).psnr > 100
    for name in ("k.npz", "k.npy"):
        save_kernels(tmp_path / name, K)
        assert torch.allclose(load_kernels(tmp_path / name), K)
    assert (
        KernelBasis.fit(random_gaussian(30, 15, generator=torch.Generator().manual_seed(0)), 10).encode(gaussian(15, 1.0)).shape[1]
        == 10
    )
    assert Degradation((2, 3))(X, K).shape[-2:] == (12, 8)
    with pytest.raises(TypeError, match="scale must be an integer"):
        Degradation(1.5)  # type: ignore[arg-type]


def test_methods_training_and_protocols() -> None:
    """What needs a kernel says so; blind, and at scale 1; gray by networks of one channel; stages are data."""
    assert blind_hqs(7, T=1, finish=1)(X, 1).x.shape == X.shape
    colours = pnpsr.usrnet(T=1, widths=(2, 2, 2, 2))
    assert (
        in_colour(colours, X).shape[1] == 3
        and pnpsr.usrnet(T=1, widths=(2, 2, 2, 2), channels=1)(X, 2, k=K, sigma=0.0).x.shape[1] == 1
    )
    assert stages_for(colours) and "deep" in inspect.signature(Stage).parameters
    assert named_protocol("div2krk").convention is not None
    assert (presets()["dan-x2"].setting, presets()["dan-x2"].convention) == ("dan-setting1", "DAN")
    assert not pnpsr.restore(X[..., :8, :8] * 0 + 0.5, 1).blurred
