"""Figures, one call each: a plain ``matplotlib.figure.Figure`` comes back, without backend or global state."""

from pnpsr.plot.curves import show_curves as show_curves
from pnpsr.plot.curves import show_table as show_table
from pnpsr.plot.demo import demo_figure as demo_figure
from pnpsr.plot.kernels import show_kernels as show_kernels
from pnpsr.plot.kernels import show_spectra as show_spectra
from pnpsr.plot.pictures import show_before_after as show_before_after
from pnpsr.plot.pictures import show_images as show_images
from pnpsr.plot.pictures import show_iterates as show_iterates
from pnpsr.plot.save import save_figure as save_figure
