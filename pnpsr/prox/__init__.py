"""Closed-form data steps and hand-written priors."""

from pnpsr.physics.edges import differences as differences
from pnpsr.physics.image_step import prox_image as prox_image
from pnpsr.physics.kernel_step import gram_scale as gram_scale
from pnpsr.physics.kernel_step import prox_kernel as prox_kernel
from pnpsr.prox.kernel_priors import Centred as Centred
from pnpsr.prox.kernel_priors import simplex as simplex
from pnpsr.prox.kernel_priors import sparse_simplex as sparse_simplex
from pnpsr.prox.priors import box as box
from pnpsr.prox.priors import edge_scale as edge_scale
from pnpsr.prox.priors import identity as identity
from pnpsr.prox.priors import l0_gradient as l0_gradient
from pnpsr.prox.priors import sparsity as sparsity
from pnpsr.prox.priors import tv as tv
