# %% [markdown]
# # 2. Both data steps in closed form
#
# A blurred, decimated, noisy picture is $y = (x \otimes k)\downarrow_s + n$: x sharp (b c h w), k the kernel (b 1 p p), s the
# scale. Methods that look for x and k take turns, and in each turn solve a small problem exactly: explain y, and stay near what
# they had, x₀ or k₀. The weights α and γ say how near. Such a step is called *proximal*, hence the names:
#
# $$\text{prox_image}: \arg\min_x |y - (x \otimes k)\downarrow_s|^2 + \alpha\,|x - x_0|^2 \qquad
#   \text{prox_kernel}: \arg\min_k |y - (x \otimes k)\downarrow_s|^2 + \gamma\,|k - k_0|^2$$
#
# Here both are derived, held against brute force, and looked at where they lose digits. $A^*$ is the transpose of a linear map
# A (tutorial 1 draws it); on so small a picture A can be written out as a matrix, and that is the judge.

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
from pnpsr.physics import as_matrix, polyphase
from pnpsr.plot import save_figure, show_curves, show_kernels
from pnpsr.prox import gram_scale, prox_image, prox_kernel
from pnpsr.starts import upsample

FAST = os.environ.get("PNPSR_FAST") == "1"
OUT = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
OUT.mkdir(parents=True, exist_ok=True)
random = torch.Generator().manual_seed(0)

# %% [markdown]
# ## The image step, derived
#
# With k fixed, y is linear in x: $y = A x$. The gradient of the objective vanishes where
# $(A^*A + \alpha)\,x = A^* y + \alpha x_0$, a system as large as the picture. Put $x = x_0 + A^* u$ with u as small as y:
#
# $$(A A^* + \alpha)\,u = y - A x_0 .$$
#
# $A A^*$ maps small pictures to small pictures: zeros in between, correlate, convolve, decimate. That is a circular convolution
# on the *small* grid, so the Fourier transform on that grid makes it a product, and the step one division per frequency:
#
# $$x = x_0 + A^*\, F^{-1}\!\left[\frac{F(y - A x_0)}{\sum_r |A_r|^2 + \alpha}\right]$$
#
# where $A_r$ are the spectra of the s² interleaved parts of the kernel. Six lines:


# %%
def by_division(y: Tensor, k: Tensor, x0: Tensor, alpha: float, s: int) -> Tensor:
    A = Degradation(s).freeze(k=k)
    gain = polyphase.kernel_row(k, x0.shape[-2:], (s, s)).abs().square().sum(2)  # sum over the parts r, (b 1 h w/2+1)
    u = torch.fft.irfft2(torch.fft.rfft2(y - A(x0)) / (gain + alpha), s=y.shape[-2:])
    return x0 + A.adjoint(u)


def ridge(M: Tensor, y: Tensor, rho: float, v0: Tensor) -> Tensor:
    """The same by brute force: M is the operator as a dense matrix."""
    normal = M.T @ M + rho * torch.eye(M.shape[1], dtype=M.dtype)
    return torch.linalg.solve(normal, M.T @ y.flatten() + rho * v0.flatten()).reshape(v0.shape)


D = Degradation(2)
x, x0 = torch.rand(2, 1, 1, 16, 16, generator=random, dtype=torch.float64)
k, k0 = gaussian(5, 1.0, dtype=torch.float64), dirac(5, dtype=torch.float64)
y = D(x, k, 0.02, generator=random)
truth = ridge(as_matrix(D.freeze(k=k), (1, 16, 16)), y, 0.01, x0)
print(f"six lines against brute force:  {float((by_division(y, k, x0, 0.01, 2) - truth).abs().max()):.0e}")
print(f"prox_image against brute force: {float((prox_image(y, k, x0, 0.01, 2) - truth).abs().max()):.0e}")

# %% [markdown]
# ## The kernel step, derived
#
# Convolution commutes, so with x fixed y is linear in k: $y = B k$, with p² unknowns, a few hundred. There the direct way is
# the cheap one: $(G + \gamma)\,k = B^* y + \gamma k_0$ with $G = B^* B$, p² × p², read off the autocorrelation of x, and a
# Cholesky factor. A kernel also has sum 1: with $H = G + \gamma$ and k the free solution, $k + H^{-1}1\,(1 - 1^\top k) /
# (1^\top H^{-1} 1)$ is the best with that sum; with $k \ge 0$ too it is a small quadratic programme.

# %%
M = as_matrix(D.freeze(x=x, size=5), (1, 5, 5))
free = ridge(M, y, 0.1, k0)
print(f"prox_kernel against brute force: {float((prox_kernel(y, x, k0, 0.1, 2, domain='support') - free).abs().max()):.0e}")
one = torch.linalg.solve(M.T @ M + 0.1 * torch.eye(25, dtype=M.dtype), torch.ones(25, dtype=M.dtype)).reshape(k0.shape)
summed = free + one * (1 - free.sum()) / one.sum()
found = prox_kernel(y, x, k0, 0.1, 2, domain="support", constraint="sum")
print(f"with sum 1, by the formula:      {float((found - summed).abs().max()):.0e}")

# %% [markdown]
# ## What the kernel step finds
#
# `grid` solves for a kernel as large as the picture and crops it, as IKR-Net's paper does; `support` solves for the p² numbers
# themselves. All stay near zero with a weight in units of `gram_scale(x, s)`, the mean diagonal of G. In the last row x is only
# an enlarged y: no form of the step finds much then. It learns from what x explains, no more; a blind method must make x better
# first.

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
print(f"kernel MSE x 1e5 at scale {scale}; of k = 0 it is {float(k.square().mean()) * 1e5:.2f}")
print(f"{'':38}" + "".join(f"{name:>18}" for name in steps))
for noise, weight, rough in ((0.0, 1e-6, False), (0.02, 1e-3, False), (0.0, 0.1, True)):
    y = Degradation(scale)(x, k, noise, generator=random)
    given = upsample(y, scale) if rough else x
    gamma = weight * gram_scale(given, scale)
    found = {name: prox_kernel(y, given, torch.zeros_like(k), gamma, scale, **options) for name, options in steps.items()}
    title = f"{'x = bicubic' if rough else 'x = truth'}, noise {noise:g}, weight {weight:g}"
    print(f"{title:38}" + "".join(f"{float(kernel_mse(estimate, k)) * 1e5:18.3f}" for estimate in found.values()))
    if noise:
        panels |= found
figure = show_kernels(panels, log=True)
save_figure(figure, OUT / "02_closed_forms.png")

# %% [markdown]
# ## Why the usual formula loses float32
#
# USRNet and IKR-Net, two networks that repeat this step (tutorials 11 and 5), solve $(A^*A + \alpha)\,x = d$ with
# $d = A^*y + \alpha x_0$ by the same identity, written the other way:
#
# $$x = \frac{1}{\alpha}\left[d - A^* (AA^* + \alpha)^{-1} A d\right] .$$
#
# In the bracket two nearly equal numbers are subtracted, and what is left, of size α, is divided by α: with seven digits and
# α = 1e-6 one digit remains. The form above never divides by α alone.


# %%
def usual(y: Tensor, k: Tensor, x0: Tensor, alpha: float, s: int) -> Tensor:
    """IKR-Net Eq. 8-9, USRNet Eq. 7, as written."""
    K, filled = torch.fft.fft2(polyphase.embed(k, x0.shape[-2:])), torch.zeros_like(x0)
    filled[..., ::s, ::s] = y
    d = K.conj() * torch.fft.fft2(filled) + alpha * torch.fft.fft2(x0)
    folded = lambda t: t.unflatten(-1, (s, -1)).unflatten(-3, (s, -1)).mean((-4, -2))
    ratio = folded(K * d) / (folded(K.abs() ** 2) + alpha)
    return torch.fft.ifft2((d - K.conj() * ratio.repeat(1, 1, s, s)) / alpha).real


y, x0 = Degradation(scale)(x, k), upsample(Degradation(scale)(x, k), scale)
alphas = [10.0**-e for e in range(9)]
exact = [prox_image(y.double(), k.double(), x0.double(), alpha, scale) for alpha in alphas]
errors = {
    name: [float((step(y, k, x0, alpha, scale) - right).abs().max()) for alpha, right in zip(alphas, exact, strict=True)]
    for name, step in {"usual formula": usual, "prox_image": prox_image}.items()
}
print("alpha    usual formula   prox_image, largest error in float32")
for row in zip(alphas, *errors.values(), strict=True):
    print("{:<9g}{:<16.0e}{:.0e}".format(*row))
figure = show_curves({"largest error in float32": errors}, first=0, across="digits of alpha: alpha = 10^-e, e =")
save_figure(figure, OUT / "02_precision.png")

# %% [markdown]
# ## Gradients
#
# Both steps are differentiable in everything, also in the weights α and γ: so they can sit inside a trained network.

# %%
y, x0, k0 = (t.double().requires_grad_() for t in (torch.rand(2, 1, 4, 4), torch.rand(2, 1, 8, 8), torch.rand(2, 1, 3, 3)))
rho = torch.tensor([0.1, 0.5], dtype=torch.float64, requires_grad=True)  # one weight per sample
right = torch.autograd.gradcheck(lambda y, k, x, a: prox_image(y, k, x, a, 2), (y, k0, x0, rho))
print("image step, gradients in y, k, x0, alpha:", right)
simplex = lambda y, x, k, g: prox_kernel(y, x, k, g, 2, domain="support", constraint="simplex")
print("kernel step on the simplex, gradients in y, x, k0, gamma:", torch.autograd.gradcheck(simplex, (y, x0, k0, rho)))

# %% [markdown]
# ## Exercises
#
# 1. What does `prox_image` return as α goes to zero, and as it grows? Check both against y and x0.
# 2. At scale 1 with the kernel `dirac(p)` the image step is a weighted mean of y and x0. Which weights?

# %% tags=["solution"]
# 1. Small: x0 is changed as little as needed to explain y exactly. Large: x0 comes back.
with torch.no_grad():
    y, x0 = Degradation(2)(x, k), torch.zeros_like(x)
    for alpha in (1e-8, 1e8):
        z = prox_image(y, k, x0, alpha, 2)
        print(
            f"alpha {alpha:g}: |y - A z| {float((y - Degradation(2)(z, k)).abs().max()):.0e}, "
            f"|z - x0| {float((z - x0).abs().max()):.0e}"
        )

# %% tags=["solution"]
# 2. (y + alpha x0) / (1 + alpha): the derivative of |y - x|² + alpha |x - x0|² is zero there.
y, x0 = torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)
print(float((prox_image(y, dirac(5), x0, 0.3, 1) - (y + 0.3 * x0) / 1.3).abs().max()))
