# %% [markdown]
# # 7. deepinv, both ways
#
# A picture x is blurred with a kernel k, made s times smaller, and noise comes on top: $y = (x \otimes k)\downarrow_s + n$.
# deepinv brings optimisers, samplers, denoisers, metrics and a trainer; pnpsr brings exact data steps, and solvers that find k as
# well (*blind*). Three short bridges let each use the other: operator out, denoiser in, solver out. Nothing is downloaded here.
# Quality is PSNR in dB: one dB is visible, three are half the squared error.

# %%
import os
import sys
from pathlib import Path

import deepinv  # noqa: TID253
import torch

from pnpsr import Degradation, UnrolledSolver, blind_hqs
from pnpsr.images import sample_picture
from pnpsr.interop.deepinv import AsReconstructor, as_prior, to_deepinv
from pnpsr.kernels import gaussian
from pnpsr.plot import save_figure, show_images
from pnpsr.starts import upsample
from pnpsr.steps import HQSRestorer, Schedule

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
size, iterations = (96, 6) if FAST else (192, 20)
picture = sample_picture("astronaut")[..., 96 : 96 + size, 192 : 192 + size].contiguous()
k = gaussian(15, 2.0, width2=0.8, angle=0.6)

# %% [markdown]
# ## Operator out
#
# `to_deepinv` makes `y = (x ⊗ k)↓2 + n` a `deepinv.physics.LinearPhysics`. Its `prox_l2` is the closed form, so every proximal
# algorithm of deepinv takes one division per frequency where it would otherwise run an inner solver.

# %%
physics = to_deepinv(Degradation(2), k, sigma=0.01, generator=torch.Generator().manual_seed(0))
y = physics(picture)
psnr = deepinv.metric.PSNR()
results = {"interpolated": upsample(y, 2)}

for algorithm in (deepinv.optim.HQS, deepinv.optim.ADMM):
    model = algorithm(
        data_fidelity=deepinv.optim.L2(),
        prior=deepinv.optim.TVPrior(n_it_max=30),
        stepsize=10.0,
        lambda_reg=1e-3,
        max_iter=iterations,
    )
    with torch.no_grad():
        results[f"deepinv {algorithm.__name__}, pnpsr operator"] = model(y, physics)

# %% [markdown]
# ## Denoiser in
#
# `as_prior` makes any denoiser of deepinv the prior of a pnpsr solver: here total variation; `as_prior(deepinv.models.DRUNet(),
# channels=3)` would be the well-known plug-and-play network. The kernel is given, so there is no estimator.

# %%
alpha = torch.logspace(-2, 0, iterations)  # first far from the data, then close
restorer = HQSRestorer(as_prior(deepinv.models.TVDenoiser(n_it_max=30), multiple=1))
solver = UnrolledSolver(None, restorer, T=iterations, tuner=Schedule(alpha, beta=1e-3 / alpha), k0=None)
with torch.no_grad():
    results["pnpsr solver, deepinv denoiser"] = solver(y, 2, k=k).x

# %% [markdown]
# ## Solver out
#
# `AsReconstructor` is a `deepinv.models.Reconstructor`: for metrics, losses, `deepinv.test` and `deepinv.Trainer`. Called with
# the physics, a non-blind solver is given its kernel and noise level; a blind one reads `physics.factor` and nothing else,
# although the physics knows the truth. Blind, without a trained network, is for deblurring (scale 1). (The first line below
# differs a little from the solver's own result: deepinv's total variation starts from its last one.)

# %%
known = AsReconstructor(solver, blind=False)
blind = AsReconstructor(blind_hqs(15))
blur = to_deepinv(Degradation(1), k, sigma=0.01, generator=torch.Generator().manual_seed(0))
blurred = blur(picture)
with torch.no_grad():
    results["Reconstructor, kernel known"] = known(y, physics)
    results["blurred only"] = blurred
    results["blind Reconstructor"] = blind(blurred, blur)

# %%
scores = {name: f"{psnr(x.clamp(0, 1), picture).item():.2f} dB" for name, x in results.items()}
for name, score in scores.items():
    print(f"{name:35} {score}")
figure = show_images({"x": picture, **results}, notes=scores, columns=4)
save_figure(figure, OUT / "07_deepinv.png")

# %% [markdown]
# ## Exercises
#
# 1. deepinv's `prox_l2(z, y, gamma)` weighs the data, pnpsr's `prox_image(y, k, z, alpha, s)` the proximity. Which alpha gives
#    the same?
# 2. Use deepinv's median filter as the prior, and end with three data steps more than priors. What does the last data step
#    bring back?

# %% tags=["solution"]
# 1. alpha = 1 / gamma: argmin gamma |A x - y|² / 2 + |x - z|² / 2.
from pnpsr.prox import prox_image

z = upsample(y, 2)
print(f"difference {float((physics.prox_l2(z, y, 20.0) - prox_image(y, k, z, 1 / 20.0, 2)).abs().max()):.0e}")

# %% tags=["solution"]
# 2. What the prior took out of the range of A*: y is explained again, up to the noise.
median = UnrolledSolver(None, HQSRestorer(as_prior(deepinv.models.MedianFilter(3), multiple=1)), T=3, tuner=Schedule(0.1), k0=None)
with torch.no_grad():
    x = median(y, 2, k=k).x
    print(f"|y - A x| before {float((y - physics.A(x)).square().mean().sqrt()):.4f}, {psnr(x, picture).item():.2f} dB")
    for _ in range(3):
        x = prox_image(y, k, x, 0.1, 2)
    print(f"|y - A x| after  {float((y - physics.A(x)).square().mean().sqrt()):.4f}, {psnr(x, picture).item():.2f} dB")
