# %% [markdown]
# # 2. The two data steps in closed form
#
# Given y = (x ⊗ k)↓s + n, both halves of the blind problem are ridge problems with an exact answer:
#
#     prox_image   argmin_x |y - (x ⊗ k)↓s|² + alpha |x - x0|²
#     prox_kernel  argmin_k |y - (x ⊗ k)↓s|² + gamma |k - k0|²
#
# This example holds them against dense matrices, looks at what the kernel step can find, and at precision and
# gradients.

# %%
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from pnpsr import Degradation
from pnpsr.evaluate import kernel_mse
from pnpsr.images import sample_picture
from pnpsr.kernels import dirac, gaussian, random_motion
from pnpsr.physics import as_matrix
from pnpsr.plot import save_figure, show_kernels
from pnpsr.prox import gram_scale, prox_image, prox_kernel
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
random = torch.Generator().manual_seed(0)


# %% [markdown]
# ## Against brute force
#
# The operator frozen in either argument becomes a dense matrix M, and the minimiser of |y - M v|² + rho |v - v0|² a
# linear solve.


# %%
def ridge(M: Tensor, y: Tensor, rho: float, v0: Tensor) -> Tensor:
    normal = M.T @ M + rho * torch.eye(M.shape[1], dtype=M.dtype)
    return torch.linalg.solve(normal, M.T @ y.flatten() + rho * v0.flatten()).reshape(v0.shape)


D = Degradation(2)
x, x0 = torch.rand(2, 1, 1, 16, 16, generator=random, dtype=torch.float64)
k, k0 = gaussian(5, 1.0, dtype=torch.float64), dirac(5, dtype=torch.float64)
y = D(x, k, 0.02, generator=random)
by_hand = ridge(as_matrix(D.freeze(k=k), (1, 16, 16)), y, 0.01, x0)
print(f"image step:  largest difference {float((prox_image(y, k, x0, 0.01, 2) - by_hand).abs().max()):.0e}")
by_hand = ridge(as_matrix(D.freeze(x=x, size=5), (1, 5, 5)), y, 0.1, k0)
print(f"kernel step: largest difference {float((prox_kernel(y, x, k0, 0.1, 2, domain='support') - by_hand).abs().max()):.0e}")

# %% [markdown]
# ## What the kernel step finds
#
# `grid` solves for a kernel as large as the picture and crops it, as the paper does. `support` solves for the p²
# coefficients themselves, and can hold them on the simplex (k >= 0, sum 1). In the first two rows x is the truth. All
# stay near zero with a weight relative to `gram_scale(x, s)`, the mean diagonal of the normal matrix. Noise and a rough
# x need a larger weight. In the last row x is only an enlarged y, and no form of the step finds much: it learns from
# what x explains, no more.

# %%
side, scale = (128, 2) if FAST else (256, 4)
x = sample_picture("astronaut")[..., 0:side, 130 : 130 + side]
k = random_motion(1, 21, generator=random)
steps = {
    "grid": {"domain": "grid"},
    "support": {"domain": "support"},
    "support, simplex": {"domain": "support", "constraint": "simplex"},
}
panels = {"truth": k}
nothing = float(kernel_mse(torch.zeros_like(k), k)) * 1e5
print(f"\nkernel MSE x 1e5 at scale {scale}; of k = 0 it is {nothing:.2f}\n{'':38}" + "".join(f"{name:>18}" for name in steps))
for noise, weight, rough in ((0.0, 1e-6, False), (0.02, 1e-3, False), (0.0, 0.1, True)):
    y = Degradation(scale)(x, k, noise, generator=random)
    given = upsample(y, scale) if rough else x
    gamma = weight * gram_scale(given, scale)
    found = {name: prox_kernel(y, given, torch.zeros_like(k), gamma, scale, **options) for name, options in steps.items()}
    title = f"{'x = bicubic' if rough else 'x = truth'}, noise {noise:g}, weight {weight:g}"
    print(f"{title:38}" + "".join(f"{float(kernel_mse(estimate, k)) * 1e5:18.3f}" for estimate in found.values()))
    if noise:
        panels |= found

# %% [markdown]
# ## Precision
#
# Textbook forms of the image step divide by alpha, and float32 runs out of digits. This one does not, and goes to
# float64 inside where alpha is below 1e-4.

# %%
y = Degradation(scale)(x, k)
print("\nalpha    largest error of the image step in float32")
for alpha in (1.0, 1e-2, 1e-4, 1e-6, 1e-8):
    single = prox_image(y, k, upsample(y, scale), alpha, scale)
    double = prox_image(y.double(), k.double(), upsample(y, scale).double(), alpha, scale)
    print(f"{alpha:<9g}{float((single - double).abs().max()):.0e}")

# %% [markdown]
# ## Gradients
#
# Both steps are differentiable in everything, also in the weights: that is what lets them sit inside a trained network.

# %%
y, x0, k0 = (t.double().requires_grad_() for t in (torch.rand(2, 1, 4, 4), torch.rand(2, 1, 8, 8), torch.rand(2, 1, 3, 3)))
rho = torch.tensor([0.1, 0.5], dtype=torch.float64, requires_grad=True)  # one weight per sample
print("\ngradients in y, k, x0, alpha:", torch.autograd.gradcheck(lambda y, k, x, a: prox_image(y, k, x, a, 2), (y, k0, x0, rho)))
for constraint in (None, "sum", "simplex"):

    def step(y: Tensor, x: Tensor, k: Tensor, gamma: Tensor, constraint: str | None = constraint) -> Tensor:
        return prox_kernel(y, x, k, gamma, 2, domain="support", constraint=constraint)

    print(f"gradients in y, x, k0, gamma, constraint {constraint}:", torch.autograd.gradcheck(step, (y, x0, k0, rho)))

# %%
figure = show_kernels(panels)
print(f"\nfigure: {OUT / '02_closed_forms.png'} (truth, and what was found with noise)")
save_figure(figure, OUT / "02_closed_forms.png")
