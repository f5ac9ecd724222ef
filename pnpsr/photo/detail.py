"""How much fine detail a picture has, in the direction in which it has least: blur leaves none."""

import math

import torch
from torch import Tensor

from pnpsr.photo.windows import fine_noise

COARSE, FINE = (0.03, 0.1), (0.15, 0.35)  # cycles per pixel
SECTORS = 8
SHORTEST = 48  # side of a picture that has enough frequencies in every sector


def detail(y: Tensor) -> float:
    """min over directions of the mean power of ∇y at fine frequencies by that at coarse ones, white noise taken off.

    The power of a sharp picture falls as the square of the frequency, so that its gradient's is about the same at all; a blur of
    any form takes the fine ones along the direction in which it is widest. y (1 c h w); 1 where y is too small to tell.
    """
    if min(y.shape[-2:]) < SHORTEST:
        return 1.0
    g = y.mean(1)[0]
    window = torch.outer(*(torch.hann_window(n, dtype=y.dtype) for n in g.shape))
    window = window / window.square().mean().sqrt()
    rows, columns = (torch.fft.fftfreq(n, dtype=y.dtype) for n in g.shape)
    f, angle = torch.hypot(rows[:, None], columns), torch.atan2(rows[:, None], columns.expand(len(rows), -1)) % math.pi
    power = torch.fft.fft2((g - g.mean()) * window).abs().square() / g.numel() - fine_noise(y) ** 2 / y.shape[1]
    power = power.clamp_min(0) * f**2
    found = []
    for i in range(SECTORS):
        near = ((angle - math.pi * i / SECTORS + math.pi / 2) % math.pi - math.pi / 2).abs() < math.pi / SECTORS
        coarse, fine = (float(power[near & (f > low) & (f < high)].mean()) for low, high in (COARSE, FINE))
        found.append(fine / max(coarse, 1e-12))
    return min(found)
