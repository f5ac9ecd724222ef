"""A first kernel from second-order statistics of y, which no crop's content can hide for long."""

from typing import ClassVar

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from pnpsr import checks
from pnpsr.needs import Needs

LAGS = 8  # pixels of y on each side that the autocorrelations cover
WINDOW = 32  # rows and columns of the windows whose spectra are averaged
FLOOR = 1e-6  # of powers, in squared units of the image: a grey level of 8 bits squared is 1.5e-5


class KernelStatistics(nn.Module):
    """k0 = softmax(MLP(statistics of y)): autocorrelations of derivatives, and the mean log power spectrum, for any picture size.

    A blur multiplies the spectrum of y by K: it adds log |K|² to the mean log spectrum, and shapes the autocorrelation of edges,
    whatever the picture shows. So the input of the network is already about k, and some hundreds of steps are enough where
    convolutions that must find such statistics themselves (:class:`pnpsr.nets.KernelEncoder`) stay at the mean kernel for
    thousands. What second-order statistics cannot tell is k from k turned by 180 degrees; iterations must.

    Read from the mean of the channels: horizontal and vertical differences, the Laplacian, and the Laplacian over its local
    strength, each by its autocorrelation at lags up to 8 over that at lag 0; the logarithms of these four powers, less their mean;
    and the log power of Hann windows of 32 x 32, averaged.

    Example:
        >>> import torch
        >>> from pnpsr.nets import KernelStatistics
        >>> net = KernelStatistics(5, width=8)
        >>> k = net(torch.rand(2, 3, 24, 24))
        >>> k.shape
        torch.Size([2, 1, 5, 5])
    """

    HIDDEN: ClassVar = {"views": lambda: _views()}  # buffers that are not saved, and how they are made
    views: Tensor

    def __init__(
        self, size: int | tuple[int, int] = 21, *, channels: int | None = 3, width: int = 512, thorough: bool = False
    ) -> None:
        """Build the net for kernels of ``size``; three hidden layers of ``width``.

        ``channels`` is what its pictures (b c h w) must have; None takes any number, since only their mean is read. ``thorough``
        reads denser windows, and answers with the mean over the picture, its mirror image, its transpose and both, each turned
        back: with the same weights a better kernel for more time, and for a mirrored picture the mirrored kernel (up to a turn by
        180 degrees). Training does without.

        Raises:
            TypeError: a size or count is no integer.
            ValueError: one is below 1; ``thorough`` for a kernel that is not square.
        """
        super().__init__()
        self.size, width = checks.size(size, "size"), checks.whole(width, "width")
        self.channels = None if channels is None else checks.whole(channels, "channels")
        self.needs = Needs(channels=self.channels, kernel_size=max(self.size))
        inputs = 4 * (2 * LAGS + 1) * (LAGS + 1) + 4 + WINDOW * (WINDOW // 2 + 1)
        layers: list[nn.Module] = []
        for into in (inputs, width, width):
            layers += [nn.Linear(into, width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, self.size[0] * self.size[1]))
        self.thorough = bool(thorough)
        if self.thorough:
            if self.size[0] != self.size[1]:
                raise ValueError(f"thorough needs a square kernel, which can be transposed, got {self.size}")
            self.register_buffer("views", self.HIDDEN["views"](), persistent=False)

    def forward(self, y: Tensor) -> Tensor:
        """The kernel (b 1 p q) on the simplex that blurred ``y`` (b c h w).

        Raises:
            TypeError: no floats, or another dtype than the net.
            ValueError: wrong number of channels.
        """
        weight = self.layers[-1].weight
        y = checks.feed(y, "y", self.channels or y.shape[1], weight)  # type: ignore[arg-type]
        with torch.autocast(y.device.type, enabled=False):
            # the layers too: logits of half precision would be off by some percent of every coefficient
            seen = statistics(y.to(weight.dtype).mean(1), self.thorough)  # type: ignore[arg-type]
            if not self.thorough:
                return self._kernel(seen)
            plain, mirrored, transposed, both = self._kernel(rearrange(seen[:, self.views], "b v n -> (v b) n")).chunk(4)
            back = (_mirrored(mirrored, -1), transposed.mT, _mirrored(both.mT, -1))
            return (plain + sum(_nearer(k, plain) for k in back)) / 4

    def _kernel(self, seen: Tensor) -> Tensor:
        return rearrange(self.layers(seen).softmax(1), "b (p q) -> b 1 p q", p=self.size[0])


def statistics(y: Tensor, thorough: bool = False) -> Tensor:
    """The inputs (b n) of the network, for gray pictures (b h w); smaller ones than a window are repeated at the border."""
    missing = [max(0, WINDOW + 2 - n) for n in y.shape[-2:]]
    if any(missing):
        y = F.pad(y[:, None], (0, missing[1], 0, missing[0]), mode="replicate")[:, 0]
    corner = y[:, 1:, 1:]
    laplacian = 4 * y[:, 1:-1, 1:-1] - y[:, :-2, 1:-1] - y[:, 2:, 1:-1] - y[:, 1:-1, :-2] - y[:, 1:-1, 2:]
    strength = F.avg_pool2d(laplacian[:, None].square(), 9, 1, 4, count_include_pad=False)[:, 0]
    maps = (corner - y[:, 1:, :-1], corner - y[:, :-1, 1:], laplacian, laplacian / (strength + 10 * FLOOR).sqrt())
    pairs = [_autocorrelation(m) for m in maps]
    powers = torch.cat([power for power, _ in pairs], 1)
    spectrum = _log_spectrum(y, _step(min(y.shape[-2:]), thorough))
    return torch.cat([*(shape for _, shape in pairs), powers - powers.mean(1, keepdim=True), spectrum], 1)


def _mirrored(k: Tensor, *sides: int) -> Tensor:
    """k (b 1 p q) mirrored about its centre p // 2, which a flip alone moves where a side is even."""
    return k.flip(sides).roll([1 - k.shape[side] % 2 for side in sides], sides)


def _nearer(k: Tensor, other: Tensor) -> Tensor:
    """k (b 1 p q) or its turn by 180 degrees, which its statistics cannot tell from it, whichever is nearer to the other."""
    turned = _mirrored(k, -2, -1)
    return torch.where(((k - turned) * other).sum((-3, -2, -1), keepdim=True) >= 0, k, turned)


def _views() -> Tensor:
    """Where each of the n statistics of a picture, of its mirror image, of its transpose and of the mirrored transpose (4 n) stand
    among those of the picture: an autocorrelation and a power spectrum move with the picture and are even."""
    half = torch.arange((2 * LAGS + 1) * (LAGS + 1), device="cpu").reshape(2 * LAGS + 1, LAGS + 1)
    full = torch.cat((half.flip((0, 1))[:, :-1], half), 1)  # lags -8 .. 8 both ways
    lines = torch.arange(WINDOW * (WINDOW // 2 + 1), device="cpu").reshape(WINDOW, WINDOW // 2 + 1)
    opposite = -torch.arange(WINDOW, device="cpu") % WINDOW
    spectrum = torch.cat((lines, lines[opposite][:, 1:-1].flip(1)), 1)  # frequencies 0 .. 31 both ways

    def seen(transposed: bool, mirrored: bool) -> Tensor:
        lags, powers = full, spectrum
        if mirrored:
            lags, powers = lags.flip(1), powers[:, opposite]
        if transposed:
            lags, powers = lags.mT, powers.mT
        maps = torch.tensor(
            [1, 0, 2, 3] if transposed else [0, 1, 2, 3], device="cpu"
        )  # horizontal differences become vertical ones
        correlations = half.numel() * maps[:, None] + lags[:, LAGS:].flatten()
        logs = 4 * half.numel()
        return torch.cat((correlations.flatten(), logs + maps, logs + 4 + powers[:, : WINDOW // 2 + 1].flatten()))

    return torch.stack([seen(False, False), seen(False, True), seen(True, False), seen(True, True)])


def _autocorrelation(m: Tensor) -> tuple[Tensor, Tensor]:
    """log of the power (b 1), and the autocorrelation at lags -8 .. 8, 0 .. 8 over it (b n), without wrapping around."""
    size = [_fast(n + LAGS) for n in m.shape[-2:]]
    full = torch.fft.irfft2(torch.fft.rfft2(m, s=size).abs().square(), s=size) / (m.shape[-2] * m.shape[-1])
    window = full.roll((LAGS, LAGS), (-2, -1))[:, : 2 * LAGS + 1, LAGS : 2 * LAGS + 1]
    power = window[:, LAGS, :1] + FLOOR / 100
    return power.log(), (window / power[..., None]).flatten(1)


def _fast(n: int) -> int:
    """The least even number from ``n`` on without a prime factor above 5: prime lengths make an FFT several times slower."""
    n = (n + 1) // 2 * 2
    while isinstance(n, int):
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
    return n  # a symbol of a trace, of which no factors are known


def _step(side: int, thorough: bool) -> int:
    """Pixels from one window to the next on pictures whose shorter side is ``side``: the smaller, the denser."""
    if thorough and side < 4 * WINDOW:
        return WINDOW // 8
    return WINDOW // 4 if side < (8 if thorough else 2) * WINDOW else WINDOW // 2


def _log_spectrum(y: Tensor, step: int) -> Tensor:
    """The mean log power of Hann windows (b n) ``step`` apart, less its own mean: contrast says nothing of k."""
    hann = torch.hann_window(WINDOW, periodic=False, dtype=y.dtype, device=y.device)
    centred = y - y.mean((1, 2), keepdim=True)
    windows = centred.unfold(1, WINDOW, step).unfold(2, WINDOW, step) * torch.outer(hann, hann)
    spectrum = (torch.fft.rfft2(windows).abs().square() + FLOOR).log().mean((1, 2)).flatten(1)
    return (spectrum - spectrum.mean(1, keepdim=True)) / 4  # of order one
