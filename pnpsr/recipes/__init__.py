"""Methods, each as one expression. ``RECIPES`` is the registry: add your own function to it and it can be saved and loaded."""

from collections.abc import Callable

from torch import nn

from pnpsr.recipes.classical import blind_hqs as blind_hqs
from pnpsr.recipes.classical import tv_hqs as tv_hqs
from pnpsr.recipes.dan import dan as dan
from pnpsr.recipes.first import first_kernel as first_kernel
from pnpsr.recipes.ikrnet import bisrnet as bisrnet
from pnpsr.recipes.ikrnet import ikrnet as ikrnet
from pnpsr.recipes.ikrnet_released import IKRNetReleased as IKRNetReleased
from pnpsr.recipes.ikrnet_released import ikrnet_released as ikrnet_released
from pnpsr.recipes.mixed import mixed as mixed
from pnpsr.recipes.record import Record as Record
from pnpsr.recipes.record import recipe as recipe
from pnpsr.recipes.twostep import two_step as two_step
from pnpsr.recipes.usrnet import usrnet as usrnet

RECIPES: dict[str, Callable[..., nn.Module]] = {
    build.__name__: build
    for build in (bisrnet, blind_hqs, dan, first_kernel, ikrnet, ikrnet_released, mixed, tv_hqs, two_step, usrnet)
}
