"""Scores: images against the truth, kernels against the truth."""

from pnpsr.evaluate.kernels import best_shift as best_shift
from pnpsr.evaluate.kernels import kernel_mse as kernel_mse
from pnpsr.evaluate.kernels import kernel_psnr as kernel_psnr
from pnpsr.evaluate.metrics import luminance as luminance
from pnpsr.evaluate.metrics import psnr as psnr
from pnpsr.evaluate.metrics import ssim as ssim
