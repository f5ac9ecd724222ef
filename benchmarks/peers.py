"""What our calls are compared with: the papers' formulas as they are printed, and deepinv doing the same work."""

from collections.abc import Callable

import torch
from deepinv.optim import HQS, PnP
from deepinv.optim.data_fidelity import L2
from deepinv.physics import Downsampling
from torch import Tensor, nn

Pair = tuple[int, int]


def full_spectrum(k: Tensor, shape: Pair) -> Tensor:
    """The full complex transfer function of k on the image grid."""
    p, q = k.shape[-2:]
    padded = torch.nn.functional.pad(k, (0, shape[1] - q, 0, shape[0] - p)).roll((-(p // 2), -(q // 2)), (-2, -1))
    return torch.fft.fftn(padded, dim=(-2, -1))


def plain_image_step(y: Tensor, F: Tensor, x0: Tensor, alpha: float, scale: int) -> Tensor:
    """Eq. 8-9 of IKR-Net as printed: full complex spectra, blocks averaged, division by alpha; from the spectrum F of k."""
    b, c, h, w = y.shape
    zero_filled = y.new_zeros(b, c, h * scale, w * scale)
    zero_filled[..., ::scale, ::scale] = y

    def fold(spectrum: Tensor) -> Tensor:
        return spectrum.reshape(*spectrum.shape[:2], scale, h, scale, w).mean((2, 4))

    d = F.conj() * torch.fft.fftn(zero_filled, dim=(-2, -1)) + alpha * torch.fft.fftn(x0, dim=(-2, -1))
    ratio = fold(F * d) / (fold(F.abs().square()) + alpha)
    return torch.fft.ifftn((d - F.conj() * ratio.repeat(1, 1, scale, scale)) / alpha, dim=(-2, -1)).real


def plain_from_scratch(y: Tensor, k: Tensor, x0: Tensor, alpha: float, scale: int) -> Tensor:
    """The same from k itself, as a solver that changes k in every iteration needs it."""
    return plain_image_step(y, full_spectrum(k, (x0.shape[-2], x0.shape[-1])), x0, alpha, scale)


def plain_normal_equations(y: Tensor, x: Tensor, k0: Tensor, gamma: float, scale: int) -> Tensor:
    """argmin_k |y - (x ⊗ k)↓s|² + gamma |k - k0|² over windows inside x: a matrix with one row per pixel."""
    p = k0.shape[-1]
    wide = x.double().unfold(2, p, 1).unfold(3, p, 1)
    first = -(p - 1 - p // 2) % scale  # of the pixels whose window lies inside
    U = wide[:, :, first::scale, first::scale]
    start = (first + p - 1 - p // 2) // scale
    seen = y.double()[..., start : start + U.shape[2], start : start + U.shape[3]]
    U = U.flip(-1, -2).reshape(-1, p * p)
    H = U.T @ U + gamma * torch.eye(p * p, dtype=U.dtype, device=U.device)
    b = U.T @ seen.reshape(-1) + gamma * k0.double().flatten()
    return torch.linalg.solve(H, b).reshape(k0.shape).to(k0)


class AsNamed(nn.Module):
    """An image prior under deepinv's names: (x, sigma)."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        return self.net(x, sigma.reshape(-1)[:1] if isinstance(sigma, Tensor) else float(sigma))


def deepinv_step(x: Tensor, y: Tensor, k: Tensor, alpha: float, scale: int) -> Callable[[], Tensor]:
    """Its closed form of the image step, whose transfer function is prepared outside the call."""
    physics = Downsampling(img_size=tuple(x.shape[1:]), filter=k, factor=scale, padding="circular", device=str(x.device))
    return lambda: physics.prox_l2(x, y, 1 / alpha)


def deepinv_unfolded(net: nn.Module, k: Tensor, shape: tuple[int, ...], scale: int, T: int) -> Callable[[Tensor], Tensor]:
    """Its half-quadratic splitting with the same network, T iterations: y ↦ x."""
    physics = Downsampling(img_size=shape, filter=k, factor=scale, padding="circular", device=str(k.device))
    model = HQS(data_fidelity=L2(), prior=PnP(denoiser=AsNamed(net)), stepsize=10.0, sigma_denoiser=0.05, max_iter=T)
    return lambda y: model(y, physics)
