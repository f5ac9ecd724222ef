"""Closed-form data steps and hand-written priors."""

from pnpsr.prox.image import prox_image as prox_image
