"""Other people's weights in our networks: recognised by their tensors, and computing what their formulas say."""

import re
from pathlib import Path

import pytest
import torch
from synthetic import kernels, observed, pictures
from torch import Tensor
from torch.nn import functional as F

from pnpsr import usrnet
from pnpsr.evaluate import psnr
from pnpsr.images import crop_to_multiple, read_image
from pnpsr.kernels import load_kernels
from pnpsr.physics import Degradation
from pnpsr.released import load_released
from pnpsr.restore import restore
from pnpsr.starts import upsample

T, WIDTHS = 3, (4, 6, 8, 10)


def invented(seed: int = 0, channels: int = 3, hidden: int = 5) -> dict[str, Tensor]:
    """Random tensors under the names and in the shapes of a released USRNet."""
    g = torch.Generator().manual_seed(seed)

    def draw(out: int, into: int, p: int) -> Tensor:
        return torch.randn(out, into, p, p, generator=g) * 0.5 / (into * p * p) ** 0.5

    w = {"p.m_head.weight": draw(WIDTHS[0], channels + 1, 3), "p.m_tail.weight": draw(channels, WIDTHS[0], 3)}
    for level in (1, 2, 3):
        a, b = WIDTHS[level - 1], WIDTHS[level]
        w |= {f"p.m_down{level}.{i}.res.{j}.weight": draw(a, a, 3) for i in (0, 1) for j in (0, 2)}
        w |= {f"p.m_up{level}.{i}.res.{j}.weight": draw(a, a, 3) for i in (1, 2) for j in (0, 2)}
        w |= {f"p.m_down{level}.2.weight": draw(b, a, 2), f"p.m_up{level}.0.weight": draw(b, a, 2)}
    w |= {f"p.m_body.{i}.res.{j}.weight": draw(WIDTHS[3], WIDTHS[3], 3) for i in (0, 1) for j in (0, 2)}
    for i, (into, out) in enumerate(((2, hidden), (hidden, hidden), (hidden, 2 * T))):
        w |= {f"h.mlp.{2 * i}.weight": draw(out, into, 1), f"h.mlp.{2 * i}.bias": torch.randn(out, generator=g) * 0.3}
    return w


def by_the_paper(w: dict[str, Tensor], y: Tensor, k: Tensor, sigma: float, s: int) -> Tensor:
    """USRNet's Eq. 6-9 on full complex spectra, with folding and division by alpha, in float64 and by functions only."""
    w = {name: value.double() for name, value in w.items()}
    y, k = y.double(), k.double()
    levels = torch.tensor([sigma, s], dtype=torch.float64).reshape(1, 2, 1, 1)
    for i in (0, 2):
        levels = F.relu(F.conv2d(levels, w[f"h.mlp.{i}.weight"], w[f"h.mlp.{i}.bias"]))
    levels = F.softplus(F.conv2d(levels, w["h.mlp.4.weight"], w["h.mlp.4.bias"])).flatten() + 1e-6
    n = len(levels) // 2
    H, W = s * y.shape[-2], s * y.shape[-1]
    psf = F.pad(k, (0, W - k.shape[-1], 0, H - k.shape[-2])).roll((-(k.shape[-2] // 2), -(k.shape[-1] // 2)), (-2, -1))
    otf = torch.fft.fft2(psf)
    spread = torch.zeros(*y.shape[:2], H, W, dtype=torch.float64)
    spread[..., ::s, ::s] = y
    x = y.repeat_interleave(s, -2).repeat_interleave(s, -1)

    def fold(spectrum: Tensor) -> Tensor:
        """The mean of the s x s distinct blocks."""
        return sum(a for b in spectrum.chunk(s, -2) for a in b.chunk(s, -1)) / s**2

    for t in range(n):
        alpha, beta = levels[t], levels[n + t]
        d = otf.conj() * torch.fft.fft2(spread) + alpha * torch.fft.fft2(x)
        ratio = fold(otf * d) / (fold(otf.abs().square()) + alpha)
        z = torch.fft.ifft2((d - otf.conj() * ratio.repeat(1, 1, s, s)) / alpha).real
        x = _prior(w, z, beta)
    return x


def _prior(w: dict[str, Tensor], z: Tensor, beta: Tensor) -> Tensor:
    def residuals(v: Tensor, name: str, indices: tuple[int, int]) -> Tensor:
        for i in indices:
            inner = F.relu(F.conv2d(v, w[f"p.{name}.{i}.res.0.weight"], padding=1))
            v = v + F.conv2d(inner, w[f"p.{name}.{i}.res.2.weight"], padding=1)
        return v

    h, width = z.shape[-2:]
    v = F.pad(torch.cat([z, beta.expand(len(z), 1, h, width)], 1), (0, -width % 8, 0, -h % 8), mode="replicate")
    features = [F.conv2d(v, w["p.m_head.weight"], padding=1)]
    for level in (1, 2, 3):
        features.append(F.conv2d(residuals(features[-1], f"m_down{level}", (0, 1)), w[f"p.m_down{level}.2.weight"], stride=2))
    v = residuals(features[-1], "m_body", (0, 1))
    for level in (3, 2, 1):
        v = residuals(F.conv_transpose2d(v + features[level], w[f"p.m_up{level}.0.weight"], stride=2), f"m_up{level}", (1, 2))
    return F.conv2d(v + features[0], w["p.m_tail.weight"], padding=1)[..., :h, :width]


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_any_usrnet_is_recognised_and_computes_its_formulas(scale: int, tmp_path: Path) -> None:
    torch.save(invented(), tmp_path / "a.pth")
    net = load_released(tmp_path / "a.pth")
    assert net.T == T and net.record.arguments["widths"] == WIDTHS and not net.training
    assert sum(p.numel() for p in net.parameters()) == sum(v.numel() for v in invented().values())
    x, k = pictures(1, 3, 7 * scale, 10 * scale, seed=0), kernels(1, 6, seed=0)
    y = observed(x, k, scale, 0.02)
    with torch.no_grad():
        out = net.double()(y, scale, k=k, sigma=0.02).x
    assert (out - by_the_paper(invented(), y, k, 0.02, scale)).abs().max() < 1e-6


def test_gray_weights_make_a_gray_network(tmp_path: Path) -> None:
    torch.save(invented(channels=1), tmp_path / "a.pth")
    net = load_released(tmp_path / "a.pth")
    assert (
        net.record.arguments["channels"] == 1
        and net(pictures(1, 1, 5, 6, 0, torch.float32), 2, k=torch.ones(1, 1, 1, 1), sigma=0.0).x.shape[1] == 1
    )


@pytest.mark.parametrize("scale", [2, 4])
def test_the_released_weights_restore_a_photograph(scale: int, data: Path) -> None:
    path = data / "weights" / "usrnet_tiny.pth"
    net = load_released(path)
    assert net.record.arguments == {"T": 6, "widths": (16, 32, 64, 64), "hidden": 32, "channels": 3, "start": "nearest"}
    x = crop_to_multiple(read_image(data / "test" / "set5" / "butterfly.png").image[..., 60:160, 60:176], scale)
    k = load_kernels(data / "kernels" / "usrnet12.npz")[:1]
    y = Degradation(scale)(x, k, 0.01, generator=torch.Generator().manual_seed(0))
    out = restore(net, y, scale, k=k, sigma=0.01, boundary="circular").x
    assert psnr(out, x) > psnr(upsample(y, scale).clamp(0, 1), x) + (3 if scale == 2 else 1)
    with torch.no_grad():
        reference = by_the_paper(torch.load(path, weights_only=True), y, k, 0.01, scale)
        assert (net(y, scale, k=k, sigma=0.01).x - reference).abs().max() < 1e-4


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_released(path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_released(tmp_path)
    torch.save(invented(), path)
    whole = path.read_bytes()
    for content in (
        b"",
        b"text, not a checkpoint",
        *(whole[: n * len(whole) // 100] for n in (1, 10, 50, 90, 99)),
        b"\x80\x02" + bytes(50),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.pth is truncated or no checkpoint of tensors"):
            load_released(path)


def test_nothing_but_tensors_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"weights": Path("/")}, path)
    with pytest.raises(ValueError, match="no checkpoint of tensors"):
        load_released(path)
    for value in ([1, 2], {"state_dict": invented()}, torch.zeros(3)):
        torch.save(value, path)
        with pytest.raises(ValueError, match="must hold a dictionary of tensors"):
            load_released(path)


def test_other_networks_are_refused_with_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(usrnet(T=2, widths=WIDTHS).state_dict(), path)  # our names, which are not theirs
    with pytest.raises(ValueError, match="is no USRNet checkpoint: expected .*p.m_head.weight.*; found restorer.prior"):
        load_released(path)
    w = invented()
    for change in (
        {"p.m_body.0.res.0.weight": torch.zeros(3, 3, 3, 3)},
        {"p.m_extra.weight": torch.zeros(1)},
        {"h.mlp.4.bias": torch.zeros(2)},
    ):
        torch.save(w | change, path)
        with pytest.raises(ValueError, match="variant of USRNet that is not known"):
            load_released(path)
    missing = {name: value for name, value in w.items() if not re.search("m_body.1", name)}
    torch.save(missing, path)
    with pytest.raises(ValueError, match="variant of USRNet that is not known"):
        load_released(path)
