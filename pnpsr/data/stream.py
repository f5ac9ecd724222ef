"""Endless seeded batches: crop → kernel → degrade → noise → quantise. Sample i of step n is a function of (seed, n, i) alone."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pnpsr import checks
from pnpsr.conventions import PNPSR, degrade
from pnpsr.data.camera import Camera
from pnpsr.data.pictures import Pictures
from pnpsr.data.sample import Sample
from pnpsr.data.settings import Setting
from pnpsr.physics import Degradation, quantise

CACHE = 2**29  # bytes of decoded pictures that each loading process keeps


@dataclass(frozen=True)
class Draft:
    """What is drawn on the CPU, in the background: everything but the arithmetic, which the training device does."""

    x: Tensor  # (b c s s) sharp crops
    k: Tensor  # (b 1 p p)
    sigma: Tensor  # (b 1 1 1)
    noise: Tensor  # (b c h w) of unit variance
    scale: int
    margin: int = 0  # pixels of x on each side that only take part in the blur
    wide: Tensor | None = None  # (b 1 S S) gray windows of the same pictures, see Sample.wide
    wide_noise: Tensor | None = None  # (b 1 S/s S/s) of the variance that a mean of channels has
    seed: int = 0  # of what a setting's camera adds where the arithmetic is done


class Stream(Dataset[Draft]):
    """The training data: item n is this process's share of the batch of step n, and the same whenever and wherever it is drawn.

    Because every sample has a generator of its own, seeded by (seed, step, place in the batch), an interrupted run goes on with
    the batches it would have had, any number of loading processes gives the same data, and so does any number of devices.

    Args:
        pictures: sharp pictures; gray ones count as those of their collection do.
        setting: what is done to them.
        batch: samples per step, over all processes.
        patch: side of the square sharp crops; a multiple of every scale of the setting. Smaller pictures are mirrored to that size.
        seed: of everything.
        rank: this process among ``world`` ones.
        world: number of processes; it must divide the batch.

    Raises:
        ValueError: a patch that a scale does not divide or that a kernel does not fit, a batch that cannot be shared out.
    """

    def __init__(
        self, pictures: Pictures, setting: Setting, *, batch: int, patch: int, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self.pictures, self.setting, self.seed = pictures, setting, seed
        self.batch, self.patch, self.rank, self.world = checks.whole(batch, "batch"), checks.whole(patch, "patch"), rank, world
        for scale in setting.scales:
            size = setting.kernel_size(scale)
            if patch % scale or patch < size:
                raise ValueError(f"patch must be a multiple of scale {scale} and hold kernels of {size} pixels, got {patch}")
        if batch % world:
            raise ValueError(f"batch must be a multiple of the number of processes, {world}, got {batch}")
        self._decoded: dict[int, Tensor] = {}
        self._room = CACHE

    def __getitem__(self, step: int) -> Draft:
        """This process's share of the batch of ``step``."""
        generator = self._generator(step, -1)
        scale = self.setting.scales[int(torch.randint(len(self.setting.scales), (), generator=generator))]
        share = self.batch // self.world
        parts = [self._one(step, i, scale) for i in range(self.rank * share, (self.rank + 1) * share)]
        x, k, sigma, noise = (torch.cat(column) for column in zip(*parts, strict=True))
        return Draft(x, k, sigma, noise, scale, seed=_seed(self.seed, step, self.rank, -2))

    def batches(self, start: int = 0, *, workers: int = 0) -> Generator[Draft, None, None]:
        """The drafts of steps ``start``, ``start`` + 1, ... without end, drawn ahead by ``workers`` processes.

        Raises:
            ValueError, OSError: a picture cannot be read; the message names it.
        """
        if workers == 0:
            step = start
            while True:
                yield self[step]
                step += 1
        for draft in DataLoader(_Telling(self), batch_size=None, sampler=_Steps(start), num_workers=workers, prefetch_factor=4):
            if isinstance(draft, Exception):
                raise draft
            yield draft

    def _one(self, step: int, place: int, scale: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        generator = self._generator(step, place)
        k, sigma = self.setting.draw(scale, generator)
        x = self._crop(self._picture(int(torch.randint(len(self.pictures.names), (), generator=generator))), generator)
        low = self.patch // scale
        noise = torch.randn(1, x.shape[1], low, low, generator=generator)
        if self.setting.gray or self.setting.correlated:
            noise, _, gray = self.setting.mixed(noise, generator)
            x = x.mean(1, keepdim=True).expand_as(x) if bool(gray) else x
        return x, k, torch.full((1, 1, 1, 1), sigma), noise

    def _crop(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A square crop (1 c s s), in one of the eight orientations of the square."""
        while min(x.shape[-2:]) < self.patch:  # mirrored, which no crop of a large enough picture is
            x = torch.cat((x, x.flip(-1)), -1) if x.shape[-1] < self.patch else torch.cat((x, x.flip(-2)), -2)
        h, w = x.shape[-2:]
        top, left = (int(torch.randint(n - self.patch + 1, (), generator=generator)) for n in (h, w))
        turn, flip = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
        x = x[..., top : top + self.patch, left : left + self.patch].rot90(turn, (-2, -1))
        x = x.flip(-1) if flip else x
        return x.float() / 255 if x.dtype == torch.uint8 else x

    def _picture(self, index: int) -> Tensor:
        """Picture ``index``; in 8 bits wherever these hold all of it, which is how it is remembered."""
        if index not in self._decoded:
            x = self.pictures.read(index)
            levels = (x * 255).round()
            x = levels.to(torch.uint8) if torch.equal(levels / 255, x) else x
            if (size := x.numel() * x.element_size()) > self._room:
                return x
            self._decoded[index], self._room = x, self._room - size
        return self._decoded[index]

    def _generator(self, step: int, place: int) -> torch.Generator:
        return torch.Generator().manual_seed(_seed(self.seed, step, place))


def _seed(*numbers: int) -> int:
    # Python's hash of integers is the same in every process; the mask keeps it a valid seed
    return hash(numbers) & (2**63 - 1)


class _Telling(Dataset[Draft | Exception]):
    """Hands errors over as they are: loading processes would wrap them in their traceback."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __getitem__(self, step: int) -> Draft | Exception:
        try:
            return self.stream[step]
        except (ValueError, OSError) as error:
            return error


class _Steps:
    """start, start + 1, ..."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        step = self.start
        while True:
            yield step
            step += 1


def realise(draft: Draft, setting: Setting, device: torch.device | str = "cpu") -> Sample:
    """y = (x ⊗ k)↓s + sigma n under the setting's convention, or its camera's photograph, on ``device``; margins are cut off."""
    x, k, sigma, noise = (t.to(device, non_blocking=True) for t in (draft.x, draft.k, draft.sigma, draft.noise))
    wide, m = None if draft.wide is None else draft.wide.to(device, non_blocking=True), draft.margin
    if setting.camera is not None:
        generator = torch.Generator(x.device).manual_seed(draft.seed)
        drawn = setting.camera.draw(len(x), generator)
        y, x = _seen(x, k, draft.scale, setting, setting.camera, drawn, generator)
        clean = _within(_blurred(x, k, draft.scale, setting), m // draft.scale)
        y, x = _within(y, m // draft.scale), _within(x, m).clamp(0, 1)
        sigma = (y - clean.clamp(0, 1)).square().mean((1, 2, 3), keepdim=True).sqrt()
        gray = None if wide is None else _seen(wide, k, draft.scale, setting, setting.camera, drawn, generator)[0]
        return Sample(y, x, k, sigma, draft.scale, gray)
    y = _blurred(x, k, draft.scale, setting)
    y, x = _within(y, m // draft.scale), _within(x, m)
    y = _stored(y + sigma * noise, setting)
    if wide is None or draft.wide_noise is None:
        return Sample(y, x, k, sigma, draft.scale)
    gray = _blurred(wide, k, draft.scale, setting) + sigma * draft.wide_noise.to(device)
    return Sample(y, x, k, sigma, draft.scale, _stored(gray, setting))


def _seen(
    x: Tensor, k: Tensor, scale: int, setting: Setting, camera: Camera, drawn: dict[str, Tensor], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The camera's picture of the scene x under its exposure, and that scene."""
    x = drawn["exposure"] * x
    return camera.develop(_blurred(x, k, scale, setting), drawn, generator), x


def _blurred(x: Tensor, k: Tensor, scale: int, setting: Setting) -> Tensor:
    if setting.convention == PNPSR:
        return Degradation(scale)(x, k)  # the same numbers by two FFTs
    return degrade(x, k, scale, setting.convention)


def _stored(y: Tensor, setting: Setting) -> Tensor:
    return y if setting.bits is None else quantise(y, setting.bits)


def _within(x: Tensor, margin: int) -> Tensor:
    return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin]
