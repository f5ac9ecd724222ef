"""Refuse bad input in one sentence: which argument, what came, what to do.

Every public edge of the library calls these; private cores trust them. Checks of *values* (NaN, sign) read numbers back
from the device, so they are skipped while ``torch.compile`` traces; under ``torch.func.vmap`` they read all mapped samples.
"""

from pnpsr.checks.fit import divisible as divisible
from pnpsr.checks.fit import feed as feed
from pnpsr.checks.fit import inside as inside
from pnpsr.checks.fit import matching as matching
from pnpsr.checks.fit import noise as noise
from pnpsr.checks.fit import of_more as of_more
from pnpsr.checks.fit import per_sample as per_sample
from pnpsr.checks.paths import writable as writable
from pnpsr.checks.plain import Scale as Scale
from pnpsr.checks.plain import choice as choice
from pnpsr.checks.plain import factors as factors
from pnpsr.checks.plain import noise_span as noise_span
from pnpsr.checks.plain import offsets as offsets
from pnpsr.checks.plain import precision as precision
from pnpsr.checks.plain import size as size
from pnpsr.checks.plain import span as span
from pnpsr.checks.plain import whole as whole
from pnpsr.checks.tensors import MASS as MASS
from pnpsr.checks.tensors import NotFinite as NotFinite
from pnpsr.checks.tensors import blur as blur
from pnpsr.checks.tensors import displayed as displayed
from pnpsr.checks.tensors import finite as finite
from pnpsr.checks.tensors import image as image
from pnpsr.checks.tensors import kernel as kernel
from pnpsr.checks.tensors import layout as layout
from pnpsr.checks.tensors import readable as readable
from pnpsr.checks.tensors import reading as reading
from pnpsr.checks.tensors import shown as shown
from pnpsr.checks.tensors import tensor as tensor
from pnpsr.checks.tensors import tracing as tracing
from pnpsr.checks.tensors import trusted as trusted
from pnpsr.checks.tensors import unwatched as unwatched
from pnpsr.checks.tensors import values as values
from pnpsr.checks.tensors import wide as wide
