"""``python -m pnpsr`` is ``pnpsr``."""

import sys

from pnpsr.cli import main

sys.exit(main())
