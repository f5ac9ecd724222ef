"""The same solver, faster: what a copy for inference does in another way, each thing in a file of its own."""

from pnpsr.fast.make import PRECISIONS as PRECISIONS
from pnpsr.fast.make import fast as fast
from pnpsr.fast.make import native_bfloat16 as native_bfloat16
from pnpsr.fast.make import resolved as resolved
