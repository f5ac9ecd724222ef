# %% [markdown]
# # 1. Blur, decimation and their adjoints, seen
#
# A camera that blurs a picture x with a kernel k, keeps one pixel of every s × s patch and adds noise records
#
# $$y = (x \otimes k)\downarrow_s + n .$$
#
# Everything else in this library goes back from y. Words that every tutorial uses: **x** is the sharp picture, (b c h w) with
# values in [0, 1]; **k** the blur kernel, (b 1 p p), not negative, of sum 1; **s** the scale; **n** noise of standard deviation
# sigma, where 0.01 is 1 % of white; **y** what is recorded. ⊗ is convolution as mathematics has it, with the kernel turned:
# `torch.nn.functional.conv2d` is correlation. **PSNR** is -10 log10 of the mean squared error, in dB: one dB is visible, three
# are half the squared error. A solver is *blind* if it is not told k.

# %%
import os
import sys
from pathlib import Path

import torch

from pnpsr import Degradation
from pnpsr.conventions import IKRNET_TRAIN, PNPSR, convert_kernel, degrade, reproduces
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import centroid, dan_setting2, dirac, disk, gaussian, line, random_motion
from pnpsr.physics import adjoint_error, estimate_noise, operator_norm
from pnpsr.plot import save_figure, show_images, show_kernels, show_spectra
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Kernels
#
# One kernel per sample, for all colours; its centre is at index p // 2. The cross marks that centre, the dot the centre of
# mass. Below each kernel its logarithm: the tails, which decide how hard the blur is to undo. The third is of the kind that a
# method named DAN (tutorial 4) was trained on: a Gaussian whose pixels were disturbed at random.

# %%
kernels = {
    "no blur": dirac(21),
    "Gaussian": gaussian(21, 4.0, width2=1.2, angle=0.7),
    "noisy (DAN setting 2)": dan_setting2(1, 21, generator=random),
    "defocus": disk(21, 4.0),
    "straight motion": line(21, 15.0, 2.4),
    "camera shake": random_motion(1, 21, generator=random),
}
for name, k in kernels.items():
    down, right = centroid(k)[0].tolist()
    print(f"{name:22} sum {float(k.sum()):.3f}   centre of mass from p // 2: ({down:+.3f}, {right:+.3f})")
figure = show_kernels(kernels, log=True)
save_figure(figure, OUT / "01_kernels.png")

# %% [markdown]
# ## Blur and decimation
#
# `Degradation(s)` is a function of two arguments, `D(x, k, sigma)`. A batch has one kernel and one noise level per sample:
# numbers are shared, tensors (b,) or (b 1 1 1) are not.

# %%
side, scale = (128 if FAST else 256), 4
x = sample_picture("astronaut")[..., 0:side, 130 : 130 + side]
k = torch.cat(list(kernels.values()))
sigma = torch.linspace(0, 0.05, len(k))
D = Degradation(scale)
y = D(x.expand(len(k), -1, -1, -1), k, sigma, generator=random)
print(f"{D}: x {tuple(x.shape)}, k {tuple(k.shape)} -> y {tuple(y.shape)}")
print("noise, true      ", " ".join(f"{s:.3f}" for s in sigma))
print("noise, estimated ", " ".join(f"{s:.3f}" for s in estimate_noise(y).flatten()), "(fine texture counts as noise)")
seen = {"x": x} | {name: upsample(y_i[None], scale, "nearest") for name, y_i in zip(kernels, y, strict=True)}
figure = show_images(seen)
save_figure(figure, OUT / "01_degrade.png")

# %% [markdown]
# In frequencies: a kernel damps (dark: nothing is left), and ↓s folds all that lies outside the frame into it. What is damped
# can be raised again, at the price of raised noise. What is zero, or folded, can only be guessed: that is what a prior is for.

# %%
figure = show_spectra(
    {"Gaussian": kernels["Gaussian"], "defocus": kernels["defocus"], "shake": kernels["camera shake"]}, scale=scale
)
save_figure(figure, OUT / "01_spectra.png")

# %% [markdown]
# ## Adjoints
#
# With k frozen the map is linear in x; call it A. A gradient of |y - A x|² is -2 A*(y - A x), so every method needs the adjoint
# A*, the one map with ⟨A v, u⟩ = ⟨v, A* u⟩. It puts zeros between the pixels of y, and correlates with k. With *x* frozen the
# same map is linear in k: B, whose adjoint makes a picture into a kernel. That symmetry is why a blind problem has two data
# steps.

# %%
shake = kernels["camera shake"]
A, B = D.freeze(k=shake.double()), D.freeze(x=x.double(), size=21)
print(f"A = {A}\nB = {B}")
print(f"the same y from both: difference {float((A(x.double()) - B(shake.double())).abs().max()):.0e}")
errors = adjoint_error(A, tuple(x.shape)), adjoint_error(B, (1, 1, 21, 21))
print(f"<A v, u> - <v, A* u>, relative: {errors[0]:.0e} in x, {errors[1]:.0e} in k")
print(f"largest gain of A: {float(operator_norm(A, (1, 1, side, side))):.4f}, of a blur without decimation 1")
point = torch.zeros(1, 1, side // scale, side // scale).double()
point[..., side // scale // 2, side // scale // 2] = 1
back = A.adjoint(A(x.double()))
figure = show_images({"y": upsample(A(x.double()), scale, "nearest"), "A* y": back / back.max()}, columns=2)
save_figure(figure, OUT / "01_adjoint.png")
print(f"A* of one pixel is k, turned by 180 degrees about that pixel: sum {float(A.adjoint(point).sum()):.3f}")

# %% [markdown]
# ## Conventions
#
# ⊗ is true convolution, ↓s keeps the upper left pixel of each patch, the border is circular (what leaves on the left comes in
# on the right). Other programs correlate, keep another pixel, or reflect at the border, and their kernel means something else
# here: `IKRNET_TRAIN` is what the code of another method, IKR-Net (tutorial 5), does to its training pictures. `reproduces`
# says whether a kernel explains y, `convert_kernel` translates; away from the border (`interior`), for there no kernel can make
# up for another rule.

# %%
theirs = degrade(x, shake, scale, IKRNET_TRAIN)
ours = convert_kernel(shake, IKRNET_TRAIN, PNPSR, scale, interior=True)
border = IKRNET_TRAIN.border(21, scale)
before, after = (float(reproduces(theirs, x, k_i, scale, border=border).psnr) for k_i in (shake, ours))
print(f"our y is {before:.1f} dB from theirs with their kernel, {after:.1f} dB with the kernel translated")

# %% [markdown]
# ## Exercises
#
# 1. A kernel of 21 pixels at scale 4 is moved by one pixel. By how much does y move, and what does a comparison that ignores it
#    see?
# 2. Is A* A a blur as well? Apply it to a white picture and to one pixel, at scale 1 and at scale 4.

# %% tags=["solution"]
# 1. By a quarter of a pixel of y, and by a whole pixel of x: invisible, and a loss of many dB.
from pnpsr.kernels import shift_kernel

k = gaussian(21, 2.0)
moved = shift_kernel(k, (0, 1))
print(f"PSNR between the two y: {float(psnr(D(x, moved), D(x, k))):.1f} dB")
print(f"PSNR between x and x moved by a pixel: {float(psnr(x.roll(1, -1), x)):.1f} dB")

# %% tags=["solution"]
# 2. At scale 1 it is: the blur with k, then with its turned copy. At scale 4 it depends on where one looks: no convolution.
for s in (1, 4):
    A = Degradation(s).freeze(k=k)
    white = A.adjoint(A(torch.ones(1, 1, 64, 64)))
    spots = []
    for column in (32, 33):
        spot = torch.zeros(1, 1, 64, 64)
        spot[..., 32, column] = 1
        spots.append(float(A.adjoint(A(spot)).max()))
    print(f"scale {s}: a white picture becomes {float(white.min()):.3f} to {float(white.max()):.3f}, "
          f"two neighbouring points {spots[0]:.4f} and {spots[1]:.4f}")  # fmt: skip
