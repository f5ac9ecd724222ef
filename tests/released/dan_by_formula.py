"""DANv1 and DANv2 as their released code runs them."""

import torch
from by_formula import Shapes, Weights, conv, conv_shapes
from torch import Tensor
from torch.nn import functional as F


def dan_shapes(
    version: int, scale: int, *, width: int, groups: int, blocks: int, size: int, code: int, channels: int = 3
) -> Shapes:
    """Names and shapes of a released DAN without its three buffers; version 1 has ``blocks`` blocks and no groups."""
    s: Shapes = {}
    half, r, e = width // 2, "Restorer.", "Estimator."

    def dual(name: str, n: int, conditional: int) -> Shapes:
        parts = [(f"{name}.body{i}.{j}", p) for i, p in ((1, 3), (2, conditional)) for j in (0, 2)]
        return {k: v for part, p in parts for k, v in conv_shapes(part, n, n, p).items()}

    def residual(name: str, n: int, m: int) -> Shapes:
        squeezed = n // 16
        return (
            conv_shapes(f"{name}.body.0", n + m, n + m, 3)
            | conv_shapes(f"{name}.body.2", n, n + m, 3)
            | conv_shapes(f"{name}.body.3.body.0", squeezed, n, 1)
            | conv_shapes(f"{name}.body.3.body.2", n, squeezed, 1)
        )

    if version == 2:
        s |= conv_shapes(r + "head1", width, channels, 3) | conv_shapes(r + "head2", width, code, 1)
        for i in range(groups):
            for j in range(blocks):
                s |= dual(f"{r}body.{i}.body.{j}", width, 1)
        s |= conv_shapes(e + "head_LR.0", half, channels, 5) | conv_shapes(e + "head_HR.0", half, channels, 4 * scale + 1)
        for j in range(5):
            s |= dual(f"{e}body.body.{j}", half, 3)
        s |= conv_shapes(e + "tail.0", width, half, 3) | conv_shapes(e + "tail.2", size**2, width, 1)
    else:
        s |= conv_shapes(r + "head", width, channels, 3)
        for i in range(blocks):
            s |= residual(f"{r}body.{i}", width, code)
        s |= conv_shapes(e + "head_LR", half, channels, 1) | conv_shapes(e + "head_HR", half, channels, 9)
        for j in range(5):
            s |= residual(f"{e}body.{j}", half, half)
        s |= conv_shapes(e + "out", code, half, 3)
    s |= conv_shapes(r + "fusion", width, width, 3)
    ups = [] if scale == 1 and version == 2 else [2, 2] if scale == 4 else [scale]
    for i, factor in enumerate(ups):
        s |= conv_shapes(f"{r}upscale.{2 * i}", width * factor**2, width, 3)
    return s | conv_shapes(f"{r}upscale.{2 * len(ups)}" if ups else r + "upscale", channels, width, 3)


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
