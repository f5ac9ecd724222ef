"""PSNR after the shift that no blind method can know: (x ⊗ k)↓s stays the same when x moves one way and k the other."""

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.checks import Scale
from pnpsr.evaluate.metrics import psnr
from pnpsr.physics.blur import extend
from pnpsr.precision import double, exact

REACH = 4  # pixels that an image may be moved: kernels of 21 x 21 have their mass within half of it
STEPS = 8  # of Gauss-Newton, at most
CLOSE = 1e-3  # pixels: a step below this changes nothing that is printed


def psnr_aligned(x: Tensor, truth: Tensor, *, border: Scale = 0, colour: str = "rgb") -> Tensor:
    """max over shifts d of PSNR(x(· - d), truth) in dB, per sample (b); at least :func:`pnpsr.evaluate.psnr` as it stands.

    x is mirrored beyond its border and moved by its Fourier series; d, at most 4 pixels on each axis, minimises the squared error
    within the border: over whole pixels first, then by Gauss-Newton steps. Arguments and errors as :func:`psnr`.

    Example:
        >>> import torch
        >>> from pnpsr.evaluate import psnr, psnr_aligned
        >>> x = torch.rand(1, 1, 24, 24)
        >>> bool(psnr_aligned(x.roll(1, -1), x, border=4) > psnr(x.roll(1, -1), x, border=4))
        True
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
    """x (1 c h w) moved to meet the truth: by the shift of its gray picture, which all channels share."""
    with exact(x), torch.no_grad():
        gray, target = (t.to(double(x)).mean(1, keepdim=True) for t in (x, checks.inside(truth, border, "the images")))
        d, step = _whole(gray, target, border), float("inf")
        for _ in range(STEPS):
            residual = checks.inside(_moved(gray, d), border, "the images") - target
            slopes = torch.stack([-checks.inside(_moved(gray, d, axis), border, "the images").flatten() for axis in (0, 1)])
            normal = slopes @ slopes.mT + 1e-12 * torch.eye(2).to(slopes)
            new = (d - torch.linalg.solve(normal, slopes @ residual.flatten())).clamp(-REACH, REACH)
            d, step = new, float((new - d).abs().max())
            if step < CLOSE:
                break
        return _moved(x.to(double(x)), d).to(x)


def _moved(x: Tensor, d: Tensor, axis: int | None = None) -> Tensor:
    """x (1 c h w) mirrored beyond its border, moved by d (2) pixels, and cut again; or its slope along an axis, moved so."""
    h, w = x.shape[-2:]
    room = [(min(2 * REACH, n - 1), (-n - min(2 * REACH, n - 1)) % 32 + 32) for n in (h, w)]  # sides of many small factors
    wide = extend(x, (*room[0], *room[1]), "reflect")
    options = {"device": x.device, "dtype": x.dtype}
    rows = 2j * torch.pi * torch.fft.fftfreq(wide.shape[-2], **options)[:, None]
    columns = 2j * torch.pi * torch.fft.rfftfreq(wide.shape[-1], **options)
    turned = torch.fft.rfft2(wide) * torch.exp(-(rows * d[0] + columns * d[1]))
    if axis is not None:
        turned = turned * (rows if axis == 0 else columns)
    out = torch.fft.irfft2(turned, s=wide.shape[-2:])
    return out[..., room[0][0] : room[0][0] + h, room[1][0] : room[1][0] + w]


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
