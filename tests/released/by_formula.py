"""The released networks as plain functions of their state dicts, and state dicts of any size made from formulas.

Nothing here knows the library: torch.nn.functional, full complex spectra, and the names of other people's tensors.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def invented(shapes: Shapes, seed: int = 0, gain: float = 0.7) -> Weights:
    """Random tensors in float64, weights that keep about ``gain`` of a signal, and small biases."""
    g = torch.Generator().manual_seed(seed)

    def one(shape: tuple[int, ...]) -> Tensor:
        power = gain / max(1, torch.Size(shape[1:]).numel()) ** 0.5 if len(shape) > 1 else 0.1
        return power * torch.randn(shape, generator=g, dtype=torch.float64)

    return {name: one(shape) for name, shape in shapes.items()}


def conv(w: Weights, name: str, v: Tensor, stride: int = 1) -> Tensor:
    """A convolution that keeps the size, or divides it by the stride."""
    weight = w[f"{name}.weight"]
    return F.conv2d(v, weight, w.get(f"{name}.bias"), stride, weight.shape[-1] // 2)


def _conv_shapes(name: str, out: int, into: int, p: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (out, into, p, p)} | ({f"{name}.bias": (out,)} if bias else {})


# --- DAN ---


def dan_shapes(
    version: int, scale: int, *, width: int, groups: int, blocks: int, size: int, code: int, channels: int = 3
) -> Shapes:
    """Names and shapes of a released DAN without its three buffers; version 1 has ``blocks`` blocks and no groups."""
    s: Shapes = {}
    half, r, e = width // 2, "Restorer.", "Estimator."

    def dual(name: str, n: int, conditional: int) -> Shapes:
        parts = [(f"{name}.body{i}.{j}", p) for i, p in ((1, 3), (2, conditional)) for j in (0, 2)]
        return {k: v for part, p in parts for k, v in _conv_shapes(part, n, n, p).items()}

    def residual(name: str, n: int, m: int) -> Shapes:
        squeezed = n // 16
        return (
            _conv_shapes(f"{name}.body.0", n + m, n + m, 3)
            | _conv_shapes(f"{name}.body.2", n, n + m, 3)
            | _conv_shapes(f"{name}.body.3.body.0", squeezed, n, 1)
            | _conv_shapes(f"{name}.body.3.body.2", n, squeezed, 1)
        )

    if version == 2:
        s |= _conv_shapes(r + "head1", width, channels, 3) | _conv_shapes(r + "head2", width, code, 1)
        for i in range(groups):
            for j in range(blocks):
                s |= dual(f"{r}body.{i}.body.{j}", width, 1)
        s |= _conv_shapes(e + "head_LR.0", half, channels, 5) | _conv_shapes(e + "head_HR.0", half, channels, 4 * scale + 1)
        for j in range(5):
            s |= dual(f"{e}body.body.{j}", half, 3)
        s |= _conv_shapes(e + "tail.0", width, half, 3) | _conv_shapes(e + "tail.2", size**2, width, 1)
    else:
        s |= _conv_shapes(r + "head", width, channels, 3)
        for i in range(blocks):
            s |= residual(f"{r}body.{i}", width, code)
        s |= _conv_shapes(e + "head_LR", half, channels, 1) | _conv_shapes(e + "head_HR", half, channels, 9)
        for j in range(5):
            s |= residual(f"{e}body.{j}", half, half)
        s |= _conv_shapes(e + "out", code, half, 3)
    s |= _conv_shapes(r + "fusion", width, width, 3)
    ups = [] if scale == 1 and version == 2 else [2, 2] if scale == 4 else [scale]
    for i, factor in enumerate(ups):
        s |= _conv_shapes(f"{r}upscale.{2 * i}", width * factor**2, width, 3)
    return s | _conv_shapes(f"{r}upscale.{2 * len(ups)}" if ups else r + "upscale", channels, width, 3)


def dan_buffers(size: int, code: int, seed: int = 0) -> Weights:
    """A basis with orthonormal columns, the Dirac, and the Dirac's code."""
    g = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(size**2, code, generator=g, dtype=torch.float64)).Q[None]
    dirac = torch.zeros(1, size, size, dtype=torch.float64)
    dirac[:, size // 2, size // 2] = 1
    return {"encoder": basis, "init_kernel": dirac, "init_ker_map": dirac.flatten(1) @ basis[0]}


def _two(w: Weights, name: str, v: Tensor) -> Tensor:
    return conv(w, f"{name}.2", F.leaky_relu(conv(w, f"{name}.0", v), 0.2))


def _numbers(w: Weights, prefix: str) -> range:
    return range(1 + max(int(name[len(prefix) :].split(".")[0]) for name in w if name.startswith(prefix)))


def _group(w: Weights, name: str, basic: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
    for j in _numbers(w, f"{name}.body."):
        gain = _two(w, f"{name}.body.{j}.body2", condition)
        basic, condition = basic + gain * _two(w, f"{name}.body.{j}.body1", basic), condition + gain
    return 2 * basic, 2 * condition  # not input + output: the released code overwrites its input


def _attended(w: Weights, name: str, basic: Tensor, condition: Tensor) -> Tensor:
    update = _two(w, name + ".body", torch.cat([basic, condition], 1))
    return basic + update * torch.sigmoid(_two(w, name + ".body.3.body", update.mean((2, 3), keepdim=True)))


def _up(w: Weights, v: Tensor) -> Tensor:
    if "Restorer.upscale.weight" in w:
        return conv(w, "Restorer.upscale", v)
    *spread, last = sorted({int(name.split(".")[2]) for name in w if name.startswith("Restorer.upscale.")})
    for i in spread:
        v = conv(w, f"Restorer.upscale.{i}", v)
        v = F.pixel_shuffle(v, round((v.shape[1] / w["Restorer.fusion.weight"].shape[0]) ** 0.5))
    return conv(w, f"Restorer.upscale.{last}", v)


def dan(w: Weights, y: Tensor, T: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """x (b c sh sw), the kernel's code (b n) and the kernel (b 1 p p) after T rounds of Restorer, then Estimator."""
    second, basis = "Restorer.head1.weight" in w, w["encoder"][0]
    code = w["init_ker_map"].expand(len(y), -1)
    for _ in range(T):
        if second:
            basic, condition = conv(w, "Restorer.head1", y), conv(w, "Restorer.head2", code[..., None, None])
            for i in _numbers(w, "Restorer.body."):
                basic, condition = _group(w, f"Restorer.body.{i}", basic, condition)
        else:
            basic, condition = conv(w, "Restorer.head", y), code[..., None, None].expand(-1, -1, *y.shape[2:])
            for i in _numbers(w, "Restorer.body."):
                basic = _attended(w, f"Restorer.body.{i}", basic, condition)
        x = _up(w, conv(w, "Restorer.fusion", basic))
        s = x.shape[-1] // y.shape[-1]
        if second:
            basic, condition = conv(w, "Estimator.head_LR.0", y), conv(w, "Estimator.head_HR.0", x, s)
            basic, _ = _group(w, "Estimator.body", basic, condition)
            k = conv(w, "Estimator.tail.2", conv(w, "Estimator.tail.0", basic).mean((2, 3), keepdim=True)).softmax(1)[..., 0, 0]
            code = k @ basis
        else:
            basic, condition = conv(w, "Estimator.head_LR", y), conv(w, "Estimator.head_HR", x, s)
            for i in _numbers(w, "Estimator.body."):
                basic = _attended(w, f"Estimator.body.{i}", basic, condition)
            code = conv(w, "Estimator.out", basic).mean((2, 3))
            k = code @ basis.T
    p = w["init_kernel"].shape[-1]
    return x, code, k.reshape(-1, 1, p, p)


# --- USRNet and IKR-Net ---


def resunet_shapes(name: str, into: int, out: int, widths: tuple[int, ...], bias: bool = False) -> Shapes:
    """USRNet's prior, or with biases everywhere but in the head IKR-Net's kernel prior."""
    s = _conv_shapes(f"{name}.m_head", widths[0], into, 3, False)
    for level in (1, 2, 3):
        a, b = widths[level - 1], widths[level]
        blocks = [f"{name}.m_down{level}.{i}" for i in (0, 1)] + [f"{name}.m_up{level}.{i}" for i in (1, 2)]
        for block in blocks:
            s |= _conv_shapes(f"{block}.res.0", a, a, 3, bias) | _conv_shapes(f"{block}.res.2", a, a, 3, bias)
        s |= _conv_shapes(f"{name}.m_down{level}.2", b, a, 2, bias) | {f"{name}.m_up{level}.0.weight": (b, a, 2, 2)}
        s |= {f"{name}.m_up{level}.0.bias": (a,)} if bias else {}
    for i in (0, 1):
        for j in (0, 2):
            s |= _conv_shapes(f"{name}.m_body.{i}.res.{j}", widths[3], widths[3], 3, bias)
    return s | _conv_shapes(f"{name}.m_tail", out, widths[0], 3, bias)


def hyper_shapes(name: str, hidden: int, T: int) -> Shapes:
    """USRNet's hyper-network."""
    sizes = ((2, hidden), (hidden, hidden), (hidden, 2 * T))
    return {k: v for i, (into, out) in enumerate(sizes) for k, v in _conv_shapes(f"{name}.mlp.{2 * i}", out, into, 1).items()}


def usrnet_shapes(widths: tuple[int, ...], T: int, hidden: int, channels: int = 3) -> Shapes:
    """A whole USRNet."""
    return resunet_shapes("p", channels + 1, channels, widths) | hyper_shapes("h", hidden, T)


def ikrnet_shapes(widths: tuple[int, ...], size: int, kernel_widths: tuple[int, ...] = (2, 4, 8, 16), wide: int = 64) -> Shapes:
    """A whole IKR-Net; of netP only the paper's description is known."""
    s: Shapes = {}
    for i in range(6):
        s |= _conv_shapes(f"netP.ConvNet.{2 * i}", wide, wide if i else 3, 5)
    s |= {"netP.fc.weight": (10, 4 * wide), "netP.fc.bias": (10,)}
    sizes = [10, *(max(10, round(n * size**2 / 441)) for n in (25, 100, 225, 400)), size**2]
    names = [f"hidden{i}" for i in (1, 2, 3, 4)] + ["output"]
    for part, chain in (("dec.decoder", sizes), ("enc.encoder", sizes[::-1])):
        for name, into, out in zip(names, chain, chain[1:], strict=False):
            s |= {f"{part}_{name}.weight": (out, into), f"{part}_{name}.bias": (out,)}
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
