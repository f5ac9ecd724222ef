"""The training data drawn in batch where the training runs: no picture is decoded twice, nothing is sent to the device."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch

from pnpsr import checks
from pnpsr.data.bank import Bank
from pnpsr.data.sample import Sample
from pnpsr.data.settings import Setting
from pnpsr.data.stream import Draft, realise, seed_of


class BatchedStream:
    """As :class:`pnpsr.data.Stream`, for pictures in a :class:`Bank`: the batch of step n is a function of (seed, n) alone.

    Everything random of a batch is drawn by one generator on the bank's device, seeded by (seed, n), so that a run that was
    interrupted goes on with the batches it would have had. Every process draws the numbers of the whole batch and makes its share
    of the pictures. Other devices draw other numbers: a run is reproduced on the kind of device it ran on.

    Args:
        bank: the pictures.
        setting: what is done to them.
        batch: samples per step, over all processes.
        patch: side of the square sharp crops; a multiple of every scale of the setting.
        margin: pixels of the picture around each crop that are blurred into it and then cut off, as around a window of a
            photograph; 0 leaves the crop to the border of the setting's convention. A multiple of every scale.
        wide: side of larger gray windows of the same pictures under the same kernels and noise, which training may take the first
            kernel from (``Sample.wide``): on a small crop a blind estimate is worse than it will be on pictures. 0: none.
        seed: of everything.
        rank: this process among ``world`` ones.
        world: number of processes; it must divide the batch.

    Raises:
        TypeError: a count that is no integer.
        ValueError: a patch that a scale does not divide, that a kernel does not fit, or beyond the bank's pictures; a batch that
            cannot be shared out.

    Example:
        >>> import torch
        >>> from pnpsr.data import Bank, BatchedStream, FromDataset, setting
        >>> bank = Bank(FromDataset([torch.rand(3, 48, 48)]), least=32)
        >>> BatchedStream(bank, setting("usrnet"), batch=2, patch=24)[0].x.shape
        torch.Size([2, 3, 24, 24])
    """

    def __init__(
        self,
        bank: Bank,
        setting: Setting,
        *,
        batch: int,
        patch: int,
        margin: int = 0,
        wide: int = 0,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.bank, self.setting, self.seed = bank, setting, seed
        self.margin, self.wide = checks.whole(margin, "margin", 0), checks.whole(wide, "wide", 0)
        self.batch, self.patch, self.rank, self.world = checks.whole(batch, "batch"), checks.whole(patch, "patch"), rank, world
        if setting.physics is not None and (margin or wide):
            raise ValueError(f"the physics of setting {setting.name!r} makes y of whole crops: leave out margin and wide")
        for scale in setting.scales:
            size = setting.kernel_size(scale)
            if patch % scale or patch < size or margin % scale or wide % scale:
                raise ValueError(
                    f"patch, margin and wide must be multiples of scale {scale} and patch hold kernels of {size} pixels, "
                    f"got {patch}, {margin}, {wide}"
                )
        if (most := max(patch + 2 * margin, wide)) > bank.least:
            raise ValueError(f"the bank's pictures have sides from {bank.least}, crops with their margin would have {most}")
        if batch % world:
            raise ValueError(f"batch must be a multiple of the number of processes, {world}, got {batch}")
        setting.probe(patch, bank.channels)
        self._generator = torch.Generator(bank.bytes.device)

    def __getitem__(self, step: int) -> Draft:
        """This process's share of the batch of ``step``, on the bank's device; nothing is read back from it."""
        with checks.trusted():
            return self._draft(step)

    def _draft(self, step: int) -> Draft:
        generator, device = self._generator, self.bank.bytes.device
        generator.manual_seed(seed_of(self.seed, step))
        scales = self.setting.scales
        scale = scales[hash((self.seed, step, -1)) % len(scales)]
        mine = slice(self.rank * (self.batch // self.world), (self.rank + 1) * (self.batch // self.world))
        place = torch.rand(self.batch, 4, generator=generator, device=device)
        k, sigma = self.setting.draws(self.batch, scale, generator)
        low = self.patch // scale
        noise = torch.randn(self.batch, self.bank.channels, low, low, generator=generator, device=device)
        noise, rho, gray = self.setting.mixed(noise, generator)
        x = self.bank.crops(place[mine], self.patch + 2 * self.margin)
        if self.setting.gray:
            x = torch.where(gray[mine], x.mean(1, keepdim=True), x)
        camera = seed_of(self.seed, step, self.rank, -2)
        draft = Draft(x, k[mine], sigma[mine], noise[mine], scale, self.margin, seed=camera)
        if not self.wide:
            return draft
        low = self.wide // scale
        elsewhere = torch.rand(self.batch, 4, generator=generator, device=device)
        windows = self.bank.crops(torch.cat((place[:, :1], elsewhere[:, 1:]), 1)[mine], self.wide)
        # the mean of the channels, as first kernels read it
        spread = ((1 + (self.bank.channels - 1) * rho) / self.bank.channels).sqrt()
        wide_noise = spread * torch.randn(self.batch, 1, low, low, generator=generator, device=device)
        return replace(draft, wide=windows.mean(1, keepdim=True), wide_noise=wide_noise[mine])

    def batches(self, start: int = 0, *, workers: int = 0) -> Generator[Draft, None, None]:  # noqa: ARG002  nothing to hide
        """The drafts of steps ``start``, ``start`` + 1, ... without end; ``workers`` of other streams have no work here."""
        while True:
            yield self[start]
            start += 1

    def samples(self, start: int = 0, *, workers: int = 0, device: torch.device | str = "cpu") -> Generator[Sample, None, None]:
        """The batches with their truth on ``device``, which does the arithmetic."""
        for draft in self.batches(start, workers=workers):
            yield realise(draft, self.setting, device)

    def identity(self) -> dict[str, Any]:
        """Setting, sizes, seed, and the kind of device that draws: others draw other numbers."""
        sizes = {name: getattr(self, name) for name in ("batch", "patch", "margin", "wide", "seed")}
        return {"degradation": self.setting, **sizes, "drawn on": self.bank.bytes.device.type}

    def content(self) -> dict[str, str]:
        """A digest of each picture, by its name."""
        return dict(self.bank.content)
