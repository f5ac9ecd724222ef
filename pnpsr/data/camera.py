"""What lies between a blurred scene and a photograph's file: highlights cut off, a sensor's noise, a tone curve, JPEG."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pnpsr.data.jpeg import jpeg

GAMMA = 2.2  # of the tone curve between the sensor's light and the file's values


@dataclass(frozen=True)
class Camera:
    """y ↦ JPEG(tone(light + noise(light))): noise that depends on the signal, on its neighbours and on the other colours.

    Values are drawn per sample. In the light L = y^2.2, the sensor adds read noise of standard deviation r and shot noise of
    variance a L; where its colour filters lie in a mosaic, each colour's missing pixels are interpolated, noise and all. Then the
    tone curve, some noise of later processing, JPEG, and values in [0, 1] in 8 bits.

    Args:
        exposure: range of a factor on the scene before anything is cut off at white: what saturates comes of it.
        read: range of r, fractions of the white light.
        shot: range of a, likewise: 0.002 gives white a noise of 4.5 %.
        later: range of the standard deviation of white noise after the tone curve.
        mosaic: share of the samples whose noise went through interpolation.
        quality: range of the JPEG quality.
        plain: share of the samples that are stored without JPEG.

    Example:
        >>> from pnpsr.data import Camera
        >>> Camera(mosaic=0.0).quality
        (40.0, 95.0)
    """

    exposure: tuple[float, float] = (0.9, 1.2)
    read: tuple[float, float] = (0.0, 0.01)
    shot: tuple[float, float] = (0.0, 0.003)
    later: tuple[float, float] = (0.0, 0.01)
    mosaic: float = 0.7
    quality: tuple[float, float] = (40.0, 95.0)
    plain: float = 0.2

    def draw(self, b: int, generator: torch.Generator) -> dict[str, Tensor]:
        """The values of ``b`` samples, (b 1 1 1) each, on the generator's device; noises lean to the low end of their range."""
        names = ("exposure", "read", "shot", "later", "quality")
        u = torch.rand(len(names) + 2, b, 1, 1, 1, generator=generator, device=generator.device)
        shape = {"read": 2, "shot": 2, "later": 2}
        values = {
            name: getattr(self, name)[0] + (getattr(self, name)[1] - getattr(self, name)[0]) * part ** shape.get(name, 1)
            for name, part in zip(names, u, strict=False)
        }
        return {**values, "mosaic": u[-2] < self.mosaic, "plain": u[-1] < self.plain}

    def develop(self, y: Tensor, drawn: dict[str, Tensor], generator: torch.Generator) -> Tensor:
        """The photograph (b c h w) of a blurred scene y (b c h w), which ``exposure`` has multiplied already."""
        c, size = y.shape[1], y.shape[-2:]
        light = y.clamp(0, 1).pow(GAMMA)
        white = torch.randn(y.shape[0], 3, *size, generator=generator, device=y.device)[:, :c]
        noise = torch.where(drawn["mosaic"], demosaiced(white), white)
        light = light + (drawn["read"].square() + drawn["shot"] * light).sqrt() * noise
        toned = light.clamp(0, 1).pow(1 / GAMMA)
        toned = toned + drawn["later"] * torch.randn(toned.shape, generator=generator, device=y.device)
        toned = toned.clamp(0, 1)
        return torch.where(drawn["plain"], (255 * toned).round() / 255, jpeg(toned, drawn["quality"]))


def demosaiced(noise: Tensor) -> Tensor:
    """White noise (b c h w) as a Bayer sensor's bilinear interpolation leaves it: correlated between pixels, of less variance.

    Gray pictures (c = 1) get the green one's.
    """
    c, (h, w) = noise.shape[1], noise.shape[-2:]
    rows, columns = torch.arange(h, device=noise.device)[:, None] % 2, torch.arange(w, device=noise.device) % 2
    green, red, blue = (rows + columns) % 2 == 1, (rows == 0) & (columns == 0), (rows == 1) & (columns == 1)
    masks = torch.stack([m.to(noise.dtype) for m in ((red, green, blue) if c == 3 else (green,))])
    cross = noise.new_tensor([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    box = noise.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4  # one pixel in four is known
    taps = torch.stack((box, cross, box) if c == 3 else (cross,))[:, None]
    return F.conv2d(F.pad(noise * masks, (1, 1, 1, 1), mode="circular"), taps, groups=c)
