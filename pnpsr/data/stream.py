"""Endless seeded batches: crop → kernel → degrade → noise → quantise. Sample i of step n is a function of (seed, n, i) alone."""

import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pnpsr import checks
from pnpsr.conventions import PNPSR, degrade
from pnpsr.data.camera import Camera
from pnpsr.data.jpeg import jpeg
from pnpsr.data.pictures import Pictures, raw
from pnpsr.data.recent import Recent
from pnpsr.data.sample import Sample
from pnpsr.data.settings import Setting
from pnpsr.data.survey import content
from pnpsr.physics import Degradation, quantise

CACHE = 2**29  # bytes of decoded pictures that each loading process keeps
QUALITY = (60.0, 98.0)  # of JPEG files, where a setting stores some samples so
TRIES = 8  # pictures that are drawn for a sample before those that cannot be read are too many
D = TypeVar("D")
P = TypeVar("P")


class Source(Protocol):
    """What a training needs of its data: batches by step, each process's share of them, and what they are made of.

    Example:
        >>> from pnpsr.data import Source
        >>> from pnpsr.kernels import random_gaussian
        >>> def mine(scale, size, generator):
        ...     return random_gaussian(1, size, generator=generator)
        >>> source: Source = mine
    """

    batch: int  # samples per step, over all processes
    rank: int  # set by the training
    world: int

    def samples(self, start: int, *, workers: int, device: torch.device | str) -> Generator[Sample, None, None]:
        """This process's share of the batches of steps ``start``, ``start`` + 1, ... on ``device``, without end."""

    def identity(self) -> dict[str, Any]:
        """What has a part in the numbers, for the run's record: other data cannot take the place of these. Values go into JSON."""

    def content(self) -> dict[str, str]:
        """A digest of each picture, by its name."""


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
    names: tuple[str, ...] = ()  # of the pictures
    left_out: tuple[tuple[str, str], ...] = ()  # pictures that were drawn and could not be read, with the reason

    def pin_memory(self) -> "Draft":
        """The same in memory from which a GPU copies while the CPU goes on."""
        tensors = {name: getattr(self, name) for name in ("x", "k", "sigma", "noise", "wide", "wide_noise")}
        fields: dict[str, Any] = {name: t.pin_memory() for name, t in tensors.items() if t is not None}
        return replace(self, **fields)


class Stream(Dataset[Draft]):
    """The training data: item n is this process's share of the batch of step n, and the same whenever and wherever it is drawn.

    Because every sample has a generator of its own, seeded by (seed, step, place in the batch), an interrupted run goes on with
    the batches it would have had, any number of loading processes gives the same data, and so does any number of devices. Where a
    picture cannot be read another is drawn in its place, and the batch says so.

    Args:
        pictures: sharp pictures; gray ones count as those of their collection do.
        setting: what is done to them.
        batch: samples per step, over all processes.
        patch: side of the square sharp crops; a multiple of every scale of the setting. Smaller pictures are mirrored to that size.
        seed: of everything.
        rank: this process among ``world`` ones.
        world: number of processes; it must divide the batch.

    Raises:
        ValueError: a patch that a scale does not divide or that a kernel does not fit, a batch that cannot be shared out, a source
            of kernels that returns none.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, setting, Stream
        >>> stream = Stream(FromDataset([torch.rand(3, 48, 48)]), setting("usrnet"), batch=2, patch=24)
        >>> sample = next(stream.samples())
        >>> sample.y.shape, sample.k.shape
        (torch.Size([2, 3, 8, 8]), torch.Size([2, 1, 21, 21]))
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
        setting.probe(patch, getattr(pictures, "channels", None) or 3)
        self._decoded = Recent(0 if getattr(pictures, "mapped", False) else CACHE)

    def __getitem__(self, step: int) -> Draft:
        """This process's share of the batch of ``step``."""
        generator = seeded(self.seed, step, -1)
        scale = self.setting.scales[int(torch.randint(len(self.setting.scales), (), generator=generator))]
        share = self.batch // self.world
        parts = [self._one(step, i, scale) for i in range(self.rank * share, (self.rank + 1) * share)]
        x, k, sigma, noise = (torch.cat([getattr(p, name) for p in parts]) for name in ("x", "k", "sigma", "noise"))
        names, left_out = (sum((getattr(p, name) for p in parts), ()) for name in ("names", "left_out"))
        camera = seed_of(self.seed, step, self.rank, -2)
        return Draft(x, k, sigma, noise, scale, seed=camera, names=names, left_out=left_out)

    def batches(self, start: int = 0, *, workers: int = 0, pin: bool = False) -> Generator[Draft, None, None]:
        """The drafts of steps ``start``, ``start`` + 1, ... without end, drawn ahead by ``workers`` processes.

        Args:
            start: first step.
            workers: loading processes; 0 draws in between.
            pin: in page-locked memory, for a GPU.

        Raises:
            ValueError, OSError: too many pictures cannot be read; the message names one.
        """
        return drawn(self, start, workers, pin)

    def samples(self, start: int = 0, *, workers: int = 0, device: torch.device | str = "cpu") -> Generator[Sample, None, None]:
        """The batches with their truth on ``device``, which does the arithmetic. Raises as :meth:`batches`."""
        with closing(self.batches(start, workers=workers, pin=torch.device(device).type == "cuda")) as drafts:
            for draft in drafts:
                yield realise(draft, self.setting, device)

    def identity(self) -> dict[str, Any]:
        """Setting, batch, patch and seed."""
        return {"degradation": self.setting, "batch": self.batch, "patch": self.patch, "seed": self.seed}

    def content(self) -> dict[str, str]:
        """A digest of each picture, by its name. Raises as ``pnpsr.data.survey.content``."""
        return content(self.pictures)

    def _one(self, step: int, place: int, scale: int) -> Draft:
        generator = seeded(self.seed, step, place)
        k, sigma = self.setting.draw(scale, generator)
        picture, name, left_out = drawn_picture(self._picture, self.pictures.names, generator)
        x = self._crop(picture, generator)
        low = self.patch // scale
        noise = torch.randn(1, x.shape[1], low, low, generator=generator)
        if self.setting.gray or self.setting.correlated:
            noise, _, gray = self.setting.mixed(noise, generator)
            x = x.mean(1, keepdim=True).expand_as(x) if bool(gray) else x
        return Draft(x, k, torch.full((1, 1, 1, 1), sigma), noise, scale, names=(name,), left_out=left_out)

    def _crop(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A square crop (1 c s s), in one of the eight orientations of the square."""
        while min(x.shape[-2:]) < self.patch:  # mirrored, which no crop of a large enough picture is
            x = torch.cat((x, x.flip(-1)), -1) if x.shape[-1] < self.patch else torch.cat((x, x.flip(-2)), -2)
        h, w = x.shape[-2:]
        top, left = (int(torch.randint(n - self.patch + 1, (), generator=generator)) for n in (h, w))
        turn, flip = (int(torch.randint(n, (), generator=generator)) for n in (4, 2))
        return cropped(x, top, left, self.patch, turn, flip)

    def _picture(self, index: int) -> Tensor:
        """Picture ``index``; in 8 bits wherever these hold all of it. The last few are remembered, where they do not lie mapped."""
        return self._decoded.get(index, lambda i: raw(self.pictures, i))


def cropped(x: Tensor, top: int, left: int, side: int, turn: int, flip: int) -> Tensor:
    """A square of x (1 c h w), in one of the eight orientations of the square, as floats."""
    x = x[..., top : top + side, left : left + side].rot90(turn, (-2, -1))
    x = (x.flip(-1) if flip else x).contiguous()
    return x.float() / 255 if x.dtype == torch.uint8 else x


def drawn_picture(
    read: Callable[[int], P], names: Sequence[str], generator: torch.Generator
) -> tuple[P, str, tuple[tuple[str, str], ...]]:
    """A picture, its name, and those that were drawn before it and could not be read, with the reasons.

    Raises:
        ValueError, OSError: too many cannot be read.
    """
    left_out = list[tuple[str, str]]()
    while True:
        index = int(torch.randint(len(names), (), generator=generator))
        try:
            return read(index), names[index], tuple(left_out)
        except (ValueError, OSError) as error:
            left_out.append((names[index], " ".join(str(error).split())))
            if len(left_out) == TRIES:
                raise


def seeded(seed: int, step: int, place: int) -> torch.Generator:
    """The random numbers of one sample, and of nothing else."""
    return torch.Generator().manual_seed(seed_of(seed, step, place))


def seed_of(*numbers: int) -> int:
    """A seed that belongs to these numbers."""
    # Python's hash of integers is the same in every process; the mask keeps it a valid seed
    return hash(numbers) & (2**63 - 1)


class _Telling(Dataset[D | Exception]):
    """Hands errors over as they are: loading processes would wrap them in their traceback."""

    def __init__(self, stream: Dataset[D]) -> None:
        self.stream = stream

    def __getitem__(self, step: int) -> D | Exception:
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


def drawn(stream: Dataset[D], start: int, workers: int, pin: bool) -> Generator[D, None, None]:
    """stream[start], stream[start + 1], ... drawn ahead by ``workers`` processes.

    Raises:
        ValueError, OSError: as the stream does.
    """
    if workers == 0:
        for step in _Steps(start):
            item = stream[step]
            yield item.pin_memory() if pin else item  # type: ignore[attr-defined]
    loader = DataLoader(
        _Telling(stream),
        batch_size=None,
        sampler=_Steps(start),
        num_workers=workers,
        prefetch_factor=4,
        pin_memory=pin,
        worker_init_fn=_patient,
    )
    for draft in loader:
        if isinstance(draft, Exception):
            raise draft
        yield draft


def _patient(_: int) -> None:
    """A key that stops the training reaches the loading processes too: they wait for the training to end them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def realise(draft: Draft, setting: Setting, device: torch.device | str = "cpu") -> Sample:
    """y = (x ⊗ k)↓s + sigma n under the setting's convention or physics, or its camera's photograph; margins are cut off."""
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
        return Sample(y, x, k, sigma, draft.scale, gray, draft.names, left_out=draft.left_out)
    if (model := setting.model(draft.scale, (x.shape[-2] // draft.scale, x.shape[-1] // draft.scale))) is not None:
        clean = model.freeze(k=k)(x)
        y = _stored(model.observed(clean + sigma * noise[:, : clean.shape[1]]), setting)
        return Sample(y, x, k, sigma, draft.scale, None, draft.names, left_out=draft.left_out, physics=model)
    clean, x = _within(_blurred(x, k, draft.scale, setting), m // draft.scale), _within(x, m)
    y, gray = _stored(clean + sigma * noise, setting), None
    if wide is not None and draft.wide_noise is not None:
        gray = _stored(_blurred(wide, k, draft.scale, setting) + sigma * draft.wide_noise.to(device), setting)
    if setting.jpeg:
        generator = torch.Generator(y.device).manual_seed(draft.seed)
        chance, much = torch.rand(2, len(y), 1, 1, 1, generator=generator, device=y.device)
        chosen, quality = chance < setting.jpeg, QUALITY[0] + (QUALITY[1] - QUALITY[0]) * much
        y = torch.where(chosen, jpeg(y.clamp(0, 1), quality), y)
        gray = None if gray is None else torch.where(chosen, jpeg(gray.clamp(0, 1), quality), gray)
        sigma = torch.where(chosen, (y - clean).square().mean((1, 2, 3), keepdim=True).sqrt(), sigma)
    return Sample(y, x, k, sigma, draft.scale, gray, draft.names, left_out=draft.left_out)


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
