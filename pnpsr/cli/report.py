"""What a restoration leaves behind: pictures, kernel, figure, and the scores where the truth is known."""

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from pnpsr.evaluate import kernel_mse, psnr, ssim
from pnpsr.images import Picture, write_image
from pnpsr.kernels import save_kernels
from pnpsr.physics import Degradation
from pnpsr.plot import demo_figure, save_figure
from pnpsr.starts import upsample
from pnpsr.state import State


@dataclass
class Truth:
    """The true image (1 c sh sw) and kernel (1 1 p q), as far as they are known."""

    x: Tensor | None = None
    k: Tensor | None = None


@dataclass
class Curves:
    """One value per iteration of everything that can be measured."""

    truth: Truth
    border: int
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, s: State) -> dict[str, float]:
        """Measure this state; the values, by name."""
        x, k = s.known("x"), s.known("k")
        residual = Degradation(s.scale, boundary="replicate").freeze(k=k)(x) - s.y
        now = {"data residual": float(residual.square().mean().sqrt())}
        if self.truth.x is not None:
            now["PSNR, dB"] = float(psnr(x, self.truth.x, border=self.border))
        if self.truth.k is not None:
            now["kernel error × 1e5"] = 1e5 * float(kernel_mse(k, self.truth.k))
        for name, value in now.items():
            self.values.setdefault(name, []).append(value)
        return now


def write_result(folder: Path, stem: str, picture: Picture, s: State) -> list[Path]:
    """The restored picture, of the input's depth and transparency, and the kernel as .npz and .png."""
    image, kernel, drawing = (folder / f"{stem}{end}" for end in ("_restored.png", "_kernel.npz", "_kernel.png"))
    alpha = None if picture.alpha is None else upsample(picture.alpha, s.scale).clamp(0, 1)
    write_image(image, s.known("x"), alpha=alpha, bits=min(picture.bits, 16))  # PNG holds no floats
    save_kernels(kernel, s.known("k"))
    save_kernels(drawing, s.known("k").clamp_min(0))
    return [image, kernel, drawing]


def write_figure(path: Path, s: State, truth: Truth, curves: Curves, notes: dict[str, str]) -> Path:
    """Input, aligned bicubic, restored, truth; kernels; convergence."""
    x, k = s.known("x"), s.known("k")
    figure = demo_figure(s.y, x, k, scale=s.scale, truth=truth.x, true_kernel=truth.k, curves=curves.values, notes=notes)
    save_figure(figure, path)
    return path


def scores(s: State, truth: Truth, start: Tensor | None, border: int) -> dict[str, str]:
    """Lines on the bicubic and the restored image (PSNR, SSIM over RGB, borders cropped) and on the kernel; empty without truth."""
    lines = {}
    if truth.x is not None:
        for name, x in (("bicubic", upsample(s.y, s.scale).clamp(0, 1)), ("restored", s.known("x"))):
            quality = [float(measure(x, truth.x, border=border)) for measure in (psnr, ssim)]
            lines[name] = f"{quality[0]:.2f} dB, SSIM {quality[1]:.4f}"
    if truth.k is not None and start is not None:
        errors = [1e5 * float(kernel_mse(k, truth.k)) for k in (start, s.known("k"))]
        lines["kernel"] = f"mean squared error × 1e5: {errors[0]:.2f} at the start, {errors[1]:.2f} estimated"
    return lines
