"""Pictures decoded once and kept where the training runs, and crops cut from them in batch."""

import hashlib

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.data.pictures import Pictures


class Bank:
    """All pictures of a collection in one flat tensor of 8 bits on ``device``: a crop is a gather, not a decode and a transfer.

    399 pictures of 481 x 321 in colour take 185 MB. What 8 bits cannot hold of a 16-bit picture is rounded away.

    Args:
        pictures: read once, in their order.
        least: pictures with a shorter side are mirrored to it, which no crop of a large enough picture is.
        device: where the bytes live.
        gray: keep the mean of the channels only.

    Raises:
        ValueError, OSError: a picture cannot be read; the message names it.
        ValueError: pictures of different channels, which no batch can hold.

    Example:
        >>> import torch
        >>> from pnpsr.data import Bank, FromDataset
        >>> bank = Bank(FromDataset([torch.rand(3, 24, 30)]), least=16)
        >>> len(bank)
        1
    """

    def __init__(self, pictures: Pictures, least: int = 1, device: torch.device | str = "cpu", *, gray: bool = False) -> None:
        self.content = dict[str, str]()  # a digest of what is kept of each picture, by its name
        parts, sizes = list[Tensor](), list[tuple[int, int, int]]()
        for index in range(len(pictures.names)):
            x = _mirrored(pictures.read(index), checks.whole(least, "least"))
            x = (255 * (x.mean(1, keepdim=True) if gray else x)).round().to(torch.uint8)
            parts.append(x.flatten())
            self.content[pictures.names[index]] = hashlib.sha256(f"{tuple(x.shape)}".encode() + x.numpy().tobytes()).hexdigest()[
                :16
            ]
            sizes.append((x.shape[1], x.shape[2], x.shape[3]))
        if len({c for c, _, _ in sizes}) > 1:
            raise ValueError("the pictures have different channels; read them all with channels=3 (or 1)")
        self.channels, self.least = sizes[0][0], least
        self.bytes = torch.cat(parts).to(device)
        self.sizes = torch.tensor([size[1:] for size in sizes], device=device)  # (n 2): rows, columns
        lengths = torch.tensor([part.numel() for part in parts], device=device)
        self.starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self.starts)

    def crops(self, place: Tensor, size: int) -> Tensor:
        """Square crops (b c size size), floats in [0, 1], from ``place`` (b 4) of uniform numbers in [0, 1).

        Its columns choose the picture, the first row, the first column, and one of the eight orientations of the square:
        transposed, then flipped down, then sideways.

        Raises:
            ValueError: a size beyond ``least``, which some picture may not have.
        """
        if size > self.least:
            raise ValueError(f"size must be at most least={self.least}, the side that every picture has, got {size}")
        which = (place[:, 0] * len(self)).long()
        rows, columns = self.sizes[which].unbind(1)
        top, left = (place[:, 1] * (rows - size + 1)).long(), (place[:, 2] * (columns - size + 1)).long()
        first = self.starts[which] + top * columns + left
        c, line = (torch.arange(n, device=place.device) for n in (self.channels, size))
        turned, down, sideways = ((place[:, 3] * 8).long()[:, None] & bit != 0 for bit in (1, 2, 4))
        line = torch.where(torch.where(turned, sideways, down), size - 1 - line, line)[:, None]
        at = first[:, None, None] + (c[:, None] * (rows * columns)[:, None, None]) + line * columns[:, None, None]
        x = self.bytes.unfold(0, size, 1)[at]  # rows of a crop lie side by side: whole ones are gathered
        turned, down, sideways = (bit[..., None, None] for bit in (turned, down, sideways))
        x = torch.where(torch.where(turned, down, sideways), x.flip(-1), x)
        return torch.where(~turned, x, x.mT).float().div_(255)  # as bytes, a quarter; laid out as the first of the two


def _mirrored(x: Tensor, least: int) -> Tensor:
    while min(x.shape[-2:]) < least:
        x = torch.cat((x, x.flip(-1)), -1) if x.shape[-1] < least else torch.cat((x, x.flip(-2)), -2)
    return x
