"""What was tried on photographs, one function for each row of the page: it does it again and says what comes out."""

import contextlib
import io
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import pnpsr
from pnpsr.evaluate import psnr, ssim
from pnpsr.images import crop_to_multiple, join_pages, read_image, sample_picture, write_image
from pnpsr.kernels import gaussian, line, random_motion, save_kernels
from pnpsr.photo.words import describe
from pnpsr.physics import Degradation, quantise
from pnpsr.starts import upsample

BORDER = 12  # pixels that the scores leave out
CALL = """
import json, resource, sys
from pathlib import Path
from pnpsr.cli import main
status, used = main(json.loads(sys.argv[1])), resource.getrusage(resource.RUSAGE_SELF)
# not ru_maxrss, which begins with what the parent held when it made this process
(peak,) = (int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(json.dumps([status, used.ru_utime + used.ru_stime, peak / 2**20]))
"""


def photographed(x: Tensor, k: Tensor, scale: int, sigma: float = 0.005) -> Tensor:
    """(x ⊗ k)↓s + n in 8 bits; the noise is always the same."""
    y = Degradation(scale, boundary="reflect")(x, k, sigma, generator=torch.Generator().manual_seed(0))
    return quantise(y)


def score(x: Tensor, truth: Tensor, border: int = BORDER) -> str:
    """PSNR in dB."""
    value = float(psnr(x, truth, border=border))
    return "unchanged" if math.isinf(value) else f"{value:.1f} dB"


def command(*words: object) -> tuple[int, list[str]]:
    """Exit status of ``pnpsr`` in this process, and the lines that it printed, without folders that change."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        from pnpsr.cli import main

        status = main([str(word) for word in words])
    lines = [text for text in out.getvalue().replace("\r", "\n").splitlines() if text.strip() and "step/s]" not in text]
    return status, lines


def measured(*words: object) -> str:
    """``pnpsr`` in a process of its own: processor time and peak of memory."""
    call = [sys.executable, "-c", CALL, json.dumps([str(word) for word in words])]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    status, seconds, gib = json.loads(done.stdout.splitlines()[-1])
    return f"{seconds:.0f} s of processor time, {gib:.1f} GiB" if status == 0 else f"exit status {status}"


def large(megapixels: float, folder: Path) -> Path:
    """A picture of that size, 2 : 3, mirrored copies of a sample."""
    x = sample_picture("retina")
    h = round((megapixels * 1e6 / 1.5) ** 0.5)
    w = round(1.5 * h)
    x = torch.cat([torch.cat([x, x.flip(-1)], -1), torch.cat([x.flip(-2), x.flip(-2).flip(-1)], -1)], -2)
    x = x.repeat(1, 1, -(-h // x.shape[-2]), -(-w // x.shape[-1]))[..., :h, :w]
    write_image(folder / "a.jpg", x)
    return folder / "a.jpg"


def two_megapixels(folder: Path) -> str:
    write_image(folder / "two.png", photographed(sample_picture("retina"), gaussian(15, 1.6), 1))
    words = ("restore", folder / "two.png", "--out", folder / "o", "--quiet")
    return f"{measured(*words)}; with `--preset ikrnet-x2` {measured(*words, '--preset', 'ikrnet-x2', '--overwrite')}"


def bounded(megapixels: int, gib: int) -> Callable[[Path], str]:
    def row(folder: Path) -> str:
        save_kernels(folder / "k.npz", gaussian(15, 1.6))
        words = ("--kernel", folder / "k.npz", "--iterations", 1, "--memory", gib, "--quiet")
        return measured("restore", large(megapixels, folder), *words, "--out", folder / "o")

    return row


def sharp(_: Path) -> str:
    names = ("astronaut", "coffee", "rocket", "chelsea")
    return ", ".join(f"{name} {score(pnpsr.restore(x, 1).x, x, 0)}" for name in names for x in [sample_picture(name)])


def real_motion(name: str, scale: int) -> Callable[[Path, Path], str]:
    def row(_: Path, data: Path) -> str:
        y = read_image(data / "real" / name).image
        r, classical = pnpsr.restore(y, scale), pnpsr.restore(y, scale, size=31)
        winner = r.found.candidates[0].name if r.found is not None and r.found.candidates else "none"
        return f"{describe(r.k)} ({winner}); blind_hqs of 31 pixels alone: {describe(classical.k)}"

    return row


def motion(length: int, scale: int, straight: bool = False) -> Callable[[Path], str]:
    def row(_: Path) -> str:
        size = length + 2 + (length + 1) % 2
        x = sample_picture("astronaut")[..., 40 : 40 + 224 * scale, 100 : 100 + 224 * scale]
        generator = torch.Generator().manual_seed(0)
        k = line(size, length, 0.6) if straight else random_motion(1, size, length=(length, length), generator=generator)
        y = photographed(x, k, scale)
        results = (upsample(y, scale), pnpsr.restore(y, scale).x, pnpsr.restore(y, scale, k=k).x)
        start, found, true = (float(psnr(z, x, border=BORDER)) for z in results)
        way = f": {100 * (found - start) / (true - start):.0f} % of the way" if true > start + 0.5 else ""
        return f"{start:.1f} dB before, {found:.1f} dB with the kernel found, {true:.1f} dB with the true one{way}"

    return row


def grain(name: str) -> Callable[[Path, Path], str]:
    def row(_: Path, data: Path) -> str:
        y = read_image(data / "real" / name).image
        plain, told = pnpsr.restore(y, 2), pnpsr.restore(y, 2, sigma=0.1)
        rough = [float((z - upsample(y, 2)).std()) for z in (plain.x, told.x)]
        return (
            f"{plain.words}; differs from bicubic by {100 * rough[0]:.1f} % of white, with `--sigma 0.1` by {100 * rough[1]:.1f} %"
        )

    return row


def compressed(folder: Path) -> str:
    from PIL import Image

    x = crop_to_multiple(sample_picture("astronaut")[..., 40:488, 60:508], 2)
    y = photographed(x, gaussian(15, 1.6), 2)
    Image.fromarray((y[0] * 255).byte().permute(1, 2, 0).numpy()).save(folder / "a.jpg", quality=50)
    y = read_image(folder / "a.jpg").image
    results = {
        "bicubic": upsample(y, 2).clamp(0, 1),
        "restored": pnpsr.restore(y, 2).x,
        "blind_hqs": pnpsr.restore(y, 2, size=21).x,
    }
    return ", ".join(f"{name} {score(z, x)}, SSIM {float(ssim(z, x, border=BORDER)):.3f}" for name, z in results.items())


def profile(folder: Path) -> str:
    from PIL import Image, ImageCms

    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Box", 6
    small = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(small).save(folder / "a.jpg", icc_profile=icc, exif=exif)
    status, _ = command("restore", folder / "a.jpg", "--size", 5, "--iterations", 1, "--out", folder / "o")
    with Image.open(folder / "o" / "a_restored.jpg") as back:
        kept, tags = back.info.get("icc_profile") == icc, back.getexif()
        turned = back.size == (24, 32) and tags.get(0x0112, 1) == 1
    return (
        f"exit status {status}; profile {'kept' if kept else 'lost'}, EXIF {'kept' if tags.get(0x010F) == 'Box' else 'lost'}, "
        + ("turned upright once" if turned else "not turned")
    )


def degenerate(folder: Path) -> str:
    said = []
    for name, y in (
        ("black", torch.zeros(1, 3, 64, 64)),
        ("5 × 5", torch.rand(1, 3, 5, 5)),
        ("1 × 5000", torch.rand(1, 1, 1, 5000)),
    ):
        write_image(folder / "a.png", y)
        status, _ = command("restore", folder / "a.png", "--out", folder / "o", "--overwrite", "--quiet")
        h, w = read_image(folder / "o" / "a_restored.png").image.shape[-2:]
        said.append(f"{name}: exit status {status}, {h} × {w}")
    return "; ".join(said)


def kinds(folder: Path) -> str:
    from PIL import Image

    x, quick = torch.rand(1, 3, 12, 14), ("--size", 5, "--iterations", 1, "--quiet", "--out", folder / "o")
    (folder / "in").mkdir()
    write_image(folder / "in" / "clear.tif", x, alpha=x[:, :1])
    write_image(folder / "page.tif", x)
    join_pages(folder / "in" / "scan.tif", [folder / "page.tif"] * 3)
    frames = [Image.new("RGB", (14, 12), c) for c in ("red", "blue")]
    frames[0].save(folder / "in" / "film.gif", save_all=True, append_images=frames[1:])
    (folder / "in" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    status, lines = command("restore", folder / "in", *quick)
    made = sorted(path.name for path in (folder / "o").glob("*_restored.*"))
    named = sum("broken.jpg" in text for text in lines)
    listed = ", ".join(f"`{m}`" for m in made)
    return f"a folder of these and a broken one: {listed}; the broken one named in {named} line, exit status {status}"


def messages(folder: Path) -> str:
    write_image(folder / "a.png", torch.rand(1, 3, 12, 14))
    said = []
    for words in (("--device", "cuda"), ("--preset", "usrnet"), ("--preset", "ikrnet-x4"), ("--sigma", 5), ("--memory", 0.1)):
        if words == ("--device", "cuda") and torch.cuda.is_available():
            continue
        status, lines = command("restore", folder / "a.png", *words, "--out", folder / "o")
        said.append(f"`{' '.join(map(str, words))}`: exit status {status}, “{lines[-1].removeprefix('pnpsr: error: ')}”")
    return "<br>".join(said)


def names(folder: Path) -> str:
    for name in ("photo.jpg", "photo.png"):
        write_image(folder / name, torch.rand(1, 3, 12, 14))
    (folder / "file").write_text("")
    status, lines = command("restore", folder / "photo.jpg", "--out", folder / "file")
    quick = ("--size", 5, "--iterations", 1, "--out", folder / "o")
    command("restore", folder / "photo.jpg", folder / "photo.png", *quick, "--quiet")
    made = sorted(path.name for path in (folder / "o").glob("*_restored.*"))
    again = command("restore", folder / "photo.jpg", folder / "photo.png", *quick)[1]
    kept = sum("--overwrite replaces it" in text for text in again)
    told = lines[-1].replace(str(folder), "FOLDER")
    return f"exit status {status}, “{told}”; {', '.join(f'`{m}`' for m in made)}; asked again, {kept} are kept"


Row = Callable[..., str]
HELD = ("messages", "names", "kinds", "profile", "degenerate")  # what comes out does not depend on how well anything is restored
ROWS: dict[str, tuple[str, Row]] = {  # name: what was tried, and how to do it again; a function of two arguments wants the data
    "messages": ("mistakes in the call", messages),
    "names": ("`--out` that is a file; results that are there; `photo.jpg` and `photo.png`", names),
    "kinds": ("RGBA TIFF, TIFF of three pages, GIF", kinds),
    "profile": ("colour profile, EXIF with a turn", profile),
    "degenerate": ("black, 5 × 5 and 1 × 5000 pixels", degenerate),
    "sharp": ("sharp pictures at ×1", sharp),
    "jpeg": ("Gaussian blur of 1.6 pixels, ×2, JPEG quality 50", compressed),
    "line31": ("straight line of 31 pixels, ×1, 0.5 % noise", motion(31, 1, straight=True)),
    **{f"motion{n}x{s}": (f"motion of {n} pixels, ×{s}, 0.5 % noise", motion(n, s)) for n in (31, 45) for s in (1, 2)},
    **{
        f"{n}x{s}": (f"`{n}.jpg` (real motion blur), ×{s}", real_motion(f"{n}.jpg", s))
        for n in ("flower", "fishes")
        for s in (2, 4)
    },
    **{f"grain-{n}": (f"`{n}.png` (grain), ×2", grain(f"{n}.png")) for n in ("dog", "oldphoto2")},
    "2mp": ("2 megapixels, ×2, default", two_megapixels),
    "6mp": ("6 megapixels, ×2, kernel given, one iteration, `--memory 4`", bounded(6, 4)),
    "12mp": ("12 megapixels, ×2, kernel given, one iteration, `--memory 4`", bounded(12, 4)),
    "24mp": ("24 megapixels, ×2, kernel given, one iteration, `--memory 6`", bounded(24, 6)),
}


def outcome(name: str, data: Path | None) -> str | None:
    """What comes of a row now; None where it wants data that are not there."""
    row = ROWS[name][1]
    wants = row.__code__.co_argcount == 2
    if wants and data is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return row(Path(folder), data) if wants else row(Path(folder))
