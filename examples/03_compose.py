# %% [markdown]
# # 3. Compose your own solver in ten lines
#
# A blurred, small, noisy picture $y = (x \otimes k)\downarrow_s + n$ is given, and the scale s. The sharp picture x (b c h w)
# and the blur kernel k (b 1 p p) are not. Blind solvers take turns: k from x (*estimator*), x from k (*restorer*), and how
# strong the steps are (*tuner*). `UnrolledSolver` is that loop and nothing else; what fills its slots is any function of the
# state. Here one is put together, taken apart, and watched. Quality is PSNR in dB: one dB is visible, three are half the
# squared error.

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
from pnpsr.plot import save_figure, show_before_after, show_curves, show_iterates, show_table
from pnpsr.prox import Centred, l0_gradient, prox_image, sparse_simplex, tv
from pnpsr.recipes import tv_hqs
from pnpsr.starts import Gaussian, upsample
from pnpsr.steps import HQSEstimator, HQSRestorer, Schedule

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## The problem
#
# A slanted Gaussian kernel, every second pixel, 1 % noise. The solvers see y and the scale, nothing else; the truth is for the
# scores.

# %%
scale, size, side, T = 2, 15, 128 if FAST else 256, 4 if FAST else 12
truth = sample_picture("camera")[..., 60 : 60 + side, 140 : 140 + side]
true_kernel = gaussian(size, 3.0, width2=1.2, angle=0.7)
y = Degradation(scale)(truth, true_kernel, 0.01, generator=Generator().manual_seed(0))


def score(x: Tensor) -> float:
    return float(psnr(x.clamp(0, 1), truth, border=8))


def kernel_error(k: Tensor) -> float:
    return float(kernel_mse(k, true_kernel)) * 1e5


# %% [markdown]
# ## Ten lines
#
# The restorer solves for x exactly, near the last x (α says how near), then a *prior* makes it a picture of few edges, at a
# price β per edge that falls. The estimator solves for k exactly, and a prior keeps it a kernel: faint pixels become zero, the
# sum 1, and its centre of mass goes to the middle. Exact step, then prior: that is half-quadratic splitting, HQS. A prior is
# any `(v, strength) -> v`.
#
# The options, for the curious: `relative` measures a weight against what the data weigh, so that it fits any picture;
# `around="zero"` keeps k near zero, not near the last k; `gray` looks at brightness alone. `growth` is how coarsely the prior
# counts its edges: smaller is better and slower.

# %%
restorer = HQSRestorer(functools.partial(l0_gradient, growth=4.0))
estimator = HQSEstimator(Centred(sparse_simplex), 2e-3, relative=True, around="zero", gray=True)
alpha = [0.03 * 10 ** (t / (T - 1)) for t in range(T)]
beta = [max(0.03, 1.2 * 0.7**t) for t in range(T)]
solver = UnrolledSolver(
    estimator,
    restorer,
    T=T,
    tuner=Schedule(alpha, beta, relative=True),
    k0=Gaussian(size),
    order=("tuner", "restorer", "estimator"),
)
out = solver(y, scale)
print(solver.extra_repr())
print(f"kernel MSE x 1e5: start {kernel_error(Gaussian(size)(out)):.2f}, found {kernel_error(out.k):.2f}")

# %% [markdown]
# ## Watch x and k converge
#
# `start` makes the first state, `iterate` yields the state after each iteration; history, stopping and animation are for loops.
# x is a cartoon on purpose: few strong edges cannot be explained without the blur, so k must leave its start.

# %%
states = [solver.start(y, scale), *solver.iterate(solver.start(y, scale))]
shown = states[:: max(1, len(states) // 5)]
figure = show_iterates(shown, notes=[f"k MSE {kernel_error(s.k):.1f}" for s in shown])
save_figure(figure, OUT / "03_iterates.png")

# %% [markdown]
# The picture is made once the kernel is known: a non-blind solver is given k. Here its prior is total variation, the summed
# length of all gradients, which is kinder to texture. `blind_hqs` is these two phases as one recipe.

# %%
restored = tv_hqs()(y, scale, k=out.k)
print(f"bicubic {score(upsample(y, scale)):.2f} dB, restored {score(restored.x):.2f} dB, as a recipe "
      f"{score(blind_hqs(size, T=T)(y, scale).x):.2f} dB")  # fmt: skip
figure = show_before_after(y, restored.x.clamp(0, 1), zoom=(0.25, 0.05, 0.25, 0.25))
save_figure(figure, OUT / "03_compose.png")

# %% [markdown]
# ## Swap a prior, the order, a step
#
# Each line changes one part of the same solver. Total variation in place of few edges; k first, from an x that is only
# enlarged; an estimator of our own, a plain function, that goes half way to where the exact step would; and no estimator at
# all.


# %%
def half_way(state: State) -> Tensor:
    return (state.k + estimator(state)) / 2


def build(**changes: object) -> UnrolledSolver:
    parts = {"estimator": estimator, "restorer": restorer, "order": ("tuner", "restorer", "estimator"), **changes}
    return UnrolledSolver(T=T, tuner=Schedule(alpha, beta, relative=True), k0=Gaussian(size), **parts)


variants = {
    "few edges": build(),
    "total variation": build(restorer=HQSRestorer(functools.partial(tv, iterations=8))),
    "k first": build(order=("estimator", "tuner", "restorer")),
    "half way": build(estimator=half_way),
}
rows, curves = {}, {}
for name, variant in variants.items():
    found = [variant.start(y, scale), *variant.iterate(variant.start(y, scale))]
    curves[name] = [kernel_error(s.k) for s in found]
    rows[name] = {"kernel MSE x 1e5": curves[name][-1], "PSNR (dB)": score(tv_hqs()(y, scale, k=found[-1].k).x)}
for name, k in {"no blur assumed": dirac(size), "true kernel": true_kernel}.items():
    rows[name] = {"kernel MSE x 1e5": kernel_error(k), "PSNR (dB)": score(tv_hqs()(y, scale, k=k).x)}
for name, row in rows.items():
    print(f"{name:16}" + "".join(f"{value:10.2f}" for value in row.values()))
figure = show_curves({"kernel MSE × 1e5": curves}, first=0)
save_figure(figure, OUT / "03_curves.png")
figure = show_table(rows, best={"PSNR (dB)": "high", "kernel MSE x 1e5": "low"})
save_figure(figure, OUT / "03_table.png")

# %% [markdown]
# ## Exercises
#
# 1. Stop when the kernel has settled: leave the loop as soon as k moves by less than 1 % of its mass.
# 2. Write the restorer as a function of the state, with `prox_image` and a 3 × 3 mean as the prior. Where does it end?

# %% tags=["solution"]
# 1. States are values, and `iterate` is a generator: break.
state = solver.start(y, scale)
for following in solver.iterate(state, T=3 * T):
    moved, state = float((following.k - state.k).abs().sum()), following
    if moved < 0.01:
        break
print(f"after iteration {state.t} k moved by {moved:.3f}; kernel MSE x 1e5 {kernel_error(state.k):.2f}")


# %% tags=["solution"]
# 2. A prior that blurs explains y by a blurred x, and the estimator finds a kernel that is too narrow.
def mean_restorer(state: State) -> Tensor:
    from torch.nn.functional import avg_pool2d, pad

    v = prox_image(state.y, state.k, state.x, state.hyper.alpha, scale)
    return avg_pool2d(pad(v, (1, 1, 1, 1), mode="reflect"), 3, stride=1)


blurry = build(restorer=mean_restorer)(y, scale)
width = lambda k: float((k * (k.new_tensor(range(size)) - size // 2).square()).sum() ** 0.5)  # across, in pixels
print(f"width of k across: true {width(true_kernel):.2f}, few edges {width(out.k):.2f}, mean {width(blurry.k):.2f}")
