"""Scores of images and kernels against the truth, and the protocol under which they are comparable."""

from pnpsr.evaluate.baselines import bicubic as bicubic
from pnpsr.evaluate.baselines import bicubic_centre as bicubic_centre
from pnpsr.evaluate.baselines import deepinv_hqs as deepinv_hqs
from pnpsr.evaluate.baselines import from_solver as from_solver
from pnpsr.evaluate.baselines import two_step as two_step
from pnpsr.evaluate.cases import Failure as Failure
from pnpsr.evaluate.cases import Key as Key
from pnpsr.evaluate.kernels import best_shift as best_shift
from pnpsr.evaluate.kernels import kernel_l1 as kernel_l1
from pnpsr.evaluate.kernels import kernel_mse as kernel_mse
from pnpsr.evaluate.kernels import kernel_psnr as kernel_psnr
from pnpsr.evaluate.method import Method as Method
from pnpsr.evaluate.method import Result as Result
from pnpsr.evaluate.metrics import luminance as luminance
from pnpsr.evaluate.metrics import psnr as psnr
from pnpsr.evaluate.metrics import ssim as ssim
from pnpsr.evaluate.named import named_protocol as named_protocol
from pnpsr.evaluate.perceptual import lpips as lpips
from pnpsr.evaluate.protocol import Protocol as Protocol
from pnpsr.evaluate.protocol import grid as grid
from pnpsr.evaluate.run import Evaluation as Evaluation
from pnpsr.evaluate.run import evaluate as evaluate
from pnpsr.evaluate.store import Row as Row
from pnpsr.evaluate.store import read_rows as read_rows
from pnpsr.evaluate.tables import table as table
from pnpsr.evaluate.triples import Triples as Triples
