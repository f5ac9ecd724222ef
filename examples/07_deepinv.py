# %% [markdown]
# # deepinv, both ways
#
# deepinv brings optimisers, samplers, denoisers, metrics and a trainer; pnpsr brings exact data steps and blind solvers. Three
# short bridges let each use the other: operator out, denoiser in, solver out. Nothing is downloaded here.

# %%
import os
import sys

import deepinv  # noqa: TID253
import torch

from pnpsr import Degradation, UnrolledSolver, blind_hqs
from pnpsr.images import sample_picture, write_image
from pnpsr.interop.deepinv import AsReconstructor, as_prior, to_deepinv
from pnpsr.kernels import gaussian
from pnpsr.starts import upsample
from pnpsr.steps import HQSRestorer, Schedule

fast = os.environ.get("PNPSR_FAST") == "1"
size, iterations = (96, 6) if fast else (192, 20)
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
# `AsReconstructor` is a `deepinv.models.Reconstructor`: for metrics, losses, `deepinv.test` and `deepinv.Trainer`. Called with the
# physics, a non-blind solver is given its kernel and noise level; a blind one reads `physics.factor` and nothing else, although the
# physics knows the truth. Blind, without a trained network, is for deblurring (scale 1).
# (The first line below differs a little from the solver's own result: deepinv's total variation starts from its last one.)

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
for name, x in results.items():
    print(f"{name:35s} {psnr(x.clamp(0, 1), picture).item():.2f} dB")
if len(sys.argv) > 1 and os.path.isdir(sys.argv[1]):
    for name, x in results.items():
        write_image(os.path.join(sys.argv[1], name.replace(", ", "-").replace(" ", "_") + ".png"), x.clamp(0, 1))
