# %% [markdown]
# # 12. Figures, one call each
#
# Every function of `pnpsr.plot` returns a plain matplotlib `Figure`, without window, backend or global state; `save_figure`
# writes it as PNG, PDF or SVG. Pictures are (1 c h w) in [0, 1], kernels (b 1 p p). First something to show: y, blurred with k
# and made smaller, and what a blind solver makes of it.

# %%
import os
import sys
from pathlib import Path

from torch import Generator

from pnpsr import Degradation, blind_hqs
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import disk, gaussian, random_motion
from pnpsr.plot import (
    demo_figure,
    save_figure,
    show_before_after,
    show_curves,
    show_images,
    show_iterates,
    show_kernels,
    show_spectra,
    show_table,
)  # fmt: skip
from pnpsr.starts import upsample

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
side = 96 if os.environ.get("PNPSR_FAST") == "1" else 192
x = sample_picture("astronaut")[..., 16 : 16 + side, 130 : 130 + side]
k = gaussian(15, 2.6, width2=1.1, angle=0.7)
y = Degradation(2)(x, k, 0.01, generator=Generator().manual_seed(0))
solver = blind_hqs(15, T=6)
states = [solver.start(y, 2), *solver.iterate(solver.start(y, 2))]
quality = [float(psnr(s.x.clamp(0, 1), x, border=4)) for s in states]
out = states[-1]
for t, level in enumerate(quality):
    print(f"iteration {t}: {level:.2f} dB")

# %% [markdown]
# ## A restoration at a glance
#
# `demo_figure`: input, bicubic, restored, truth; kernels; curves. It is what `pnpsr demo` and `pnpsr restore` write.

# %%
curves = {"PSNR of x (dB)": quality}
figure = demo_figure(y, out.x, out.k, scale=2, truth=x, true_kernel=k, curves=curves, first=0, zoom=(0.3, 0.35, 0.25, 0.25))
save_figure(figure, OUT / "12_demo.png")

# %% [markdown]
# ## Before and after
#
# `show_before_after`: left of the line as it was, right of it as it is. What comes in small is drawn as blocks.

# %%
figure = show_before_after(y, out.x.clamp(0, 1), zoom=(0.3, 0.35, 0.25, 0.25))
save_figure(figure, OUT / "12_before_after.png")

# %% [markdown]
# ## Every iterate
#
# `show_iterates`: x above, k below, under its t. The states are those that `iterate` yields; choose some of many.

# %%
figure = show_iterates(states[::3], notes=[f"{q:.2f} dB" for q in quality[::3]])
save_figure(figure, OUT / "12_iterates.png")

# %% [markdown]
# ## Kernels
#
# `show_kernels`: the cross is the centre p // 2, the dot the centre of mass. With `log=True` the tails below: log10, down to
# 1e-4 of the largest.

# %%
shake = random_motion(1, 21, generator=Generator().manual_seed(3))
figure = show_kernels({"true": k, "found": out.k, "shake": shake, "defocus": disk(21, 4.0)}, log=True)
save_figure(figure, OUT / "12_kernels.png")

# %% [markdown]
# ## Spectra
#
# `show_spectra`: zero frequency in the middle, dark where nothing is left. What lies outside the frame ↓s folds into it.
# `window=True` keeps the jump at a photograph's border out of it.

# %%
figure = show_spectra({"true k": k, "found k": out.k, "shake": shake, "defocus": disk(21, 4.0)}, scale=2)
save_figure(figure, OUT / "12_spectra.png")

# %%
figure = show_spectra({"x": x, "bicubic": upsample(y, 2), "restored": out.x}, window=True)
save_figure(figure, OUT / "12_picture_spectra.png")

# %% [markdown]
# ## Convergence
#
# `show_curves`: a panel for each title, one curve or several; logarithmic where the range asks for it. Losses of a training are
# shown the same way.

# %%
other = blind_hqs(15, T=6, width=2.0)
wider = [float(kernel_mse(s.k, k)) * 1e5 for s in (other.start(y, 2), *other.iterate(other.start(y, 2)))]
errors = {"start of width 1": [float(kernel_mse(s.k, k)) * 1e5 for s in states], "of width 2": wider}
figure = show_curves({"PSNR of x (dB)": quality, "kernel MSE × 1e5": errors}, first=0)
save_figure(figure, OUT / "12_curves.png")

# %% [markdown]
# ## Tables
#
# `show_table`: rows by name, the best of a column set off.

# %%
pictures = {"bicubic": upsample(y, 2), "blind": out.x.clamp(0, 1)}
rows = {name: {"PSNR (dB)": float(psnr(v, x, border=4))} for name, v in pictures.items()}
rows["blind"]["kernel MSE × 1e5"] = float(kernel_mse(out.k, k)) * 1e5
figure = show_table(rows, best={"PSNR (dB)": "high"})
save_figure(figure, OUT / "12_table.png")

# %% [markdown]
# ## Pictures side by side
#
# `show_images`: any sizes, with a line below and a part enlarged in a corner.

# %%
notes = {name: f"{row['PSNR (dB)']:.2f} dB" for name, row in rows.items()}
figure = show_images({"y": y, **pictures, "x": x}, notes=notes, zoom=(0.3, 0.35, 0.25, 0.25))
save_figure(figure, OUT / "12_images.png")
