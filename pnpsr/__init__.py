"""pnpsr: plug-and-play blind inverse problems in imaging.

Exact data steps, learned or hand-written priors and one unrolled solver, which compose::

    solver = UnrolledSolver(estimator, restorer, T=4)
    out = solver(y, 4)  # out.x, out.k
"""

from pnpsr import interrupt as interrupt  # first: the imports below take seconds, in which somebody may press Ctrl-C

# isort: split

from pnpsr.checkpoint import load as load
from pnpsr.checkpoint import save as save
from pnpsr.photo import Restoration as Restoration
from pnpsr.photo import restore as restore
from pnpsr.physics import Degradation as Degradation
from pnpsr.recipes import blind_hqs as blind_hqs
from pnpsr.recipes import dan as dan
from pnpsr.recipes import ikrnet as ikrnet
from pnpsr.recipes import two_step as two_step
from pnpsr.recipes import usrnet as usrnet
from pnpsr.released import load_released as load_released
from pnpsr.solver import PerIteration as PerIteration
from pnpsr.solver import UnrolledSolver as UnrolledSolver
from pnpsr.state import Hyper as Hyper
from pnpsr.state import State as State
from pnpsr.values import expression as expression
from pnpsr.values import use as use
from pnpsr.version import VERSION

__version__ = VERSION
