# %% [markdown]
# # 9. Blind restoration of a picture with missing pixels
#
# A third of the pixels of y is lost, and nobody knows the blur. `mask=` says which pixels count; what was lost counts nowhere,
# neither in the kernel step, nor in the image step, nor in the start. Without it lost pixels are read as black.

# %%
import os
import sys
from pathlib import Path

from torch import Generator, rand

from pnpsr import Degradation, blind_hqs
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian
from pnpsr.plot import demo_figure, save_figure

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
side, scale = 96 if os.environ.get("PNPSR_FAST") == "1" else 192, 1
x, k = sample_picture("astronaut")[..., 16 : 16 + side, 190 : 190 + side], gaussian(11, 1.8, width2=1.0, angle=0.7)
g = Generator().manual_seed(0)
mask = (rand(1, 1, side // scale, side // scale, generator=g) > 1 / 3).float()
y = Degradation(scale)(x, k, 0.005, generator=g) * mask

# %%
solver = blind_hqs(11)
out, unaware = solver(y, scale, mask=mask), solver(y, scale)
print(f"lost pixels      {1 - mask.mean():.0%}")
for name, s in (("with the mask", out), ("without it", unaware)):
    print(f"{name:16} {psnr(s.x.clamp(0, 1), x).mean():.1f} dB, kernel off by {(s.k - k).abs().sum():.2f}")
print("image step by   ", out.physics.image_solver)
print("kernel step by  ", out.physics.kernel_solver)
figure = demo_figure(y, out.x.clamp(0, 1), out.k, scale=scale, truth=x, true_kernel=k)
save_figure(figure, OUT / "09_missing_pixels.png")
