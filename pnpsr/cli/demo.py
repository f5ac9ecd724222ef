"""``pnpsr demo``: degrade a sample picture, forget the kernel, and find both again; or do it in the browser."""

from collections.abc import Callable
from pathlib import Path

import torch
import tyro
from torch import Tensor

from pnpsr.checks import factors
from pnpsr.cli.batch import Options, restore_one
from pnpsr.cli.choose import KernelChoice
from pnpsr.cli.desk import Desk
from pnpsr.cli.inputs import Input
from pnpsr.cli.report import Truth
from pnpsr.cli.web import HERE, serve
from pnpsr.images import Picture, crop_to_multiple, sample_picture, write_image
from pnpsr.kernels import save_kernels
from pnpsr.photo.ask import Ask
from pnpsr.physics import Degradation, quantise

PORT = 8000


def demo(
    choice: KernelChoice,
    *,
    picture: str = "astronaut",
    scale: int = 2,
    sigma: float = 0.005,
    preset: str | None = None,
    out: Path = Path("demo"),
    device: str = "cpu",
    web: tyro.conf.UseCounterAction[int] = 0,
    port: int | None = None,
) -> int:
    """Degrade a sample picture with a kernel that is then not known, restore image and kernel blindly, and show how well.

    With --web, a page in the browser of this machine: drop a picture, choose scale and preset, watch the kernel as it is found,
    download both. The sample picture is there to be tried.

    Args:
        choice: which kernel.
        picture: one of scikit-image's sample pictures.
        scale: factor of the degradation; 1 blurs only.
        sigma: noise standard deviation as a fraction of white; the result is stored in 8 bits as a camera would.
        preset: name of a solver that ships with pnpsr, or path of a checkpoint; by default the best of several methods.
        out: folder for the results; made if it does not exist.
        device: cpu, cuda, cuda:1, mps.
        web: serve a page on this machine until Ctrl-C.
        port: of that page, 8000 if left out.
    """
    factors(scale)
    if port is not None and not web:
        raise ValueError("--port goes with --web")

    def degraded(factor: int) -> tuple[Tensor, Truth]:
        x, k = crop_to_multiple(sample_picture(picture), factor), choice.draw()
        y = Degradation(factor, boundary="reflect")(x, k, sigma, generator=torch.Generator().manual_seed(choice.seed))
        return quantise(y), Truth(x, k)

    options = Options(Ask.of(scale, preset, None, None, None, None, "extend", None, "auto", device))
    y, truth = degraded(scale)
    if web:
        return _in_browser(Desk(out, device), degraded, PORT if port is None else port, scale, preset)
    out.mkdir(parents=True, exist_ok=True)
    write_image(out / f"{picture}_input.png", y)
    save_kernels(out / f"{picture}_true_kernel.npz", choice.draw())
    restore_one(Picture(y), Input(out / f"{picture}_input.png", out, picture), options, truth, detailed=True)
    return 0


def _in_browser(desk: Desk, degraded: Callable[[int], tuple[Tensor, Truth]], port: int, scale: int, preset: str | None) -> int:
    def sample(factor: int, path: Path) -> Truth:
        y, truth = degraded(factor)
        write_image(path, y)
        return truth

    with serve(desk, sample, port, scale=scale, preset=preset) as server:
        where = f"http://{HERE}:{server.server_port}"
        print(f"open {where} in a browser; results are kept in {desk.folder}; Ctrl-C ends it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
