"""One training per folder: a lock that ends with the process that holds it, however that ends."""

import os
import socket
import weakref
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

_HELD = set[Path]()  # of this process, which its own locks do not keep out


class Lock:
    """Held from here until :meth:`release`, or until nobody refers to it.

    POSIX record locks, because processes that load data do not inherit them: a training that was killed is not kept out by its
    orphans.

    Args:
        folder: that may have one training at a time.

    Raises:
        ValueError: another process, or another training of this one, holds it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder.resolve() / ".lock"
        if path in _HELD:
            raise ValueError(_busy(folder, "this process"))
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if fcntl is not None:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            holder = os.read(file, 200).decode(errors="replace") or "another process"
            os.close(file)
            raise ValueError(_busy(folder, holder)) from error
        except OSError:  # a file system without locks
            pass
        os.ftruncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        _HELD.add(path)
        self.release = weakref.finalize(self, _release, file, path)


def _busy(folder: Path, holder: str) -> str:
    return f"{folder}: a training is running there already ({holder}); wait for its end, or choose another folder"


def _release(file: int, path: Path) -> None:
    os.close(file)
    _HELD.discard(path)
