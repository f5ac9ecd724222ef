"""What degradations a network is trained on: scales, kernels, noise, storage. Named settings are those of the papers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from pnpsr import checks
from pnpsr.conventions import KERNELGAN, PNPSR, Convention
from pnpsr.conventions.named import Build, build_of, model_of
from pnpsr.data.camera import Camera
from pnpsr.kernels import FAMILIES, dan_setting1, dan_setting2, dirac, disk, random_gaussian, random_motion, shift_kernel
from pnpsr.physics import Physics
from pnpsr.values import Registry

KernelSource = Callable[[int, int, torch.Generator], Tensor]  # (scale, size, generator) -> one kernel (1 1 p p)
GAUSSIAN_WIDTHS = (0.2, 4.0)  # IKR-Net, section 4.1: both axes, any angle
TOLERANCE = checks.MASS  # of a kernel's sum, which is 1
MOTION_LENGTHS = (1.0, 22.0)  # pixels travelled; IKR-Net does not state them


@dataclass(frozen=True)
class Setting:
    """How training data are made of sharp pictures: y = (x ⊗ k)↓s + n with k, sigma and s drawn anew.

    Args:
        name: for messages and records.
        scales: one is drawn per batch.
        sources: kernels are drawn from one of these, each as likely as the others, per sample; they sum to 1.
        size: side of the square kernels, or one per scale.
        sigma: range of the noise level, in the units of the image (at most 0.5; 5 % is 0.05); uniform, per sample.
        clean: share of the samples that have no noise at all.
        gray: share of the samples whose picture, and so its noise, is the same in all channels.
        correlated: share of the samples whose noise has a part that the channels share, from none to all of its variance.
        jpeg: share of the samples that are stored as JPEG files of a quality from 60 to 98; their noise level is then the standard
            deviation of all that storing and noise changed.
        camera: what makes a photograph of the blurred scene, see :class:`pnpsr.data.Camera`; it brings its own noise, and the
            noise level of a sample is then the standard deviation of all that it changed.
        bits: y is stored in so many bits, as DAN's training data are; None keeps floats.
        convention: centre, border and decimation, see :class:`pnpsr.conventions.Convention`.
        physics: what makes y in place of a convention, such as a mosaic or a mask: a function (scale) -> physics, or (scale, size)
            with the size (h, w) of y, or the name of one (:func:`pnpsr.conventions.register_physics`). The same physics is what
            the solver inverts in training.

    Raises:
        TypeError: scales or sources that are no tuple: ``scales=(2,)``; a physics that is no function.
        ValueError: no scales or sources, ranges in the wrong order, a share outside [0, 1], a convention that changes the size, an
            unknown physics, or one together with a convention or a camera.

    Example:
        >>> import torch
        >>> from pnpsr.data import FromDataset, Setting, Stream
        >>> from pnpsr.kernels import random_gaussian
        >>> draw = lambda scale, size, g: random_gaussian(1, size, generator=g)
        >>> mine = Setting("mine", scales=(2,), sources=(draw,), size=11, sigma=(0.0, 0.02))
        >>> next(Stream(FromDataset([torch.rand(3, 48, 48)]), mine, batch=2, patch=24).samples()).k.shape
        torch.Size([2, 1, 11, 11])
    """

    name: str
    scales: tuple[int, ...]
    sources: tuple[KernelSource, ...]
    size: int | Mapping[int, int] = 21
    sigma: tuple[float, float] = (0.0, 0.0)
    clean: float = 0.0
    gray: float = 0.0
    correlated: float = 0.0
    jpeg: float = 0.0
    camera: Camera | None = None
    bits: int | None = None
    convention: Convention = PNPSR
    physics: Build | str | None = None

    def __post_init__(self) -> None:
        for name, example in (("scales", "(2,) or (2, 4)"), ("sources", "(my_kernels,)")):
            if not isinstance(getattr(self, name), tuple | list):
                raise TypeError(f"{name} must be a tuple such as {example}, got {getattr(self, name)!r}")
        for source in self.sources:
            if not callable(source):
                raise TypeError(f"sources must be functions (scale, size, generator) -> kernel, got {type(source).__name__}")
        if not self.scales or not self.sources:
            raise ValueError(f"setting {self.name!r} needs at least one scale and one source of kernels")
        for scale in self.scales:
            checks.whole(scale, "scale")
            self.kernel_size(scale)
        checks.noise_span(self.sigma)
        for name in ("clean", "gray", "correlated", "jpeg"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share between 0 and 1, got {getattr(self, name)!r}")
        if self.convention.boundary == "valid":
            raise ValueError("a setting's convention must have a border: with 'valid' y and x would not cover the same area")
        if self.jpeg and (self.physics is not None or self.camera is not None):
            raise ValueError(f"setting {self.name!r} has a physics or a camera, which say how y is stored: leave out jpeg")
        if self.physics is not None:
            object.__setattr__(self, "physics", build_of(self.physics))
            if self.convention != PNPSR or self.camera is not None:
                raise ValueError(f"setting {self.name!r} has a physics, which makes y alone: leave out convention and camera")

    def model(self, scale: int, size: tuple[int, int]) -> Physics | None:
        """The physics that makes y of ``size`` (h, w); None: the convention does.

        Raises:
            ValueError: it has another scale.
        """
        return model_of(self.physics, scale, size, f"setting {self.name!r}", "the setting")

    def kernel_size(self, scale: int) -> int:
        """Side of the square kernels at ``scale``.

        Raises:
            ValueError: the setting has no kernels for it.
        """
        if isinstance(self.size, Mapping) and scale not in self.size:
            raise ValueError(f"setting {self.name!r} has no kernel size for scale {scale}, only for {sorted(self.size)}")
        return checks.whole(self.size[scale] if isinstance(self.size, Mapping) else self.size, "size")

    def draw(self, scale: int, generator: torch.Generator) -> tuple[Tensor, float]:
        """One kernel (1 1 p p) and one noise level, on the CPU.

        Raises:
            TypeError, ValueError: the source returned no kernel of the setting's size that sums to 1.
        """
        source = self.sources[int(torch.randint(len(self.sources), (), generator=generator))]
        chance, level = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        low, high = self.sigma
        k = self._kernel(source, scale, generator)
        return k, 0.0 if chance < self.clean else low + (high - low) * level

    def probe(self, patch: int, channels: int = 3) -> None:
        """Draw one kernel of each source and make one y at each scale: mistakes show now, and not in the middle of a training.

        Raises:
            TypeError, ValueError: a source returned no kernel of the setting's size that sums to 1; a physics that makes no y of
                crops of ``patch`` pixels, of another size than these have over the scale, or of more channels.
        """
        for scale in self.scales:
            low = patch // scale
            model = self.model(scale, (low, low))
            if model is not None:
                y = model.freeze(k=dirac(self.kernel_size(scale)))(torch.zeros(1, channels, patch, patch))
                if y.shape[-2:] != (low, low) or y.shape[1] > channels:
                    raise ValueError(
                        f"the physics of setting {self.name!r} must make y of {low} x {low} pixels and at most {channels} "
                        f"channels of a crop of {patch} x {patch}; it made {tuple(y.shape)}"
                    )
            for source in self.sources:
                self._kernel(source, scale, torch.Generator().manual_seed(0))

    def _kernel(self, source: KernelSource, scale: int, generator: torch.Generator) -> Tensor:
        size = self.kernel_size(scale)
        k = source(scale, size, generator)
        what = f"source {getattr(source, '__name__', type(source).__name__)!r} of setting {self.name!r}"
        if not isinstance(k, Tensor) or not k.dtype.is_floating_point:
            raise TypeError(f"{what} must return a tensor of floats (1 1 p p), got {type(k).__name__} {getattr(k, 'dtype', '')}")
        if k.shape != (1, 1, size, size):
            raise ValueError(
                f"{what} must return one kernel (1 1 {size} {size}), got {tuple(k.shape)}; draw it of "
                "that size, or give the setting its own: size=..."
            )
        if not abs(total := float(k.sum()) - 1) < TOLERANCE:  # NaN is not, either
            raise ValueError(f"{what} returned a kernel that sums to {total + 1:g}; normalise it: k / k.sum()")
        return k

    def draws(self, count: int, scale: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``count`` kernels (b 1 p p) and noise levels (b 1 1 1), drawn together where the generator lives, never read back.

        Each source draws as many, and one of them is taken per sample: no sample depends on what the others have drawn.
        """
        device, size = generator.device, self.kernel_size(scale)
        choice = torch.randint(len(self.sources), (count,), generator=generator, device=device)
        drawn = torch.stack([many(source, count, scale, size, generator) for source in self.sources])
        chance, level = torch.rand(2, count, 1, 1, 1, generator=generator, device=device)
        low, high = self.sigma
        return drawn[choice, torch.arange(count, device=device)], (low + (high - low) * level) * (chance >= self.clean)

    def mixed(self, noise: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Unit noise (b c h w) with the shares of gray and correlated samples; its correlation and who is gray, (b 1 1 1) each.

        Every channel keeps its variance 1; two channels have the correlation's part of it in common.
        """
        b, device = noise.shape[0], generator.device
        chance, much, pale = torch.rand(3, b, 1, 1, 1, generator=generator, device=device)
        common = torch.randn(b, 1, *noise.shape[-2:], generator=generator, device=device)
        gray = pale < self.gray
        rho = torch.where(gray, 1.0, much * (chance < self.correlated))
        return (1 - rho).sqrt() * noise + rho.sqrt() * common, rho, gray


@dataclass(frozen=True)
class Together:
    """A source of kernels that can draw many at once, on the generator's device: ``draw(count, scale, size, generator)``."""

    draw: Callable[[int, int, int, torch.Generator], Tensor]

    def __call__(self, scale: int, size: int, generator: torch.Generator) -> Tensor:
        """One kernel (1 1 p p)."""
        return self.draw(1, scale, size, generator)


def many(source: KernelSource, count: int, scale: int, size: int, generator: torch.Generator) -> Tensor:
    """``count`` kernels (b 1 p p) of a source where the generator lives: at once where it can, else one by one on the CPU."""
    if isinstance(source, Together):
        return source.draw(count, scale, size, generator)
    own = generator
    if generator.device.type != "cpu":  # a plain function expects a CPU's generator; its seed is the step's
        own = torch.Generator().manual_seed(generator.initial_seed())
    return torch.cat([source(scale, size, own) for _ in range(count)]).to(generator.device)


def _isotropic(count: int, scale: int, size: int, generator: torch.Generator) -> Tensor:
    return dan_setting1(count, scale, size, generator=generator, device=generator.device)


def _noisy_gaussian(count: int, _: int, size: int, generator: torch.Generator) -> Tensor:
    return dan_setting2(count, size, generator=generator, device=generator.device)


def _balanced(count: int, scale: int, size: int, generator: torch.Generator) -> Tensor:
    """Those of setting 2 moved as KernelGAN's kernel_shift does: a pixel of y then lies in the middle of its s × s pixels of x."""
    move = ((scale - 1) / 2,) * 2
    return shift_kernel(_noisy_gaussian(count, scale, size, generator), move, tolerance=1.0)


def _gaussian(count: int, _: int, size: int, generator: torch.Generator) -> Tensor:
    """Half of them isotropic."""
    device = generator.device
    round_, oval = (
        random_gaussian(count, size, widths=GAUSSIAN_WIDTHS, anisotropic=two, generator=generator, device=device)
        for two in (False, True)
    )
    return torch.where(torch.rand(count, 1, 1, 1, generator=generator, device=device) < 0.5, round_, oval)


def _motion(count: int, _: int, size: int, generator: torch.Generator, centre: Literal["mass", "path"] = "mass") -> Tensor:
    device = generator.device
    nonlinearity = torch.rand(count, generator=generator, device=device)
    length = (MOTION_LENGTHS[0] * size / 21, MOTION_LENGTHS[1] * size / 21)
    return random_motion(count, size, nonlinearity=nonlinearity, length=length, centre=centre, generator=generator, device=device)


def _off_centre(count: int, scale: int, size: int, generator: torch.Generator) -> Tensor:
    """Motion with a point of its path at the centre: the centroid is anywhere near, as in the test of IKR-Net."""
    return _motion(count, scale, size, generator, "path")


def _defocus(count: int, _: int, size: int, generator: torch.Generator) -> Tensor:
    """Discs of radius 0.5 to 4, as a lens out of focus makes them."""
    radius = 0.5 + 3.5 * torch.rand(count, generator=generator, device=generator.device)
    return disk(size, radius.clamp(max=(size - 1) / 2))


ISOTROPIC, NOISY, BALANCED, GAUSSIAN, MOTION, OFF_CENTRE, DEFOCUS = (
    Together(draw) for draw in (_isotropic, _noisy_gaussian, _balanced, _gaussian, _motion, _off_centre, _defocus)
)
for _name, _family in (
    ("isotropic-by-scale", ISOTROPIC),
    ("anisotropic-noisy", NOISY),
    ("anisotropic-balanced", BALANCED),
    ("gaussians", GAUSSIAN),
    ("motions", MOTION),
    ("motions-off-centre", OFF_CENTRE),
    ("defocus", DEFOCUS),
):
    FAMILIES[_name] = _family


def _named(name: str, one: Setting) -> None:
    if not isinstance(one, Setting) or one.name != name:
        raise ValueError(f"under {name!r} a Setting of that name is due, got {one!r}: SETTINGS[{name!r}] = Setting({name!r}, ...)")


SETTINGS: Registry[Setting] = Registry("setting", _named)
for _one in (
    Setting("dan-setting1", (2, 3, 4), (ISOTROPIC,), bits=8),
    Setting("dan-setting2", (2, 4), (NOISY,), size={2: 11, 4: 31}, bits=8),
    # setting 2 as DIV2KRK has it, DAN's test of it
    Setting("div2krk", (2, 4), (BALANCED,), size={2: 11, 4: 31}, bits=8, convention=KERNELGAN),
    Setting("ikrnet", (2, 4), (GAUSSIAN, MOTION), sigma=(0.0, 0.03)),
    # y does not tell a shifted kernel from a shifted image: what a network makes of kernels that the centroid does not centre
    Setting("ikrnet-off-centre", (2, 4), (GAUSSIAN, OFF_CENTRE), sigma=(0.0, 0.03)),
    # scenes seen by a camera: twice as much motion as anything else, for it is what hands do
    Setting("photograph", (1, 2, 4), (GAUSSIAN, MOTION, MOTION, DEFOCUS), camera=Camera()),
    # one network for all scales and noise levels; a quarter without noise, which a range alone would never contain
    Setting("usrnet", (1, 2, 3, 4), (GAUSSIAN, MOTION), sigma=(0.0, 0.05), clean=0.25),
):
    SETTINGS[_one.name] = _one


def setting(
    name: str,
    *,
    scales: tuple[int, ...] | None = None,
    sigma: tuple[float, float] | None = None,
    clean: float | None = None,
    gray: float | None = None,
    correlated: float | None = None,
    jpeg: float | None = None,
    size: int | None = None,
    bits: int | None = None,
    convention: Convention | None = None,
    physics: Build | str | None = None,
) -> Setting:
    """A named setting with some of its values replaced.

    Raises:
        ValueError: unknown name, or values the setting refuses.

    Example:
        >>> from pnpsr.data import setting
        >>> setting("ikrnet", scales=(2,), sigma=(0.0, 0.01)).scales
        (2,)
    """
    given = {
        "scales": scales,
        "sigma": sigma,
        "clean": clean,
        "gray": gray,
        "correlated": correlated,
        "jpeg": jpeg,
        "size": size,
        "bits": bits,
        "convention": convention,
        "physics": physics,
    }
    return replace(SETTINGS.find(name), **{field: value for field, value in given.items() if value is not None})  # type: ignore[arg-type]
