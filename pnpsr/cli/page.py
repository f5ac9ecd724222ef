"""One HTML page on a restoration that needs nothing beside itself: before and after, kernel, iterations, residual, numbers."""

import base64
import html
import io
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
import torch
from torch import Tensor

from pnpsr.cli.figure import thumbnail
from pnpsr.files import replace_file
from pnpsr.photo import Restoration
from pnpsr.photo.words import describe
from pnpsr.physics import Degradation
from pnpsr.starts import upsample

LONGEST = 1600  # pixels of the pictures under the slider


def write_page(path: Path, y: Tensor, r: Restoration, name: str, said: dict[str, str]) -> Path:
    """The page on the restoration ``r`` of y (1 c h w), a file called ``name``; ``said`` are its scores, by name."""
    window = r.windows[0] if r.windows else None
    part, x = (y, r.x) if window is None else (y[(..., *window.inside)], r.x[(..., *window.of(r.scale))])
    before = thumbnail(upsample(thumbnail(y, LONGEST // r.scale), r.scale).clamp(0, 1), LONGEST)
    residual, leftover = _residual(x, r.k, part, r.scale)
    numbers = {
        "input": f"{y.shape[-2]} × {y.shape[-1]}",
        "result": f"{r.x.shape[-2]} × {r.x.shape[-1]}",
        "noise": "unknown" if r.sigma is None else f"{100 * r.sigma:.2f} % of white",
        "cut": r.plan.words(),
        **said,
    }
    page = Template(files("pnpsr.cli").joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(name),
        words=html.escape(r.words),
        before=_image(before, "JPEG"),
        after=_image(thumbnail(r.x, LONGEST), "JPEG"),
        closer=_closer(part, x, r.scale) if window is not None and r.x.shape != x.shape else "",
        kernel=_image((r.k / r.k.amax().clamp_min(1e-12)).clamp(0, 1), "PNG"),
        shape=html.escape(f"{describe(r.k)}; {r.k.shape[-2]} × {r.k.shape[-1]} pixels"),
        candidates=_ranking(r),
        last=max(1, len(r.steps)),
        steps="".join(f'<img class="step" alt="iteration {t}" src="{_image(s, "JPEG")}">' for t, (s, _) in enumerate(r.steps, 1)),
        residual=_image(residual, "PNG"),
        leftover=leftover,
        numbers="".join(f"<tr><th>{html.escape(n)}</th><td>{html.escape(v)}</td></tr>" for n, v in numbers.items()),
    )
    replace_file(path, page.encode())
    return path


def _residual(x: Tensor, k: Tensor, y: Tensor, scale: int) -> tuple[Tensor, str]:
    """y - (x ⊗ k)↓s around gray, in units in which its standard deviation can be seen, and a line on it."""
    small = k.shape[-2] > x.shape[-2] or k.shape[-1] > x.shape[-1]
    r = y - (x[..., ::scale, ::scale] if small else Degradation(scale, boundary="replicate").freeze(k=k)(x))
    spread = float(r.square().mean().sqrt())
    line = f"The picture less what result and kernel explain of it, where the blur was looked for: {100 * spread:.2f} % of white"
    return (0.5 + r / max(8 * spread, 1e-6)).clamp(0, 1), line + ". Noise has no shapes in it."


def _ranking(r: Restoration) -> str:
    rows = [("guess", "shape", "score, lower is better", "explains")]
    rows += [(c.name, describe(c.k), f"{c.score:.3f}", f"{c.explained:.1f} dB") for c in (r.found.candidates if r.found else ())]
    return "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows if len(rows) > 1)


def _closer(y: Tensor, x: Tensor, scale: int) -> str:
    pictures = {"as it was": upsample(y, scale).clamp(0, 1), "restored": x}
    inner = "".join(
        f'<figure><img alt="{name}" src="{_image(p, "JPEG")}"><figcaption>{name}</figcaption></figure>'
        for name, p in pictures.items()
    )
    return f'<h2>Closer</h2><div class="row">{inner}</div>'


def _image(x: Tensor, kind: str) -> str:
    """A picture (1 c h w) in [0, 1] as a data URL."""
    from PIL import Image

    levels = (x[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels.squeeze(-1) if levels.shape[2] == 1 else levels)).save(file, kind, quality=92)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
