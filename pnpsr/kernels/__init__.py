"""Where kernels come from: batches (b 1 p q), non-negative, of sum 1, centred on index p // 2 (odd and even p alike)."""

from pnpsr.kernels.basis import KernelBasis as KernelBasis
from pnpsr.kernels.families import FAMILIES as FAMILIES
from pnpsr.kernels.families import family as family
from pnpsr.kernels.files import load_kernels as load_kernels
from pnpsr.kernels.files import save_kernels as save_kernels
from pnpsr.kernels.gaussian import SETTING1_WIDTHS as SETTING1_WIDTHS
from pnpsr.kernels.gaussian import dan_setting1 as dan_setting1
from pnpsr.kernels.gaussian import dan_setting2 as dan_setting2
from pnpsr.kernels.gaussian import gaussian as gaussian
from pnpsr.kernels.gaussian import gaussian8 as gaussian8
from pnpsr.kernels.gaussian import random_gaussian as random_gaussian
from pnpsr.kernels.motion import random_motion as random_motion
from pnpsr.kernels.nearest import nearest_gaussian as nearest_gaussian
from pnpsr.kernels.nearest import settled as settled
from pnpsr.kernels.shift import centre_kernel as centre_kernel
from pnpsr.kernels.shift import centroid as centroid
from pnpsr.kernels.shift import resize_support as resize_support
from pnpsr.kernels.shift import shift_kernel as shift_kernel
from pnpsr.kernels.shift import turned as turned
from pnpsr.kernels.simple import dirac as dirac
from pnpsr.kernels.simple import disk as disk
from pnpsr.kernels.simple import line as line
