"""pnpsr: plug-and-play blind inverse problems in imaging."""

from pnpsr.solver import PerIteration as PerIteration
from pnpsr.solver import UnrolledSolver as UnrolledSolver
from pnpsr.state import Hyper as Hyper
from pnpsr.state import State as State
