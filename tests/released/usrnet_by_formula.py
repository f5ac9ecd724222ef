"""USRNet, and IKR-Net as its released code runs it."""

import torch
from by_formula import Shapes, Weights, conv, conv_shapes
from torch import Tensor
from torch.nn import functional as F


def resunet_shapes(name: str, into: int, out: int, widths: tuple[int, ...], bias: bool = False) -> Shapes:
    """USRNet's prior, or with biases everywhere but in the head IKR-Net's kernel prior."""
    s = conv_shapes(f"{name}.m_head", widths[0], into, 3, False)
    for level in (1, 2, 3):
        a, b = widths[level - 1], widths[level]
        blocks = [f"{name}.m_down{level}.{i}" for i in (0, 1)] + [f"{name}.m_up{level}.{i}" for i in (1, 2)]
        for block in blocks:
            s |= conv_shapes(f"{block}.res.0", a, a, 3, bias) | conv_shapes(f"{block}.res.2", a, a, 3, bias)
        s |= conv_shapes(f"{name}.m_down{level}.2", b, a, 2, bias) | {f"{name}.m_up{level}.0.weight": (b, a, 2, 2)}
        s |= {f"{name}.m_up{level}.0.bias": (a,)} if bias else {}
    for i in (0, 1):
        for j in (0, 2):
            s |= conv_shapes(f"{name}.m_body.{i}.res.{j}", widths[3], widths[3], 3, bias)
    return s | conv_shapes(f"{name}.m_tail", out, widths[0], 3, bias)


def hyper_shapes(name: str, hidden: int, T: int) -> Shapes:
    """USRNet's hyper-network."""
    sizes = ((2, hidden), (hidden, hidden), (hidden, 2 * T))
    return {k: v for i, (into, out) in enumerate(sizes) for k, v in conv_shapes(f"{name}.mlp.{2 * i}", out, into, 1).items()}


def usrnet_shapes(widths: tuple[int, ...], T: int, hidden: int, channels: int = 3) -> Shapes:
    """A whole USRNet."""
    return resunet_shapes("p", channels + 1, channels, widths) | hyper_shapes("h", hidden, T)


def ikrnet_shapes(widths: tuple[int, ...], size: int, kernel_widths: tuple[int, ...] = (2, 4, 8, 16), wide: int = 64) -> Shapes:
    """A whole IKR-Net; of netP only the paper's description is known."""
    s: Shapes = {}
    for i in range(6):
        s |= conv_shapes(f"netP.ConvNet.{2 * i}", wide, wide if i else 3, 5)
    s |= conv_shapes("netP.fc", 10, 4 * wide, 0)
    sizes = [10, *(max(10, round(n * size**2 / 441)) for n in (25, 100, 225, 400)), size**2]
    names = [f"hidden{i}" for i in (1, 2, 3, 4)] + ["output"]
    for part, chain in (("dec.decoder", sizes), ("enc.encoder", sizes[::-1])):
        for name, into, out in zip(names, chain, chain[1:], strict=False):
            s |= conv_shapes(f"{part}_{name}", out, into, 0)
    for part in ("", "_init"):
        s |= resunet_shapes(f"p{part}", 4, 3, widths) | hyper_shapes(f"h{part}", 64, 8)
    return s | resunet_shapes("pk", 1, 1, kernel_widths, bias=True)


def resunet(w: Weights, name: str, v: Tensor) -> Tensor:
    """The U: what goes down is added to what comes up."""

    def residuals(v: Tensor, part: str, indices: tuple[int, int]) -> Tensor:
        for i in indices:
            v = v + conv(w, f"{name}.{part}.{i}.res.2", F.relu(conv(w, f"{name}.{part}.{i}.res.0", v)))
        return v

    h, width = v.shape[-2:]
    features = [conv(w, f"{name}.m_head", F.pad(v, (0, -width % 8, 0, -h % 8), mode="replicate"))]
    for i in (1, 2, 3):
        down = f"{name}.m_down{i}.2"
        v = residuals(features[-1], f"m_down{i}", (0, 1))
        features.append(F.conv2d(v, w[f"{down}.weight"], w.get(f"{down}.bias"), 2))
    v = residuals(features[-1], "m_body", (0, 1))
    for i in (3, 2, 1):
        up = f"{name}.m_up{i}.0"
        v = F.conv_transpose2d(v + features[i], w[f"{up}.weight"], w.get(f"{up}.bias"), 2)
        v = residuals(v, f"m_up{i}", (1, 2))
    return conv(w, f"{name}.m_tail", v + features[0])[..., :h, :width]


def data_step(otf: Tensor, y: Tensor, x: Tensor, alpha: Tensor | float, s: int) -> Tensor:
    """USRNet's Eq. 8-9 on full complex spectra: folding, tiling, division by alpha. ``otf`` is the spectrum of what is known."""
    spread = x.new_zeros(*y.shape[:2], *x.shape[-2:])
    spread[..., ::s, ::s] = y

    def fold(spectrum: Tensor) -> Tensor:
        return sum(a for b in spectrum.chunk(s, -2) for a in b.chunk(s, -1)) / s**2

    d = otf.conj() * torch.fft.fft2(spread) + alpha * torch.fft.fft2(x)
    ratio = fold(otf * d) / (fold(otf.abs().square()) + alpha)
    return torch.fft.ifft2((d - otf.conj() * ratio.repeat(1, 1, s, s)) / alpha).real


def image_steps(w: Weights, part: str, y: Tensor, k: Tensor, sigma: float, s: int) -> Tensor:
    """All image steps of a USRNet whose networks are p and h with ``part`` behind their names, from the nearest pixel."""
    v = y.new_tensor([sigma, s]).reshape(1, 2, 1, 1)
    for i in (0, 2):
        v = F.relu(conv(w, f"h{part}.mlp.{i}", v))
    levels = F.softplus(conv(w, f"h{part}.mlp.4", v)).flatten() + 1e-6
    n, (p, q) = len(levels) // 2, k.shape[-2:]
    x = y.repeat_interleave(s, -2).repeat_interleave(s, -1)
    psf = F.pad(k, (0, x.shape[-1] - q, 0, x.shape[-2] - p)).roll((-(p // 2), -(q // 2)), (-2, -1))
    for t in range(n):
        z = data_step(torch.fft.fft2(psf), y, x, levels[t], s)
        x = resunet(w, f"p{part}", torch.cat([z, levels[n + t].expand(len(z), 1, *z.shape[2:])], 1))
    return x


def ikrnet_code(w: Weights, k: Tensor) -> Tensor:
    """The code (b 10) that the auto-encoder has for a kernel."""
    v = k.flatten(1)
    for name in ("hidden1", "hidden2", "hidden3", "hidden4"):
        v = F.relu(F.linear(v, w[f"enc.encoder_{name}.weight"], w[f"enc.encoder_{name}.bias"]))
    return F.linear(v, w["enc.encoder_output.weight"], w["enc.encoder_output.bias"]).sigmoid()


def ikrnet_first(w: Weights, y: Tensor) -> Tensor:
    """The first kernel; the stride in the fourth convolution, the slope and the sigmoid are ours."""
    v = y
    for i in range(6):
        v = F.leaky_relu(conv(w, f"netP.ConvNet.{2 * i}", v, 2 if i == 3 else 1), 0.2)
    v = F.linear(F.adaptive_avg_pool2d(v, 2).flatten(1), w["netP.fc.weight"], w["netP.fc.bias"]).sigmoid()
    for name in ("hidden1", "hidden2", "hidden3", "hidden4"):
        v = F.relu(F.linear(v, w[f"dec.decoder_{name}.weight"], w[f"dec.decoder_{name}.bias"]))
    v = F.linear(v, w["dec.decoder_output.weight"], w["dec.decoder_output.bias"]).sigmoid()
    p = round(v.shape[1] ** 0.5)
    return v.reshape(-1, 1, p, p)


def ikrnet(w: Weights, y: Tensor, k: Tensor, sigma: float, s: int) -> tuple[Tensor, Tensor]:
    """x and k for one sample: 8 image steps, one kernel step from zero on the first channel with weight 5, 8 image steps afresh."""
    p = k.shape[-1]
    x = image_steps(w, "_init", y, k, sigma, s)[:, :1]
    grid = data_step(torch.fft.fft2(x), y[:, :1], torch.zeros_like(x), 5.0, s).roll((p // 2, p // 2), (-2, -1))
    k = grid[..., :p, :p]
    k = k - (k.sum() - 1) / p**2
    k = resunet(w, "pk", k)
    k = k - (k.sum() - 1) / p**2
    return image_steps(w, "", y, k, sigma, s), k
