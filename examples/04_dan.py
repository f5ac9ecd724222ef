# %% [markdown]
# # 4. DAN: from the paper to a restored picture
#
# A picture x is blurred with a kernel k and made s times smaller: y, (b c h w). Neither x nor k is known. The usual way was two
# steps: guess k, then restore x with it; but a restorer that learned on true kernels is helpless before a slightly wrong one. DAN
# (Luo et al. 2020, 2021) puts both into one loop, trained as a whole:
#
# $$x_{i+1} = R(y, k_i) \qquad k_{i+1} = E(y, x_{i+1}) \qquad k_0 = \text{no blur}$$
#
# Both R and E are networks. Here a tiny pair is trained for a moment, from nothing: enough to see the loss fall, far too little
# to be good. Then a trained pair restores a picture. Quality is PSNR in dB: one dB is visible, three are half the squared
# error.

# %%
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from pnpsr import State, dan, load
from pnpsr.conventions import DAN, degrade
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, random_gaussian
from pnpsr.physics import Degradation, quantise
from pnpsr.plot import demo_figure, save_figure, show_curves, show_iterates

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## What flows
#
# The solver prints its data flow. The restorer reads (y, k) and writes x, the estimator reads (y, x) and writes k. The
# kernel reaches the restorer as a short code, its coordinates in the first principal components (PCA) of many kernels; that basis
# travels with the weights. `detach` cuts the graph where a step reads: each network learns from what the other really produces,
# and memory does not grow with T.

# %%
scale, size, steps = 2, 11, 30 if FAST else 200
solver = dan(scale, size=size, code=6, width=16, groups=1, blocks=2)
print(solver.extra_repr())
for name, part in solver.named_children():
    print(f"{name}: {type(part).__name__} of {type(part.net).__name__}, {sum(p.numel() for p in part.parameters()):,} weights")
print(f"k0: {solver.k0}")
print(f"as in the paper: {sum(p.numel() for p in dan(4).parameters()):,} weights at scale 4")

# %% [markdown]
# ## Training is plain PyTorch
#
# A batch is made on the fly: crops of three sample pictures, random Gaussian kernels. The loss is that of the paper,
# |x| + |k| on the last iterate. The estimator gets a lower rate: its softmax does not come back from a collapse.

# %%
pictures = [sample_picture(name) for name in ("coffee", "chelsea", "rocket")]
D = Degradation(scale)


def batch(count: int = 4, side: int = 48) -> tuple[Tensor, Tensor, Tensor]:
    crops = []
    for _ in range(count):
        picture = pictures[int(torch.randint(len(pictures), (), generator=random))]
        top, left = (int(torch.randint(n - side, (), generator=random)) for n in picture.shape[-2:])
        crops.append(picture[..., top : top + side, left : left + side])
    x, k = torch.cat(crops), random_gaussian(count, size, widths=(0.6, 2.0), generator=random)
    return D(x, k), x, k


def loss_of(out: State, x: Tensor, k: Tensor) -> Tensor:
    return (out.x - x).abs().mean() + (out.k - k).abs().mean()


held_out = batch(8)
with torch.no_grad():
    before = float(loss_of(solver(held_out[0]), *held_out[1:]))
optimiser = torch.optim.Adam([{"params": solver.restorer.parameters()}, {"params": solver.estimator.parameters()}])
schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=[4e-3, 1e-3], total_steps=steps)
losses = []
for step in range(steps):
    y, x, k = batch()
    loss = loss_of(solver(y), x, k)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    schedule.step()
    losses.append(loss.item())
with torch.no_grad():
    after = float(loss_of(solver(held_out[0]), *held_out[1:]))
print(f"on a batch it has not seen: {before:.4f} before, {after:.4f} after")
figure = show_curves({"loss of the batch": losses}, across="step")
save_figure(figure, OUT / "04_loss.png")

# %% [markdown]
# ## Trained weights
#
# `dan-x4` comes with the package. It was trained on what DAN's released code makes: 8-bit pictures, a border that
# reflects, and bicubic reduction after the blur (`conventions.DAN`). One set of weights serves every iteration, so any
# number can be asked for; training had three.

# %%
scale, trained = 4, load("dan-x4")
truth, true_kernel = sample_picture("astronaut")[..., 0:192, 100:292], gaussian(21, 2.2)
y = quantise(degrade(truth, true_kernel, scale, DAN))
with torch.no_grad():
    states = list(trained.iterate(trained.start(y), T=6))
quality = [float(psnr(s.x.clamp(0, 1), truth, border=4)) for s in states]
errors = [float(kernel_mse(s.k, true_kernel)) * 1e5 for s in states]
bicubic = torch.nn.functional.interpolate(y, scale_factor=scale, mode="bicubic").clamp(0, 1)
no_blur = float(kernel_mse(trained.start(y).k, true_kernel)) * 1e5
print("\nT            " + "".join(f"{s.t:8d}" for s in states))
print("PSNR of x    " + "".join(f"{q:8.2f}" for q in quality) + f"   (bicubic {float(psnr(bicubic, truth, border=4)):.2f} dB)")
print("k MSE x 1e5  " + "".join(f"{e:8.2f}" for e in errors) + f"   (Dirac {no_blur:.1f})")

figure = show_iterates(states, notes=[f"{q:.2f} dB" for q in quality], zoom=(0.3, 0.3, 0.3, 0.3))
save_figure(figure, OUT / "04_iterates.png")

# %%
out, curves = states[2], {"PSNR of x (dB)": quality}
figure = demo_figure(y, out.x, out.k, scale=scale, truth=truth, true_kernel=true_kernel, curves=curves, zoom=(0.3, 0.3, 0.3, 0.3))
save_figure(figure, OUT / "04_dan.png")

# %% [markdown]
# ## Exercises
#
# 1. How much of the error is the kernel's? Give the restorer the true one.
# 2. `detach` cuts the graph where a step reads. Compute the gradient of an image loss on the estimator's weights with and
#    without it.

# %% tags=["solution"]
# 1. `only` is a view of the solver that runs some of its slots.
with torch.no_grad():
    told = trained.only("restorer")(y, k=true_kernel)
print(f"found kernel {quality[2]:.2f} dB, true kernel {float(psnr(told.x.clamp(0, 1), truth, border=4)):.2f} dB")

# %% tags=["solution"]
# 2. With it there is none: E learns from its own loss alone. Without it the image's loss reaches E, through T networks in a row.
y, x, k = batch(2)
for detach in (("x", "k"), ()):
    solver.detach = detach
    loss = (solver(y).x - x).abs().mean()
    gradients = torch.autograd.grad(loss, list(solver.estimator.parameters()), allow_unused=True)
    total = sum(float(g.square().sum()) for g in gradients if g is not None) ** 0.5
    print(f"detach = {detach}: gradient of the image loss in the estimator {total:.1e}")
