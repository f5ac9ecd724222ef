# %% [markdown]
# # 3. Blind restoration without training
#
# `blind_hqs` alternates three hand-written steps: a tuner with a fixed schedule, a restorer that looks for an image of
# few edges, and an estimator that solves for the kernel. A last phase restores the image with total variation. One call
# does all of it; here we also look at every iterate, drive the loop by hand, stop it early, and change a part.

# %%
import functools
import os
import sys
from pathlib import Path

from torch import Generator, Tensor

from pnpsr import State, UnrolledSolver, blind_hqs
from pnpsr.evaluate import kernel_mse, psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian
from pnpsr.physics import Degradation
from pnpsr.plot import demo_figure, save_figure
from pnpsr.prox import tv
from pnpsr.recipes import tv_hqs
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## The problem
#
# A picture, a slanted Gaussian kernel, every second pixel, 1 % noise. The solver is given y and the scale, nothing
# else.

# %%
scale, size, side, T = 2, 15, 128 if FAST else 256, 12
truth = sample_picture("camera")[..., 60 : 60 + side, 140 : 140 + side]
true_kernel = gaussian(size, 3.0, width2=1.2, angle=0.7)
y = Degradation(scale)(truth, true_kernel, 0.01, generator=Generator().manual_seed(0))


def score(x: Tensor) -> float:
    return float(psnr(x.clamp(0, 1), truth, border=8))


def kernel_error(k: Tensor) -> float:
    return float(kernel_mse(k, true_kernel)) * 1e5


solver = blind_hqs(size, T=T)
out = solver(y, scale)
print(solver.extra_repr())
print(f"bicubic {score(upsample(y, scale)):.2f} dB, restored {score(out.x):.2f} dB, kernel MSE x 1e5 {kernel_error(out.k):.2f}")

# %% [markdown]
# ## Every iterate
#
# `start` makes the first state, `iterate` yields the state after each iteration. History, early stopping and animation
# are for loops.

# %%
states = [solver.start(y, scale), *solver.iterate(solver.start(y, scale))]
curves = {"PSNR of x (dB)": [score(s.x) for s in states], "kernel MSE × 1e5": [kernel_error(s.k) for s in states]}
print("\n t    PSNR   kernel MSE x 1e5      alpha       beta")
print(f" 0 {score(states[0].x):7.2f} {kernel_error(states[0].k):18.2f}  (a narrow Gaussian, an enlarged y)")
for s in states[1 :: len(states) // 8]:
    print(f"{s.t:2d} {score(s.x):7.2f} {kernel_error(s.k):18.2f} {float(s.hyper.alpha):10.4f} {float(s.hyper.beta):10.4f}")
print(f"x is a cartoon while the kernel is sought; iterations {T + 1} to {solver.T} make the picture")

# %% [markdown]
# ## Stop early, finish with another solver
#
# States are values. When k has settled, break; then hand k to the non-blind `tv_hqs`.

# %%
state = solver.start(y, scale)
for following in solver.iterate(state):
    settled = float((following.k - state.k).abs().sum()) < 0.01
    state = following
    if settled:
        break
finished = tv_hqs()(y, scale, k=state.k)
print(f"\nk moved by less than 1 % of its mass at iteration {state.t}; from there tv_hqs gives {score(finished.x):.2f} dB\n")

# %% [markdown]
# ## Change a part
#
# A prior is any callable `(v, strength) -> v`, a step any callable that reads a state. First, total variation in place of
# the few-edges prior, with the same schedule. Then a solver from parts, with a function of our own as the estimator: it
# keeps the kernel it was given, and the rows say what that kernel costs.


# %%
swapped = blind_hqs(size, T=T)
swapped.restorer.first.prior = functools.partial(tv, iterations=8)
other = swapped(y, scale)
for name, result in {"few edges": out, "total variation": other}.items():
    print(f"{name:15}: kernel MSE x 1e5 {kernel_error(result.k):.2f}, x {score(result.x):.2f} dB")


def keep(state: State) -> Tensor:
    return state.k


for name, k in {"true kernel": true_kernel, "no blur": dirac(size), "found kernel": out.k}.items():
    given = UnrolledSolver(keep, tv_hqs().restorer, T=12, tuner=tv_hqs().tuner)
    print(f"{name:13} kept for all iterations: {score(given(y, scale, k=k).x):.2f} dB")

# %%
figure = demo_figure(
    y, out.x, out.k, scale=scale, truth=truth, true_kernel=true_kernel, curves=curves, first=0,
    notes={"bicubic": f"{score(upsample(y, scale)):.2f} dB", "restored": f"{score(out.x):.2f} dB"}, zoom=(0.25, 0.05, 0.25, 0.25),
)  # fmt: skip
print(f"\nfigure: {OUT / '03_classical.png'}")
save_figure(figure, OUT / "03_classical.png")
