"""The conventions of this library and of others, as their released code has them."""

from pnpsr.conventions.convention import Convention

# What every solver and closed form of this library takes for granted.
PNPSR = Convention("PNPSR")

# deepinv 0.5, Blur and Downsampling with padding="circular"; its docstring puts the centre of even kernels elsewhere.
DEEPINV = Convention("DEEPINV")

# cszn/USRNet: p2o rolls the kernel by -(p // 2); main_test_table1.py: scipy.ndimage.convolve(mode="wrap")[::s, ::s].
USRNET = Convention("USRNET")
# Kernels before main_test_realapplication.py moves them by (s - 1) / 2 towards the upper left with shift_pixel.
USRNET_UNSHIFTED = Convention("USRNET_UNSHIFTED", offset="(s-1)/2")
# cszn/KAIR, utils_sisr.py: G_np(..., center=True). (G, the torch twin of G_np, correlates: IKRNET_TRAIN.)
KAIR_CENTER = Convention("KAIR_CENTER", offset="(s-1)//2")

# hfates/IKR-Net: test pictures by scipy.ndimage.convolve(mode="wrap")[::s, ::s]; training by F.conv2d after circular padding.
IKRNET = Convention("IKRNET")
IKRNET_TRAIN = Convention("IKRNET_TRAIN", correlation=True)
# JingyunLiang/FKP, prepare_dataset.py: F.conv2d after circular padding, on kernels moved to (p - s) / 2.
FKP = Convention("FKP", correlation=True)

# greatlog/DAN, deg_utils.py: ReflectionPad2d, F.conv2d, imresize(1/s). Eq. 1 of the paper has ⊗ and ↓s, and names no border.
DAN = Convention("DAN", correlation=True, boundary="reflect", decimation="bicubic")
DAN_PAPER = Convention("DAN_PAPER", boundary="reflect")

# sefibk/KernelGAN, imresize.py: scipy.ndimage.correlate (its default border), every s-th pixel; kernels as kernel_shift left them.
KERNELGAN = Convention("KERNELGAN", correlation=True, boundary="symmetric")
# Kernels before kernel_shift, their mass balanced on the exact middle, meant to fall on the middle of every s x s patch.
KERNELGAN_UNSHIFTED = Convention("KERNELGAN_UNSHIFTED", centre="(p-1)/2", offset="(s-1)/2", correlation=True, boundary="symmetric")

NAMED = {
    convention.name: convention
    for convention in (
        PNPSR,
        DEEPINV,
        USRNET,
        USRNET_UNSHIFTED,
        KAIR_CENTER,
        IKRNET,
        IKRNET_TRAIN,
        FKP,
        DAN,
        DAN_PAPER,
        KERNELGAN,
        KERNELGAN_UNSHIFTED,
    )
}
