"""Networks: tensors in, tensors out. They know nothing of solvers, states or closed forms."""

from pnpsr.nets.autoencoder import KernelAutoencoder as KernelAutoencoder
from pnpsr.nets.autoencoder import KernelDecoder as KernelDecoder
from pnpsr.nets.crb import CRB as CRB
from pnpsr.nets.crb import CRBEstimator as CRBEstimator
from pnpsr.nets.crb import CRBRestorer as CRBRestorer
from pnpsr.nets.dpcn import DPCB as DPCB
from pnpsr.nets.dpcn import DPCG as DPCG
from pnpsr.nets.dpcn import DPCEstimator as DPCEstimator
from pnpsr.nets.dpcn import DPCRestorer as DPCRestorer
from pnpsr.nets.edges import EdgeNet as EdgeNet
from pnpsr.nets.heads import HyperMLP as HyperMLP
from pnpsr.nets.heads import NoiseNet as NoiseNet
from pnpsr.nets.initial import KernelCorrector as KernelCorrector
from pnpsr.nets.initial import KernelEncoder as KernelEncoder
from pnpsr.nets.resunet import ResUNet as ResUNet
from pnpsr.nets.statistics import KernelStatistics as KernelStatistics
