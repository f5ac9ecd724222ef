"""Forward models (x, k) ↦ y: what degrades and, by its own two data steps, inverts. No networks."""

from pnpsr.physics.blur import BOUNDARIES as BOUNDARIES
from pnpsr.physics.blur import Blur as Blur
from pnpsr.physics.blur import KernelBlur as KernelBlur
from pnpsr.physics.clipped import Clipped as Clipped
from pnpsr.physics.degradation import Degradation as Degradation
from pnpsr.physics.measured import Measured as Measured
from pnpsr.physics.mosaic import Mosaic as Mosaic
from pnpsr.physics.noise import estimate_noise as estimate_noise
from pnpsr.physics.noise import gaussian_noise as gaussian_noise
from pnpsr.physics.noise import quantise as quantise
from pnpsr.physics.operator import LinearOperator as LinearOperator
from pnpsr.physics.oracles import adjoint_error as adjoint_error
from pnpsr.physics.oracles import as_matrix as as_matrix
from pnpsr.physics.oracles import operator_norm as operator_norm
from pnpsr.physics.physics import Physics as Physics
from pnpsr.physics.sampling import Downsample as Downsample
from pnpsr.physics.weighted import Masked as Masked
from pnpsr.physics.weighted import Weighted as Weighted
from pnpsr.physics.weighted import noise_weights as noise_weights
from pnpsr.physics.weighted import unclipped as unclipped
