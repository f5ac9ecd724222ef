"""How much an image looks like a photograph, as one number: for choosing among restorations, never for descending."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr import checks


class ImageJudge(nn.Module):
    """cost = w · (mean, spread) of convolutions of an image, contrast taken out: the lower the likelier.

    Three 3 x 3 convolutions of strides 2, 2, 1 on the gray image over its local strength, then mean and standard deviation of
    every feature over the image. Trained on pairs of one picture restored with its kernel and with a wrong one
    (:func:`pnpsr.train.losses.turn_entropy`).
    """

    def __init__(self, width: int = 24) -> None:
        """Build the net for gray images (b 1 h w).

        Raises:
            TypeError: the width is no integer.
            ValueError: it is below 1.
        """
        super().__init__()
        width = checks.whole(width, "width")
        self.features = nn.Sequential(
            *(nn.Conv2d(2, width, 5, 2, 2), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, 2, 1), nn.ReLU()),
            *(nn.Conv2d(width, 2 * width, 3, 1, 1), nn.ReLU()),
        )
        self.last = nn.Sequential(nn.Linear(4 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The cost (b) of images x (b 1 h w), of any size from 16 x 16.

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: more than one channel.
        """
        weight = self.last[0].weight
        x = checks.feed(x, "x", 1, weight)  # type: ignore[arg-type]
        with torch.autocast(x.device.type, enabled=False):  # costs differ in their last digits
            return self._cost(x.to(weight.dtype))  # type: ignore[arg-type]

    def _cost(self, x: Tensor) -> Tensor:
        x = F.pad(x, [side for n in reversed(x.shape[-2:]) for side in (0, max(0, 16 - n))], mode="replicate")
        laplacian = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1) - x
        strength = (F.avg_pool2d(laplacian.square(), 9, 1, 4, count_include_pad=False) + 1e-6).sqrt()
        contrast = (x.var((-2, -1), correction=0, keepdim=True) + 1e-6).sqrt()
        maps = self.features(torch.cat(((x - x.mean((-2, -1), keepdim=True)) / contrast, laplacian / strength), 1))
        return self.last(torch.cat((maps.mean((-2, -1)), (maps.var((-2, -1), correction=0) + 1e-12).sqrt()), 1)).squeeze(1)
