"""PSNR after the shift that no blind method can know: (x ⊗ k)↓s stays the same when x moves one way and k the other."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.evaluate.metrics import psnr
from pnpsr.precision import double, exact

REACH = 4  # pixels that an image may be moved: kernels of 21 x 21 have their mass within half of it
STEPS = 8  # of Gauss-Newton; the error is quadratic near its minimum, the last steps change nothing that is printed


def psnr_aligned(x: Tensor, truth: Tensor, *, border: Scale = 0, colour: str = "rgb") -> Tensor:
    """max over shifts d of PSNR(x(· - d), truth) in dB, per sample (b); at least :func:`pnpsr.evaluate.psnr` as it stands.

    x is mirrored beyond its border and moved by its Fourier series; d, at most 4 pixels on each axis, minimises the squared error
    within the border: over whole pixels first, then by Gauss-Newton steps. Arguments and errors as :func:`psnr`.
    """
    plain = psnr(x, truth, border=border, colour=colour)
    b = max(len(x), len(truth))
    values = [
        psnr(
            _met(x[i % len(x)][None], truth[i % len(truth)][None], border),
            truth[i % len(truth)][None],
            border=border,
            colour=colour,
        )
        for i in range(b)
    ]
    return torch.maximum(plain, torch.cat(values))


def _met(x: Tensor, truth: Tensor, border: Scale) -> Tensor:
    """x (1 c h w) moved to meet the truth."""
    with exact(x), torch.no_grad():
        wide, target = x.to(double(x)), checks.inside(truth, border, "the images").to(double(x))
        margin = [m for n in reversed(x.shape[-2:]) for m in (min(2 * REACH, n - 1),) * 2]
        spectrum = torch.fft.fft2(F.pad(wide, margin, mode="reflect"))
        waves = [2j * torch.pi * torch.fft.fftfreq(n, device=x.device, dtype=wide.dtype) for n in spectrum.shape[-2:]]
        waves = [waves[0][:, None], waves[1][None, :]]
        cut = slice(margin[2], margin[2] + x.shape[-2]), slice(margin[0], margin[0] + x.shape[-1])

        def seen(s: Tensor) -> Tensor:
            return torch.fft.ifft2(s).real[..., cut[0], cut[1]]

        d = _whole(wide, target, border)
        best, least = x, float("inf")
        for _ in range(STEPS):
            moved = spectrum * torch.exp(-(waves[0] * d[0] + waves[1] * d[1]))
            image = seen(moved)
            residual = checks.inside(image, border, "the images") - target
            if not float(residual.square().mean()) < least:
                break
            best, least = image, float(residual.square().mean())
            slopes = torch.stack([-checks.inside(seen(moved * w), border, "the images").flatten() for w in waves])
            normal = slopes @ slopes.mT + 1e-12 * torch.eye(2).to(slopes)
            d = (d - torch.linalg.solve(normal, slopes @ residual.flatten())).clamp(-REACH, REACH)
        return best.to(x)


def _whole(x: Tensor, target: Tensor, border: Scale) -> Tensor:
    """The shift in whole pixels (2) with the least squared error, over those that bring no border into view."""
    rows, columns = border if isinstance(border, tuple) else (border, border)
    h, w = x.shape[-2:]
    errors: dict[tuple[int, int], float] = {}
    for i in range(-min(REACH, rows), min(REACH, rows) + 1):
        for j in range(-min(REACH, columns), min(REACH, columns) + 1):
            moved = x[..., rows - i : h - rows - i, columns - j : w - columns - j]
            errors[i, j] = float((moved - target).square().mean())
    return x.new_tensor(min(errors, key=errors.__getitem__))
