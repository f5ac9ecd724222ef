"""Forward models: blur ⊗ k, decimation ↓s, noise. No networks, no solving."""

from pnpsr.physics.blur import BOUNDARIES as BOUNDARIES
from pnpsr.physics.blur import Blur as Blur
from pnpsr.physics.blur import KernelBlur as KernelBlur
from pnpsr.physics.degradation import Degradation as Degradation
from pnpsr.physics.noise import estimate_noise as estimate_noise
from pnpsr.physics.noise import gaussian_noise as gaussian_noise
from pnpsr.physics.noise import quantise as quantise
from pnpsr.physics.operator import LinearOperator as LinearOperator
from pnpsr.physics.oracles import adjoint_error as adjoint_error
from pnpsr.physics.oracles import as_matrix as as_matrix
from pnpsr.physics.oracles import operator_norm as operator_norm
from pnpsr.physics.sampling import Downsample as Downsample
