# %% [markdown]
# # 10. Blind restoration of a camera's raw mosaic
#
# A sensor sees one colour per pixel. Its raw y (b 1 h w) goes into the solver as it is: `Mosaic` is the physics, x has three
# colours, and demosaicing, deblurring and the search for the kernel are one problem. Clipped pixels would be `mask=unclipped(y)`.

# %%
import os
import sys
from pathlib import Path

from torch import Generator

from pnpsr import Degradation, blind_hqs
from pnpsr.evaluate import psnr
from pnpsr.images import sample_picture
from pnpsr.kernels import gaussian
from pnpsr.physics import Mosaic
from pnpsr.plot import demo_figure, save_figure

OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
side = 64 if os.environ.get("PNPSR_FAST") == "1" else 192
x, k = sample_picture("astronaut")[..., 16 : 16 + side, 190 : 190 + side], gaussian(9, 1.6)
camera = Mosaic(Degradation(1), pattern="RGGB")
y = camera(x, k, 0.005, generator=Generator().manual_seed(0))

# %%
demosaiced = camera.complete(y)
out, after = blind_hqs(9)(y, camera), blind_hqs(9)(demosaiced, 1)
print(f"raw y {tuple(y.shape)}, restored x {tuple(out.x.shape)}")
for name, image in (("bilinear colours", demosaiced), ("... then deblurred", after.x), ("in one", out.x)):
    print(f"{name:18} {psnr(image.clamp(0, 1), x).mean():.1f} dB")
print(f"kernel, in one     off by {(out.k - k).abs().sum():.2f}")
print(f"kernel, afterwards off by {(after.k - k).abs().sum():.2f}")
figure = demo_figure(demosaiced, out.x.clamp(0, 1), out.k, scale=1, truth=x, true_kernel=k)
save_figure(figure, OUT / "10_mosaic.png")
