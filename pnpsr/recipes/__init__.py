"""Methods, each as one expression. ``recipe`` makes one of a function of yours: it has a name then, here and in commands."""

from pnpsr.recipes.classical import blind_hqs as blind_hqs
from pnpsr.recipes.classical import tv_hqs as tv_hqs
from pnpsr.recipes.dan import dan as dan
from pnpsr.recipes.first import first_kernel as first_kernel
from pnpsr.recipes.ikrnet import bisrnet as bisrnet
from pnpsr.recipes.ikrnet import ikrnet as ikrnet
from pnpsr.recipes.ikrnet_released import IKRNetReleased as IKRNetReleased
from pnpsr.recipes.ikrnet_released import ikrnet_released as ikrnet_released
from pnpsr.recipes.mixed import mixed as mixed
from pnpsr.recipes.options import DualPath as DualPath
from pnpsr.recipes.options import FirstGuess as FirstGuess
from pnpsr.recipes.options import ImageStep as ImageStep
from pnpsr.recipes.options import KernelStep as KernelStep
from pnpsr.recipes.options import Tuning as Tuning
from pnpsr.recipes.twostep import two_step as two_step
from pnpsr.recipes.usrnet import usrnet as usrnet
from pnpsr.values import RECIPES as RECIPES
from pnpsr.values import Entry as Entry
from pnpsr.values import entry_of as entry_of
from pnpsr.values import recipe as recipe
from pnpsr.values import trainable as trainable
