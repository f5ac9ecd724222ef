"""deepinv both ways: its denoisers and physics in pnpsr's solvers; pnpsr's operators, priors and solvers in deepinv.

This module and its neighbours are the only ones that import deepinv, and ``import pnpsr`` imports none of them.
"""

from pnpsr.data import Sample as Sample
from pnpsr.interop.denoisers import AsDenoiser as AsDenoiser
from pnpsr.interop.denoisers import DenoiserPrior as DenoiserPrior
from pnpsr.interop.denoisers import as_denoiser as as_denoiser
from pnpsr.interop.denoisers import as_prior as as_prior
from pnpsr.interop.measurements import degradation_from as degradation_from
from pnpsr.interop.measurements import sample_from as sample_from
from pnpsr.interop.operators import DegradationPhysics as DegradationPhysics
from pnpsr.interop.operators import to_deepinv as to_deepinv
from pnpsr.interop.physics import as_physics as as_physics
from pnpsr.interop.solvers import AsReconstructor as AsReconstructor
