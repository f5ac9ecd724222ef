"""Training: stages as data, one readable loop on Lightning Fabric, runs that survive being killed."""

from pnpsr.train.folder import RunFolder as RunFolder
from pnpsr.train.log import Log as Log
from pnpsr.train.loop import train as train
from pnpsr.train.losses import Loss as Loss
from pnpsr.train.losses import Outcome as Outcome
from pnpsr.train.options import Options as Options
from pnpsr.train.paired import paired_stages as paired_stages
from pnpsr.train.record import Diverged as Diverged
from pnpsr.train.record import Record as Record
from pnpsr.train.stages import Stage as Stage
from pnpsr.train.stages import deepened as deepened
from pnpsr.train.stages import optional_stages as optional_stages
from pnpsr.train.stages import stages_for as stages_for
from pnpsr.train.stopping import stopping as stopping
