"""Which pixel a kernel and a decimation mean: conventions as values, conversion between them, and a check of (y, x, k)."""

from pnpsr.conventions.check import Report as Report
from pnpsr.conventions.check import reproduces as reproduces
from pnpsr.conventions.convention import Convention as Convention
from pnpsr.conventions.convert import convert_kernel as convert_kernel
from pnpsr.conventions.degrade import degrade as degrade
from pnpsr.conventions.identify import identify as identify
from pnpsr.conventions.named import DAN as DAN
from pnpsr.conventions.named import DAN_PAPER as DAN_PAPER
from pnpsr.conventions.named import DEEPINV as DEEPINV
from pnpsr.conventions.named import FKP as FKP
from pnpsr.conventions.named import IKRNET as IKRNET
from pnpsr.conventions.named import IKRNET_TRAIN as IKRNET_TRAIN
from pnpsr.conventions.named import KAIR_CENTER as KAIR_CENTER
from pnpsr.conventions.named import KERNELGAN as KERNELGAN
from pnpsr.conventions.named import KERNELGAN_UNSHIFTED as KERNELGAN_UNSHIFTED
from pnpsr.conventions.named import NAMED as NAMED
from pnpsr.conventions.named import PHYSICS as PHYSICS
from pnpsr.conventions.named import PNPSR as PNPSR
from pnpsr.conventions.named import USRNET as USRNET
from pnpsr.conventions.named import USRNET_UNSHIFTED as USRNET_UNSHIFTED
from pnpsr.conventions.named import named_physics as named_physics
from pnpsr.conventions.named import register_physics as register_physics
