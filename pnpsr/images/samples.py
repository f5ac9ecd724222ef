"""Pictures that need no network: those that come with scikit-image's installation."""

import numpy as np
import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.images.formats import PEAK

SAMPLES = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field"),
    *("immunohistochemistry", "moon", "page", "retina", "rocket", "text"),
)


def sample_picture(name: str = "astronaut") -> Tensor:
    """One of scikit-image's pictures that come with its installation: (1 3 h w), or (1 1 h w) for a gray one, in [0, 1].

    Raises:
        ValueError: unknown name; the message lists them.

    Example:
        >>> from pnpsr.images import sample_picture
        >>> sample_picture("camera").shape
        torch.Size([1, 1, 512, 512])
    """
    checks.choice(name, SAMPLES, "name")
    from skimage import data

    pixels = np.atleast_3d(getattr(data, name)())
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(PEAK[8]))
