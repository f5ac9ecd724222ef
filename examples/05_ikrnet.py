# %% [markdown]
# # 5. IKR-Net: motion, noise, and what each part contributes
#
# A picture x is blurred with a kernel k, made s times smaller, and noise of standard deviation σ comes on top: y. IKR-Net (Ates,
# Yildirim, Gunturk 2023) starts from k = I(y) and an enlarged y, and repeats three steps:
#
# $$k \leftarrow P_k(D_k(y, x, k; \gamma)) \qquad (\sigma, \alpha, \beta) \leftarrow F(y, x, k) \qquad
#   x \leftarrow P(D(y, x, k; \alpha); \beta)$$
#
# D and D_k solve exactly for the x or the k that explains y, near what was there: the physics. The priors P and P_k, the tuner F
# and I are networks: what pictures and kernels look like. Here a tiny one is trained for a moment in the five stages of
# the paper; then a trained one is taken apart. Quality is PSNR in dB: one dB is visible, three are half the squared error.

# %%
import os
import sys
from collections import namedtuple
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

from pnpsr import UnrolledSolver, ikrnet, load
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian, random_gaussian, random_motion
from pnpsr.physics import Degradation
from pnpsr.plot import demo_figure, save_figure, show_table
from pnpsr.prox import identity
from pnpsr.solver import train_only
from pnpsr.starts import upsample
from pnpsr.steps import HQSRestorer

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## What flows
#
# Estimator, tuner, restorer, T times. gamma is measured (`relative`) in units of what the data weigh, the diagonal of B*B where
# y = B k, which frees it from the picture's size; and it is large: a rough x knows little about k. Kernels are held on the
# simplex, not negative and of sum 1. Both are options; the paper has neither.

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
# ## Motion and noise
#
# `ikrnet-x2` comes with the package, trained on Gaussian and motion kernels and noise up to 3 %. Without `sigma` the tuner
# estimates the noise. Here it meets a slanted Gaussian and a camera shake, without noise and with 2 %.

# %%
trained = load("ikrnet-x2")
side = 96 if FAST else 192
truth = sample_picture("astronaut")[..., 0:side, 100 : 100 + side]
true = {"Gaussian": gaussian(21, 2.0, width2=1.0, angle=0.7), "motion": random_motion(1, 21, generator=random)}
cases = {f"{name}, noise {noise:.0%}": (k, noise) for name, k in true.items() for noise in (0.0, 0.02)}
seen = {case: D(truth, k, noise, generator=random) for case, (k, noise) in cases.items()}


def score(x: Tensor) -> float:
    return float(psnr(x.clamp(0, 1), truth, border=4))


rows, outs = {}, {}
with torch.no_grad():
    for case, (k, noise) in cases.items():
        y, outs[case] = seen[case], trained(seen[case], scale)
        rows[case] = {"bicubic": score(upsample(y, scale)), "restored": score(outs[case].x), "sigma": noise}
        rows[case] |= {"sigma found": float(outs[case].hyper.sigma), "k MSE x 1e5": float(kernel_mse(outs[case].k, k)) * 1e5}
figure = show_table(rows, form=".3f")
save_figure(figure, OUT / "05_cases.png")
print(f"{'':22}" + "".join(f"{column:>14}" for column in rows[case]))
for case, row in rows.items():
    print(f"{case:22}" + "".join(f"{value:14.3f}" for value in row.values()))

# %%
case = "motion, noise 0%"
with torch.no_grad():
    iterates = [trained.start(seen[case], scale), *trained.iterate(trained.start(seen[case], scale))]
curves = {"PSNR of x (dB)": [score(s.x) for s in iterates]}
figure = demo_figure(
    seen[case], outs[case].x, outs[case].k, scale=scale, truth=truth, true_kernel=true["motion"], curves=curves, first=0
)
save_figure(figure, OUT / "05_ikrnet.png")

# %% [markdown]
# ## What each part contributes
#
# A part is taken out, and the rest runs with the same weights. Without P the data step is alone: it amplifies what the blur
# damped, and the noise with it. Without I the kernel is no blur. With one iteration the parts speak once. With the true kernel
# one sees what is left to gain by a better k. Lines that agree to the last digit say that a part contributes nothing in these
# weights: so it is with the kernel steps of `ikrnet-x2`, which has none in its iterations, only one in its start.


# %%
def without_prior(y: Tensor) -> Tensor:
    bare = UnrolledSolver(trained.estimator, HQSRestorer(identity), T=trained.T, tuner=trained.tuner, k0=trained.k0, x0=trained.x0)
    return bare(y, scale).x


image_only = trained.only("tuner", "restorer")
parts = {
    "all parts": lambda y, k: trained(y, scale).x,
    "without P": lambda y, k: without_prior(y),
    "no blur assumed": lambda y, k: image_only(y, scale, k=dirac(21)).x,
    "first kernel kept": lambda y, k: image_only(y, scale, k=trained.start(y, scale).k).x,
    "one iteration": lambda y, k: trained(y, scale, T=1).x,
    "true kernel": lambda y, k: image_only(y, scale, k=k).x,
}
with torch.no_grad():
    table = {name: {case: score(restore(seen[case], k)) for case, (k, _) in cases.items()} for name, restore in parts.items()}
figure = show_table(table, best=dict.fromkeys(cases, "high"), title="PSNR (dB)")
save_figure(figure, OUT / "05_parts.png")
for name, row in table.items():
    print(f"{name:18}" + "".join(f"{value:9.2f}" for value in row.values()))

# %% [markdown]
# ## Exercises
#
# 1. Tell the solver a wrong noise level, 0 and four times too much, for motion with 2 % noise. What happens to x?
# 2. The kernel step of the tiny solver can be solved on the grid of the picture or on the support of the kernel: `domain` has no
#    parameters. Load its weights into a solver with the other domain, and compare the kernels.

# %% tags=["solution"]
# 1. Too much: x is flat. Too little costs less here, for the prior cleans on its own. The estimate is as good as the truth.
case = "motion, noise 2%"
with torch.no_grad():
    for told in (0.0, None, 0.02, 0.08):
        print(f"sigma given: {told}, x {score(trained(seen[case], scale, sigma=told).x):.2f} dB")

# %% tags=["solution"]
# 2. The same weights serve both.
exact = ikrnet(size, **arguments, domain="support")
exact.load_state_dict(solver.state_dict())
small = gaussian(size, 2.0, width2=1.0, angle=0.7)
y = D(truth, small)
with torch.no_grad():
    for name, model in {"grid": solver, "support": exact}.items():
        states = [model.start(y, scale), *model.iterate(model.start(y, scale))]
        errors = "  ".join(f"{float(kernel_mse(s.k, small)) * 1e5:6.2f}" for s in states)
        print(f"{name:8} kernel MSE x 1e5, t = 0 .. {model.T}: {errors}")
