"""Released networks of other projects, recognised by the names of their tensors and mapped onto ours."""

from pnpsr.released.load import VIEWS as VIEWS
from pnpsr.released.load import load_released as load_released
from pnpsr.released.load import open_solver as open_solver
from pnpsr.released.words import Word as Word
from pnpsr.released.words import label_of as label_of
from pnpsr.released.words import read_word as read_word
