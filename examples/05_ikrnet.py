# %% [markdown]
# # 5. IKR-Net: closed forms and learned priors in turn
#
# IKR-Net (Ates, Yildirim, Gunturk 2023) repeats three steps:
#
#     k ← P_k(D_k(y, x, k; gamma))        (sigma, alpha, beta) ← F(y, x, k)        x ← P(D(y, x, k; alpha); beta)
#
# D and D_k are the exact data steps of example 2; the priors P and P_k, the tuner F and the first kernel I(y) are
# networks. As in example 4 a tiny one is trained for a moment, from nothing, in the five stages of the paper.

# %%
import os
import sys
from collections import namedtuple
from pathlib import Path

import torch
from torch.nn.functional import l1_loss, mse_loss

from pnpsr import ikrnet, load
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian, random_gaussian
from pnpsr.physics import Degradation
from pnpsr.plot import demo_figure, save_figure
from pnpsr.solver import train_only
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## What flows
#
# Estimator, tuner, restorer, T times. gamma is measured in units of the normal matrix, which frees it from the
# picture's size, and is large: a rough x knows little about k (example 2). Kernels are held on the simplex. Both are
# options; the paper has neither.

# %%
scale, size, steps = 2, 11, 6 if FAST else 50
arguments = {"T": 3, "gamma": 1.0, "relative": True, "constraint": "simplex", "widths": (8, 8, 16, 16)}
solver = ikrnet(size, **arguments)
print(solver.extra_repr())
print(f"kernel step: {solver.estimator.extra_repr()}")

# %% [markdown]
# ## Training in stages
#
# A stage says what trains, which slots run, what is known and what is compared. `solver.only(...)` is a view that runs
# some slots and shares all weights; `train_only` freezes the rest. The loop is plain PyTorch.

# %%
pictures = [sample_picture(name) for name in ("coffee", "chelsea", "rocket")]
D = Degradation(scale)
Batch = namedtuple("Batch", "y x k sigma")


def batch(count: int = 4, side: int = 40) -> Batch:
    crops = []
    for _ in range(count):
        picture = pictures[int(torch.randint(len(pictures), (), generator=random))]
        top, left = (int(torch.randint(n - side, (), generator=random)) for n in picture.shape[-2:])
        crops.append(picture[..., top : top + side, left : left + side])
    x, k = torch.cat(crops), random_gaussian(count, size, widths=(0.6, 2.5), anisotropic=True, generator=random)
    sigma = 0.03 * torch.rand(count, 1, 1, 1, generator=random)
    return Batch(D(x, k, sigma, generator=random), x, k, sigma)


nonblind = solver.only("tuner", "restorer")
stages = {
    "first kernel": (["k0"], lambda b: mse_loss(solver.start(b.y, scale).k, b.k)),
    "image prior": (["restorer", "tuner.mlp"], lambda b: l1_loss(nonblind(b.y, scale, sigma=b.sigma).x, b.x)),
    "kernel prior": (["estimator"], lambda b: mse_loss(solver(b.y, scale, sigma=b.sigma).k, b.k)),
    "noise": (["tuner.noise"], lambda b: mse_loss(solver(b.y, scale).hyper.sigma, b.sigma)),
    "joint": (["restorer", "tuner"], lambda b: l1_loss(solver(b.y, scale).x, b.x)),
}
held_out = batch(8)
for name, (parts, loss) in stages.items():
    weights = train_only(solver, *parts)
    optimiser = torch.optim.Adam(weights, lr=1e-3)
    with torch.no_grad():
        before = loss(held_out)
    for _ in range(steps):
        optimiser.zero_grad()
        loss(batch()).backward()
        optimiser.step()
    with torch.no_grad():
        after = loss(held_out)
    trained = f"{' and '.join(parts)} ({sum(w.numel() for w in weights):,} weights)"
    print(f"{name:13} trains {trained:44} {before:.1e} -> {after:.1e}")

# %% [markdown]
# ## Trained weights, noise known or unknown
#
# `ikrnet-x2` comes with the package; it was trained in these stages on Gaussian and motion kernels. The same solver
# answers both calls: without `sigma` the tuner's noise net estimates it, in every iteration.

# %%
trained = load("ikrnet-x2")
truth, true_kernel = sample_picture("astronaut")[..., 0:192, 100:292], gaussian(21, 2.0, width2=1.0, angle=0.7)
y = D(truth, true_kernel, 0.02, generator=random)
print(f"\nbicubic {float(psnr(upsample(y, scale), truth, border=4)):.2f} dB")
with torch.no_grad():
    for given in (None, 0.02):
        out = trained(y, scale, sigma=given)
        print(f"sigma given: {given}, used: {float(out.hyper.sigma):.4f}, x {float(psnr(out.x, truth, border=4)):.2f} dB")
    iterates = [trained.start(y, scale), *trained.iterate(trained.start(y, scale))]
curves = {"PSNR of x (dB)": [float(psnr(s.x, truth, border=4)) for s in iterates]}
figure = demo_figure(y, out.x, out.k, scale=scale, truth=truth, true_kernel=true_kernel, curves=curves, first=0)
print(f"figure: {OUT / '05_ikrnet.png'}")
save_figure(figure, OUT / "05_ikrnet.png")

# %% [markdown]
# ## The kernel step on the grid or on the support
#
# The tiny one again, with another data step: `domain` is an argument of the recipe and has no parameters.

# %%
exact = ikrnet(size, **arguments, domain="support")
exact.load_state_dict(solver.state_dict())
small = gaussian(size, 2.0, width2=1.0, angle=0.7)
y = D(truth, small)
with torch.no_grad():
    for name, model in {"grid": solver, "support": exact}.items():
        states = [model.start(y, scale), *model.iterate(model.start(y, scale))]
        errors = "  ".join(f"{float(kernel_mse(s.k, small)) * 1e5:6.2f}" for s in states)
        print(f"{name:8} kernel MSE x 1e5, t = 0 .. {model.T}: {errors}   x {float(psnr(states[-1].x, truth, border=4)):.2f} dB")
