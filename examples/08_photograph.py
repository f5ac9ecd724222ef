# %% [markdown]
# # 8. From a blurred photograph to a report
#
# A photograph is a file of any size whose border is not periodic, whose noise nobody has measured, and whose blur nobody knows:
# there is only y, and y = (x ⊗ k)↓s + n for a sharp picture x, a kernel k, a scale s and noise n. `pnpsr.restore` finds
# candidates for k, restores with each, and believes the one that explains y with the fewest strong edges; or it finds that
# nothing is blurred, and leaves the picture alone.
#
# We make our own photograph, so that the truth is there for the last section; `restore` never sees it.

# %%
import contextlib
import io
import os
import sys
from pathlib import Path

import torch

import pnpsr
from pnpsr import Degradation
from pnpsr.cli import main
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import read_image, sample_picture, write_image
from pnpsr.kernels import gaussian
from pnpsr.physics import estimate_noise, quantise
from pnpsr.plot import save_figure, show_before_after, show_kernels, show_table

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
side = 80 if FAST else 144
truth = sample_picture("astronaut")[..., 40 : 40 + side, 150 : 150 + side]
true_kernel = gaussian(15, 2.4, width2=1.2, angle=0.6)
shaken = Degradation(1, boundary="reflect")(truth, true_kernel, 0.005, generator=torch.Generator().manual_seed(0))
photo = OUT / "08_photo.png"
write_image(photo, quantise(shaken))

# %% [markdown]
# ## Look first
#
# `read_image` keeps what belongs to the picture beside it: depth, colour profile, EXIF. The noise can be estimated without
# knowing x.

# %%
picture = read_image(photo)
y = picture.image
print(f"{photo.name}: {tuple(y.shape)}, values {float(y.min()):.2f} to {float(y.max()):.2f}")
print(f"noise of about {float(estimate_noise(y)):.4f} of white; it was made with 0.005, and 8 bits add 0.001")

# %% [markdown]
# ## One call
#
# Scale 1 removes blur and keeps the size; scale 2 would enlarge as well. `words` is what was believed.

# %%
out = pnpsr.restore(photo, 1)
print(out.words)
rows = {c.name: {"size": c.k.shape[-1], "score (low is believed)": float(c.score)} for c in out.found.candidates}
figure = show_table(rows, best={"score (low is believed)": "low"}, form=".3f", title="candidates")
save_figure(figure, OUT / "08_candidates.png")
for name, row in rows.items():
    print(f"{name:24} {row['size']:3} pixels   score {row['score (low is believed)']:.3f}")

# %%
figure = show_before_after(y, out.x, zoom=(0.25, 0.3, 0.25, 0.25))
save_figure(figure, OUT / "08_photograph.png")

# %% [markdown]
# ## A report
#
# The command does the same with files, and with `--report` writes a page for each picture that opens in any browser: before and
# after under a slider, the kernel, the iterations, what is left unexplained, the numbers. `main` is the command as a function.

# %%
said = io.StringIO()
with contextlib.redirect_stdout(said):
    status = main(["restore", str(photo), "--scale", "1", "--out", str(OUT / "08_restored"), "--report", "--overwrite", "--quiet"])
print(f"pnpsr restore {photo.name} --scale 1 --report: exit status {status}")
for path in sorted((OUT / "08_restored").iterdir()):
    if path.is_file():
        print(f"  {path.name:36} {path.stat().st_size / 1000:8.1f} kB")

# %% [markdown]
# ## Is it right?
#
# Without the truth there are two signs: the words say how well x, blurred again, explains y, and the kernel in the figure
# should look like one blur, not like dust. Here the truth can be asked. Pixels of the border are left out.

# %%
scores = {
    "photograph": {"PSNR (dB)": float(psnr(y, truth, border=12))},
    "restored": {"PSNR (dB)": float(psnr(out.x, truth, border=12)), "k MSE x 1e5": float(kernel_mse(out.k, true_kernel)) * 1e5},
}
told = pnpsr.restore(photo, 1, k=true_kernel)  # given, so not looked for
scores["true kernel given"] = {"PSNR (dB)": float(psnr(told.x, truth, border=12)), "k MSE x 1e5": 0.0}
for name, row in scores.items():
    print(f"{name:18}" + "".join(f"{value:10.2f}" for value in row.values()))
figure = show_kernels({"true": true_kernel, "found": out.k}, log=True)
save_figure(figure, OUT / "08_kernels.png")

# %% [markdown]
# ## Exercises
#
# 1. What happens to a photograph that is sharp?
# 2. Give a kernel that is twice too wide. What do you see?

# %% tags=["solution"]
# 1. No candidate is better than no blur, and the picture comes back as it was.
sharp = pnpsr.restore(quantise(truth), 1)
print(sharp.words)
print(f"blurred: {sharp.blurred}, largest change {float((sharp.x - quantise(truth)).abs().max()):.4f}")

# %% tags=["solution"]
# 2. Rings along every edge, and the picture is lost. A kernel that is given is believed.
wide = pnpsr.restore(photo, 1, k=gaussian(31, 4.8, width2=2.4, angle=0.6))
print(wide.words)
print(f"{float(psnr(wide.x, truth, border=12)):.2f} dB instead of {float(psnr(told.x, truth, border=12)):.2f}")
figure = show_before_after(told.x, wide.x)
save_figure(figure, OUT / "08_rings.png")
