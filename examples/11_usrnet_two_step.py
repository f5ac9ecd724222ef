# %% [markdown]
# # 11. USRNet, and what a wrong kernel costs
#
# Where the kernel is known, USRNet (Zhang, Van Gool, Timofte 2020) restores the image: it alternates the exact image
# step with a learned prior. The simplest blind method is then two steps: a network guesses the kernel, a non-blind
# solver does the rest. Both DAN and IKR-Net argue against it, because a non-blind solver trusts its kernel. Here is how
# much it does.

# %%
import os
import sys
from pathlib import Path

import torch
from torch.nn.functional import mse_loss

from pnpsr import Degradation, two_step
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian, random_gaussian, shift_kernel
from pnpsr.nets import KernelEncoder
from pnpsr.plot import save_figure, show_images
from pnpsr.recipes import tv_hqs
from pnpsr.released import load_released
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## A non-blind solver
#
# If the folder named by `PNPSR_DATA` has the released tiny USRNet in weights/usrnet_tiny.pth, it is used. If not,
# `tv_hqs` stands in: the same loop and the same exact step, with total variation in place of the network and nothing to
# train. Both are `UnrolledSolver`s.

# %%
weights = Path(os.environ.get("PNPSR_DATA", "")) / "weights" / "usrnet_tiny.pth"
released = "PNPSR_DATA" in os.environ and weights.is_file()
nonblind = load_released(weights) if released else tv_hqs()
name = "USRNet (tiny, released weights)" if released else "tv_hqs (total variation, no weights)"
print(f"{name}: {nonblind.extra_repr()}, {sum(p.numel() for p in nonblind.parameters()):,} weights")

# %% [markdown]
# ## The true kernel and wrong ones

# %%
scale, size, side, sigma = 2, 15, 128 if FAST else 256, 0.01
D = Degradation(scale)
truth = sample_picture("astronaut")[..., 0:side, 130 : 130 + side]
true_kernel = gaussian(size, 2.5, width2=1.2, angle=0.7)
y = D(truth, true_kernel, sigma, generator=random)

kernels = {
    "true": true_kernel,
    "too narrow": gaussian(size, 1.8, width2=0.9, angle=0.7),
    "too wide": gaussian(size, 3.2, width2=1.6, angle=0.7),
    "turned": gaussian(size, 2.5, width2=1.2, angle=-0.7),
    "one pixel off": shift_kernel(true_kernel, (0, 1)),
    "no blur": dirac(size),
}
pictures, notes = {"truth": truth, "bicubic": upsample(y, scale)}, {}
with torch.no_grad():
    for label, k in kernels.items():
        pictures[label] = nonblind(y, scale, k=k, sigma=sigma).x
for label, x in pictures.items():
    if label != "truth":
        notes[label] = f"{float(psnr(x.clamp(0, 1), truth, border=8)):.2f} dB"
        print(f"{label:14} {notes[label]}")

# %% [markdown]
# ## Two steps: guess the kernel, then trust it
#
# `two_step` puts a kernel network before the non-blind solver. The network is trained for a moment on crops of three
# pictures, from nothing; all it has to learn is y -> k.

# %%
net = KernelEncoder(size, width=16)
steps, crop = 20 if FAST else 200, 64
crops = [sample_picture(name) for name in ("coffee", "chelsea", "rocket")]
optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(steps):
    batch = []
    for picture in crops:
        top, left = (int(torch.randint(n - crop, (), generator=random)) for n in picture.shape[-2:])
        batch.append(picture[..., top : top + crop, left : left + crop])
    k = random_gaussian(len(batch), size, widths=(0.8, 3.5), anisotropic=True, generator=random)
    loss = 1e4 * mse_loss(net(D(torch.cat(batch), k, sigma, generator=random)), k)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if step % (steps // 4) == 0:
        print(f"step {step:3d}: kernel MSE x 1e4 {loss.item():.2f}")

solver = two_step(net, nonblind)
with torch.no_grad():
    out = solver(y, scale, sigma=sigma)
pictures["two_step"] = out.x
notes["two_step"] = f"{float(psnr(out.x.clamp(0, 1), truth, border=8)):.2f} dB"
error = float(kernel_mse(out.k, true_kernel)) * 1e5
print(f"\nguessed kernel: MSE x 1e5 {error:.2f}, x {notes['two_step']}; with the true one {notes['true']}")
print(f"the solver has no estimator, so the guess stays: {solver.extra_repr()}")

# %%
figure = show_images(pictures, notes=notes, zoom=(0.3, 0.3, 0.2, 0.2), columns=5)
print(f"\nfigure: {OUT / '11_usrnet_two_step.png'}")
save_figure(figure, OUT / "11_usrnet_two_step.png")
