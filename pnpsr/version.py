"""Which pnpsr this is: it stands in results, checkpoints and the records of runs."""

VERSION = "0.1.0"
