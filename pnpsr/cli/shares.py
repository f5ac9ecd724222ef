"""One command in several processes: whose work is what, by the launch that training has (torchrun, Lightning Fabric)."""

import atexit
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pnpsr.interrupt import as_command

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """The part of one process of several that run the same command on the same files."""

    place: int = 0  # of this process among all
    count: int = 1
    local: int = 1  # processes on this machine
    device: str = "cpu"
    fabric: Any = None

    @property
    def first(self) -> bool:
        """This process reports; so does one that is alone."""
        return self.place == 0

    def of(self, work: Sequence[T]) -> list[T]:
        """Every n-th piece, from this process's place on."""
        return list(work[self.place :: self.count])

    def wait(self) -> None:
        """Until every process has come here."""
        self.gathered(None)

    def gathered(self, mine: T) -> list[T]:
        """What every process brings, in their order, once all have come here."""
        if self.fabric is None:
            return [mine]
        import torch.distributed

        everybody: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(everybody, mine)
        return everybody

    def last(self, mine: T) -> list[T]:
        """As :meth:`gathered`, at the end of a command: a process that only has to leave is no longer stopped.

        When one process ends with a failure, torchrun ends the others by SIGTERM and tells of that as of a crash. The exit status
        of a command is the first process's, so it must not find the others on their way out.
        """
        if not self.first and as_command():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # before the gathering, so that nobody leaves earlier
        return self.gathered(mine)


def share_of(device: str) -> Share:
    """The share of this process: all of the work, unless ``torchrun`` started several.

    Args:
        device: where all compute; ``cuda`` gives each process of a machine a GPU of its own.

    Raises:
        ValueError: several processes without Lightning.
    """
    count, local = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if "TORCHELASTIC_RUN_ID" not in os.environ or count == 1:
        return Share(device=device)
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise ValueError("several processes need Lightning: pip install 'pnpsr[train]'") from error
    kind = device.partition(":")[0]
    fabric = launched(Fabric(accelerator=kind, devices=local, num_nodes=count // local))
    return Share(fabric.global_rank, count, local, str(fabric.device) if kind != "cpu" else device, fabric)


def launched(fabric: Any) -> Any:
    """The fabric, launched; a group of processes that this made is left when Python ends, one that stood before is its maker's.

    A group that still stands then may abort a process that is done; one that is left earlier could not be made again, as
    processes of a second one find the addresses of the first.
    """
    stood = _in_group()
    fabric.launch()
    if _in_group() and not stood:
        atexit.register(_part_ways)
    return fabric


def _in_group() -> bool:
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _part_ways() -> None:
    if _in_group():
        sys.modules["torch.distributed"].destroy_process_group()
