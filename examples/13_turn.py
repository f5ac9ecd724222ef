# %% [markdown]
# # 13. A kernel or its turn by 180°
#
# Both give y the same power spectrum; only one an image without echoes. A step chooses it, as `pnpsr.steps.ChooseTurn` does.

# %%
import sys
from pathlib import Path

import torch

from pnpsr import Degradation, State
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import turned
from pnpsr.plot import demo_figure, save_figure
from pnpsr.prox import sparsity
from pnpsr.recipes import tv_hqs
from pnpsr.steps import Until, keep_kernel

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
x, comet = sample_picture("astronaut")[..., 16:144, 190:318], torch.zeros(1, 1, 11, 11)
comet[..., 5, 3:9], comet[..., 4, 8] = 0.15, 0.1
y = Degradation(1)(x, comet, 0.005, generator=torch.Generator().manual_seed(0))


def choose(state: State) -> torch.Tensor:
    both = state.known("k"), turned(state.known("k"))
    images = [state.physics.prox_image(state.y, k, state.known("x"), 0.1).mean(1, keepdim=True) for k in both]
    return torch.where((sparsity(images[1]) < sparsity(images[0])).reshape(-1, 1, 1, 1), both[1], both[0])


print("begun from the turned kernel, the image step by", tv_hqs().start(y, 1, k=comet).physics.image_solver)
for name, estimator in (("keeps it", None), ("chooses", Until(1, choose, keep_kernel))):
    (solver := tv_hqs()).estimator = estimator
    out = solver(y, 1, k=turned(comet))
    print(f"{name:10} {psnr(out.x.clamp(0, 1), x).mean():.1f} dB,\n{name:10} kernel off by {(out.k - comet).abs().sum():.2f}")
figure = demo_figure(y, out.x.clamp(0, 1), out.k, scale=1, truth=x, true_kernel=comet)
save_figure(figure, OUT / "13_turn.png")
