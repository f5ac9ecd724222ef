"""Released networks of other projects, recognised by the names of their tensors and mapped onto ours."""

from pnpsr.released.load import load_released as load_released
from pnpsr.released.load import open_solver as open_solver
