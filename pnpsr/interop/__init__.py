"""Bridges to other libraries, imported only by name (``from pnpsr.interop import deepinv``), never by ``import pnpsr``."""
