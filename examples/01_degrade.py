# %% [markdown]
# # 1. How a picture is degraded
#
# A camera that blurs with a kernel k, keeps one pixel in every s × s patch and adds noise turns a picture x into
#
#     y = (x ⊗ k)↓s + n
#
# Everything else in this library tries to go back. Here are the kernels, the operator, its adjoint, and what is meant
# by ⊗ and ↓.

# %%
import os
import sys
from pathlib import Path

import torch

from pnpsr import Degradation
from pnpsr.conventions import IKRNET_TRAIN, KAIR_CENTER, PNPSR, convert_kernel, degrade, reproduces
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import centroid, dan_setting2, dirac, disk, gaussian, line, random_motion
from pnpsr.physics import adjoint_error, estimate_noise, operator_norm
from pnpsr.plot import save_figure, show_images
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Kernels
#
# A kernel batch is (b 1 p p): one kernel per sample, for all colours. Non-negative, of sum 1, centre at index p // 2.

# %%
kernels = {
    "no blur": dirac(21),
    "isotropic": gaussian(21, 2.0),
    "anisotropic": gaussian(21, 4.0, width2=1.2, angle=0.7),
    "noisy (DAN setting 2)": dan_setting2(1, 21, generator=random),
    "defocus": disk(21, 4.0),
    "straight motion": line(21, 15.0, 2.4),
    "camera shake": random_motion(1, 21, generator=random),
}
print("kernel                    sum   smallest   centroid from p // 2")
for name, k in kernels.items():
    down, right = centroid(k)[0].tolist()
    print(f"{name:24}{float(k.sum()):6.3f}{float(k.min()):10.1e}   ({down:+.3f}, {right:+.3f})")

# %% [markdown]
# ## One batch, one kernel and one noise level per sample
#
# Numbers are shared by the batch; tensors (b,) or (b 1 1 1) always mean one value per sample.

# %%
side, scale = (128 if FAST else 256), 4
x = sample_picture("astronaut")[..., 0:side, 130 : 130 + side]
k = torch.cat(list(kernels.values()))
sigma = torch.linspace(0, 0.06, len(k))

D = Degradation(scale)
y = D(x.expand(len(k), -1, -1, -1), k, sigma, generator=random)
print(f"\n{D}: x {tuple(x.shape)}, k {tuple(k.shape)} -> y {tuple(y.shape)}")
print("noise, true      ", " ".join(f"{s:.3f}" for s in sigma))
print("noise, estimated ", " ".join(f"{s:.3f}" for s in estimate_noise(y).flatten()), "(fine texture counts as noise)")

# %% [markdown]
# ## Freeze one argument, get a linear operator
#
# The map is bilinear. With k frozen it acts on images, with x frozen on kernels; both have exact adjoints.

# %%
exact, k64 = x.double(), kernels["camera shake"].double()
A, B = D.freeze(k=k64), D.freeze(x=exact, size=21)
print(f"\nA = {A}\nB = {B}")
print(f"the same y from both sides: difference {float((A(exact) - B(k64)).abs().max()):.0e}")
errors = adjoint_error(A, tuple(exact.shape)), adjoint_error(B, (1, 1, 21, 21))
print(f"<A v, u> - <v, A* u>, relative: {errors[0]:.0e} in x, {errors[1]:.0e} in k")
print(f"largest gain of A: {float(operator_norm(A, (1, 1, side, side))):.4f}, of a blur without decimation 1")

# %% [markdown]
# ## Conventions
#
# ⊗ is true convolution (k is turned by 180°), ↓s keeps the upper left pixel of each patch, the border is circular.
# Other programs differ, and a kernel means something else to each of them. `reproduces` checks a triple,
# `convert_kernel` translates a kernel.

# %%
shake = kernels["camera shake"]
for convention in (IKRNET_TRAIN, KAIR_CENTER):
    theirs = degrade(x, shake, scale, convention)
    ours = convert_kernel(shake, convention, PNPSR, scale, interior=True)
    border = convention.border(shake.shape[-1], scale)
    before, after = (float(reproduces(theirs, x, k_i, scale, border=border).psnr) for k_i in (shake, ours))
    print(f"\n{convention} away from the border: our y is {before:.1f} dB from theirs, with the kernel translated {after:.1f} dB")

enlarged = upsample(y[:1], scale), torch.nn.functional.interpolate(y[:1], scale_factor=scale, mode="bicubic")
on_grid, centred = (float(psnr(picture, x, border=8)) for picture in enlarged)
print("\nlow-resolution pixel n is pixel s n of the picture:")
print(f"bicubic on that grid {on_grid:.2f} dB, centre-aligned as in torch {centred:.2f} dB")

# %%
pictures = {"x": x}
for name, k_i, y_i in zip(kernels, k, y, strict=True):
    seen, stamp = upsample(y_i[None], scale, "nearest"), upsample(k_i[None] / k_i.max(), side // 64, "nearest")
    seen[..., : stamp.shape[-2], : stamp.shape[-1]] = stamp
    pictures[name] = seen
figure = show_images(pictures)
print(f"figure: {OUT / '01_degrade.png'}")
save_figure(figure, OUT / "01_degrade.png")
