# %% [markdown]
# # 6. Train a small solver in two minutes, and read its curves
#
# A blind solver is given y, a picture x blurred with a kernel k and made s times smaller, and finds both. What it knows of
# pictures and kernels it learns from pictures that are degraded on the fly. `pnpsr.train.train` takes a solver, a stream of
# degraded crops and a list of stages, yields a record every few steps, and leaves a folder from which a run that was killed
# goes on. The loop is plain PyTorch inside. Here a small solver learns in less than two minutes on one core.

# %%
import os
import shutil
import sys
from pathlib import Path

import torch
from torch import Tensor

from pnpsr import load
from pnpsr.data import FromDataset, Setting, Stream
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, random_gaussian
from pnpsr.plot import demo_figure, save_figure, show_curves, show_kernels
from pnpsr.recipes import mixed
from pnpsr.starts import upsample
from pnpsr.train import Options, Stage, train
from pnpsr.train.losses import first_kernel_l1, first_kernel_l2, image_l1, kernel_l1
from pnpsr.train.validation import Validation

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)

# %% [markdown]
# ## What is degraded, and how
#
# `FromDataset` takes anything with items; `Folder(path)` is the usual choice. A `Setting` says what is done to crops:
# scales, where kernels come from, noise. Its source here is a function of our own. Sample i of step n depends on the
# seed, n and i alone, so neither background processes nor an interruption change the data.


# %%
def blurs(_: int, size: int, generator: torch.Generator) -> Tensor:
    return random_gaussian(1, size, widths=(0.5, 2.5), anisotropic=True, generator=generator)


TRAIN = ("brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "immunohistochemistry", "moon", "rocket")
setting = Setting("any Gaussian", scales=(2,), sources=(blurs,), size=11, sigma=(0.0, 0.01))
pictures = FromDataset([sample_picture(name)[0] for name in TRAIN])
stream = Stream(pictures, setting, batch=4, patch=96)
held_out = FromDataset([sample_picture("astronaut")[0]])
check = Validation(held_out, setting, count=2 if FAST else 6, patch=128 if FAST else 192)
print(f"batch of step 7: x {tuple(stream[7].x.shape)}, k {tuple(stream[7].k.shape)}, sigma {stream[7].sigma.flatten().tolist()}")

# %% [markdown]
# ## What is learned, and in what order
#
# The solver has closed forms for both data steps, a ResUNet behind each, and a first kernel guessed from statistics of y
# (`start="encoder"` is IKR-Net's own). A stage names what trains, which slots run, what is minimised: first the guess alone,
# which is cheap because no iteration runs, then all parts together.

# %%
solver = mixed(2, estimator="hqs", start="statistics", size=11, T=2, gamma=1.0, widths=(8, 8, 16, 16), hidden=16)
print(solver.extra_repr(), f"{sum(p.numel() for p in solver.parameters()):,} weights")
guess = Stage("guess", train=("k0",), run=(), losses={"k0": (1.0, first_kernel_l2), "k0, L1": (0.1, first_kernel_l1)}, share=2.0)
all_parts = Stage(
    "all parts",
    train=(),
    run=("estimator", "tuner", "restorer"),
    losses={"x": (1.0, image_l1), "k": (0.1, kernel_l1), "k0": (0.1, first_kernel_l2)},
)
stages = (guess, all_parts)
options = Options(
    steps=12 if FAST else 400,
    rate=3e-3,
    warmup=2 if FAST else 20,
    average=0.98,
    workers=0,
    log_every=2 if FAST else 10,
    validate_every=4 if FAST else 50,
)

# %% [markdown]
# ## A run that is killed goes on
#
# `train` is a generator: the loop is ours. We leave it after the first stage, as if the machine had died, and start
# again with `resume=True`. On a CPU the result is bit for bit that of a run that was never interrupted. While no slot
# runs, x is bicubic interpolation.

# %%
before, _ = check.run(solver)
sample = check.samples[0]
guessed = {"untrained": solver.start(sample.y, 2).k.detach()}
shutil.rmtree(OUT / "06_run", ignore_errors=True)
records = []
for resume in (False, True):
    for record in train(solver, stream, stages, options, folder=OUT / "06_run", resume=resume, validation=check):
        records.append(record)
        if record.scores is not None:
            scores = f"x {record.scores.psnr:.2f} dB, k {record.scores.kernel_error:.1f}"
            print(f"step {record.step:3d}, {record.stage}: loss {record.losses['total']:.4f}; {scores}")
        if not resume and record.scores is not None and record.step >= options.steps * 2 // 3:
            print("... killed, and started again")
            break

# %% [markdown]
# ## What it has learned
#
# The folder holds the records, the weights as files for `load`, and a panel of every validation. On a picture that no
# step has seen, the guess is near the true blur, and the iterations improve on bicubic interpolation of the same y.

# %%
print("\nthe run left", ", ".join(sorted(path.name for path in (OUT / "06_run").iterdir())))
with torch.no_grad():
    states = [start := load(OUT / "06_run" / "last.safetensors").start(sample.y, 2), *solver.iterate(start)]
bicubic = sum(float(psnr(upsample(s.y, 2), s.x, border=2)) for s in check.samples) / len(check.samples)
after = records[-1].scores
print(f"mean PSNR on the held-out picture: bicubic {bicubic:.2f} dB, untrained {before.psnr:.2f}, trained {after.psnr:.2f}")
print(f"mean squared error of k x 1e5: untrained {before.kernel_error:.1f}, trained {after.kernel_error:.1f}")
figure = show_kernels({"true": sample.k, **guessed, "guess, trained": states[0].k, "after the iterations": states[-1].k})
save_figure(figure, OUT / "06_kernels.png")


# %% [markdown]
# ## Read the curves
#
# Training loss, by stage: each batch has other crops and other kernels, so single records jump; look at the trend. Validation:
# the same few samples each time, so small changes are real, and the best of them is kept as `best.safetensors`. The loss jumps
# where the second stage begins, because it minimises something else. If the loss falls and validation does not, the data are
# too few; if the loss is NaN, `train` has stopped and says where; if neither falls, look at `rate` and at the gradient's `norm`
# in the records.

# %%
curves = {f"loss, by record: {stage.name}": [r.losses["total"] for r in records if r.stage == stage.name] for stage in stages}
checked = [r for r in records if r.scores is not None]
curves |= {
    "validation: PSNR of x (dB)": [r.scores.psnr for r in checked],
    "validation: k MSE × 1e5": [r.scores.kernel_error for r in checked],
}
figure = show_curves(curves, across="record", columns=2)
save_figure(figure, OUT / "06_curves.png")

# %%
figure = demo_figure(sample.y, states[-1].x, states[-1].k, scale=2, truth=sample.x, true_kernel=sample.k)
save_figure(figure, OUT / "06_training.png")

# %% [markdown]
# ## Exercises
#
# 1. How much of the gain is the kernel's? Restore the held-out samples with the true kernel, and with no blur.
# 2. Write a stage that trains the image prior alone, on true kernels, and take two steps with it.

# %% tags=["solution"]
# 1. `only` runs some slots, and `k=` is the kernel they read.
trained = load(OUT / "06_run" / "last.safetensors")
image_only = trained.only("tuner", "restorer")
with torch.no_grad():
    for name, choose in {"found": lambda s: trained(s.y, 2).k, "true": lambda s: s.k, "no blur": lambda s: dirac(11)}.items():
        quality = [float(psnr(image_only(s.y, 2, k=choose(s)).x, s.x, border=2)) for s in check.samples]
        print(f"{name:8} kernel: {sum(quality) / len(quality):.2f} dB")

# %% tags=["solution"]
# 2. `given` hands the truth to the solver; the estimator does not run, so k stays what it was.
prior = Stage("image prior", train=("restorer",), run=("tuner", "restorer"), losses={"x": (1.0, image_l1)}, given=("k",))
two = Options(steps=2, workers=0, log_every=1)
for record in train(trained.train(), stream, (prior,), two, folder=OUT / "06_more"):
    print(f"step {record.step}: loss {record.losses['total']:.4f}")
